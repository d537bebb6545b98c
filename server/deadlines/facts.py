"""What must be known of a case to say which clocks run on it? Frozen facts, no person in them."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, NamedTuple

LOOK_BACK: Final = 62
"""Days for which contacts, letters, payments and ended holds are loaded: longer than any clock runs."""
FOLLOW_UPS: Final = frozenset({"call", "visit", "inbound"})
"""What follows a case up (J1-J3); a letter is a contact, but nobody was spoken to."""


class Touch(NamedTuple):
    """One contact of the case: a ledger entry or a visit. `meaning`: what its result says, if anything."""

    at: datetime
    day: date
    channel: str
    is_effective: bool
    meaning: str | None = None

    @property
    def is_follow_up(self) -> bool:
        """Whether somebody tried to speak to somebody."""
        return self.channel in FOLLOW_UPS


class Held(NamedTuple):
    """A stretch of days on which a hold stood; `last` None: it stands."""

    reason: str
    first: date
    last: date | None


class Promised(NamedTuple):
    """A promise of the debtor: open, or broken (one that was kept or withdrawn starts nothing)."""

    made_at: datetime
    made_on: date
    due_on: date
    follow_up_on: date | None
    is_open: bool


@dataclass(frozen=True, slots=True)
class Calls:
    """Today's calls to the debtor, on whichever case, and the day of the last one."""

    answered: int = 0
    unanswered: int = 0
    last_on: date | None = None


NO_CALLS: Final = Calls()


@dataclass(frozen=True, slots=True)
class CaseSituation:
    """One open case as the clocks see it.

    `code_meaning`: what the client's own table says of the status code (promise, tracing, or nothing).
    `touches` in the order of time, of the last two months; `last_follow_up_at` and `is_reachable` (somebody
    was spoken to) look back without limit. `client_has_batch`: its client allocated new cases this month.
    `received_on`: when its letters were received. `paid_on`: days of payments.
    """

    hand: str
    status_code: str
    code_meaning: str
    flags: tuple[str, ...]
    outstanding_fen: int
    allocated_on: date | None
    is_hardship: bool
    client_has_batch: bool
    last_follow_up_at: datetime | None = None
    is_reachable: bool = False
    touches: tuple[Touch, ...] = ()
    received_on: tuple[date, ...] = ()
    paid_on: tuple[date, ...] = ()
    holds: tuple[Held, ...] = ()
    promises: tuple[Promised, ...] = ()
    calls: Calls = NO_CALLS


class Clock(NamedTuple):
    """One deadline: which rule set it, what started it, until when, and what became of it.

    `opened_by`: allocation, month (F3), contact, promise or letter. `because`: why it does not push, or
    `late` when it was met after its deadline.
    """

    rule: str
    opened_on: date
    opened_by: str
    due_at: datetime
    state: str
    because: str = ""
    is_provisional: bool = False

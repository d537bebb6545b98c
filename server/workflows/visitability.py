"""How does a dispatcher leaf through the cases that may be visited on a day, and count the others?

A page stops reading as soon as it is full; counts need every case and are made when they are asked for.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import Final
from uuid import UUID

from server.errors import Fault, Invalid
from server.rules.local_time import at_local, local_day
from server.rules.pack import RulePack
from server.rules.situations import Status
from server.workflows.eligibility import Answer

DAYS_AHEAD: Final = 400


def a_day(day: date | None, *, now: datetime, pack: RulePack) -> date:
    """Return the day asked about, today for None; Invalid for one that is over or too far to be planned."""
    today = local_day(now, pack.zone)
    if day is not None and not today <= day <= today + timedelta(days=DAYS_AHEAD):
        fault = Fault("/day", f"Is not from {today} on, up to {DAYS_AHEAD} days ahead.")
        raise Invalid("day-out-of-range", "Name today or a day ahead.", faults=[fault])
    return day or today


def start_of(day: date, *, now: datetime, pack: RulePack) -> datetime:
    """Return the instant whose values judge a day: its first, or now (`standing_packs`)."""
    return max(at_local(day, time.min, pack.zone), now)


def team_max(answer: Answer, pack: RulePack) -> int:
    """Return how many may go: fewer to people in hardship (A10)."""
    return min(pack.team_max, pack.hardship_team_max) if answer.is_hardship else pack.team_max


@dataclass(frozen=True, slots=True)
class Filter:
    """Which answers are shown: of one status, or in which one rule speaks."""

    status: Status | None = None
    rule: str | None = None

    def takes(self, answer: Answer) -> bool:
        """Whether an answer is shown."""
        of_status = self.status in (None, answer.status)
        return of_status and (self.rule is None or any(one.rule == self.rule for one in answer.reasons))


@dataclass(slots=True)
class Counts:
    """How many cases have which status, and in how many each rule speaks."""

    statuses: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)

    def add(self, answer: Answer) -> None:
        """Count one case once per rule."""
        self.statuses[answer.status] += 1
        self.rules.update({reason.rule for reason in answer.reasons})


@dataclass(frozen=True, slots=True)
class Page:
    """Some answers in the order of case ids. `next`: the case after which the next page begins, or None."""

    answers: list[Answer]
    next: UUID | None


def a_page(answers: Iterable[Answer], *, shown: Filter, limit: int) -> Page:
    """Return the first `limit` answers that are shown; reads no further than that."""
    taken = list(islice(filter(shown.takes, answers), limit))
    return Page(taken, taken[-1].case_id if len(taken) == limit else None)


def a_counted_page(answers: Iterable[Answer], *, shown: Filter, limit: int) -> tuple[Page, Counts]:
    """Return the first page and the counts over all answers, shown or not, in one reading."""
    counts = Counts()

    def counted() -> Iterable[Answer]:
        for answer in answers:
            counts.add(answer)
            yield answer

    reading = iter(counted())
    page = a_page(reading, shown=shown, limit=limit)
    for _ in reading:
        pass
    return page, counts

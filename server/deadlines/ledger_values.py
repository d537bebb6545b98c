"""Which limits do calls have, and how long may a payment wait for the client's statement?

The numbers of the caps are those of `clocks.toml`; what each counts, and of whom, is said here (AMB3). How
statements are compared stands in `ledger.toml`.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from server.deadlines.timetable import timetable

Counted = Literal["effective", "connected", "unanswered", "total"]
COUNTED: tuple[Counted, ...] = ("effective", "connected", "unanswered", "total")


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `most` calls of one sort in `days` local days, of a case or of a debtor over all cases."""

    rule: str
    counts: Counted
    of: Literal["case", "debtor"]
    most: int
    days: int = 1
    only_in_hardship: bool = False


@dataclass(frozen=True, slots=True)
class StatementLimits:
    """C3: how long an entry may wait for the statement, and how far its days may lie apart."""

    rule: str
    within_days: int
    posting_days: int
    article: str
    grade: str


@cache
def caps() -> tuple[Cap, ...]:
    """Return every cap on calls."""
    table = timetable()
    return (
        Cap("J5", "effective", "case", table.answered_a_day),
        Cap("J6", "total", "case", table.dialled_a_day),
        Cap("J18", "connected", "debtor", table.unanswered_a_day),
        Cap("J18", "unanswered", "debtor", table.unanswered_a_day),
        Cap("J8", "total", "debtor", 1, days=table.hardship_call_days, only_in_hardship=True),
    )


@cache
def statement_limits() -> StatementLimits:
    """Return how payments and the client's statement are compared."""
    text = Path(__file__).with_name("ledger.toml").read_text("utf-8")
    return StatementLimits(**tomllib.loads(text)["statement"])

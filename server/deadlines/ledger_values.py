"""Which limits do calls have, and how long may a payment wait for the client's statement?

Read from `ledger.toml`, where each value stands with its rule and its place in the source.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

Counted = Literal["effective", "connected", "unanswered", "total"]
COUNTED: tuple[Counted, ...] = ("effective", "connected", "unanswered", "total")


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `most` calls of one sort in `days` local days, of a case or of a debtor."""

    rule: str
    counts: Counted
    of: Literal["case", "debtor"]
    most: int
    days: int
    article: str
    grade: str
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
def _file() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("ledger.toml").read_text("utf-8"))


@cache
def caps() -> tuple[Cap, ...]:
    """Return every cap on calls, in the order of the file."""
    return tuple(Cap(**row) for row in _file()["cap"])


@cache
def statement_limits() -> StatementLimits:
    """Return how payments and the client's statement are compared."""
    return StatementLimits(**_file()["statement"])

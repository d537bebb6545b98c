"""Is a problem one that a person was already told of? Then it is discipline, else coaching (E8).

The one place that says so: the breach desk writes it down when a breach is opened, and a month that is
assessed asks the same of what no breach was opened for yet. A problem is named by the check that finds it.
Failures before anybody was told are all a first time, whenever they are found out: coaching comes between a
first and a second.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

Measure = Literal["coaching", "discipline"]


@dataclass(frozen=True, slots=True)
class Failure:
    """What a check found of a visit, and when the visit was."""

    check: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ToldBefore:
    """A breach that was opened against a person and not withdrawn."""

    breach_id: UUID
    checks: frozenset[str]
    opened_at: datetime


def repeats_of(
    failures: Collection[Failure], earlier: Iterable[ToldBefore], *, since: datetime
) -> list[UUID]:
    """Return the breaches opened from `since` on that one of these failures repeats: it came after."""
    return sorted(
        told.breach_id
        for told in earlier
        if since <= told.opened_at
        and any(one.check in told.checks and told.opened_at <= one.at for one in failures)
    )


def measure_for(repeats: Collection[object]) -> Measure:
    """First time coaching, a repeat discipline."""
    return "discipline" if repeats else "coaching"

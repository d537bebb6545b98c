"""Is a problem one that a person was already told of? Then it is discipline, else coaching (E8).

The one place that says so: the breach desk writes it down when a breach is opened, and a month that is
assessed asks the same of what no breach was opened for yet. A problem is named by the check that finds it.
Two failures before anybody was told are both a first time: coaching comes between a first and a second.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

Measure = Literal["coaching", "discipline"]


@dataclass(frozen=True, slots=True)
class ToldBefore:
    """A breach that was opened against a person and not withdrawn."""

    breach_id: UUID
    checks: frozenset[str]
    opened_at: datetime


def repeats_of(
    checks: Collection[str], earlier: Iterable[ToldBefore], *, since: datetime, until: datetime
) -> list[UUID]:
    """Return the breaches opened from `since` up to `until` that one of these checks repeats."""
    return sorted(
        one.breach_id
        for one in earlier
        if since <= one.opened_at <= until and not one.checks.isdisjoint(checks)
    )


def measure_for(repeats: Collection[object]) -> Measure:
    """First time coaching, a repeat discipline."""
    return "discipline" if repeats else "coaching"

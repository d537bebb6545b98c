"""Which breaches were opened against people and still stand, and since when do they make repeats? (E8)

A loader for the breach desk and for months: one query for any number of people.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, time
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.auditing.repeating import ToldBefore
from server.models.breaches import Breach, BreachEnding, BreachFinding
from server.rules.local_time import at_local, local_day, months_later


def is_withdrawn() -> sa.ColumnElement[bool]:
    """Say that a breach was withdrawn: it never was one."""
    return sa.exists().where(BreachEnding.breach_id == Breach.id, BreachEnding.outcome == "withdrawn")


def told_before(session: Session, staff_ids: Sequence[UUID]) -> dict[UUID, list[ToldBefore]]:
    """Return the standing breaches of each of these people, in the order of their ids."""
    found: dict[UUID, list[ToldBefore]] = defaultdict(list)
    query = (
        sa.select(Breach.id, Breach.staff_id, Breach.checks, Breach.opened_at)
        .where(Breach.staff_id.in_(staff_ids), ~is_withdrawn())
        .order_by(Breach.id)
    )
    for row in session.execute(query):
        found[row.staff_id].append(ToldBefore(row.id, frozenset(row.checks), row.opened_at))
    return found


def measures_of(session: Session, finding_ids: Sequence[UUID]) -> dict[tuple[UUID, UUID], Any]:
    """Return what was written down for findings and people, where a standing breach holds them."""
    query = (
        sa.select(BreachFinding.finding_id, BreachFinding.staff_id, Breach.measure)
        .join(Breach, Breach.id == BreachFinding.breach_id)
        .where(BreachFinding.finding_id.in_(finding_ids))
    )
    return {(row.finding_id, row.staff_id): row.measure for row in session.execute(query)}


def counted_since(until: datetime, *, months: int, zone: ZoneInfo) -> datetime:
    """Return since when breaches count as earlier ones: the first day of the month so many months before."""
    return at_local(months_later(local_day(until, zone), -months), time.min, zone)

"""What did the people of a visit write and where were they for other visits? One bounded query each."""

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from server.database import db
from server.models.visits import Account, Visit
from server.reconcile.facts import EarlierAccount, Place, Stop
from server.reconcile.likeness import MOST_COMPARED
from sync.clock import Interval

MOST_EARLIER: Final = 200
MOST_STOPS: Final = 20
A_DAY: Final = timedelta(days=1)


def earlier_accounts(visit: Visit) -> tuple[EarlierAccount, ...]:
    """Return the newest account of each of the latest visits that one of the team led before this one."""
    people = _people(visit)
    before = (
        sa.select(Visit.id)
        .where(
            Visit.staff_id.in_(people), Visit.id != visit.id, Visit.arrived_earliest <= visit.arrived_earliest
        )
        .order_by(Visit.arrived_earliest.desc(), Visit.id)
        .limit(MOST_EARLIER)
        .subquery()
    )
    rows = db.session.execute(
        sa.select(Account.visit_id, Account.id, sa.func.left(Account.narrative, MOST_COMPARED))
        .join(before, before.c.id == Account.visit_id)
        .order_by(Account.visit_id, Account.received_at, Account.id)
    )
    newest = {row.visit_id: EarlierAccount(*row) for row in rows}
    return tuple(newest.values())


def stops(visit: Visit) -> tuple[Stop, ...]:
    """Return where the same person checked in for other visits within a day of this one."""
    rows = db.session.execute(
        sa.select(
            Visit.id,
            Visit.arrived_at_position,
            Visit.arrived_earliest,
            Visit.arrived_latest,
            Visit.arrived_method,
        )
        .where(
            Visit.staff_id == visit.staff_id,
            Visit.id != visit.id,
            Visit.arrived_earliest.between(visit.arrived_earliest - A_DAY, visit.arrived_latest + A_DAY),
            Visit.arrived_at_position.is_not(None),
        )
        .order_by(Visit.arrived_earliest, Visit.id)
        .limit(MOST_STOPS)
    )
    return tuple(
        Stop(
            row.id,
            _place(row.arrived_at_position),
            Interval.kept(row.arrived_earliest, row.arrived_latest, row.arrived_method),
        )
        for row in rows
    )


def _people(visit: Visit) -> set[UUID]:
    return {visit.staff_id, *visit.team}


def _place(position: dict[str, Any]) -> Place:
    return Place(
        lat=position["lat"],
        lon=position["lon"],
        accuracy_m=position.get("accuracy_m") or 0.0,
        mock=bool(position.get("mock", False)),
    )

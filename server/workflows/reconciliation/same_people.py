"""What did the people of a visit write and where were they for other visits? One bounded query each."""

from datetime import timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from server.database import db
from server.models.cases import Address
from server.models.dispatch import Assignment
from server.models.visits import Account, Visit
from server.reconcile.facts import EarlierAccount, Stop
from server.reconcile.likeness import MOST_COMPARED
from server.workflows.reconciliation.evidence import read_place, surveyed
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
    """Return where the same person checked in for other visits within a day of this one, and was sent to.

    The nearest in time, so that nobody hides one behind many.
    """
    apart = sa.func.extract("epoch", Visit.arrived_earliest - visit.arrived_earliest)
    rows = db.session.execute(
        sa.select(
            Visit.id,
            Visit.arrived_at_position,
            Visit.arrived_earliest,
            Visit.arrived_latest,
            Visit.arrived_method,
            Address.latitude,
            Address.longitude,
            Address.datum,
        )
        .outerjoin(Assignment, Assignment.id == Visit.assignment_id)
        .outerjoin(Address, Address.id == Assignment.address_id)
        .where(
            Visit.staff_id == visit.staff_id,
            Visit.id != visit.id,
            Visit.arrived_earliest.between(visit.arrived_earliest - A_DAY, visit.arrived_latest + A_DAY),
            Visit.arrived_at_position.is_not(None),
        )
        .order_by(sa.func.abs(apart), Visit.id)
        .limit(MOST_STOPS)
    )
    return tuple(
        Stop(
            row.id,
            place,
            Interval.kept(row.arrived_earliest, row.arrived_latest, row.arrived_method),
            surveyed(row),
        )
        for row in rows
        if (place := read_place(row.arrived_at_position)) is not None
    )


def _people(visit: Visit) -> set[UUID]:
    return {visit.staff_id, *visit.team}

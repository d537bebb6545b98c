"""Ending open assignments early, in the caller's transaction: what holds, departures and dispatchers share.

Releases the debtor's budget, frees the team and takes the assignment off the phones, all set-based.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from server.authority import Actor
from server.database import db
from server.models.dispatch import OPEN_STATES, Assignment, AssignmentMember, BudgetSlot
from server.models.feed import publish, staff_scope
from server.models.letters import UNDELIVERED, Letter


def end_early(
    chosen: sa.ColumnElement[bool], *, state: str, reason: str, actor: Actor, now: datetime
) -> Sequence[UUID]:
    """End every open assignment that `chosen` selects; return their ids.

    `state` is one of cancelled, declined, expired. A visit already started keeps its budget slot and its
    letters: the arrival took place. The other letters go void, for nobody will deliver them.
    """
    open_ones = sa.select(Assignment.id, Assignment.state).where(chosen, Assignment.state.in_(OPEN_STATES))
    found = db.session.execute(open_ones.order_by(Assignment.id).with_for_update()).all()
    ids = [row.id for row in found]
    if not ids:
        return ids
    db.session.execute(
        sa.update(Assignment)
        .where(Assignment.id.in_(ids))
        .values(state=state, ended_at=now, ended_by=actor.staff_id, ended_reason=reason)
    )
    not_started = [row.id for row in found if row.state != "started"]
    db.session.execute(sa.delete(BudgetSlot).where(BudgetSlot.assignment_id.in_(not_started)))
    db.session.execute(
        sa.update(Letter)
        .where(Letter.assignment_id.in_(not_started), Letter.state.in_(UNDELIVERED))
        .values(state="void", void_reason=f"visit {state}")
    )
    members = db.session.execute(
        sa.update(AssignmentMember)
        .where(AssignmentMember.assignment_id.in_(ids))
        .values(active=False)
        .returning(AssignmentMember.assignment_id, AssignmentMember.staff_id)
    )
    for assignment_id, staff_id in members:
        publish(staff_scope(staff_id), kind="assignment", entity_id=assignment_id, op="remove")
    return ids


def announce_again(chosen: sa.ColumnElement[bool]) -> None:
    """Have phones fetch the open assignments anew whose case, debtor or address changed."""
    members = db.session.execute(
        sa.select(AssignmentMember.assignment_id, AssignmentMember.staff_id)
        .join(Assignment, Assignment.id == AssignmentMember.assignment_id)
        .where(chosen, Assignment.state.in_(OPEN_STATES), AssignmentMember.active)
    )
    for assignment_id, staff_id in members:
        publish(staff_scope(staff_id), kind="assignment", entity_id=assignment_id, op="put")

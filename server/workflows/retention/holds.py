"""What keeps a debtor's data although their time is over?

A supervisor's hold, with its reason, until a supervisor releases it with another; and by themselves: every
complaint and every incident that is not closed.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.authority import Actor
from server.database import db, transaction
from server.errors import Conflict, NotFound
from server.models.cases import Debtor
from server.models.casework import Complaint, Incident
from server.models.retention import RetentionHold


def set_hold(debtor_id: UUID, *, kind: str, reason: str, actor: Actor, now: datetime) -> RetentionHold:
    """Keep a debtor's data until released. Conflict when they were erased already."""
    assert actor.staff_id is not None
    with transaction() as session:
        debtor = session.get(Debtor, debtor_id, with_for_update=True, populate_existing=True)
        if debtor is None:
            raise NotFound("debtor-unknown", "There is no debtor with this id.")
        if debtor.erased_at is not None:
            raise Conflict("debtor-erased", "Their data were erased; there is nothing left to keep.")
        hold = RetentionHold(debtor_id=debtor_id, kind=kind, reason=reason, set_at=now, set_by=actor.staff_id)
        session.add(hold)
    return hold


def release_hold(hold_id: UUID, *, reason: str, actor: Actor, now: datetime) -> RetentionHold:
    """Let a hold go. Releasing it again changes nothing."""
    with transaction() as session:
        hold = session.get(RetentionHold, hold_id, with_for_update=True, populate_existing=True)
        if hold is None:
            raise NotFound("retention-hold-unknown", "There is no such hold.")
        if hold.released_at is None:
            hold.released_at, hold.released_by, hold.release_reason = now, actor.staff_id, reason
    return hold


def open_holds(*, after: UUID | None, limit: int) -> Sequence[RetentionHold]:
    """Return one page of the holds that stand, oldest first."""
    query = sa.select(RetentionHold).where(RetentionHold.released_at.is_(None))
    if after is not None:
        query = query.where(RetentionHold.id > after)
    return db.session.scalars(query.order_by(RetentionHold.id).limit(limit)).all()


def held_by(session: Session, debtor_ids: Collection[UUID]) -> Mapping[UUID, list[str]]:
    """Say what holds each of these debtors: "litigation", "open complaint", ...; nothing: no entry."""
    hold = sa.select(RetentionHold.debtor_id, RetentionHold.kind.label("why")).where(
        RetentionHold.debtor_id.in_(debtor_ids), RetentionHold.released_at.is_(None)
    )
    complaint = sa.select(Complaint.debtor_id, sa.literal("open complaint")).where(
        Complaint.debtor_id.in_(debtor_ids), Complaint.state != "closed"
    )
    incident = sa.select(Incident.debtor_id, sa.literal("open incident")).where(
        Incident.debtor_id.in_(debtor_ids), Incident.state != "closed"
    )
    found: dict[UUID, list[str]] = defaultdict(list)
    for row in session.execute(sa.union(hold, complaint, incident)):
        found[row.debtor_id].append(row.why)
    return {debtor_id: sorted(whys) for debtor_id, whys in found.items()}

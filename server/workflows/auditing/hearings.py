"""Is the visitor heard before a finding counts?

A finding that stands is told to the visit's people: it goes to their phones at the next sync, says why and
until when they may reply, and their signed replies are attached. After the deadline it counts without one.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.auditing.hearing import current_terms, reply_due
from server.database import db, transaction
from server.jobs import task
from server.models.feed import publish, staff_scope
from server.models.findings import Finding, FindingReply, Hearing
from server.models.visits import Visit
from server.rules.local_time import local_day
from server.workflows.case_facts import load_calendar
from server.workflows.standing_packs import local_zone
from sync.protocol import uuid7

KIND: Final = "finding"
AT_ONCE: Final = 500


def open_hearing(session: Session, finding: Finding, *, now: datetime) -> Hearing:
    """Tell the visit's people of a finding that stands, and give them time to reply."""
    visit = session.get_one(Visit, finding.visit_id)
    zone = local_zone()
    year = local_day(now, zone).year
    calendar = load_calendar(year, year + 1)
    hearing = Hearing(
        id=uuid7(),
        finding_id=finding.id,
        people=sorted({visit.staff_id, *visit.team}),
        opened_at=now,
        due_at=reply_due(now, calendar=calendar, zone=zone, terms=current_terms()),
    )
    session.add(hearing)
    _publish(hearing, op_is_put=True)
    return hearing


def tell_phones(session: Session, finding_id: UUID) -> None:
    """Tell the phones that hold a finding that something about it changed."""
    hearing = session.scalar(sa.select(Hearing).where(Hearing.finding_id == finding_id, Hearing.on_phones))
    if hearing is not None:
        _publish(hearing, op_is_put=True)


def _publish(hearing: Hearing, *, op_is_put: bool) -> None:
    for person in hearing.people:
        publish(
            staff_scope(person),
            kind=KIND,
            entity_id=hearing.finding_id,
            op="put" if op_is_put else "remove",
        )


@task("clear_hearings", every="20 17 * * *")
def clear_hearings(*, now: datetime) -> None:
    """Take findings off the phones whose right of reply ended long ago."""
    ended = now - current_terms().on_phone_after_due
    while True:
        with transaction() as session:
            query = sa.select(Hearing).where(Hearing.on_phones, Hearing.due_at <= ended)
            batch = session.scalars(query.order_by(Hearing.due_at).limit(AT_ONCE).with_for_update()).all()
            for hearing in batch:
                hearing.on_phones = False
                _publish(hearing, op_is_put=False)
        if len(batch) < AT_ONCE:
            return


def hearing_of(finding_id: UUID) -> tuple[Hearing | None, Sequence[FindingReply]]:
    """Return the right of reply to a finding, and the replies in the order they came."""
    hearing = db.session.scalar(sa.select(Hearing).where(Hearing.finding_id == finding_id))
    replies = db.session.scalars(
        sa.select(FindingReply)
        .where(FindingReply.finding_id == finding_id)
        .order_by(FindingReply.received_at, FindingReply.id)
    ).all()
    return hearing, replies

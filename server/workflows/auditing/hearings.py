"""Is the visitor heard before a finding counts?

A finding that stands is told to the visit's people: it goes to their phones at the next sync, says why and
until when they may reply, and their signed replies are attached. After that it counts without one. The time
of each begins when their phone is given it (`exchange.tellings`); a hearing ends for whoever never was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.auditing.hearing import current_terms, hearing_ends
from server.database import db, transaction
from server.jobs import task
from server.models.feed import publish, staff_scope
from server.models.findings import Finding, FindingReply, Hearing, HearingTelling
from server.models.visits import Visit
from server.workflows.standing_packs import local_zone
from sync.protocol import uuid7

KIND: Final = "finding"
AT_ONCE: Final = 500


def open_hearing(session: Session, finding: Finding, *, now: datetime) -> Hearing:
    """Tell the visit's people of a finding that stands, and give them time to reply."""
    visit = session.get_one(Visit, finding.visit_id)
    hearing = Hearing(
        id=uuid7(),
        finding_id=finding.id,
        people=sorted({visit.staff_id, *visit.team}),
        opened_at=now,
        due_at=hearing_ends(now, zone=local_zone(), terms=current_terms()),
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


@dataclass(frozen=True, slots=True)
class Heard:
    """The right of reply to a finding, when whose phone was given it, and what was replied, in order."""

    hearing: Hearing | None
    tellings: Sequence[HearingTelling]
    replies: Sequence[FindingReply]


def hearing_of(finding_id: UUID) -> Heard:
    """Return how people were heard about a finding."""
    hearing = db.session.scalar(sa.select(Hearing).where(Hearing.finding_id == finding_id))
    tellings = db.session.scalars(
        sa.select(HearingTelling)
        .where(HearingTelling.finding_id == finding_id)
        .order_by(HearingTelling.told_at, HearingTelling.id)
    ).all()
    replies = db.session.scalars(
        sa.select(FindingReply)
        .where(FindingReply.finding_id == finding_id)
        .order_by(FindingReply.received_at, FindingReply.id)
    ).all()
    return Heard(hearing, tellings, replies)

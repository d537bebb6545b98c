"""What do people enter for an assessment? Wages, proven frauds, and what the person says.

A wage is only for the limit of wage law. A fraud is proven by confirmed findings of visits that the person
signed, and recorded by an auditor who had no part in them (E6, C7). Its record stays; it counts while all of
them stand, so that a second look that overturns one undoes it, and the others may prove a fraud anew.
"""

import os
from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from server.authority import Actor
from server.database import transaction
from server.errors import Conflict, Fault, Forbidden, Invalid, NotFound
from server.ledger.commitment import SALT_BYTES, commit
from server.models.assessments import MonthReply, ProvenFraud, Wage
from server.models.findings import Finding
from server.models.people import Staff
from server.models.visits import Visit
from server.rules.local_time import local_day
from server.workflows.assessment_facts import is_proven, month_of
from server.workflows.assessments.closing import standing
from server.workflows.separation import require_no_part
from server.workflows.standing_packs import local_zone


def set_wage(
    staff_id: UUID, day: date, *, wage_fen: int, minimum_fen: int, actor: Actor, now: datetime
) -> Wage:
    """Write down a person's wage of a month; a correction replaces it until the month is closed (again)."""
    month = month_of(day, local_zone()).first
    values = {
        "wage_fen": wage_fen,
        "minimum_fen": minimum_fen,
        "recorded_by": actor.staff_id,
        "recorded_at": now,
    }
    with transaction() as session:
        if session.get(Staff, staff_id) is None:
            raise NotFound("staff-unknown", "There is nobody with this id.")
        put = insert(Wage).values(staff_id=staff_id, month=month, **values)
        session.execute(put.on_conflict_do_update(index_elements=["staff_id", "month"], set_=values))
        return session.get_one(Wage, (staff_id, month), populate_existing=True)


def record_fraud(
    staff_id: UUID, *, finding_ids: Sequence[UUID], words: str, actor: Actor, now: datetime
) -> ProvenFraud:
    """Record that a fraud was proven, on the day of the earliest visit that proves it.

    A finding proves one fraud at a time.
    """
    if actor.staff_id == staff_id:
        raise Forbidden("own-case", "Nobody records a ruling about themselves.")
    assert actor.staff_id is not None
    wanted = sorted(set(finding_ids))
    with transaction() as session:
        session.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('fieldvisit.frauds'))"))
        rows = session.execute(
            sa.select(Finding.id, Finding.visit_id, Visit.visited_at)
            .join(Visit, Visit.id == Finding.visit_id)
            .where(Finding.id.in_(wanted), Finding.stands == sa.true(), Visit.staff_id == staff_id)
        ).all()
        _require_all(finding_ids, {row.id for row in rows})
        require_no_part(session, {row.visit_id for row in rows}, actor)
        taken = sa.exists().where(ProvenFraud.finding_ids.overlap(wanted), is_proven())
        if session.scalar(sa.select(taken)):
            raise Conflict("finding-used", "One of these findings already proves a fraud.")
        fraud = ProvenFraud(
            staff_id=staff_id,
            committed_on=local_day(min(row.visited_at for row in rows), local_zone()),
            finding_ids=wanted,
            words=words,
            words_commitment=commit(words, salt=os.urandom(SALT_BYTES)),
            recorded_by=actor.staff_id,
            recorded_at=now,
        )
        session.add(fraud)
    return fraud


def _require_all(wanted: Sequence[UUID], found: set[UUID]) -> None:
    faults = [
        Fault(f"/finding_ids/{place}", "Is no confirmed finding of a visit that this person signed.")
        for place, one in enumerate(wanted)
        if one not in found
    ]
    if faults or not wanted:
        raise Invalid(
            "not-proven",
            "Name the confirmed findings of the person's own visits that prove it.",
            faults=faults,
        )


def reply(day: date, *, text: str, actor: Actor, now: datetime) -> MonthReply:
    """Write down what a person says of their own closed month."""
    month = month_of(day, local_zone()).first
    assert actor.staff_id is not None
    with transaction() as session:
        if standing(session, month) is None:
            raise NotFound("assessment-unknown", "Nothing is proposed for this person and month.")
        said = MonthReply(
            month=month,
            staff_id=actor.staff_id,
            at=now,
            text=text,
            text_commitment=commit(text, salt=os.urandom(SALT_BYTES)),
        )
        session.add(said)
    return said

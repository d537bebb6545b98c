"""Whom does the office hand to the field, because they evade or act in bad faith? (D15, D17)

The record is written at once and stands in the field's list until it is withdrawn. It is the ground that such
a visit names; a supervisor still has to approve it, and every other gate still holds (A13, AMB18).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from server.authority import Actor
from server.database import db, transaction
from server.errors import Conflict, Fault, Invalid, NotFound
from server.models.access import AccessEntry
from server.models.cases import Case, Client, Debtor
from server.models.dispatch import Assignment
from server.models.escalations import Escalation
from server.workflows.rejudging import rejudge_later


def escalate(case_id: UUID, *, ground: str, words: str, actor: Actor, now: datetime) -> Escalation:
    """Hand a case to the field; a record of the same ground that stands already is returned as it is."""
    if not words.strip():
        fault = Fault("/words", "Say what the debtor did or said (D15).")
        raise Invalid("words-missing", "An escalation needs its reason.", faults=[fault])
    with transaction() as session:
        case = session.get(Case, case_id, with_for_update={"key_share": True}, populate_existing=True)
        if case is None:
            raise NotFound("case-unknown", "There is no case with this id.")
        if case.state != "open":
            raise Conflict("case-closed", "A closed case is not collected from any more (D18).")
        same = (Escalation.case_id == case_id, Escalation.ground == ground, Escalation.withdrawn_at.is_(None))
        standing = session.scalar(sa.select(Escalation).where(*same))
        if standing is not None:
            return standing
        assert actor.staff_id is not None
        written = Escalation(
            case_id=case_id,
            client_id=case.client_id,
            ground=ground,
            words=words.strip(),
            raised_at=now,
            raised_by=actor.staff_id,
        )
        session.add(written)
    return written


def withdraw(escalation_id: UUID, *, actor: Actor, now: datetime) -> Escalation:
    """Take a case off the field's list; visits on its ground are judged again. Repeating changes nothing."""
    with transaction() as session:
        debtor = sa.select(Case.debtor_id).join(Escalation, Escalation.case_id == Case.id)
        of_case = debtor.where(Escalation.id == escalation_id).scalar_subquery()
        session.execute(sa.select(Debtor.id).where(Debtor.id == of_case).with_for_update())
        found = session.get(Escalation, escalation_id, with_for_update=True, populate_existing=True)
        if found is None:
            raise NotFound("escalation-unknown", "There is no escalation with this id.")
        if found.withdrawn_at is None:
            found.withdrawn_at, found.withdrawn_by = now, actor.staff_id
            rejudge_later(Assignment.case_id == found.case_id, Assignment.ground == found.ground)
    return found


def for_the_field(
    *, ground: str | None, client_id: UUID | None, after: UUID | None, limit: int
) -> Sequence[Any]:
    """Return one page of (escalation, case, client) that stand on open cases, the oldest first (D17)."""
    query = (
        sa.select(Escalation, Case, Client)
        .join(Case, Case.id == Escalation.case_id)
        .join(Client, Client.id == Escalation.client_id)
        .where(Escalation.withdrawn_at.is_(None), Case.state == "open")
        .order_by(Escalation.id)
        .limit(limit)
    )
    if ground is not None:
        query = query.where(Escalation.ground == ground)
    if client_id is not None:
        query = query.where(Escalation.client_id == client_id)
    if after is not None:
        query = query.where(Escalation.id > after)
    return db.session.execute(query).all()


def read(escalation_id: UUID, *, actor: Actor, now: datetime) -> Escalation:
    """Return an escalation with what was written about the debtor; the reading is logged."""
    with transaction() as session:
        found = session.get(Escalation, escalation_id)
        if found is None:
            raise NotFound("escalation-unknown", "There is no escalation with this id.")
        session.add(
            AccessEntry(
                at=now,
                staff_id=actor.staff_id,
                action="read",
                entity_kind="escalation",
                entity_id=escalation_id,
                fields=["escalations.words"],
            )
        )
    return found

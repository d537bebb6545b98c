"""What did visitors hear about people and addresses, and does the office believe it? (B25, S5)

Nothing that was only heard is ever used (A5): it waits here, and accepting it writes a contact, or an address
that stays unverified until somebody verifies it.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.authority import Actor
from server.database import db, transaction
from server.errors import Conflict, NotFound
from server.models.cases import Address, Case, Contact
from server.models.casework import LearnedContact
from server.workflows.still_kept import require_kept


def list_learned(
    *, state: str, case_id: UUID | None, after: UUID | None, limit: int
) -> Sequence[LearnedContact]:
    """Return one page of what was heard, oldest first."""
    query = sa.select(LearnedContact).where(LearnedContact.state == state)
    if case_id is not None:
        query = query.where(LearnedContact.case_id == case_id)
    if after is not None:
        query = query.where(LearnedContact.id > after)
    return db.session.scalars(query.order_by(LearnedContact.id).limit(limit)).all()


def accept(learned_id: UUID, *, actor: Actor, now: datetime) -> LearnedContact:
    """Take it into the case: a person as third party, who is a messenger at most and never liable by hearsay
    (D23, I6); an address of the debtor's as unverified (A5).

    Repeating changes nothing; Conflict when it was rejected.
    """
    with transaction() as session:
        heard = sa.select(Case.debtor_id).join(LearnedContact, LearnedContact.case_id == Case.id)
        require_kept(session, heard.where(LearnedContact.id == learned_id))
        learned = _locked(session, learned_id)
        if learned.state == "accepted":
            return learned
        _require_open(learned)
        case = session.get_one(Case, learned.case_id)
        _take_in(session, learned, case)
        _judge(learned, "accepted", actor=actor, now=now)
    return learned


def _take_in(session: Session, learned: LearnedContact, case: Case) -> None:
    reference = f"learned:{learned.id}"
    if learned.name is not None or learned.phone is not None:
        contact = Contact(
            client_id=case.client_id,
            reference=reference,
            case_id=case.id,
            name=learned.name,
            phone=learned.phone,
            relation=learned.relation or "",
        )
        session.add(contact)
        session.flush()
        learned.contact_id = contact.id
    if learned.address is not None:
        address = Address(
            client_id=case.client_id,
            reference=reference,
            case_id=case.id,
            text=learned.address,
            status="unverified",
            source="heard on a visit",
        )
        session.add(address)
        session.flush()
        learned.address_id = address.id


def reject(learned_id: UUID, *, actor: Actor, now: datetime) -> LearnedContact:
    """Leave it out of the case. Repeating changes nothing; Conflict when it was accepted."""
    with transaction() as session:
        learned = _locked(session, learned_id)
        if learned.state != "rejected":
            _require_open(learned)
            _judge(learned, "rejected", actor=actor, now=now)
    return learned


def _judge(learned: LearnedContact, state: str, *, actor: Actor, now: datetime) -> None:
    learned.state, learned.judged_at, learned.judged_by = state, now, actor.staff_id


def _locked(session: Session, learned_id: UUID) -> LearnedContact:
    learned = session.get(LearnedContact, learned_id, with_for_update=True, populate_existing=True)
    if learned is None:
        raise NotFound("learned-unknown", "Nothing was heard under this id.")
    return learned


def _require_open(learned: LearnedContact) -> None:
    if learned.state != "open":
        detail = f"This was {learned.state} already; enter the contact or address by hand."
        raise Conflict("learned-judged", detail, state=learned.state)

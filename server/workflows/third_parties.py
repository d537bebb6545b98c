"""Somebody who owes nothing wants no contact, or cannot help: who is never contacted again, and what ends?

A third party is a messenger at most (D23, I6): never visited, never written to, and after a refusal not asked
either. The refusal is marked on the person, and visits to their addresses end in the same transaction.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from server.authority import Actor
from server.database import db, transaction
from server.errors import Conflict, NotFound
from server.models.assignments import end_early
from server.models.cases import Address, Case, Contact, Debtor, LedgerEntry
from server.models.dispatch import Assignment
from server.workflows.casework_history import Origin, note
from server.workflows.still_kept import of_contact, require_kept


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a third party is left alone (D5, D24): refused, uninformed or angry; and what they said."""

    why: str
    words: str = ""


def refuse_contact(contact_id: UUID, refusal: Refusal, *, actor: Actor, now: datetime) -> Contact:
    """Record in the office that a third party wants no contact. The first refusal stands."""
    with transaction() as session:
        require_kept(session, of_contact(contact_id))
        contact = session.get(Contact, contact_id)
        if contact is None:
            raise NotFound("contact-unknown", "There is no contact with this id.")
        mark_refusal(contact, refusal, origin=Origin(actor.staff_id), now=now)
    return contact


def mark_refusal(contact: Contact, refusal: Refusal, *, origin: Origin, now: datetime) -> None:
    """Mark a contact as never to be contacted again, in the caller's transaction (D5, D13, D24).

    The debtor's row is locked first, so that no visit to the person is assigned meanwhile; those already
    assigned end. Conflict for somebody who is liable: they may dispute or complain, which stops the case.
    """
    session = db.session()
    case = session.get_one(Case, contact.case_id)
    session.execute(sa.select(Debtor.id).where(Debtor.id == case.debtor_id).with_for_update())
    session.refresh(contact, with_for_update=True)
    if contact.liable:
        detail = "This person is liable. Hold the case for stop_requested or complaint instead."
        raise Conflict("contact-liable", detail)
    if contact.refused_at is not None:
        return
    contact.stop_contact, contact.stop_reason, contact.refused_at = True, refusal.why, now
    _end_visits_to(contact, origin=origin, now=now)
    _enter(contact, case, refusal, origin=origin, now=now)


def add_refuser(
    case: Case, refusal: Refusal, *, name: str | None, relation: str, origin: Origin, now: datetime
) -> Contact:
    """Write down somebody whom no file names and who wants no contact (D13), so that nobody asks again."""
    contact = Contact(
        client_id=case.client_id,
        reference=f"phone:{origin.item_id}",
        case_id=case.id,
        name=name,
        relation=relation,
        stop_contact=True,
        stop_reason=refusal.why,
        refused_at=now,
    )
    db.session().add(contact)
    db.session().flush()
    _enter(contact, case, refusal, origin=origin, now=now)
    return contact


def _end_visits_to(contact: Contact, *, origin: Origin, now: datetime) -> None:
    theirs = sa.select(Address.id).where(Address.contact_id == contact.id)
    end_early(
        Assignment.address_id.in_(theirs),
        state="cancelled",
        reason="contact refused",
        actor=Actor(staff_id=origin.staff_id, roles=frozenset()),
        now=now,
    )


def _enter(contact: Contact, case: Case, refusal: Refusal, *, origin: Origin, now: datetime) -> None:
    """Enter the refusal in ledger and history. The ledger names nobody and counts as no visit or call."""
    entry = LedgerEntry(
        client_id=case.client_id,
        reference=f"refusal:{contact.id}",
        case_id=case.id,
        debtor_id=case.debtor_id,
        channel="inbound",
        at=now,
        counterpart="third_party",
        result=f"contact ended: {refusal.why}",
        recorded_by=origin.staff_id,
    )
    db.session().add(entry)
    note(kind="refused", now=now, by=origin.staff_id, text=refusal.words, contact_id=contact.id)

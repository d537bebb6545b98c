"""What do phones report that stops work: holds, complaints, incidents, people who want no contact?

One function a type of item, beside those of `applying`. The debtors are locked before anything else of the
batch is written, in the order of their ids, so that phones and office never wait for each other in a circle.
"""

from collections.abc import Sequence, Set
from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from server.errors import Conflict
from server.models.cases import Address, Case, Contact, Debtor
from server.models.casework import LearnedContact
from server.models.dispatch import Assignment
from server.models.visits import Item, Visit
from server.workflows import holds
from server.workflows.casework_history import Origin
from server.workflows.complaints import Grievance, open_complaint
from server.workflows.exchange.applying import CannotApply
from server.workflows.exchange.arrived import Arrived
from server.workflows.incidents import ENDS_THE_VISIT, Happening, open_incident
from server.workflows.third_parties import Refusal, add_refuser, mark_refusal
from sync.bodies import (
    AssignmentAnswered,
    ComplaintRaised,
    ContactLearned,
    ContactRefused,
    HoldRequested,
    IncidentRaised,
    VisitStarted,
)
from sync.protocol import uuid7

STOPPING = (HoldRequested, ComplaintRaised, IncidentRaised, ContactRefused)
STOPPING_TYPES: Final = ("hold.requested", "complaint.raised", "incident.raised", "contact.refused")


def lock_debtors(session: Session, items: Sequence[Arrived]) -> None:
    """Lock the debtors whose visits these items change, lowest id first, before any of them is applied.

    Dispatch locks the debtor, then the assignment; so do we, or each would wait for the other. What may stop
    work takes the whole row, also when it only waits for a check-in of this batch; the rest shares it.
    """
    if not any(isinstance(one.body, (AssignmentAnswered, VisitStarted, *STOPPING)) for one in items):
        return
    bodies = [one.body for one in items]
    visits = {one.visit_id for one in items} - {None}
    stops = any(isinstance(body, STOPPING) for body in bodies) or _wakes_a_stop(session, visits)
    cases = {body.case_id for body in bodies if isinstance(body, STOPPING)} - {None}
    people = {body.contact_id for body in bodies if isinstance(body, ContactRefused)} - {None}
    named = {body.assignment_id for body in bodies if isinstance(body, AssignmentAnswered | VisitStarted)}
    concerned = sa.union(
        sa.select(Case.debtor_id).where(Case.id.in_(cases)),
        sa.select(Case.debtor_id).join(Contact, Contact.case_id == Case.id).where(Contact.id.in_(people)),
        sa.select(Visit.debtor_id).where(Visit.id.in_(visits)),
        sa.select(Assignment.debtor_id).where(Assignment.id.in_(named)),
    )
    locked = sa.select(Debtor.id).where(Debtor.id.in_(concerned)).order_by(Debtor.id)
    session.execute(locked.with_for_update(read=not stops, key_share=not stops))


def _wakes_a_stop(session: Session, visits: Set[UUID | None]) -> bool:
    waiting = sa.exists().where(
        Item.visit_id.in_(visits), Item.outcome == "held", Item.type.in_(STOPPING_TYPES)
    )
    return bool(session.scalar(sa.select(waiting)))


def request_holds(session: Session, items: Sequence[Arrived], now: datetime) -> None:
    """hold.requested: collection stops at once; the office releases it when the client says so."""
    for arrived in items:
        body = arrived.body
        assert isinstance(body, HoldRequested)
        case = _require_case(session.get(Case, body.case_id))
        holds.stop(case, reason=body.reason, words=body.text, origin=_origin(arrived), now=now)


def raise_complaints(session: Session, items: Sequence[Arrived], now: datetime) -> None:
    """complaint.raised: somebody complained to the visitor, or is about to (D25)."""
    for arrived in items:
        body = arrived.body
        assert isinstance(body, ComplaintRaised)
        case = _require_case(_case_of(session, body.case_id, body.visit_id))
        grievance = Grievance(
            text=body.text,
            channel="visit",
            about_staff=body.about_staff,
            threatens_to_escalate=body.threatens_to_escalate,
            publicity_risk=body.publicity_risk,
            visit_id=body.visit_id,
        )
        open_complaint(case, grievance, origin=_origin(arrived), now=now)


def raise_incidents(session: Session, items: Sequence[Arrived], now: datetime) -> None:
    """incident.raised: kept also where no case is known; a flag tells the phone to end it (B6, J13)."""
    for arrived in items:
        body = arrived.body
        assert isinstance(body, IncidentRaised)
        case = _case_of(session, body.case_id, body.visit_id)
        if case is None and body.case_id is not None:
            arrived.flag("case_unknown")
        happening = Happening(body.kind, body.text, min(arrived.when.latest, now), body.visit_id)
        open_incident(case, happening, origin=_origin(arrived), now=now)
        if body.kind in ENDS_THE_VISIT:
            arrived.flag("visit_must_end")


def refuse_contacts(session: Session, items: Sequence[Arrived], now: datetime) -> None:
    """contact.refused: a third party wants no contact (D5, D13, D24), also one whom no file names."""
    for arrived in items:
        body = arrived.body
        assert isinstance(body, ContactRefused)
        refusal, origin = Refusal(body.why, body.text), _origin(arrived)
        contact = _contact_of(session, body)
        if contact is None:
            case = _require_case(_case_of(session, body.case_id, body.visit_id))
            add_refuser(case, refusal, name=body.name, relation=body.relation, origin=origin, now=now)
            continue
        try:
            mark_refusal(contact, refusal, origin=origin, now=now)
        except Conflict as refused:
            raise CannotApply(refused.slug, refused.detail) from None


def learn_contacts(session: Session, items: Sequence[Arrived], now: datetime) -> None:
    """contact.learned: kept for the office to judge (A5); what says nothing of a known case is only filed."""
    for arrived in items:
        body = arrived.body
        assert isinstance(body, ContactLearned)
        case = _case_of(session, body.case_id, body.visit_id)
        says_something = body.name is not None or body.phone is not None or body.address is not None
        if case is None or not says_something:
            arrived.flag("nothing_learned")
            continue
        row = {
            "id": uuid7(),
            "case_id": case.id,
            "learned_at": now,
            "learned_by": arrived.sender.staff_id,
            "raised_by_device": arrived.row.device_id,
            "raised_by_item": arrived.row.item_id,
            "name": body.name,
            "phone": body.phone,
            "relation": body.relation,
            "address": body.address,
        }
        session.execute(insert(LearnedContact).values(row).on_conflict_do_nothing())


def _origin(arrived: Arrived) -> Origin:
    return Origin(arrived.sender.staff_id, arrived.row.device_id, arrived.row.item_id)


def _case_of(session: Session, case_id: UUID | None, visit_id: UUID | None) -> Case | None:
    """Return the case an item names, or that of its visit."""
    if case_id is not None:
        return session.get(Case, case_id)
    of_visit = (
        sa.select(Case)
        .join(Assignment, Assignment.case_id == Case.id)
        .join(Visit, Visit.assignment_id == Assignment.id)
        .where(Visit.id == visit_id)
    )
    return session.scalar(of_visit)


def _require_case(case: Case | None) -> Case:
    if case is None:
        raise CannotApply("case-unknown", "There is no such case; the office must find out which was meant.")
    return case


def _contact_of(session: Session, body: ContactRefused) -> Contact | None:
    """Return the contact an item names, else the third party whose address was visited."""
    if body.contact_id is not None:
        contact = session.get(Contact, body.contact_id)
        if contact is None:
            detail = "There is no such contact; the office must find out who was meant."
            raise CannotApply("contact-unknown", detail)
        return contact
    at_the_door = (
        sa.select(Contact)
        .join(Address, Address.contact_id == Contact.id)
        .join(Assignment, Assignment.address_id == Address.id)
        .join(Visit, Visit.assignment_id == Assignment.id)
        .where(Visit.id == body.visit_id, Contact.liable.is_(False))
    )
    return session.scalar(at_the_door)

"""Where did each letter go, and when do the days after its receipt begin?

At the door the visit's account says it; a job copies its claims, again whenever an amendment changes them or
takes one back.
Of posted letters the office says it. Every delivery has its entry in the contact ledger (H11); `received_on`
there, which A15 and F18 count from, is set only by lawful service (H21), a receipt, or proof of non-delivery.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, time
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.authority import Actor
from server.database import transaction
from server.errors import Conflict, Fault, Invalid, NotFound
from server.jobs import task
from server.letters.delivery import LEFT, SERVED, ClaimedDelivery, claimed_deliveries, letters_meant, serves
from server.models.cases import Address, Case, LedgerEntry
from server.models.evidence import Evidence
from server.models.letters import Delivery, Letter, LetterTemplate
from server.models.visits import Account, Visit
from server.rules.local_time import at_local, local_day
from server.workflows.letters import require_unstopped_on
from server.workflows.recounting import recount_later
from server.workflows.standing_packs import active_pack
from server.workflows.still_kept import of_letter, require_kept
from sync.protocol import uuid7


@dataclass(frozen=True, slots=True)
class Posting:
    """What the office knows of a posted letter. `proof` of non-delivery: returned envelope, tracking."""

    posted_on: date
    received_on: date | None = None
    returned_on: date | None = None
    proof: str = ""


@dataclass(frozen=True, slots=True)
class _Carried:
    """A letter that a team was given, and the template it was written from."""

    letter: Letter
    template: str
    kind: str

    @property
    def id(self) -> UUID:
        return self.letter.id

    @property
    def recipient(self) -> str:
        return self.letter.recipient


def record_posting(letter_id: UUID, posting: Posting, *, actor: Actor, now: datetime) -> Delivery:
    """Write down that a sealed letter was posted, received, or came back (H1, H11, H21). Safe to repeat.

    Raises Conflict when the letter was not sealed, its recipient's address is not established, the case was
    stopped on the day of posting (D4, D18), or what is written down already says otherwise.
    """
    zone = active_pack(now).zone
    with transaction() as session:
        require_kept(session, of_letter(letter_id))
        letter = session.get(Letter, letter_id, with_for_update=True, populate_existing=True)
        if letter is None:
            raise NotFound("letter-unknown", "There is no letter with this id.")
        _check_days(posting, today=local_day(now, zone), issued_on=local_day(letter.issued_at, zone))
        delivery = session.scalar(
            sa.select(Delivery).where(Delivery.letter_id == letter.id, Delivery.method == "post")
        )
        if delivery is None:
            _require_sealed(letter)
            _require_address(session, letter)
            case = session.get_one(Case, letter.case_id, populate_existing=True)
            require_unstopped_on(case, posting.posted_on, zone=zone)
            posted_at = at_local(posting.posted_on, time(0), zone)
            delivery = Delivery(id=uuid7(), letter_id=letter.id, method="post", at=posted_at, recorded_at=now)
            delivery.recorded_by = actor.staff_id
            session.add(delivery)
        else:
            _require_compatible(delivery, posting)
        for name in ("posted_on", "received_on", "returned_on"):
            setattr(delivery, name, getattr(posting, name) or getattr(delivery, name))
        delivery.proof = posting.proof.strip() or delivery.proof or ""
        _conclude_posting(session, letter, delivery)
    return delivery


def _check_days(posting: Posting, *, today: date, issued_on: date) -> None:
    faults: list[Fault] = []
    if not issued_on <= posting.posted_on <= today:
        faults.append(Fault("/posted_on", f"Must lie between {issued_on}, when it was written, and today."))
    for name in ("received_on", "returned_on"):
        day: date | None = getattr(posting, name)
        if day is not None and not posting.posted_on <= day <= today:
            faults.append(Fault(f"/{name}", "Must lie between the day of posting and today."))
    if posting.received_on and posting.returned_on:
        faults.append(Fault("/returned_on", "A letter was received or came back, not both."))
    if posting.returned_on and not posting.proof.strip():
        faults.append(Fault("/proof", "Say what proves the non-delivery: envelope, tracking number."))
    if faults:
        raise Invalid("invalid-input", "Correct the fields listed in `errors`.", faults=faults)


def _require_sealed(letter: Letter) -> None:
    if letter.sealed_at is None or letter.state != "handed_over":
        detail = f"The letter is {letter.state}; only a sealed one that is under way is posted (H1)."
        raise Conflict("letter-not-sealed", detail, state=letter.state)


def _require_address(session: Session, letter: Letter) -> None:
    """Refuse to post anything but a slip where no address of the recipient is established (H7, H15)."""
    if session.get_one(LetterTemplate, letter.template_id).kind == "callback_slip":
        return
    known = sa.select(Address.id).where(
        Address.case_id == letter.case_id,
        Address.contact_id.is_not_distinct_from(letter.contact_id),
        Address.status == "verified",
    )
    if session.scalar(known.limit(1)) is None:
        detail = "No address of the recipient is verified; verify one first, or write a call-back slip (H15)."
        raise Conflict("address-not-established", detail)


def _require_compatible(delivery: Delivery, posting: Posting) -> None:
    """Refuse a second story; completing the first one is fine."""
    stands = (delivery.posted_on, delivery.received_on, delivery.returned_on)
    said = (posting.posted_on, posting.received_on, posting.returned_on)
    is_open = delivery.received_on is None and delivery.returned_on is None
    if stands[0] != said[0] or not (is_open or stands == said):
        raise Conflict("delivery-recorded", "What became of this letter is written down already.")


def _conclude_posting(session: Session, letter: Letter, delivery: Delivery) -> None:
    result, served_on = "posted", None
    if delivery.received_on is not None:
        letter.state, result, served_on = "delivered", "received", delivery.received_on
    elif delivery.returned_on is not None:
        letter.state, result, served_on = "returned", "not delivered, with proof", delivery.returned_on
    template = session.get_one(LetterTemplate, letter.template_id)
    if template.kind == "callback_slip":
        served_on = None
    _write_ledger(session, letter, delivery, result=result, served_on=served_on)


def _write_ledger(
    session: Session, letter: Letter, delivery: Delivery, *, result: str, served_on: date | None
) -> None:
    """Write or correct the delivery's one entry in the contact ledger (H11)."""
    entry = session.get(LedgerEntry, delivery.ledger_entry_id) if delivery.ledger_entry_id else None
    if entry is None:
        case = session.get_one(Case, letter.case_id)
        entry = LedgerEntry(
            id=uuid7(),
            client_id=case.client_id,
            reference=f"delivery:{delivery.id}",
            case_id=case.id,
            debtor_id=case.debtor_id,
            channel="letter",
            at=delivery.at,
            counterpart=letter.recipient,
            visit_id=delivery.visit_id,
            recorded_by=delivery.recorded_by,
        )
        session.add(entry)
        session.flush()
        delivery.ledger_entry_id = entry.id
    entry.result, entry.received_on = result, served_on
    recount_later(cases=[letter.case_id])


@task("record_deliveries")
def record_deliveries(*, now: datetime, visit_id: str) -> None:
    """Copy what the live account of a visit says of its letters (C6, H19, AMB14); a rerun corrects it."""
    zone = active_pack(now).zone
    with transaction() as session:
        visit = session.get(Visit, UUID(visit_id), populate_existing=True)
        account = _live_account(session, UUID(visit_id))
        if visit is None or visit.assignment_id is None or account is None:
            return
        if not account.claims:
            return  # erased: it takes nothing back
        carried = _carried(session, visit.assignment_id)
        claims = list(claimed_deliveries(account.claims))
        meant = letters_meant(claims, carried)
        day = local_day(visit.arrived_latest, zone)
        _take_back(session, {found.id for found in meant if found is not None}, visit=visit)
        for claimed, found in zip(claims, meant, strict=True):
            if found is None:
                continue  # not on the permit: the reconciliation says so (H2)
            served = serves(claimed, kind=found.kind, met=account.claims["met"])
            _record_at_door(session, found, claimed, visit=visit, served_on=day if served else None, now=now)


def _take_back(session: Session, told: Collection[UUID], *, visit: Visit) -> None:
    """Undo what an earlier revision said of letters that the live one no longer tells of: nobody has them."""
    query = (
        sa.select(Delivery, Letter)
        .join(Letter, Letter.id == Delivery.letter_id)
        .where(Delivery.visit_id == visit.id, Delivery.letter_id.not_in(told))
    )
    for delivery, letter in session.execute(query).all():
        letter.state = _before_its_delivery(letter)
        session.delete(delivery)
        session.flush()
        session.execute(sa.delete(LedgerEntry).where(LedgerEntry.id == delivery.ledger_entry_id))
        recount_later(cases=[letter.case_id])


def _before_its_delivery(letter: Letter) -> str:
    if letter.void_reason:
        return "void"
    return "issued" if letter.sealed_at is None else "handed_over"


def _live_account(session: Session, visit_id: UUID) -> Account | None:
    """Return the newest revision that nothing amends."""
    amended = sa.select(Account.parent_id).where(Account.visit_id == visit_id, Account.parent_id.is_not(None))
    query = sa.select(Account).where(Account.visit_id == visit_id, Account.id.not_in(amended))
    return session.scalar(query.order_by(Account.received_at.desc(), Account.id.desc()).limit(1))


def _carried(session: Session, assignment_id: UUID) -> list[_Carried]:
    query = (
        sa.select(Letter, LetterTemplate)
        .join(LetterTemplate, LetterTemplate.id == Letter.template_id)
        .where(Letter.assignment_id == assignment_id)
        .order_by(Letter.id)
        .with_for_update(of=Letter)
        .execution_options(populate_existing=True)
    )
    return [_Carried(letter, of.reference, of.kind) for letter, of in session.execute(query)]


def _record_at_door(
    session: Session,
    carried: _Carried,
    claimed: ClaimedDelivery,
    *,
    visit: Visit,
    served_on: date | None,
    now: datetime,
) -> None:
    letter = carried.letter
    known = sa.select(Delivery).where(Delivery.letter_id == letter.id, Delivery.visit_id == visit.id)
    delivery = session.scalar(known)
    if delivery is None:
        delivery = Delivery(id=uuid7(), letter_id=letter.id, visit_id=visit.id, recorded_at=now)
        delivery.at, delivery.recorded_by = visit.arrived_latest, visit.staff_id
        session.add(delivery)
    delivery.method, delivery.relation = claimed.method, claimed.relation
    delivery.recipient = claimed.name or claimed.recipient
    delivery.signed, delivery.received_on = claimed.signed is True, served_on
    delivery.evidence_id = _own_evidence(session, claimed.evidence_id, visit_id=visit.id)
    letter.state = _state_after(claimed, kind=carried.kind)
    session.flush()
    _write_ledger(session, letter, delivery, result=claimed.method, served_on=served_on)


def _own_evidence(session: Session, evidence_id: UUID | None, *, visit_id: UUID) -> UUID | None:
    """Return the evidence a claim names if it is of this visit."""
    if evidence_id is None:
        return None
    return session.scalar(
        sa.select(Evidence.id).where(Evidence.id == evidence_id, Evidence.visit_id == visit_id)
    )


def _state_after(claimed: ClaimedDelivery, *, kind: str) -> str:
    """A slip that was left arrived; a notice for which only a slip was left, or that was refused, did not."""
    if kind == "callback_slip":
        return "delivered" if claimed.method in LEFT | {"callback_slip"} else "returned"
    return "delivered" if claimed.method in SERVED else "returned"

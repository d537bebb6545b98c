"""What was paid, who says so, and where do the office's entries and the client's statement differ? (C3, D18)

A payment never changes a debt: the balance is the client's number (C4), and only it closes a case. What the
office enters counts for promises until the statement should have shown it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from server.authority import Actor
from server.database import db, transaction
from server.deadlines.keeping import OFFICE_PREFIX
from server.errors import Conflict, Fault, Invalid, NotFound
from server.models.cases import Case
from server.models.deadlines import Payment
from server.rules.local_time import local_day
from server.workflows.settling import lapses_before, settle
from server.workflows.standing_packs import local_zone
from server.workflows.still_kept import of_case as debtor_of
from server.workflows.still_kept import require_kept
from sync.protocol import uuid7

EARLIEST: Final = date(2000, 1, 1)


@dataclass(frozen=True, slots=True)
class NewPayment:
    """What somebody in the office knows of a payment. `reference`: the bank's, where it is known."""

    amount_fen: int
    paid_on: date
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """An entry that the client's statement does not bear out.

    `kind` is `missing` (no line shows it within the days) or `differs` (the line says another amount).
    """

    payment: Payment
    case_reference: str
    kind: str
    statement_fen: int | None


def record(case_id: UUID, new: NewPayment, *, actor: Actor, now: datetime) -> Payment:
    """Write down that money is said to have arrived. The same reference and content is written once.

    Without a reference a second click looks like a second payment: Conflict, until it is told apart by one.
    """
    _check(new, now=now)
    with transaction() as session:
        case = session.scalar(sa.select(Case).where(Case.id == case_id).with_for_update(key_share=True))
        if case is None:
            raise NotFound("case-unknown", "There is no case with this id.")
        if new.reference is None:
            _refuse_twin(session, case.id, new)
        reference = f"{OFFICE_PREFIX}{new.reference or uuid7()}"
        payment = session.scalar(
            sa.select(Payment).where(Payment.client_id == case.client_id, Payment.reference == reference)
        )
        if payment is None:
            payment = Payment(
                client_id=case.client_id,
                reference=reference,
                case_id=case.id,
                amount_fen=new.amount_fen,
                paid_on=new.paid_on,
                source="office",
                recorded_by=actor.staff_id,
                recorded_at=now,
            )
            session.add(payment)
            session.flush()
            settle(session, [case.id], now=now)
        elif (payment.case_id, payment.amount_fen, payment.paid_on) != (case_id, new.amount_fen, new.paid_on):
            raise Conflict("reference-taken", "This reference names another payment. Use a new one.")
    return find(payment.id)


def _refuse_twin(session: Session, case_id: UUID, new: NewPayment) -> None:
    twin = session.scalar(
        sa.select(Payment)
        .where(
            Payment.case_id == case_id,
            Payment.source == "office",
            Payment.voided_at.is_(None),
            Payment.amount_fen == new.amount_fen,
            Payment.paid_on == new.paid_on,
        )
        .limit(1)
    )
    if twin is not None:
        detail = "This amount was entered for that day already. If it came twice, send a reference with it."
        raise Conflict("payment-entered", detail, payment_id=str(twin.id))


def _check(new: NewPayment, *, now: datetime) -> None:
    faults: list[Fault] = []
    if new.paid_on > local_day(now, local_zone()):
        faults.append(Fault("/paid_on", "Lies in the future; write down what was paid."))
    if new.paid_on < EARLIEST:
        faults.append(Fault("/paid_on", "Lies before the year 2000. Correct it."))
    if faults:
        raise Invalid("invalid-input", "Correct the fields listed in `errors`.", faults=faults)


def void(payment_id: UUID, *, reason: str, actor: Actor, now: datetime) -> Payment:
    """Take back an entry of the office that was a mistake; it stays on file and counts nowhere."""
    with transaction() as session:
        case_id = session.scalar(sa.select(Payment.case_id).where(Payment.id == payment_id))
        if case_id is None:
            raise NotFound("payment-unknown", "There is no payment with this id.")
        require_kept(session, debtor_of(case_id))
        session.execute(sa.select(Case.id).where(Case.id == case_id).with_for_update(key_share=True))
        payment = session.get_one(Payment, payment_id, populate_existing=True)
        if payment.source != "office":
            detail = "The client's statement is the client's: import the corrected line under its reference."
            raise Conflict("payment-of-client", detail)
        if payment.voided_at is not None:
            if payment.void_reason == reason.strip():
                return payment
            raise Conflict("payment-void", "This entry was taken back already.")
        payment.voided_at, payment.voided_by, payment.void_reason = now, actor.staff_id, reason.strip()
        payment.confirmed_by = None
        session.flush()
        settle(session, [case_id], now=now)
    return find(payment_id)


def find(payment_id: UUID) -> Payment:
    """Return one payment or raise NotFound."""
    payment = db.session.get(Payment, payment_id, populate_existing=True)
    if payment is None:
        raise NotFound("payment-unknown", "There is no payment with this id.")
    return payment


def of_case(case_id: UUID, *, after: UUID | None, limit: int) -> Sequence[Payment]:
    """Return one page of a case's payments, the last one paid first."""
    if db.session.get(Case, case_id) is None:
        raise NotFound("case-unknown", "There is no case with this id.")
    query = sa.select(Payment).where(Payment.case_id == case_id)
    last = db.session.get(Payment, after) if after is not None else None
    if last is not None:
        query = query.where(sa.tuple_(Payment.paid_on, Payment.id) < (last.paid_on, last.id))
    return db.session.scalars(query.order_by(Payment.paid_on.desc(), Payment.id.desc()).limit(limit)).all()


def discrepancies(*, after: UUID | None, limit: int, now: datetime) -> list[Discrepancy]:
    """Return one page of the entries that the client's statement does not bear out, oldest first (C3)."""
    line = aliased(Payment)
    is_missing = sa.and_(Payment.confirmed_by.is_(None), Payment.recorded_at < lapses_before(now))
    is_other = line.amount_fen != Payment.amount_fen
    query = (
        sa.select(Payment, Case.reference, line.amount_fen)
        .join(Case, Case.id == Payment.case_id)
        .outerjoin(line, line.id == Payment.confirmed_by)
        .where(Payment.source == "office", Payment.voided_at.is_(None), sa.or_(is_missing, is_other))
        .order_by(Payment.recorded_at, Payment.id)
        .limit(limit)
    )
    last = db.session.get(Payment, after) if after is not None else None
    if last is not None:
        query = query.where(sa.tuple_(Payment.recorded_at, Payment.id) > (last.recorded_at, last.id))
    rows: Sequence[Any] = db.session.execute(query).all()
    return [Discrepancy(row[0], row[1], "missing" if row[2] is None else "differs", row[2]) for row in rows]

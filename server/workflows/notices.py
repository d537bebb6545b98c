"""What must a client be told, by when, and was it?

A notice is drafted in the same transaction as what made it necessary, so none can be forgotten. People edit
the draft, report orally first where that is due, and record how and under which reference it was sent.
"""

import re
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.authority import Actor
from server.database import db, transaction
from server.errors import Conflict, Fault, Invalid, NotFound
from server.models.cases import Case, Client, Hold
from server.models.casework import ClientNotice
from server.rules.local_time import at_local, local_day
from server.workflows.case_facts import load_calendar
from server.workflows.notice_wording import CHINA, write
from server.workflows.still_kept import require_kept

AT_ONCE: Final = timedelta(hours=2)
"""What "at once" means on the clock: the rules say 立即 and name no hour."""
URGENT: Final = frozenset({"complaint_escalated", "publicity_risk", "incident"})
ORALLY_FIRST: Final = frozenset({"amount_disputed"})
NOTIFIED_HOLDS: Final = frozenset(
    {"identity_disputed", "transaction_denied", "activation_denied", "amount_disputed"}
)
LAST_SECOND: Final = time(23, 59, 59)
# Card numbers have 13 to 19 digits, identity numbers 18; both are often written in groups.
_LONG_NUMBER: Final = re.compile(r"\d(?:[ \-]?\d){12,}[Xx]?")


def draft_notice(
    case: Case,
    *,
    kind: str,
    now: datetime,
    hold_id: UUID | None = None,
    complaint_id: UUID | None = None,
    incident_id: UUID | None = None,
) -> ClientNotice:
    """Draft a notice about one hold, complaint or incident, in the caller's transaction.

    Due within the working day (D4, D8; D11 with AMB7), or at once (D10, D26, D27). A second notice of the
    same kind about the same thing is not written; the first is returned.
    """
    session = db.session()
    standing = session.scalar(
        sa.select(ClientNotice).where(
            ClientNotice.kind == kind,
            ClientNotice.hold_id.is_not_distinct_from(hold_id),
            ClientNotice.complaint_id.is_not_distinct_from(complaint_id),
            ClientNotice.incident_id.is_not_distinct_from(incident_id),
        )
    )
    if standing is not None:
        return standing
    client = session.get_one(Client, case.client_id)
    subject, body = write(kind, reference=case.reference, client=client.name, at=now)
    notice = ClientNotice(
        kind=kind,
        case_id=case.id,
        client_id=case.client_id,
        hold_id=hold_id,
        complaint_id=complaint_id,
        incident_id=incident_id,
        is_urgent=kind in URGENT,
        subject=subject,
        body=body,
        drafted_at=now,
        due_at=now + AT_ONCE if kind in URGENT else end_of_working_day(now),
        oral_report_due_at=now + AT_ONCE if kind in ORALLY_FIRST else None,
    )
    session.add(notice)
    session.flush()
    return notice


def draft_for_hold(hold: Hold, *, case: Case, now: datetime) -> None:
    """Draft what a new hold obliges the agency to tell (D4, D8, D11); other reasons came from the client."""
    if hold.reason in NOTIFIED_HOLDS:
        draft_notice(case, kind=hold.reason, now=now, hold_id=hold.id)


def end_of_working_day(now: datetime) -> datetime:
    """Return the last second of today, or of the next working day when today is none (AMB7), in China time.

    Where no published calendar tells, today: too early rather than too late.
    """
    today = local_day(now, CHINA)
    calendar = load_calendar(today.year, today.year + 1)
    day = today if calendar.is_working_day(today) else calendar.working_day_after(today, 1)
    return at_local(day or today, LAST_SECOND, CHINA)


def list_notices(
    *, state: str | None, due_before: datetime | None, after: UUID | None, limit: int
) -> Sequence[ClientNotice]:
    """Return one page, what is due first."""
    query = sa.select(ClientNotice).order_by(ClientNotice.due_at, ClientNotice.id).limit(limit)
    if state is not None:
        query = query.where(ClientNotice.state == state)
    if due_before is not None:
        query = query.where(ClientNotice.due_at < due_before)
    if after is not None:
        last = find_notice(after)
        query = query.where(
            sa.tuple_(ClientNotice.due_at, ClientNotice.id) > sa.tuple_(last.due_at, sa.literal(last.id))
        )
    return db.session.scalars(query).all()


def is_overdue(notice: ClientNotice, now: datetime) -> bool:
    """Whether the client should know by now and does not, in writing or by word of mouth."""
    is_unsaid = notice.oral_report_due_at is not None and notice.oral_reported_at is None
    is_late_orally = is_unsaid and notice.oral_report_due_at is not None and notice.oral_report_due_at < now
    return notice.state == "drafted" and (notice.due_at < now or is_late_orally)


def find_notice(notice_id: UUID) -> ClientNotice:
    """Return a notice or raise NotFound."""
    notice = db.session.get(ClientNotice, notice_id)
    if notice is None:
        raise NotFound("notice-unknown", "There is no notice with this id.")
    return notice


def edit(notice_id: UUID, *, subject: str, body: str) -> ClientNotice:
    """Rewrite a draft. Invalid when it names a card or identity number, Conflict once it was sent."""
    with transaction() as session:
        told = sa.select(Case.debtor_id).join(ClientNotice, ClientNotice.case_id == Case.id)
        require_kept(session, told.where(ClientNotice.id == notice_id))
        notice = _locked(session, notice_id)
        _require_draft(notice)
        reference = session.scalar(sa.select(Case.reference).where(Case.id == notice.case_id)) or ""
        _require_no_numbers({"/subject": subject, "/body": body}, reference=reference)
        notice.subject, notice.body = subject.strip(), body.strip()
    return notice


def _require_no_numbers(texts: dict[str, str], *, reference: str) -> None:
    advice = "Remove what looks like a card or identity number; the client knows the case by its reference."
    faults = [
        Fault(pointer, advice)
        for pointer, text in texts.items()
        if _LONG_NUMBER.search(text.replace(reference, ""))
    ]
    faults += [Fault(pointer, "Write something.") for pointer, text in texts.items() if not text.strip()]
    if faults:
        raise Invalid("notice-faulty", "Correct the fields listed in `errors`.", faults=faults)


def report_orally(notice_id: UUID, *, actor: Actor, now: datetime) -> ClientNotice:
    """Record that the client was told by word of mouth (D11: before the e-mail). The first report stands."""
    with transaction() as session:
        notice = _locked(session, notice_id)
        if notice.oral_reported_at is None:
            _require_draft(notice)
            notice.oral_reported_at, notice.oral_reported_by = now, actor.staff_id
    return notice


def mark_sent(notice_id: UUID, *, how: str, reference: str, actor: Actor, now: datetime) -> ClientNotice:
    """Record how and under which reference the notice was sent (D4, D8, D11); its hold shows it.

    Repeating with the same evidence changes nothing; other evidence is a Conflict, as is a notice that must
    be said before it is written.
    """
    reference = reference.strip()
    if not reference:
        fault = Fault("/reference", "Name the message id or the letter's number.")
        raise Invalid("evidence-missing", "A notice counts as sent only with evidence.", faults=[fault])
    with transaction() as session:
        notice = _locked(session, notice_id)
        if notice.state == "sent" and (notice.sent_how, notice.sent_reference) == (how, reference):
            return notice
        _require_draft(notice)
        if notice.oral_report_due_at is not None and notice.oral_reported_at is None:
            raise Conflict("oral-report-missing", "Tell the client orally first and record it (D11).")
        notice.state, notice.sent_at, notice.sent_by = "sent", now, actor.staff_id
        notice.sent_how, notice.sent_reference = how, reference
        if notice.hold_id is not None:
            session.execute(sa.update(Hold).where(Hold.id == notice.hold_id).values(client_notified_at=now))
    return notice


def cancel(notice_id: UUID, *, reason: str) -> ClientNotice:
    """Withdraw a draft that should never have been one, with the reason. Repeating changes nothing."""
    if not reason.strip():
        fault = Fault("/reason", "Say why the client need not be told.")
        raise Invalid("reason-missing", "A notice is withdrawn only with a reason.", faults=[fault])
    with transaction() as session:
        notice = _locked(session, notice_id)
        if notice.state != "cancelled":
            _require_draft(notice)
            notice.state, notice.cancel_reason = "cancelled", reason.strip()
    return notice


def _locked(session: Session, notice_id: UUID) -> ClientNotice:
    notice = session.get(ClientNotice, notice_id, with_for_update=True, populate_existing=True)
    if notice is None:
        raise NotFound("notice-unknown", "There is no notice with this id.")
    return notice


def _require_draft(notice: ClientNotice) -> None:
    if notice.state != "drafted":
        detail = f"This notice was {notice.state} already; only a draft can be changed."
        raise Conflict("notice-not-a-draft", detail, state=notice.state)

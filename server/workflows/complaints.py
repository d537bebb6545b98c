"""Somebody complains: what stops, who must take it over by when, and which complaints wait?

Raising is shared by office and phones and stops the debtor's cases in the same transaction; what a supervisor
does about a complaint is `complaint_handling`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from server.authority import Actor
from server.database import db, transaction
from server.errors import Fault, Invalid, NotFound
from server.models.cases import Case, Hold
from server.models.casework import CaseworkEvent, Complaint
from server.models.people import Staff
from server.rules.local_time import at_local, local_day
from server.workflows.casework_history import Origin, history_of, log_read, note
from server.workflows.notice_wording import CHINA
from server.workflows.notices import LAST_SECOND, draft_notice
from server.workflows.still_kept import of_case, require_kept
from server.workflows.stopping import raise_hold

WAITING: Final = ("open", "taken_over", "escalated")


@dataclass(frozen=True, slots=True)
class Grievance:
    """What somebody complains about. `client_pursues`: the client itself follows it up (E4)."""

    text: str
    channel: str = "other"
    level: str = "general"
    about_staff: tuple[UUID, ...] = ()
    threatens_to_escalate: bool = False
    publicity_risk: bool = False
    client_pursues: bool = False
    visit_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class ComplaintFile:
    """A complaint with its history."""

    complaint: Complaint
    events: Sequence[CaseworkEvent]


def open_complaint(case: Case, grievance: Grievance, *, origin: Origin, now: datetime) -> Complaint:
    """Write a complaint down and stop the debtor's cases at once (D2, D7, D25), in the caller's transaction.

    A tendency to complain counts as a complaint. What may become public is reported to the client in the same
    moment (D27). The same words of the same person about the same hold are written once.
    """
    hold = raise_hold(
        case,
        reason="complaint",
        note="complaint recorded",
        raised_by=origin.staff_id,
        raised_by_item=origin.item_id,
        now=now,
    )
    standing = _told_already(hold, grievance, origin=origin)
    if standing is not None:
        return standing
    complaint = _write(case, hold, grievance, origin=origin, now=now)
    if complaint.publicity_risk:
        draft_notice(case, kind="publicity_risk", now=now, complaint_id=complaint.id)
    return complaint


def stop_for_complaint(case: Case, *, words: str, origin: Origin, now: datetime) -> Hold:
    """Hold a case because somebody complained (D25); a complaint is opened where the hold has none yet."""
    hold = raise_hold(
        case,
        reason="complaint",
        note=words,
        raised_by=origin.staff_id,
        raised_by_item=origin.item_id,
        now=now,
    )
    if not db.session().scalar(sa.select(sa.exists().where(Complaint.hold_id == hold.id))):
        _write(case, hold, Grievance(text=words), origin=origin, now=now)
    return hold


def _told_already(hold: Hold, grievance: Grievance, *, origin: Origin) -> Complaint | None:
    waiting = sa.select(Complaint).where(
        Complaint.hold_id == hold.id,
        Complaint.raised_by.is_not_distinct_from(origin.staff_id),
        Complaint.resolved_at.is_(None),
    )
    found = db.session().scalars(waiting.order_by(Complaint.id))
    return next((one for one in found if one.text == grievance.text), None)


def _write(case: Case, hold: Hold, grievance: Grievance, *, origin: Origin, now: datetime) -> Complaint:
    complaint = Complaint(
        case_id=case.id,
        debtor_id=case.debtor_id,
        hold_id=hold.id,
        visit_id=grievance.visit_id,
        raised_at=now,
        raised_by=origin.staff_id,
        raised_by_device=origin.device_id,
        raised_by_item=origin.item_id,
        channel=grievance.channel,
        level=grievance.level,
        client_pursues=grievance.client_pursues,
        text=grievance.text,
        about_staff=list(grievance.about_staff),
        threatens_to_escalate=grievance.threatens_to_escalate,
        publicity_risk=grievance.publicity_risk,
        take_over_due_at=at_local(local_day(now, CHINA), LAST_SECOND, CHINA),
    )
    session = db.session()
    session.add(complaint)
    session.flush()
    note(kind="raised", now=now, by=origin.staff_id, complaint_id=complaint.id)
    return complaint


def raise_on_case(case_id: UUID, grievance: Grievance, *, actor: Actor, now: datetime) -> Complaint:
    """Record a complaint that reached the office (D25). Raising the same one twice is one complaint."""
    _require_sound(grievance)
    with transaction() as session:
        require_kept(session, of_case(case_id))
        case = session.get(Case, case_id)
        if case is None:
            raise NotFound("case-unknown", "There is no case with this id.")
        complaint = open_complaint(case, grievance, origin=Origin(actor.staff_id), now=now)
    return complaint


def _require_sound(grievance: Grievance) -> None:
    """Refuse people nobody knows, and `serious` where the client does not pursue the complaint (E4)."""
    known = set(db.session.scalars(sa.select(Staff.id).where(Staff.id.in_(grievance.about_staff))))
    faults = [
        Fault(f"/about_staff/{place}", "There is nobody with this id.")
        for place, staff_id in enumerate(grievance.about_staff)
        if staff_id not in known
    ]
    if not grievance.text.strip():
        faults.append(Fault("/text", "Say what the complaint is about."))
    if grievance.level == "serious" and not grievance.client_pursues:
        faults.append(Fault("/level", "Serious means that the client pursues it: set client_pursues too."))
    if faults:
        raise Invalid("complaint-faulty", "Correct the fields listed in `errors`.", faults=faults)


def list_complaints(
    *,
    state: str | None,
    level: str | None,
    case_id: UUID | None,
    is_overdue: bool | None,
    after: UUID | None,
    limit: int,
    now: datetime,
) -> Sequence[Complaint]:
    """Return one page, oldest first. Overdue: no supervisor took it over on its day (D6, D25)."""
    query = sa.select(Complaint).order_by(Complaint.id).limit(limit)
    if state is not None:
        query = query.where(Complaint.state == state)
    if level is not None:
        query = query.where(Complaint.level == level)
    if case_id is not None:
        query = query.where(Complaint.case_id == case_id)
    if after is not None:
        query = query.where(Complaint.id > after)
    if is_overdue is not None:
        waits = sa.and_(
            Complaint.resolved_at.is_(None),
            Complaint.supervisor_id.is_(None),
            Complaint.take_over_due_at < now,
        )
        query = query.where(waits if is_overdue else sa.not_(waits))
    return db.session.scalars(query).all()


def is_overdue(complaint: Complaint, now: datetime) -> bool:
    """Whether a supervisor should have taken it over by now."""
    return complaint.state in WAITING and complaint.supervisor_id is None and complaint.take_over_due_at < now


def read_complaint(complaint_id: UUID, *, actor: Actor, now: datetime) -> ComplaintFile:
    """Return a complaint with everything written about it; the read is logged first."""
    with transaction() as session:
        complaint = session.get(Complaint, complaint_id)
        if complaint is None:
            raise NotFound("complaint-unknown", "There is no complaint with this id.")
        log_read(complaint, by=actor.staff_id, now=now)
    return ComplaintFile(complaint, history_of(complaint))

"""What does a supervisor do about a complaint, from taking it over to what was learned from it?

One supervisor at a time has it; only that one writes. Whether the debtor was calmed (D3) is kept apart from
whether the complaint was right. Resolving it allows its hold to be released; it does not release it.

Anybody may calm and warn, at once (D6, D25-D27). What a complaint is worth and that it is over is said by a
supervisor whom it does not name and who had no part in its visit: they take it over from one who had.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.authority import Actor
from server.database import transaction
from server.errors import Conflict, Fault, Invalid, NotFound
from server.models.cases import Case
from server.models.casework import Complaint
from server.models.people import Staff
from server.workflows.casework_history import Lessons, note, require_lessons
from server.workflows.complaints import WAITING
from server.workflows.notices import draft_notice
from server.workflows.separation import part_in_complaint, require_outside

RULINGS: Final = frozenset({"level", "merits"})
"""What an assessment says of the complaint's worth: both decide what is charged (E4)."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the supervisor thinks of a complaint by now; None: unchanged."""

    level: str | None = None
    is_calmed: bool | None = None
    merits: str | None = None
    threatens_to_escalate: bool | None = None
    publicity_risk: bool | None = None
    client_pursues: bool | None = None


def take_over(complaint_id: UUID, *, actor: Actor, now: datetime) -> Complaint:
    """Make the actor the supervisor in charge (D6, D25). Repeating changes nothing.

    Conflict when somebody else has it, unless that person left the agency or may not rule on it.
    """
    with transaction() as session:
        complaint = _locked(session, complaint_id)
        if complaint.supervisor_id == actor.staff_id:
            return complaint
        _require_waiting(complaint)
        if complaint.supervisor_id is not None and not _gives_way(session, complaint, actor):
            detail = "Another supervisor has taken it over; speak to them."
            raise Conflict("complaint-taken", detail, supervisor_id=str(complaint.supervisor_id))
        complaint.supervisor_id, complaint.taken_over_at = actor.staff_id, now
        if complaint.state == "open":
            complaint.state = "taken_over"
        note(kind="taken_over", now=now, by=actor.staff_id, complaint_id=complaint.id)
    return complaint


def _gives_way(session: Session, complaint: Complaint, actor: Actor) -> bool:
    """Whether the supervisor in charge left, or had a part in it while the actor had none."""
    holder = complaint.supervisor_id
    if session.scalar(sa.select(Staff.left_at).where(Staff.id == holder)) is not None:
        return True
    is_involved = part_in_complaint(session, complaint, holder) is not None
    return is_involved and part_in_complaint(session, complaint, actor.staff_id) is None


def assess(complaint_id: UUID, assessment: Assessment, *, actor: Actor, now: datetime) -> Complaint:
    """Write down level (D2, E4), effect (D3), merits and dangers; the client is told of what it must know.

    A publicity risk is reported at once (D27); not calmed and about to escalate counts as escalated (D26).
    """
    with transaction() as session:
        complaint = _in_charge(session, complaint_id, actor=actor)
        changed = [name for name in Assessment.__slots__ if getattr(assessment, name) is not None]
        if RULINGS.intersection(changed):
            require_outside(session, complaint, actor)
            complaint.ruled_by = actor.staff_id
        for name in changed:
            setattr(complaint, name, getattr(assessment, name))
        if complaint.level == "serious" and not complaint.client_pursues:
            fault = Fault("/level", "Serious means that the client pursues it: set client_pursues too.")
            raise Invalid("complaint-faulty", "Correct the fields listed in `errors`.", faults=[fault])
        note(kind="assessed", now=now, by=actor.staff_id, text=", ".join(changed), complaint_id=complaint.id)
        if complaint.publicity_risk:
            _tell_client(session, complaint, kind="publicity_risk", now=now)
        if complaint.threatens_to_escalate and complaint.is_calmed is False:
            _escalate(session, complaint, actor=actor, now=now)
    return complaint


def add_note(complaint_id: UUID, *, kind: str, text: str, actor: Actor, now: datetime) -> Complaint:
    """Write into the history what the supervisor did: whom they contacted (D25), what was said."""
    with transaction() as session:
        complaint = _in_charge(session, complaint_id, actor=actor)
        note(kind=kind, now=now, by=actor.staff_id, text=text.strip(), complaint_id=complaint.id)
    return complaint


def escalate(complaint_id: UUID, *, actor: Actor, now: datetime) -> Complaint:
    """Tell the client at once that it could not be calmed and will go further (D26). Once is enough.

    Any supervisor may, also before somebody took it over: at once does not wait for that.
    """
    with transaction() as session:
        complaint = _locked(session, complaint_id)
        if complaint.escalated_at is None:
            _require_waiting(complaint)
            _escalate(session, complaint, actor=actor, now=now)
    return complaint


def _escalate(session: Session, complaint: Complaint, *, actor: Actor, now: datetime) -> None:
    if complaint.escalated_at is not None:
        return
    complaint.state, complaint.escalated_at = "escalated", now
    complaint.threatens_to_escalate = True
    note(kind="escalated", now=now, by=actor.staff_id, complaint_id=complaint.id)
    _tell_client(session, complaint, kind="complaint_escalated", now=now)


def _tell_client(session: Session, complaint: Complaint, *, kind: str, now: datetime) -> None:
    case = session.get_one(Case, complaint.case_id)
    draft_notice(case, kind=kind, now=now, complaint_id=complaint.id)


def resolve(
    complaint_id: UUID, *, resolution: str, is_calmed: bool, actor: Actor, now: datetime
) -> Complaint:
    """End a complaint with its outcome, calmed or not (D3). Its hold may then be released, its level stays.

    Repeating with the same words changes nothing.
    """
    resolution = resolution.strip()
    if not resolution:
        fault = Fault("/resolution", "Say how it was settled.")
        raise Invalid("resolution-missing", "A complaint is resolved with words.", faults=[fault])
    with transaction() as session:
        complaint = _locked(session, complaint_id)
        if (complaint.state, complaint.resolution) == ("resolved", resolution):
            return complaint
        _require_charge(complaint, actor=actor)
        require_outside(session, complaint, actor)
        complaint.state, complaint.resolved_at, complaint.ruled_by = "resolved", now, actor.staff_id
        complaint.resolution, complaint.is_calmed = resolution, is_calmed
        note(kind="resolved", now=now, by=actor.staff_id, text=resolution, complaint_id=complaint.id)
    return complaint


def close(complaint_id: UUID, *, merits: str, lessons: Lessons, actor: Actor, now: datetime) -> Complaint:
    """Close a resolved complaint; one that was right only with cause, education and prevention (GOV1)."""
    told = require_lessons(lessons) if merits == "upheld" else lessons
    with transaction() as session:
        complaint = _locked(session, complaint_id)
        require_outside(session, complaint, actor)
        if complaint.state == "closed" and complaint.merits == merits:
            return complaint
        if complaint.state != "resolved":
            detail = f"This complaint is {complaint.state}; only a resolved one can be closed."
            raise Conflict("complaint-not-resolved", detail, state=complaint.state)
        complaint.state, complaint.closed_at, complaint.merits = "closed", now, merits
        complaint.ruled_by = actor.staff_id
        complaint.cause, complaint.education = told.cause or None, told.education or None
        complaint.prevention = told.prevention or None
        note(kind="closed", now=now, by=actor.staff_id, text=merits, complaint_id=complaint.id)
    return complaint


def _locked(session: Session, complaint_id: UUID) -> Complaint:
    complaint = session.get(Complaint, complaint_id, with_for_update=True, populate_existing=True)
    if complaint is None:
        raise NotFound("complaint-unknown", "There is no complaint with this id.")
    return complaint


def _in_charge(session: Session, complaint_id: UUID, *, actor: Actor) -> Complaint:
    complaint = _locked(session, complaint_id)
    _require_charge(complaint, actor=actor)
    return complaint


def _require_charge(complaint: Complaint, *, actor: Actor) -> None:
    _require_waiting(complaint)
    if complaint.supervisor_id != actor.staff_id:
        raise Conflict(
            "complaint-not-yours", "Take the complaint over first; one supervisor at a time has it."
        )


def _require_waiting(complaint: Complaint) -> None:
    if complaint.state not in WAITING:
        detail = f"This complaint is {complaint.state}; a new grievance is a new complaint."
        raise Conflict("complaint-over", detail, state=complaint.state)

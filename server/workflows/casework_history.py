"""What has been done about a complaint, an incident or a refusal, by whom, and what was learned from it?

The history is append-only; what people write into it is encrypted. Everything runs in the caller's
transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from server.database import db
from server.errors import Fault, Invalid
from server.models.access import AccessEntry
from server.models.casework import CaseworkEvent, Complaint, Incident


@dataclass(frozen=True, slots=True)
class Origin:
    """Who reported something: a person in the office, or a phone's owner with one of its items."""

    staff_id: UUID | None
    device_id: UUID | None = None
    item_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Lessons:
    """What must be known before a failure may be closed (GOV1): why, who was taught what, what prevents
    it."""

    cause: str = ""
    education: str = ""
    prevention: str = ""


def require_lessons(lessons: Lessons) -> Lessons:
    """Return the lessons trimmed, or Invalid naming each that is missing (GOV1)."""
    told = Lessons(lessons.cause.strip(), lessons.education.strip(), lessons.prevention.strip())
    advice = {
        "cause": "Say what caused it.",
        "education": "Say who was taught what.",
        "prevention": "Say what keeps it from happening again.",
    }
    faults = [Fault(f"/{name}", text) for name, text in advice.items() if not getattr(told, name)]
    if faults:
        detail = "It closes only with cause, education and prevention (GOV1)."
        raise Invalid("lessons-missing", detail, faults=faults)
    return told


def note(
    *,
    kind: str,
    now: datetime,
    by: UUID | None,
    text: str = "",
    complaint_id: UUID | None = None,
    incident_id: UUID | None = None,
    contact_id: UUID | None = None,
) -> None:
    """Append one line to the history of one thing."""
    line = CaseworkEvent(
        complaint_id=complaint_id,
        incident_id=incident_id,
        contact_id=contact_id,
        at=now,
        by=by,
        kind=kind,
        text=text or None,
    )
    db.session().add(line)


def history_of(thing: Complaint | Incident) -> Sequence[CaseworkEvent]:
    """Return the history of a complaint or an incident, oldest first."""
    is_about = CaseworkEvent.complaint_id if isinstance(thing, Complaint) else CaseworkEvent.incident_id
    lines = sa.select(CaseworkEvent).where(is_about == thing.id).order_by(CaseworkEvent.id)
    return db.session.scalars(lines).all()


def log_read(thing: Complaint | Incident, *, by: UUID | None, now: datetime) -> None:
    """Note that somebody read what was written about people, in the caller's transaction."""
    kind = "complaint" if isinstance(thing, Complaint) else "incident"
    entry = AccessEntry(
        at=now,
        staff_id=by,
        action=f"{kind}.read",
        entity_kind=kind,
        entity_id=thing.id,
        fields=[f"{thing.__tablename__}.text", "casework_events.text"],
    )
    db.session().add(entry)

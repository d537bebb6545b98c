"""Something happened to people or things on a visit: who must know at once, what stops, what was learned?

Nobody answers force with force (B6); person, honour and property of everybody are protected (B5). Raising is
shared by office and phones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.authority import Actor
from server.database import db, transaction
from server.errors import Conflict, Fault, Invalid, NotFound
from server.models.cases import Case
from server.models.casework import CaseworkEvent, ClientNotice, Incident
from server.models.dispatch import Assignment
from server.models.visits import Visit
from server.workflows.casework_history import Lessons, Origin, history_of, log_read, note, require_lessons
from server.workflows.notices import AT_ONCE, draft_notice
from server.workflows.still_kept import of_case, require_kept
from server.workflows.stopping import raise_hold

EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
STOPS_THE_CASE: Final = frozenset({"self_defence", "violence", "threat", "injury"})
TOLD_AT_ONCE: Final = frozenset({"self_defence", "violence", "injury"})
ENDS_THE_VISIT: Final = STOPS_THE_CASE | {"recorder_failure"}


@dataclass(frozen=True, slots=True)
class Happening:
    """What happened, and when."""

    kind: str
    text: str
    occurred_at: datetime
    visit_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class IncidentFile:
    """An incident with its history."""

    incident: Incident
    events: Sequence[CaseworkEvent]


def open_incident(case: Case | None, happening: Happening, *, origin: Origin, now: datetime) -> Incident:
    """Write an incident down, in the caller's transaction.

    Force or a threat of it stops the case (B5, B6); force and injury are reported to the leadership and to
    the client at once (D10). A recorder that failed ends the visit and stops nothing else (J13).
    """
    is_urgent = happening.kind in TOLD_AT_ONCE
    hold = None
    if case is not None and happening.kind in STOPS_THE_CASE:
        hold = raise_hold(
            case,
            reason="other",
            note=f"incident: {happening.kind}",
            raised_by=origin.staff_id,
            raised_by_item=origin.item_id,
            now=now,
        )
    incident = Incident(
        kind=happening.kind,
        case_id=case and case.id,
        debtor_id=case and case.debtor_id,
        hold_id=hold and hold.id,
        visit_id=happening.visit_id,
        occurred_at=happening.occurred_at,
        raised_at=now,
        raised_by=origin.staff_id,
        raised_by_device=origin.device_id,
        raised_by_item=origin.item_id,
        text=happening.text,
        leadership_due_at=now + AT_ONCE if is_urgent else None,
    )
    session = db.session()
    session.add(incident)
    session.flush()
    note(kind="raised", now=now, by=origin.staff_id, incident_id=incident.id)
    if case is not None and is_urgent:
        draft_notice(case, kind="incident", now=now, incident_id=incident.id)
    return incident


def raise_from_office(case_id: UUID | None, happening: Happening, *, actor: Actor, now: datetime) -> Incident:
    """Record an incident that the office was told of. Raising the same one twice is one incident."""
    faults: list[Fault] = []
    if happening.occurred_at > now:
        faults.append(Fault("/occurred_at", "Lies in the future."))
    if happening.occurred_at < EARLIEST:
        faults.append(Fault("/occurred_at", "Lies before the year 2000. Correct it."))
    if not happening.text.strip():
        faults.append(Fault("/text", "Say what happened."))
    if faults:
        raise Invalid("incident-faulty", "Correct the fields listed in `errors`.", faults=faults)
    with transaction() as session:
        require_kept(session, of_case(case_id))
        case = None if case_id is None else session.get(Case, case_id)
        if case_id is not None and case is None:
            fault = Fault("/case_id", "There is no case with this id.")
            raise Invalid("incident-faulty", "Correct the fields listed in `errors`.", faults=[fault])
        _require_own_visit(session, happening.visit_id, case_id=case_id)
        standing = _told_already(session, case_id, happening, actor=actor)
        return standing or open_incident(case, happening, origin=Origin(actor.staff_id), now=now)


def _require_own_visit(session: Session, visit_id: UUID | None, *, case_id: UUID | None) -> None:
    """Refuse a visit that nobody knows, and one of another case; without a case it may be any."""
    if visit_id is None:
        return
    visits = sa.select(Visit.id, Assignment.case_id).outerjoin(
        Assignment, Visit.assignment_id == Assignment.id
    )
    found = session.execute(visits.where(Visit.id == visit_id)).one_or_none()
    if found is None:
        fault = Fault("/visit_id", "There is no visit with this id.")
    elif case_id is not None and found.case_id not in (None, case_id):
        fault = Fault("/visit_id", "This visit belongs to another case.")
    else:
        return
    raise Invalid("incident-faulty", "Correct the fields listed in `errors`.", faults=[fault])


def _told_already(
    session: Session, case_id: UUID | None, happening: Happening, *, actor: Actor
) -> Incident | None:
    same = sa.select(Incident).where(
        Incident.case_id.is_not_distinct_from(case_id),
        Incident.kind == happening.kind,
        Incident.occurred_at == happening.occurred_at,
        Incident.raised_by == actor.staff_id,
        Incident.closed_at.is_(None),
    )
    return next((one for one in session.scalars(same) if one.text == happening.text), None)


def tell_leadership(incident_id: UUID, *, to: str, outcome: str, actor: Actor, now: datetime) -> Incident:
    """Record that the leadership was told what happened and what came of it (D10). The first stands."""
    with transaction() as session:
        incident = _locked(session, incident_id)
        if incident.leadership_told_at is not None:
            return incident
        if incident.state == "closed":
            raise Conflict("incident-closed", "This incident is closed; what comes later is a new incident.")
        incident.state, incident.leadership_told_at = "reported", now
        incident.leadership_told_by = actor.staff_id
        told = f"{to.strip()}: {outcome.strip()}"
        note(kind="leadership_told", now=now, by=actor.staff_id, text=told, incident_id=incident.id)
    return incident


def close(incident_id: UUID, *, lessons: Lessons, actor: Actor, now: datetime) -> Incident:
    """Close an incident with cause, education and prevention (GOV1), after everybody was told (D10).

    Repeating changes nothing: the first lessons stand.
    """
    told = require_lessons(lessons)
    with transaction() as session:
        incident = _locked(session, incident_id)
        if incident.state == "closed":
            return incident
        if incident.leadership_due_at is not None and incident.leadership_told_at is None:
            raise Conflict("leadership-not-told", "Tell the leadership first and record it (D10).")
        waiting = sa.exists().where(ClientNotice.incident_id == incident.id, ClientNotice.state == "drafted")
        if session.scalar(sa.select(waiting)):
            raise Conflict("client-not-told", "Send the client's notice first and record it (D10).")
        incident.state, incident.closed_at = "closed", now
        incident.cause, incident.education = told.cause, told.education
        incident.prevention = told.prevention
        note(kind="closed", now=now, by=actor.staff_id, incident_id=incident.id)
    return incident


def _locked(session: Session, incident_id: UUID) -> Incident:
    incident = session.get(Incident, incident_id, with_for_update=True, populate_existing=True)
    if incident is None:
        raise NotFound("incident-unknown", "There is no incident with this id.")
    return incident


def list_incidents(
    *,
    state: str | None,
    kind: str | None,
    is_leadership_untold: bool | None,
    after: UUID | None,
    limit: int,
) -> Sequence[Incident]:
    """Return one page, oldest first. Untold: the leadership must be told and was not (D10)."""
    query = sa.select(Incident).order_by(Incident.id).limit(limit)
    if state is not None:
        query = query.where(Incident.state == state)
    if kind is not None:
        query = query.where(Incident.kind == kind)
    if after is not None:
        query = query.where(Incident.id > after)
    if is_leadership_untold is not None:
        untold = sa.and_(Incident.leadership_due_at.is_not(None), Incident.leadership_told_at.is_(None))
        query = query.where(untold if is_leadership_untold else sa.not_(untold))
    return db.session.scalars(query).all()


def read_incident(incident_id: UUID, *, actor: Actor, now: datetime) -> IncidentFile:
    """Return an incident with everything written about it; the read is logged first."""
    with transaction() as session:
        incident = session.get(Incident, incident_id)
        if incident is None:
            raise NotFound("incident-unknown", "There is no incident with this id.")
        log_read(incident, by=actor.staff_id, now=now)
    return IncidentFile(incident, history_of(incident))

"""Who is trained when, who came, and what does everybody still lack?

A session blocks the diary of whoever is enrolled, in the same transaction, so that no visit is assigned
into it (G6); somebody who already has a visit then is named and not enrolled: the dispatcher reassigns first.
Exams and signatures are lines of the training file, in `people`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from server.authority import Actor, Role
from server.database import db, transaction
from server.errors import Conflict, Fault, Invalid, NotFound
from server.models.dispatch import OPEN_STATES, Assignment, AssignmentMember
from server.models.people import Absence, Qualification, Staff
from server.models.training import Attendance, Course, TrainingSession
from server.rules.checks.qualification import lacks
from server.rules.local_time import at_local
from server.rules.training_days import training_days
from server.workflows.case_facts import load_calendar, load_members
from server.workflows.standing_packs import active_pack
from sync.protocol import uuid7

REQUIRED_MODULES: Final = {
    "trainee": frozenset({"law_and_rules", "systems", "duties", "confidentiality"}),
    "staff": frozenset({"new_card_collection_knowledge", "law_and_rules"}),
    "manager": frozenset({"communication_and_execution", "team_management"}),
}
"""What a syllabus must hold (G10: lines 200-204, G11: 206-211, G12: 213-218, G18: 238-243)."""
AFTERNOON: Final = (time(13), time(18))
EXCUSED_BEFORE: Final = timedelta(hours=12)
FEEDBACK_WITHIN: Final = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class NewCourse:
    """A course as it was approved."""

    reference: str
    version: int
    title: str
    audience: str
    modules: tuple[str, ...]
    approved_by: str
    approved_on: date


def add_course(new: NewCourse, *, actor: Actor, now: datetime) -> Course:
    """Enter a version of a course: approved first (G1), complete for its audience (G2, G10, G11, G12)."""
    faults: list[Fault] = []
    missing = sorted(REQUIRED_MODULES[new.audience] - set(new.modules))
    if missing:
        faults.append(Fault("/modules", f"Lacks what its syllabus demands: {', '.join(missing)}."))
    if new.approved_on > now.date() + timedelta(days=1):
        faults.append(Fault("/approved_on", "Lies in the future; the approval comes first (G1)."))
    if faults:
        raise Invalid("course-faulty", "Correct the fields listed in `errors`.", faults=faults)
    course = Course(
        reference=new.reference,
        version=new.version,
        title=new.title,
        audience=new.audience,
        modules=sorted(set(new.modules)),
        approved_by=new.approved_by,
        approved_on=new.approved_on,
        entered_by=actor.staff_id,
        entered_at=now,
    )
    try:
        with transaction() as session:
            session.add(course)
    except IntegrityError:
        raise Conflict("course-exists", "This version exists; a changed course gets the next.") from None
    return course


def list_courses(*, after: UUID | None, limit: int) -> Sequence[Course]:
    """Return one page of courses, every version, in the order they were entered (G4)."""
    query = sa.select(Course).order_by(Course.id).limit(limit)
    return db.session.scalars(query.where(Course.id > after) if after else query).all()


def schedule_month(course_id: UUID, *, month: date, led_by: UUID, now: datetime) -> list[TrainingSession]:
    """Announce a month's sessions of a course on its training days (G3, G6, G7, G8). Safe to repeat."""
    course = db.session.get(Course, course_id)
    if course is None:
        raise NotFound("course-unknown", "There is no course with this id.")
    if db.session.get(Staff, led_by) is None:
        fault = Fault("/led_by", "There is nobody with this id.")
        raise Invalid("leader-unknown", "Name who leads the sessions.", faults=[fault])
    zone = active_pack(now).zone
    days = training_days(
        month.year,
        month.month,
        of_managers=course.audience == "manager",
        calendar=load_calendar(month.year, month.year + 1),
    )
    starts = {at_local(day, AFTERNOON[0], zone): at_local(day, AFTERNOON[1], zone) for day in days}
    with transaction() as session:
        session.get(Course, course_id, with_for_update=True)
        known = session.scalars(
            sa.select(TrainingSession).where(
                TrainingSession.course_id == course_id, TrainingSession.starts_at.in_(starts)
            )
        ).all()
        added = [
            TrainingSession(
                course_id=course_id, starts_at=start, ends_at=end, led_by=led_by, announced_at=now
            )
            for start, end in starts.items()
            if start > now and start not in {one.starts_at for one in known}
        ]
        session.add_all(added)
    return sorted([*known, *added], key=lambda one: one.starts_at)


def enrol(session_id: UUID, *, staff_ids: Collection[UUID], now: datetime) -> list[UUID]:
    """Enrol people and keep visits out of their diary (G6); return those who were not enrolled before.

    Conflict names the visits that stand in the way; nobody is enrolled then. The people are locked as
    dispatch locks a team, so a visit and an enrolment made at once follow one another.
    """
    with transaction() as session:
        training = _running(session, session_id, now=now)
        known = set(
            session.scalars(
                sa.select(Staff.id).where(Staff.id.in_(staff_ids)).order_by(Staff.id).with_for_update()
            )
        )
        strangers = [staff_id for staff_id in staff_ids if staff_id not in known]
        if strangers:
            faults = [Fault("/staff_ids", f"There is nobody with the id {one}.") for one in strangers]
            raise Invalid("staff-unknown", "Correct the ids.", faults=faults)
        enrolled = sa.select(Attendance.staff_id).where(Attendance.session_id == session_id)
        fresh = sorted(known - set(session.scalars(enrolled)))
        _refuse_clashes(session, fresh, training)
        for staff_id in fresh:
            absence = Absence(
                id=uuid7(),
                staff_id=staff_id,
                kind="training",
                starts_at=training.starts_at,
                ends_at=training.ends_at,
            )
            session.add(absence)
            session.flush()
            session.add(
                Attendance(session_id=session_id, staff_id=staff_id, state="enrolled", absence_id=absence.id)
            )
    return fresh


def _refuse_clashes(session: Session, staff_ids: Collection[UUID], training: TrainingSession) -> None:
    clashing = session.scalars(
        sa.select(Assignment.id)
        .join(AssignmentMember, AssignmentMember.assignment_id == Assignment.id)
        .where(
            AssignmentMember.staff_id.in_(staff_ids),
            AssignmentMember.active,
            Assignment.state.in_(OPEN_STATES),
            Assignment.window_start < training.ends_at,
            Assignment.window_end > training.starts_at,
        )
        .distinct()
    ).all()
    if clashing:
        detail = "Reassign or cancel the visits of these people first; nobody was enrolled."
        raise Conflict("training-clashes", detail, assignments=[str(one) for one in sorted(clashing)])


def excuse(session_id: UUID, staff_id: UUID, *, actor: Actor, now: datetime) -> Attendance:
    """Excuse somebody at least half a day ahead (G19); their diary is free again. Later it is absence."""
    with transaction() as session:
        training = _running(session, session_id, now=now)
        if training.starts_at - now < EXCUSED_BEFORE:
            detail = "Leave from training is asked for half a day ahead; note the absence afterwards instead."
            raise Conflict("excuse-too-late", detail)
        attendance = _attendance(session, session_id, staff_id)
        absence_id, attendance.absence_id = attendance.absence_id, None
        attendance.state, attendance.noted_at, attendance.noted_by = "excused", now, actor.staff_id
        session.flush()
        session.execute(sa.delete(Absence).where(Absence.id == absence_id))
    return attendance


def note_attendance(
    session_id: UUID, staff_id: UUID, *, attended: bool, actor: Actor, now: datetime
) -> Attendance:
    """Note who came; who left early without leave was absent (G21). Only once it has begun."""
    with transaction() as session:
        training = session.get(TrainingSession, session_id)
        if training is None or training.starts_at > now:
            raise Conflict("training-not-begun", "Attendance is noted when the session has begun.")
        attendance = _attendance(session, session_id, staff_id)
        if attendance.state == "excused":
            raise Conflict("was-excused", "This person was excused in time.")
        attendance.state = "attended" if attended else "absent"
        attendance.noted_at, attendance.noted_by = now, actor.staff_id
    return attendance


def _running(session: Session, session_id: UUID, *, now: datetime) -> TrainingSession:
    training = session.get(TrainingSession, session_id, with_for_update=True)
    if training is None:
        raise NotFound("session-unknown", "There is no training session with this id.")
    if training.ends_at <= now:
        raise Conflict("training-over", "The session is over.")
    return training


def _attendance(session: Session, session_id: UUID, staff_id: UUID) -> Attendance:
    attendance = session.get(Attendance, (session_id, staff_id), with_for_update=True)
    if attendance is None:
        raise NotFound("not-enrolled", "This person is not enrolled in the session.")
    return attendance


@dataclass(frozen=True, slots=True)
class Due:
    """What somebody's training file still asks for. `rule`: G5, G10, G17, G18, G22 or G25."""

    staff_id: UUID
    rule: str
    slug: str
    due_on: date | None = None


def list_due(*, now: datetime) -> list[Due]:
    """Return what visitors lack (resits, second fails for HR: G22, G23) and feedback due (G24, G25)."""
    pack = active_pack(now)
    visitors = db.session.scalars(
        sa.select(Staff.id).where(Staff.roles.contains([Role.VISITOR.value]), Staff.left_at.is_(None))
    ).all()
    today = now.astimezone(pack.zone).date()
    found: list[Due] = []
    for member in load_members(visitors, since=now):
        lines = [line for line in member.training if line.kind == "onboarding_exam"]
        for rule, slug in lacks(member, pack, on=today):
            if slug == "exam-not-passed":
                slug = "second-fail-to-hr" if len(lines) >= pack.exam_attempts else "resit-due"
            found.append(Due(member.id, rule, slug))
    found += _feedback_due(now=now)
    return found


def _feedback_due(*, now: datetime) -> list[Due]:
    """Feedback is asked for within three months after a session (G25)."""
    rows = db.session.execute(
        sa.select(Attendance.staff_id, TrainingSession.ends_at)
        .join(TrainingSession, TrainingSession.id == Attendance.session_id)
        .where(
            Attendance.state == "attended",
            TrainingSession.ends_at.between(now - FEEDBACK_WITHIN, now),
        )
        .order_by(TrainingSession.ends_at, Attendance.staff_id)
    )
    return [Due(row.staff_id, "G25", "feedback-due", (row.ends_at + FEEDBACK_WITHIN).date()) for row in rows]


@dataclass(frozen=True, slots=True)
class TrainingFile:
    """Everything on one person's file (G4, G23)."""

    qualifications: Sequence[Qualification]
    attendances: Sequence[tuple[Attendance, TrainingSession, Course]]


def training_file(staff_id: UUID) -> TrainingFile:
    """Return a person's exams, signatures and sessions, oldest first (G4, G23)."""
    if db.session.get(Staff, staff_id) is None:
        raise NotFound("staff-unknown", "There is nobody with this id.")
    lines = sa.select(Qualification).where(Qualification.staff_id == staff_id).order_by(Qualification.id)
    came = (
        sa.select(Attendance, TrainingSession, Course)
        .join(TrainingSession, TrainingSession.id == Attendance.session_id)
        .join(Course, Course.id == TrainingSession.course_id)
        .where(Attendance.staff_id == staff_id)
        .order_by(TrainingSession.starts_at)
    )
    return TrainingFile(
        qualifications=db.session.scalars(lines).all(),
        attendances=[(row[0], row[1], row[2]) for row in db.session.execute(came)],
    )

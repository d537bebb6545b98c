"""Courses, sessions, attendance, and what everybody's training file still asks for."""

from typing import Any
from uuid import UUID

import marshmallow as ma
from marshmallow import validate

from server.api.auth import current_actor, current_time, requires
from server.api.staff import QualificationSchema
from server.api.transport import Blueprint, Day
from server.authority import Role
from server.models.training import Attendance
from server.workflows import training
from server.workflows.training import NewCourse

blueprint = Blueprint("training", __name__, description="Courses, sessions, and training files")
AUDIENCES = ["trainee", "staff", "manager"]
A_NAME = validate.Length(1, 200)


class CourseSchema(ma.Schema):
    """One approved version of a course."""

    id = ma.fields.UUID(dump_only=True)
    reference = ma.fields.String(required=True, validate=validate.Length(1, 64))
    version = ma.fields.Integer(required=True, validate=validate.Range(1, 10_000))
    title = ma.fields.String(required=True, validate=A_NAME)
    audience = ma.fields.String(required=True, validate=validate.OneOf(AUDIENCES))
    modules = ma.fields.List(
        ma.fields.String(validate=validate.Length(1, 64)), required=True, validate=validate.Length(1, 50)
    )
    approved_by = ma.fields.String(required=True, validate=A_NAME)
    approved_on = Day(required=True)


class PageQuerySchema(ma.Schema):
    """Where a page starts and how long it is."""

    after = ma.fields.UUID(load_default=None)
    limit = ma.fields.Integer(load_default=50, validate=validate.Range(1, 200))


class CoursePageSchema(ma.Schema):
    """One page of courses; `next` is null on the last."""

    courses = ma.fields.List(ma.fields.Nested(CourseSchema))
    next = ma.fields.UUID(allow_none=True)


class MonthSchema(ma.Schema):
    """Which month is announced (any day of it), and who leads."""

    month = Day(required=True)
    led_by = ma.fields.UUID(required=True)


class SessionSchema(ma.Schema):
    """A course held once."""

    id = ma.fields.UUID()
    course_id = ma.fields.UUID()
    starts_at = ma.fields.AwareDateTime()
    ends_at = ma.fields.AwareDateTime()
    led_by = ma.fields.UUID()


class EnrolmentSchema(ma.Schema):
    """Who is enrolled."""

    staff_ids = ma.fields.List(ma.fields.UUID(), required=True, validate=validate.Length(1, 500))


class NewcomersSchema(ma.Schema):
    """Who was not enrolled before."""

    enrolled = ma.fields.List(ma.fields.UUID())


class NoteSchema(ma.Schema):
    """Whether the person was there until the end (G21)."""

    attended = ma.fields.Boolean(required=True)


class AttendanceSchema(ma.Schema):
    """One person in one session."""

    session_id = ma.fields.UUID()
    staff_id = ma.fields.UUID()
    state = ma.fields.String(validate=validate.OneOf(["enrolled", "attended", "excused", "absent"]))


class HeldSchema(AttendanceSchema):
    """The same, as a training file tells it."""

    course = ma.fields.String()
    version = ma.fields.Integer()
    starts_at = ma.fields.AwareDateTime()


class TrainingFileSchema(ma.Schema):
    """Everything on one person's file (G4, G23)."""

    qualifications = ma.fields.List(ma.fields.Nested(QualificationSchema))
    sessions = ma.fields.List(ma.fields.Nested(HeldSchema))


class DueSchema(ma.Schema):
    """What a training file still asks for."""

    staff_id = ma.fields.UUID()
    rule = ma.fields.String()
    slug = ma.fields.String()
    due_on = ma.fields.Date(allow_none=True)


class DueListSchema(ma.Schema):
    """Everything due, person by person."""

    due = ma.fields.List(ma.fields.Nested(DueSchema))


@blueprint.post("/training/courses")
@requires(Role.ADMIN, Role.SUPERVISOR)
@blueprint.arguments(CourseSchema)
@blueprint.response(201, CourseSchema)
def add_course(body: dict[str, Any]) -> Any:
    """Enter an approved version of a course; one that lacks a required module is refused."""
    new = NewCourse(**{**body, "modules": tuple(body["modules"])})
    return training.add_course(new, actor=current_actor(), now=current_time())


@blueprint.get("/training/courses")
@requires(Role.ADMIN, Role.SUPERVISOR, Role.DISPATCHER)
@blueprint.arguments(PageQuerySchema, location="query")
@blueprint.response(200, CoursePageSchema)
def list_courses(query: dict[str, Any]) -> dict[str, Any]:
    """List courses, every version."""
    found = training.list_courses(**query)
    return {"courses": found, "next": found[-1].id if len(found) == query["limit"] else None}


@blueprint.post("/training/courses/<uuid:course_id>/schedule")
@requires(Role.ADMIN, Role.SUPERVISOR)
@blueprint.arguments(MonthSchema)
@blueprint.response(200, SessionSchema(many=True))
def schedule(body: dict[str, Any], course_id: UUID) -> Any:
    """Announce a month's sessions on its training days; repeating it adds nothing."""
    return training.schedule_month(course_id, month=body["month"], led_by=body["led_by"], now=current_time())


@blueprint.post("/training/sessions/<uuid:session_id>/enrolments")
@requires(Role.ADMIN, Role.SUPERVISOR, Role.DISPATCHER)
@blueprint.arguments(EnrolmentSchema)
@blueprint.response(200, NewcomersSchema)
@blueprint.alt_response(409, description="Visits stand in the way; the problem names them.")
def enrol(body: dict[str, Any], session_id: UUID) -> dict[str, Any]:
    """Enrol people; no visit is assigned into the session (G6)."""
    return {"enrolled": training.enrol(session_id, staff_ids=body["staff_ids"], now=current_time())}


@blueprint.post("/training/sessions/<uuid:session_id>/enrolments/<uuid:staff_id>/excuse")
@requires(Role.ADMIN, Role.SUPERVISOR)
@blueprint.response(200, AttendanceSchema)
def excuse(session_id: UUID, staff_id: UUID) -> Attendance:
    """Excuse somebody, at least half a day ahead (G19)."""
    return training.excuse(session_id, staff_id, actor=current_actor(), now=current_time())


@blueprint.put("/training/sessions/<uuid:session_id>/enrolments/<uuid:staff_id>")
@requires(Role.ADMIN, Role.SUPERVISOR)
@blueprint.arguments(NoteSchema)
@blueprint.response(200, AttendanceSchema)
def note(body: dict[str, Any], session_id: UUID, staff_id: UUID) -> Attendance:
    """Note who came."""
    actor, now = current_actor(), current_time()
    return training.note_attendance(session_id, staff_id, attended=body["attended"], actor=actor, now=now)


@blueprint.get("/training/due")
@requires(Role.ADMIN, Role.SUPERVISOR, Role.DISPATCHER)
@blueprint.response(200, DueListSchema)
def due() -> dict[str, Any]:
    """List resits, second fails, missing signatures and feedback that is due."""
    return {"due": training.list_due(now=current_time())}


@blueprint.get("/staff/<uuid:staff_id>/training-file")
@requires(Role.ADMIN, Role.SUPERVISOR)
@blueprint.response(200, TrainingFileSchema)
def training_file(staff_id: UUID) -> dict[str, Any]:
    """Show everything on one person's training file."""
    found = training.training_file(staff_id)
    sessions = [
        {
            "session_id": attendance.session_id,
            "staff_id": attendance.staff_id,
            "state": attendance.state,
            "course": course.reference,
            "version": course.version,
            "starts_at": held.starts_at,
        }
        for attendance, held, course in found.attendances
    ]
    return {"qualifications": found.qualifications, "sessions": sessions}

"""Complaints: raised by anybody at the desk, handled by one supervisor at a time.

Lists never carry what people wrote; one complaint does, and its reading is logged.
"""

from typing import Any
from uuid import UUID

import marshmallow as ma
from marshmallow import validate

from server.api.auth import current_actor, current_time, requires
from server.api.transport import Blueprint
from server.authority import Role
from server.models.casework import (
    COMPLAINT_CHANNELS,
    COMPLAINT_LEVELS,
    COMPLAINT_STATES,
    MERITS,
    Complaint,
)
from server.workflows import complaint_handling as handling
from server.workflows import complaints
from server.workflows.casework_history import Lessons

blueprint = Blueprint("complaints", __name__, description="Complaints, and what became of them")
LEVEL = validate.OneOf(COMPLAINT_LEVELS)
TEXT = validate.Length(1, 10_000)


class NewComplaintSchema(ma.Schema):
    """What somebody complains about. `serious` means that the client pursues it."""

    text = ma.fields.String(required=True, validate=TEXT)
    channel = ma.fields.String(load_default="other", validate=validate.OneOf(COMPLAINT_CHANNELS))
    level = ma.fields.String(load_default="general", validate=LEVEL)
    about_staff = ma.fields.List(ma.fields.UUID(), load_default=list, validate=validate.Length(max=20))
    threatens_to_escalate = ma.fields.Boolean(load_default=False)
    publicity_risk = ma.fields.Boolean(load_default=False)
    client_pursues = ma.fields.Boolean(load_default=False)


class ComplaintSchema(ma.Schema):
    """A complaint in a list."""

    id = ma.fields.UUID()
    case_id = ma.fields.UUID()
    debtor_id = ma.fields.UUID()
    hold_id = ma.fields.UUID()
    visit_id = ma.fields.UUID(allow_none=True)
    raised_at = ma.fields.AwareDateTime()
    raised_by = ma.fields.UUID(allow_none=True)
    raised_by_item = ma.fields.UUID(allow_none=True)
    channel = ma.fields.String()
    level = ma.fields.String()
    client_pursues = ma.fields.Boolean()
    about_staff = ma.fields.List(ma.fields.UUID())
    threatens_to_escalate = ma.fields.Boolean()
    publicity_risk = ma.fields.Boolean()
    state = ma.fields.String()
    take_over_due_at = ma.fields.AwareDateTime()
    is_overdue = ma.fields.Boolean(metadata={"description": "nobody took it over in time"})
    supervisor_id = ma.fields.UUID(allow_none=True)
    taken_over_at = ma.fields.AwareDateTime(allow_none=True)
    is_calmed = ma.fields.Boolean(allow_none=True)
    merits = ma.fields.String()
    escalated_at = ma.fields.AwareDateTime(allow_none=True)
    resolved_at = ma.fields.AwareDateTime(allow_none=True)
    closed_at = ma.fields.AwareDateTime(allow_none=True)


class EventSchema(ma.Schema):
    """One line of a history."""

    id = ma.fields.UUID()
    at = ma.fields.AwareDateTime()
    by = ma.fields.UUID(allow_none=True)
    kind = ma.fields.String()
    text = ma.fields.String(allow_none=True)


class NewEventSchema(ma.Schema):
    """What a supervisor did about a complaint."""

    kind = ma.fields.String(required=True, validate=validate.OneOf(["contacted", "noted"]))
    text = ma.fields.String(required=True, validate=TEXT)


class ComplaintFileSchema(ComplaintSchema):
    """A complaint with everything written about it."""

    text = ma.fields.String()
    resolution = ma.fields.String(allow_none=True)
    cause = ma.fields.String(allow_none=True)
    education = ma.fields.String(allow_none=True)
    prevention = ma.fields.String(allow_none=True)
    events = ma.fields.List(ma.fields.Nested(EventSchema))


class ComplaintQuerySchema(ma.Schema):
    """Which complaints, and where the page starts."""

    state = ma.fields.String(load_default=None, validate=validate.OneOf(COMPLAINT_STATES))
    level = ma.fields.String(load_default=None, validate=LEVEL)
    case_id = ma.fields.UUID(load_default=None)
    is_overdue = ma.fields.Boolean(load_default=None)
    after = ma.fields.UUID(load_default=None)
    limit = ma.fields.Integer(load_default=50, validate=validate.Range(1, 200))


class ComplaintPageSchema(ma.Schema):
    """One page, oldest first; `next` is null on the last."""

    complaints = ma.fields.List(ma.fields.Nested(ComplaintSchema))
    next = ma.fields.UUID(allow_none=True)


class AssessmentSchema(ma.Schema):
    """What the supervisor in charge thinks by now; what is left out stays as it is."""

    level = ma.fields.String(validate=LEVEL)
    is_calmed = ma.fields.Boolean()
    merits = ma.fields.String(validate=validate.OneOf(MERITS))
    threatens_to_escalate = ma.fields.Boolean()
    publicity_risk = ma.fields.Boolean()
    client_pursues = ma.fields.Boolean()


class ResolutionSchema(ma.Schema):
    """How a complaint was settled, and whether the debtor was calmed."""

    resolution = ma.fields.String(required=True, validate=TEXT)
    is_calmed = ma.fields.Boolean(required=True)


class LessonsSchema(ma.Schema):
    """Why it happened, who was taught what, what keeps it from happening again."""

    cause = ma.fields.String(load_default="", validate=validate.Length(max=4000))
    education = ma.fields.String(load_default="", validate=validate.Length(max=4000))
    prevention = ma.fields.String(load_default="", validate=validate.Length(max=4000))


class ClosureSchema(LessonsSchema):
    """Whether the complaint was right; if it was, the lessons are needed."""

    merits = ma.fields.String(required=True, validate=validate.OneOf(["upheld", "not_upheld"]))


def _shown(complaint: Complaint, schema: ma.Schema | None = None) -> dict[str, Any]:
    names = (schema or ComplaintSchema()).fields
    named = {name: getattr(complaint, name) for name in names if hasattr(complaint, name)}
    return {**named, "is_overdue": complaints.is_overdue(complaint, current_time())}


@blueprint.post("/cases/<uuid:case_id>/complaints")
@requires(Role.DISPATCHER, Role.SUPERVISOR)
@blueprint.arguments(NewComplaintSchema)
@blueprint.response(201, ComplaintSchema)
def raise_complaint(body: dict[str, Any], case_id: UUID) -> dict[str, Any]:
    """Record a complaint; all the debtor's cases stop in the same moment."""
    grievance = complaints.Grievance(**{**body, "about_staff": tuple(body["about_staff"])})
    return _shown(complaints.raise_on_case(case_id, grievance, actor=current_actor(), now=current_time()))


@blueprint.get("/complaints")
@requires(Role.DISPATCHER, Role.SUPERVISOR, Role.AUDITOR)
@blueprint.arguments(ComplaintQuerySchema, location="query")
@blueprint.response(200, ComplaintPageSchema)
def page(query: dict[str, Any]) -> dict[str, Any]:
    """List complaints, oldest first."""
    found = complaints.list_complaints(**query, now=current_time())
    last = found[-1].id if len(found) == query["limit"] else None
    return {"complaints": [_shown(one) for one in found], "next": last}


@blueprint.get("/complaints/<uuid:complaint_id>")
@requires(Role.SUPERVISOR, Role.AUDITOR)
@blueprint.response(200, ComplaintFileSchema)
def one(complaint_id: UUID) -> dict[str, Any]:
    """Return a complaint with everything written about it; the read is logged."""
    file = complaints.read_complaint(complaint_id, actor=current_actor(), now=current_time())
    return {**_shown(file.complaint, ComplaintFileSchema()), "events": file.events}


@blueprint.post("/complaints/<uuid:complaint_id>/takeover")
@requires(Role.SUPERVISOR)
@blueprint.response(200, ComplaintSchema)
def take_over(complaint_id: UUID) -> dict[str, Any]:
    """Become the supervisor in charge."""
    return _shown(handling.take_over(complaint_id, actor=current_actor(), now=current_time()))


@blueprint.put("/complaints/<uuid:complaint_id>/assessment")
@requires(Role.SUPERVISOR)
@blueprint.arguments(AssessmentSchema)
@blueprint.response(200, ComplaintSchema)
def assess(body: dict[str, Any], complaint_id: UUID) -> dict[str, Any]:
    """Write down level, effect, merits and dangers; the client is told of what it must know."""
    assessment = handling.Assessment(**body)
    return _shown(handling.assess(complaint_id, assessment, actor=current_actor(), now=current_time()))


@blueprint.post("/complaints/<uuid:complaint_id>/events")
@requires(Role.SUPERVISOR)
@blueprint.arguments(NewEventSchema)
@blueprint.response(201, ComplaintSchema)
def add_event(body: dict[str, Any], complaint_id: UUID) -> dict[str, Any]:
    """Write into the history whom the supervisor contacted, and what was said."""
    return _shown(handling.add_note(complaint_id, **body, actor=current_actor(), now=current_time()))


@blueprint.post("/complaints/<uuid:complaint_id>/escalate")
@requires(Role.SUPERVISOR)
@blueprint.response(200, ComplaintSchema)
def escalate(complaint_id: UUID) -> dict[str, Any]:
    """Draft the notice to the client that the complaint will go further."""
    return _shown(handling.escalate(complaint_id, actor=current_actor(), now=current_time()))


@blueprint.post("/complaints/<uuid:complaint_id>/resolve")
@requires(Role.SUPERVISOR)
@blueprint.arguments(ResolutionSchema)
@blueprint.response(200, ComplaintSchema)
def resolve(body: dict[str, Any], complaint_id: UUID) -> dict[str, Any]:
    """End a complaint with its outcome; its hold may then be released."""
    return _shown(handling.resolve(complaint_id, **body, actor=current_actor(), now=current_time()))


@blueprint.post("/complaints/<uuid:complaint_id>/close")
@requires(Role.SUPERVISOR)
@blueprint.arguments(ClosureSchema)
@blueprint.response(200, ComplaintSchema)
def close(body: dict[str, Any], complaint_id: UUID) -> dict[str, Any]:
    """Close a resolved complaint; one that was right needs cause, education and prevention."""
    merits = body.pop("merits")
    actor, now = current_actor(), current_time()
    return _shown(handling.close(complaint_id, merits=merits, lessons=Lessons(**body), actor=actor, now=now))

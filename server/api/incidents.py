"""Incidents: what happened to people or things on a visit, and who was told.

Lists never carry what people wrote; one incident does, and its reading is logged.
"""

from typing import Any
from uuid import UUID

import marshmallow as ma
from marshmallow import validate

from server.api.auth import current_actor, current_time, requires
from server.api.complaints import EventSchema, LessonsSchema
from server.api.transport import Blueprint, Instant
from server.authority import Role
from server.models.casework import INCIDENT_KINDS, INCIDENT_STATES, Incident
from server.workflows import incidents
from server.workflows.casework_history import Lessons

blueprint = Blueprint("incidents", __name__, description="What happened to people or things on a visit")
KIND = validate.OneOf(INCIDENT_KINDS)


class NewIncidentSchema(ma.Schema):
    """What happened. Without a case nothing is stopped and no client is told."""

    kind = ma.fields.String(required=True, validate=KIND)
    text = ma.fields.String(required=True, validate=validate.Length(1, 10_000))
    occurred_at = Instant(required=True)
    case_id = ma.fields.UUID(load_default=None, allow_none=True)
    visit_id = ma.fields.UUID(load_default=None, allow_none=True)


class IncidentSchema(ma.Schema):
    """An incident in a list. `leadership_due_at` null: the leadership need not be told."""

    id = ma.fields.UUID()
    kind = ma.fields.String()
    case_id = ma.fields.UUID(allow_none=True)
    debtor_id = ma.fields.UUID(allow_none=True)
    hold_id = ma.fields.UUID(allow_none=True)
    visit_id = ma.fields.UUID(allow_none=True)
    occurred_at = ma.fields.AwareDateTime()
    raised_at = ma.fields.AwareDateTime()
    raised_by = ma.fields.UUID(allow_none=True)
    raised_by_item = ma.fields.UUID(allow_none=True)
    state = ma.fields.String()
    leadership_due_at = ma.fields.AwareDateTime(allow_none=True)
    leadership_told_at = ma.fields.AwareDateTime(allow_none=True)
    leadership_told_by = ma.fields.UUID(allow_none=True)
    closed_at = ma.fields.AwareDateTime(allow_none=True)


class IncidentFileSchema(IncidentSchema):
    """An incident with everything written about it."""

    text = ma.fields.String()
    cause = ma.fields.String(allow_none=True)
    education = ma.fields.String(allow_none=True)
    prevention = ma.fields.String(allow_none=True)
    events = ma.fields.List(ma.fields.Nested(EventSchema))


class IncidentQuerySchema(ma.Schema):
    """Which incidents, and where the page starts."""

    state = ma.fields.String(load_default=None, validate=validate.OneOf(INCIDENT_STATES))
    kind = ma.fields.String(load_default=None, validate=KIND)
    is_leadership_untold = ma.fields.Boolean(load_default=None)
    after = ma.fields.UUID(load_default=None)
    limit = ma.fields.Integer(load_default=50, validate=validate.Range(1, 200))


class IncidentPageSchema(ma.Schema):
    """One page, oldest first; `next` is null on the last."""

    incidents = ma.fields.List(ma.fields.Nested(IncidentSchema))
    next = ma.fields.UUID(allow_none=True)


class LeadershipSchema(ma.Schema):
    """Who of the leadership was told, and what came of the incident."""

    to = ma.fields.String(required=True, validate=validate.Length(1, 200))
    outcome = ma.fields.String(required=True, validate=validate.Length(1, 4000))


@blueprint.post("/incidents")
@requires(Role.DISPATCHER, Role.SUPERVISOR)
@blueprint.arguments(NewIncidentSchema)
@blueprint.response(201, IncidentSchema)
def raise_incident(body: dict[str, Any]) -> Incident:
    """Record an incident; force, or a threat of it, stops the case in the same moment."""
    case_id = body.pop("case_id")
    happening = incidents.Happening(**body)
    return incidents.raise_from_office(case_id, happening, actor=current_actor(), now=current_time())


@blueprint.get("/incidents")
@requires(Role.DISPATCHER, Role.SUPERVISOR, Role.AUDITOR)
@blueprint.arguments(IncidentQuerySchema, location="query")
@blueprint.response(200, IncidentPageSchema)
def page(query: dict[str, Any]) -> dict[str, Any]:
    """List incidents, oldest first."""
    found = incidents.list_incidents(**query)
    return {"incidents": found, "next": found[-1].id if len(found) == query["limit"] else None}


@blueprint.get("/incidents/<uuid:incident_id>")
@requires(Role.SUPERVISOR, Role.AUDITOR)
@blueprint.response(200, IncidentFileSchema)
def one(incident_id: UUID) -> dict[str, Any]:
    """Return an incident with everything written about it; the read is logged."""
    file = incidents.read_incident(incident_id, actor=current_actor(), now=current_time())
    names = IncidentFileSchema().fields
    named = {name: getattr(file.incident, name) for name in names if hasattr(file.incident, name)}
    return {**named, "events": file.events}


@blueprint.post("/incidents/<uuid:incident_id>/leadership-told")
@requires(Role.SUPERVISOR)
@blueprint.arguments(LeadershipSchema)
@blueprint.response(200, IncidentSchema)
def tell_leadership(body: dict[str, Any], incident_id: UUID) -> Incident:
    """Record that the leadership was told what happened and what came of it."""
    return incidents.tell_leadership(incident_id, **body, actor=current_actor(), now=current_time())


@blueprint.post("/incidents/<uuid:incident_id>/close")
@requires(Role.SUPERVISOR)
@blueprint.arguments(LessonsSchema)
@blueprint.response(200, IncidentSchema)
def close(body: dict[str, Any], incident_id: UUID) -> Incident:
    """Close an incident with cause, education and prevention, once everybody was told."""
    lessons = Lessons(**body)
    return incidents.close(incident_id, lessons=lessons, actor=current_actor(), now=current_time())

"""Breaches: what follows from findings that stand, and what was learned."""

from typing import Any
from uuid import UUID

import marshmallow as ma
from marshmallow import validate

from server.api.auth import current_actor, current_time, requires
from server.api.transport import Blueprint
from server.authority import Role
from server.models.breaches import BREACH_STATES
from server.workflows import audit
from server.workflows.auditing import breaches
from server.workflows.auditing.breaches import Shown, Wanted
from server.workflows.casework_history import Lessons

blueprint = Blueprint("breaches", __name__, url_prefix="/breaches", description="Breaches and their lessons")
WORDS = validate.Length(1, 4000)


class BreachWantedSchema(ma.Schema):
    """Whose breach, from which standing findings, with which complaints."""

    staff_id = ma.fields.UUID(required=True)
    finding_ids = ma.fields.List(ma.fields.UUID(), required=True, validate=validate.Length(1, 100))
    complaint_ids = ma.fields.List(ma.fields.UUID(), load_default=list, validate=validate.Length(0, 100))
    summary = ma.fields.String(load_default="", validate=validate.Length(0, 4000))


class BreachEndingSchema(ma.Schema):
    """How a breach ended: closed with its lessons (GOV1), or withdrawn with a reason."""

    outcome = ma.fields.String()
    cause = ma.fields.String()
    education = ma.fields.String()
    prevention = ma.fields.String()
    reason = ma.fields.String()
    ended_by = ma.fields.UUID()
    ended_at = ma.fields.AwareDateTime()


class BreachSchema(ma.Schema):
    """One person's breach. `repeats` are earlier ones of the same kind: the measure is discipline (E8)."""

    id = ma.fields.UUID(attribute="breach.id")
    staff_id = ma.fields.UUID(attribute="breach.staff_id")
    state = ma.fields.String(metadata={"description": "open, closed or withdrawn"})
    measure = ma.fields.String(attribute="breach.measure", metadata={"description": "coaching or discipline"})
    repeats = ma.fields.List(ma.fields.UUID(), attribute="breach.repeats")
    checks = ma.fields.List(ma.fields.String(), attribute="breach.checks")
    finding_ids = ma.fields.List(ma.fields.UUID(), attribute="breach.finding_ids")
    complaint_ids = ma.fields.List(ma.fields.UUID(), attribute="breach.complaint_ids")
    summary = ma.fields.String(attribute="breach.summary")
    opened_by = ma.fields.UUID(attribute="breach.opened_by")
    opened_at = ma.fields.AwareDateTime(attribute="breach.opened_at")
    ending = ma.fields.Nested(BreachEndingSchema, allow_none=True)


class BreachQuerySchema(ma.Schema):
    """Which breaches."""

    staff_id = ma.fields.UUID(load_default=None)
    state = ma.fields.String(load_default=None, validate=validate.OneOf(BREACH_STATES))
    after = ma.fields.UUID(load_default=None)
    limit = ma.fields.Integer(load_default=50, validate=validate.Range(1, 200))


class BreachPageSchema(ma.Schema):
    """One page of breaches, newest first; `next` is null on the last."""

    breaches = ma.fields.List(ma.fields.Nested(BreachSchema))
    next = ma.fields.UUID(allow_none=True)


class BreachLessonsSchema(ma.Schema):
    """Without all three a breach does not close (GOV1)."""

    cause = ma.fields.String(load_default="", validate=validate.Length(0, 4000))
    education = ma.fields.String(load_default="", validate=validate.Length(0, 4000))
    prevention = ma.fields.String(load_default="", validate=validate.Length(0, 4000))


class BreachWithdrawalSchema(ma.Schema):
    """Why it should not have been opened."""

    reason = ma.fields.String(required=True, validate=WORDS)


@blueprint.post("")
@requires(Role.AUDITOR, Role.SUPERVISOR)
@blueprint.arguments(BreachWantedSchema)
@blueprint.response(201, BreachSchema)
def open_breach(body: dict[str, Any]) -> Shown:
    """Open a breach from findings that stand, once the visitor was heard."""
    return breaches.open_breach(Wanted(**body), actor=current_actor(), now=current_time())


@blueprint.get("")
@requires(Role.AUDITOR, Role.SUPERVISOR)
@blueprint.arguments(BreachQuerySchema, location="query")
@blueprint.response(200, BreachPageSchema)
def page(query: dict[str, Any]) -> dict[str, Any]:
    """List breaches, newest first. The look is logged."""
    found = breaches.list_breaches(**query)
    audit.log_breaches_read([shown.breach.id for shown in found], actor=current_actor(), now=current_time())
    return {"breaches": found, "next": found[-1].breach.id if len(found) == query["limit"] else None}


@blueprint.get("/<uuid:breach_id>")
@requires(Role.AUDITOR, Role.SUPERVISOR)
@blueprint.response(200, BreachSchema)
def one(breach_id: UUID) -> Shown:
    """Return one breach and how it ended. The look is logged."""
    found = breaches.find_breach(breach_id)
    audit.log_breaches_read([breach_id], actor=current_actor(), now=current_time())
    return found


@blueprint.post("/<uuid:breach_id>/close")
@requires(Role.SUPERVISOR)
@blueprint.arguments(BreachLessonsSchema)
@blueprint.response(200, BreachSchema)
def close(body: dict[str, str], breach_id: UUID) -> Shown:
    """Close a breach with cause, education and prevention (GOV1)."""
    return breaches.close(breach_id, Lessons(**body), actor=current_actor(), now=current_time())


@blueprint.post("/<uuid:breach_id>/withdraw")
@requires(Role.SUPERVISOR)
@blueprint.arguments(BreachWithdrawalSchema)
@blueprint.response(200, BreachSchema)
def withdraw(body: dict[str, str], breach_id: UUID) -> Shown:
    """Take a breach back that should not have been opened."""
    return breaches.withdraw(breach_id, reason=body["reason"], actor=current_actor(), now=current_time())

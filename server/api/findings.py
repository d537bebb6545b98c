"""Findings: what does not fit, worst first, and what auditors say of it."""

from typing import Any
from uuid import UUID

import marshmallow as ma
from marshmallow import validate

from server.api.auth import current_actor, current_time, requires
from server.api.transport import Blueprint
from server.authority import Role
from server.models.findings import Finding
from server.workflows import audit

blueprint = Blueprint("findings", __name__, url_prefix="/findings", description="Findings and decisions")
STATES = ["open", "superseded", "confirmed", "dismissed"]
SEVERITIES = ["severe", "serious", "minor", "note"]


class FindingSchema(ma.Schema):
    """One thing that does not fit, and what to look at."""

    id = ma.fields.UUID()
    visit_id = ma.fields.UUID()
    check = ma.fields.String()
    rule = ma.fields.String()
    severity = ma.fields.String()
    confidence = ma.fields.Float()
    claim = ma.fields.String()
    observation = ma.fields.Dict()
    citation = ma.fields.Dict()
    found_at = ma.fields.AwareDateTime()
    state = ma.fields.String()
    decided_by = ma.fields.UUID()
    decided_at = ma.fields.AwareDateTime()
    reason = ma.fields.String()


class FindingQuerySchema(ma.Schema):
    """Which findings."""

    state = ma.fields.String(load_default="open", validate=validate.OneOf([*STATES, "all"]))
    severity = ma.fields.String(load_default=None, validate=validate.OneOf(SEVERITIES))
    check = ma.fields.String(load_default=None, validate=validate.Length(max=64))
    visit_id = ma.fields.UUID(load_default=None)
    after = ma.fields.UUID(load_default=None)
    limit = ma.fields.Integer(load_default=50, validate=validate.Range(1, 200))


class FindingPageSchema(ma.Schema):
    """One page of findings, worst first; `next` is null on the last."""

    findings = ma.fields.List(ma.fields.Nested(FindingSchema))
    next = ma.fields.UUID(allow_none=True)


class FindingDecisionSchema(ma.Schema):
    """What an auditor decides, and why."""

    decision = ma.fields.String(required=True, validate=validate.OneOf(["confirmed", "dismissed"]))
    reason = ma.fields.String(required=True, validate=validate.Length(1, 4000))


@blueprint.get("")
@requires(Role.AUDITOR, Role.SUPERVISOR)
@blueprint.arguments(FindingQuerySchema, location="query")
@blueprint.response(200, FindingPageSchema)
def page(query: dict[str, Any]) -> dict[str, Any]:
    """List findings worst first."""
    wanted = {**query, "state": None if query["state"] == "all" else query["state"]}
    findings = audit.list_findings(**wanted)
    return {
        "findings": findings,
        "next": findings[-1].id if len(findings) == query["limit"] else None,
    }


@blueprint.post("/<uuid:finding_id>/decision")
@requires(Role.AUDITOR)
@blueprint.arguments(FindingDecisionSchema)
@blueprint.response(200, FindingSchema)
def decide(body: dict[str, Any], finding_id: UUID) -> Finding:
    """Confirm or dismiss a finding. Only an auditor without a part in the visit may."""
    return audit.decide(
        finding_id,
        decision=body["decision"],
        reason=body["reason"],
        actor=current_actor(),
        now=current_time(),
    )

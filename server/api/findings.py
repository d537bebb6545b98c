"""Findings: what does not fit, worst first; what auditors, a second person and the visitor say of it."""

from typing import Any
from uuid import UUID

import marshmallow as ma
from marshmallow import validate

from server.api.auth import current_actor, current_time, requires
from server.api.transport import Blueprint
from server.authority import Role
from server.models.findings import Finding, FindingComment, SecondLook
from server.workflows import audit
from server.workflows.auditing import breaches, deciding, hearings

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
    decided_by = ma.fields.UUID(allow_none=True)
    decided_at = ma.fields.AwareDateTime(allow_none=True)
    reason = ma.fields.String()
    raised_by = ma.fields.UUID(
        allow_none=True, metadata={"description": "the auditor who saw it; null: a check found it"}
    )
    stands = ma.fields.Boolean(
        allow_none=True, metadata={"description": "what counts after a second look; null while undecided"}
    )


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


class FindingCommentSchema(ma.Schema):
    """What somebody in the office noted about a finding."""

    id = ma.fields.UUID(dump_only=True)
    author_id = ma.fields.UUID(dump_only=True)
    written_at = ma.fields.AwareDateTime(dump_only=True)
    text = ma.fields.String(required=True, validate=validate.Length(1, 4000))


class SecondLookSchema(ma.Schema):
    """What another person says of the decision, and why."""

    reviewer_id = ma.fields.UUID(dump_only=True)
    looked_at = ma.fields.AwareDateTime(dump_only=True)
    outcome = ma.fields.String(required=True, validate=validate.OneOf(["upheld", "overturned"]))
    reason = ma.fields.String(required=True, validate=validate.Length(1, 4000))


class HearingSchema(ma.Schema):
    """The right of reply: whose it is, and until when a reply is waited for of those who were never told."""

    people = ma.fields.List(ma.fields.UUID())
    opened_at = ma.fields.AwareDateTime()
    due_at = ma.fields.AwareDateTime()


class TellingSchema(ma.Schema):
    """When a person's phone was given the finding, and until when they may reply; their last one counts."""

    staff_id = ma.fields.UUID()
    device_id = ma.fields.UUID()
    told_at = ma.fields.AwareDateTime()
    due_at = ma.fields.AwareDateTime()


class FindingReplySchema(ma.Schema):
    """What a visitor answered, as their phone signed it."""

    staff_id = ma.fields.UUID()
    item_id = ma.fields.UUID()
    text = ma.fields.String()
    written_earliest = ma.fields.AwareDateTime()
    written_latest = ma.fields.AwareDateTime()
    received_at = ma.fields.AwareDateTime()
    in_time = ma.fields.Boolean()


class FindingFileSchema(ma.Schema):
    """A finding and everything that was said about it."""

    finding = ma.fields.Nested(FindingSchema)
    comments = ma.fields.List(ma.fields.Nested(FindingCommentSchema))
    second_look = ma.fields.Nested(SecondLookSchema, allow_none=True)
    hearing = ma.fields.Nested(HearingSchema, allow_none=True)
    tellings = ma.fields.List(ma.fields.Nested(TellingSchema))
    replies = ma.fields.List(ma.fields.Nested(FindingReplySchema))
    breaches = ma.fields.List(ma.fields.UUID())


@blueprint.get("")
@requires(Role.AUDITOR, Role.SUPERVISOR)
@blueprint.arguments(FindingQuerySchema, location="query")
@blueprint.response(200, FindingPageSchema)
def page(query: dict[str, Any]) -> dict[str, Any]:
    """List findings worst first. The look is logged."""
    wanted = {**query, "state": None if query["state"] == "all" else query["state"]}
    findings = audit.list_findings(**wanted, actor=current_actor(), now=current_time())
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
    return deciding.decide(
        finding_id,
        decision=body["decision"],
        reason=body["reason"],
        actor=current_actor(),
        now=current_time(),
    )


@blueprint.get("/<uuid:finding_id>")
@requires(Role.AUDITOR, Role.SUPERVISOR)
@blueprint.response(200, FindingFileSchema)
def one(finding_id: UUID) -> dict[str, Any]:
    """Return a finding with comments, second look, right of reply, replies and breaches. It is logged."""
    finding, comments, look = deciding.history_of(finding_id)
    heard = hearings.hearing_of(finding_id)
    opened = [shown.breach.id for shown in breaches.breaches_of(finding_id)]
    audit.log_finding_read(finding_id, actor=current_actor(), now=current_time())
    return {
        "finding": finding,
        "comments": comments,
        "second_look": look,
        "hearing": heard.hearing,
        "tellings": heard.tellings,
        "replies": heard.replies,
        "breaches": opened,
    }


@blueprint.post("/<uuid:finding_id>/comments")
@requires(Role.AUDITOR, Role.SUPERVISOR)
@blueprint.arguments(FindingCommentSchema)
@blueprint.response(201, FindingCommentSchema)
def comment(body: dict[str, Any], finding_id: UUID) -> FindingComment:
    """Note something about a finding. Comments stay as they were written."""
    return deciding.comment(finding_id, text=body["text"], actor=current_actor(), now=current_time())


@blueprint.post("/<uuid:finding_id>/second-look")
@requires(Role.SUPERVISOR)
@blueprint.arguments(SecondLookSchema)
@blueprint.response(200, SecondLookSchema)
def look_again(body: dict[str, Any], finding_id: UUID) -> SecondLook:
    """Uphold or overturn a decision: once, by another person without a part in the visit. Both stay."""
    return deciding.look_again(
        finding_id,
        outcome=body["outcome"],
        reason=body["reason"],
        actor=current_actor(),
        now=current_time(),
    )

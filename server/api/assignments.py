"""Assignments: the verdict before one, granting, cancelling, reassigning; and the debtor's budget."""

from datetime import date
from typing import Any
from uuid import UUID

import marshmallow as ma
from marshmallow import validate

from server.api.auth import current_actor, current_time, requires
from server.api.transport import Blueprint, Day, Instant
from server.authority import Role
from server.workflows import assignments, dispatch
from server.workflows.dispatch import WantedVisit

blueprint = Blueprint(
    "assignments", __name__, description="Dispatch: judge, assign, cancel, reassign, budget"
)
GROUNDS = ["unpaid", "unreachable", "parallel", "second_due_date", "evasive", "bad_faith"]
STATES = [
    *("issued", "acknowledged", "started", "reported", "reconciled", "closed"),
    *("cancelled", "declined", "expired"),
]
INSTANT = {"format": "date-time"}


class WindowSchema(ma.Schema):
    """When the team arrives and leaves, at the earliest and latest."""

    start = Instant(required=True)
    end = Instant(required=True)


class LetterSchema(ma.Schema):
    """A letter to deliver, of a standing template of the client. Only liable persons receive letters (H5)."""

    template = ma.fields.String(required=True, validate=validate.Length(1, 100))
    recipient = ma.fields.String(required=True, validate=validate.OneOf(["debtor", "liable_person"]))
    contact_id = ma.fields.UUID(load_default=None, allow_none=True)
    pay_by = Day(load_default=None, allow_none=True)


class TeamSchema(ma.Schema):
    """Who goes, and who answers for it."""

    team = ma.fields.List(ma.fields.UUID(), required=True, validate=validate.Length(1, 20))
    lead = ma.fields.UUID(required=True)


class WantedSchema(TeamSchema):
    """A visit somebody asks for."""

    case_id = ma.fields.UUID(required=True)
    address_id = ma.fields.UUID(required=True)
    window = ma.fields.Nested(WindowSchema, required=True)
    ground = ma.fields.String(load_default="unpaid", validate=validate.OneOf(GROUNDS))
    evidence_entry_id = ma.fields.UUID(
        load_default=None,
        allow_none=True,
        metadata={"description": "ledger entry in which the debtor asked for the visit or agreed a return"},
    )


class ApprovalSchema(ma.Schema):
    """What a supervisor adds where a reason needs approval."""

    approval_reason = ma.fields.String(load_default="", validate=validate.Length(max=2000))
    letters = ma.fields.List(
        ma.fields.Nested(LetterSchema), load_default=list, validate=validate.Length(max=20)
    )


class NewAssignmentSchema(WantedSchema, ApprovalSchema):
    """A visit to be assigned."""


class ReassignmentSchema(TeamSchema, ApprovalSchema):
    """The team that takes over."""

    reason = ma.fields.String(required=True, validate=validate.Length(1, 2000))


class CancellationSchema(ma.Schema):
    """Why an assignment ends."""

    reason = ma.fields.String(required=True, validate=validate.Length(1, 2000))


class ReasonSchema(ma.Schema):
    """One rule that speaks."""

    rule = ma.fields.String()
    slug = ma.fields.String()
    severity = ma.fields.String(validate=validate.OneOf(["block", "approval", "warn"]))
    quotation = ma.fields.String()
    facts = ma.fields.Dict(keys=ma.fields.String())
    allowed_from = ma.fields.String(allow_none=True, metadata=INSTANT)


class VerdictSchema(ma.Schema):
    """Every reason, and the first start that nothing blocks (null: never without a person's action)."""

    allowed = ma.fields.Boolean()
    needs_approval = ma.fields.Boolean()
    pack = ma.fields.String()
    judged_at = ma.fields.String(metadata=INSTANT)
    reasons = ma.fields.List(ma.fields.Nested(ReasonSchema))
    allowed_from = ma.fields.String(allow_none=True, metadata=INSTANT)


class AssignmentSchema(ma.Schema):
    """A permitted visit; `permit` is the signed envelope that the phones carry."""

    id = ma.fields.UUID()
    case_id = ma.fields.UUID()
    debtor_id = ma.fields.UUID()
    address_id = ma.fields.UUID()
    window = ma.fields.Nested(WindowSchema)
    team = ma.fields.List(ma.fields.UUID())
    lead = ma.fields.UUID()
    ground = ma.fields.String()
    state = ma.fields.String(validate=validate.OneOf(STATES))
    decision_id = ma.fields.UUID()
    approved_by = ma.fields.UUID(allow_none=True)
    approval_reason = ma.fields.String(
        metadata={"description": "why a supervisor let it pass, if it needed it"}
    )
    permit_id = ma.fields.UUID()
    permit = ma.fields.Dict(keys=ma.fields.String())
    issued_by = ma.fields.UUID()
    issued_at = ma.fields.AwareDateTime()
    ended_at = ma.fields.AwareDateTime(allow_none=True)
    ended_reason = ma.fields.String()
    replaces_id = ma.fields.UUID(allow_none=True)


class AssignmentQuerySchema(ma.Schema):
    """Which assignments, and where the page starts."""

    case_id = ma.fields.UUID()
    staff_id = ma.fields.UUID()
    state = ma.fields.String(validate=validate.OneOf(STATES))
    starts_from = Instant()
    starts_before = Instant()
    after = ma.fields.UUID(load_default=None)
    limit = ma.fields.Integer(load_default=50, validate=validate.Range(1, 200))


class AssignmentPageSchema(ma.Schema):
    """One page in the order of issue; `next` is null on the last."""

    assignments = ma.fields.List(ma.fields.Nested(AssignmentSchema))
    next = ma.fields.UUID(allow_none=True)


class BudgetQuerySchema(ma.Schema):
    """Which day of China time; today when none is named."""

    day = ma.fields.Date(load_default=None, validate=validate.Range(date(2000, 1, 1), date(2100, 1, 1)))


class BudgetSchema(ma.Schema):
    """What a debtor may still receive on a day."""

    debtor_id = ma.fields.UUID()
    day = ma.fields.Date()
    visits = ma.fields.Integer(metadata={"description": "reserved or made that day, all cases and teams"})
    cap = ma.fields.Integer()
    ceiling = ma.fields.Integer(metadata={"description": "with evidence of the debtor's own wish"})
    case_cap = ma.fields.Integer(allow_none=True)
    left = ma.fields.Integer()
    usable_evidence = ma.fields.List(ma.fields.UUID())
    is_hardship = ma.fields.Boolean()


def _wanted(body: dict[str, Any]) -> WantedVisit:
    return WantedVisit(
        case_id=body["case_id"],
        address_id=body["address_id"],
        window_start=body["window"]["start"],
        window_end=body["window"]["end"],
        team=tuple(body["team"]),
        lead=body["lead"],
        ground=body["ground"],
        evidence_entry_id=body["evidence_entry_id"],
    )


def _shown(view: assignments.AssignmentView) -> dict[str, Any]:
    one = view.assignment
    window = {"start": one.window_start, "end": one.window_end}
    named = {name: getattr(one, name) for name in AssignmentSchema().fields if hasattr(one, name)}
    approval = {"approved_by": view.approved_by, "approval_reason": view.approval_reason}
    return {**named, **approval, "window": window, "team": view.team, "lead": one.lead_id}


@blueprint.post("/assignments/check")
@requires(Role.DISPATCHER, Role.SUPERVISOR)
@blueprint.arguments(WantedSchema)
@blueprint.response(200, VerdictSchema)
def check(body: dict[str, Any]) -> dict[str, Any]:
    """Judge a visit and store nothing: every reason, and when it becomes possible."""
    return dispatch.check_assignment(_wanted(body), now=current_time()).to_json()


@blueprint.post("/assignments")
@requires(Role.DISPATCHER, Role.SUPERVISOR)
@blueprint.arguments(NewAssignmentSchema)
@blueprint.response(201, AssignmentSchema)
@blueprint.alt_response(409, description="The rules refuse the visit; the problem carries the whole verdict.")
def assign(body: dict[str, Any]) -> dict[str, Any]:
    """Assign a visit. Where only approval is missing, a supervisor repeats it with `approval_reason`."""
    assignment = dispatch.assign(
        _wanted(body),
        actor=current_actor(),
        now=current_time(),
        approval_reason=body["approval_reason"],
        letters=body["letters"],
    )
    return _shown(assignments.with_teams([assignment])[0])


@blueprint.get("/assignments")
@requires(Role.DISPATCHER, Role.SUPERVISOR, Role.AUDITOR)
@blueprint.arguments(AssignmentQuerySchema, location="query")
@blueprint.response(200, AssignmentPageSchema)
def list_page(query: dict[str, Any]) -> dict[str, Any]:
    """List assignments in the order of issue."""
    after, limit = query.pop("after"), query.pop("limit")
    found = assignments.list_assignments(filters=query, after=after, limit=limit)
    last = found[-1].assignment.id if len(found) == limit else None
    return {"assignments": [_shown(view) for view in found], "next": last}


@blueprint.get("/assignments/<uuid:assignment_id>")
@requires(Role.DISPATCHER, Role.SUPERVISOR, Role.AUDITOR)
@blueprint.response(200, AssignmentSchema)
def show(assignment_id: UUID) -> dict[str, Any]:
    """Show one assignment."""
    return _shown(assignments.with_teams([assignments.find_assignment(assignment_id)])[0])


@blueprint.post("/assignments/<uuid:assignment_id>/cancel")
@requires(Role.DISPATCHER, Role.SUPERVISOR)
@blueprint.arguments(CancellationSchema)
@blueprint.response(200, AssignmentSchema)
def cancel(body: dict[str, Any], assignment_id: UUID) -> dict[str, Any]:
    """End an open assignment; the debtor's budget is released and the phones lose it."""
    actor, now = current_actor(), current_time()
    return _shown(assignments.cancel(assignment_id, reason=body["reason"], actor=actor, now=now))


@blueprint.post("/assignments/<uuid:assignment_id>/reassign")
@requires(Role.DISPATCHER, Role.SUPERVISOR)
@blueprint.arguments(ReassignmentSchema)
@blueprint.response(201, AssignmentSchema)
@blueprint.alt_response(409, description="The rules refuse the new team; the old one keeps the visit.")
def reassign(body: dict[str, Any], assignment_id: UUID) -> dict[str, Any]:
    """Give an assignment that nobody started to another team."""
    assignment = dispatch.reassign(
        assignment_id,
        team=tuple(body["team"]),
        lead=body["lead"],
        reason=body["reason"],
        actor=current_actor(),
        now=current_time(),
        approval_reason=body["approval_reason"],
        letters=body["letters"],
    )
    return _shown(assignments.with_teams([assignment])[0])


@blueprint.get("/cases/<uuid:case_id>/budget")
@requires(Role.DISPATCHER, Role.SUPERVISOR, Role.AUDITOR)
@blueprint.arguments(BudgetQuerySchema, location="query")
@blueprint.response(200, BudgetSchema)
def budget(query: dict[str, Any], case_id: UUID) -> dict[str, Any]:
    """Say what the debtor of a case may still receive on a day."""
    now = current_time()
    found = assignments.budget_of(case_id, day=query["day"], now=now)
    return {
        "debtor_id": found.facts.case.debtor_id,
        "day": found.day,
        "visits": found.visits,
        "cap": found.pack.visits_per_day,
        "ceiling": found.pack.visits_per_day_ceiling,
        "case_cap": found.facts.case.daily_visit_cap,
        "left": found.left,
        "usable_evidence": found.usable_evidence,
        "is_hardship": bool(found.facts.case.hardship),
    }

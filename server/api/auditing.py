"""The audit: which visits wait, worst first, and which were drawn by a sampling plan."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import marshmallow as ma
from marshmallow import validate

from server.api.auth import current_actor, current_time, requires
from server.api.findings import SEVERITIES, FindingSchema
from server.api.transport import Blueprint, Day
from server.authority import Role
from server.models.auditing import Audit, AuditPlan
from server.models.findings import Finding
from server.workflows.auditing import deciding, plans, queue
from server.workflows.cases import find_client

blueprint = Blueprint("audit", __name__, url_prefix="/audit", description="The audit's queue and samples")
AUDIT = (Role.AUDITOR, Role.SUPERVISOR)


class QueueQuerySchema(ma.Schema):
    """Which waiting visits. There is no filter by team: teams are made for one assignment each."""

    branch = ma.fields.String(load_default=None, validate=validate.Length(max=200))
    staff_id = ma.fields.UUID(load_default=None, metadata={"description": "the visitor"})
    client = ma.fields.String(load_default=None, metadata={"description": "the client's reference"})
    check = ma.fields.String(load_default=None, validate=validate.Length(max=64))
    first = Day(load_default=None, metadata={"description": "first local day of the visit"})
    last = Day(load_default=None, metadata={"description": "last local day of the visit"})
    after = ma.fields.String(load_default=None, validate=validate.Length(max=80))
    limit = ma.fields.Integer(load_default=50, validate=validate.Range(1, 200))


class PartSchema(ma.Schema):
    """Some points of a score and what they are for."""

    because = ma.fields.String()
    points = ma.fields.Integer()


class QueuedVisitSchema(ma.Schema):
    """A visit that waits for an audit."""

    visit_id = ma.fields.UUID()
    score = ma.fields.Integer()
    parts = ma.fields.List(ma.fields.Nested(PartSchema), metadata={"description": "the score's sum"})
    checks = ma.fields.List(ma.fields.String(), metadata={"description": "of its undecided findings"})
    staff_id = ma.fields.UUID()
    branch = ma.fields.String()
    client_id = ma.fields.UUID(allow_none=True)
    visited_on = ma.fields.Date()


class QueuePageSchema(ma.Schema):
    """One page, worst first; `next` is null on the last."""

    visits = ma.fields.List(ma.fields.Nested(QueuedVisitSchema))
    next = ma.fields.String(allow_none=True)


class PlanWantedSchema(ma.Schema):
    """What to draw. What is left out comes from the table of weights, the seed from the server."""

    first_day = Day(required=True)
    last_day = Day(required=True)
    branch = ma.fields.String(load_default=None, allow_none=True, validate=validate.Length(max=200))
    size = ma.fields.Integer(load_default=None, allow_none=True, validate=validate.Range(1, 10_000))
    control_percent = ma.fields.Integer(load_default=None, allow_none=True, validate=validate.Range(0, 100))
    seed = ma.fields.String(load_default=None, allow_none=True, validate=validate.Length(1, 200))


class AuditPlanSchema(ma.Schema):
    """One draw: period, size, share by lot, seed, weights, and how many visits it was drawn from."""

    id = ma.fields.UUID()
    first_day = ma.fields.Date()
    last_day = ma.fields.Date()
    branch = ma.fields.String(allow_none=True)
    size = ma.fields.Integer()
    control_percent = ma.fields.Integer()
    seed = ma.fields.String()
    weights = ma.fields.String()
    weights_used = ma.fields.Dict()
    population = ma.fields.Integer()
    drawn_sha256 = ma.fields.Function(lambda plan: plan.drawn_sha256.hex())
    made_by = ma.fields.UUID()
    made_at = ma.fields.AwareDateTime()


class ArmSchema(ma.Schema):
    """What came of one arm. Much at fault in `control` means that the score misses it."""

    arm = ma.fields.String(metadata={"description": "risk or control"})
    drawn = ma.fields.Integer()
    audited = ma.fields.Integer()
    at_fault = ma.fields.Integer(metadata={"description": "audited, with a finding that stands"})
    unscored_at_fault = ma.fields.Integer(metadata={"description": "of those, with a score of 0 at the draw"})


class PlanResultsSchema(ma.Schema):
    """A plan and what came of it so far."""

    plan = ma.fields.Nested(AuditPlanSchema)
    arms = ma.fields.List(ma.fields.Nested(ArmSchema))


class AuditPlanPageQuerySchema(ma.Schema):
    """Where the page of plans starts."""

    after = ma.fields.UUID(load_default=None)
    limit = ma.fields.Integer(load_default=50, validate=validate.Range(1, 200))


class AuditPlanPageSchema(ma.Schema):
    """One page of plans, newest first; `next` is null on the last."""

    plans = ma.fields.List(ma.fields.Nested(AuditPlanSchema))
    next = ma.fields.UUID(allow_none=True)


class DrawnQuerySchema(ma.Schema):
    """Where the page of drawn visits starts: the place of the last one seen."""

    after = ma.fields.Integer(load_default=0, validate=validate.Range(0, 10_000))
    limit = ma.fields.Integer(load_default=50, validate=validate.Range(1, 200))


class DrawnVisitSchema(ma.Schema):
    """A drawn visit. Its arm is told once it was audited: whoever knows the lot looks less."""

    visit_id = ma.fields.UUID()
    place = ma.fields.Integer()
    state = ma.fields.String(metadata={"description": "waiting or audited"})
    staff_id = ma.fields.UUID()
    branch = ma.fields.String()
    visited_on = ma.fields.Date()
    arm = ma.fields.String(allow_none=True)


class DrawnPageSchema(ma.Schema):
    """One page of drawn visits; `next` is null on the last."""

    visits = ma.fields.List(ma.fields.Nested(DrawnVisitSchema))
    next = ma.fields.Integer(allow_none=True)


class DrawnAgainSchema(ma.Schema):
    """Whether the same population and seed draw the same visits again."""

    population = ma.fields.Integer()
    differing = ma.fields.Integer()
    is_same = ma.fields.Boolean()


class CitationSchema(ma.Schema):
    """What to look at."""

    evidence_id = ma.fields.UUID(load_default=None, allow_none=True)
    second = ma.fields.Float(load_default=None, allow_none=True, validate=validate.Range(0, 1_000_000))


class RaisedSchema(ma.Schema):
    """What an auditor saw that no check found."""

    rule = ma.fields.String(required=True, validate=validate.Length(1, 16))
    severity = ma.fields.String(required=True, validate=validate.OneOf(SEVERITIES))
    words = ma.fields.String(required=True, validate=validate.Length(1, 4000))
    citation = ma.fields.Nested(CitationSchema, load_default=dict)


class ConclusionSchema(ma.Schema):
    """What was looked at, and how the visit stands."""

    id = ma.fields.UUID(dump_only=True)
    visit_id = ma.fields.UUID(dump_only=True)
    auditor_id = ma.fields.UUID(dump_only=True)
    concluded_at = ma.fields.AwareDateTime(dump_only=True)
    outcome = ma.fields.String(dump_only=True, metadata={"description": "sound or not_sound"})
    note = ma.fields.String(required=True, validate=validate.Length(1, 4000))


@blueprint.get("/queue")
@requires(*AUDIT)
@blueprint.arguments(QueueQuerySchema, location="query")
@blueprint.response(200, QueuePageSchema)
def waiting(query: dict[str, Any]) -> dict[str, Any]:
    """List visits that wait for an audit, worst first. The look is logged."""
    client = query.pop("client")
    after, limit = query.pop("after"), query.pop("limit")
    chosen = queue.Chosen(**query, client_id=None if client is None else find_client(client).id)
    page = queue.waiting(chosen, after=after, limit=limit, actor=current_actor(), now=current_time())
    return {"visits": page.rows, "next": page.next}


@blueprint.post("/plans")
@requires(*AUDIT)
@blueprint.arguments(PlanWantedSchema)
@blueprint.response(201, AuditPlanSchema)
def draw(body: dict[str, Any]) -> AuditPlan:
    """Draw visits of a period: some by lot, the others worst first. The draw is kept and logged."""
    return plans.draw(plans.Wanted(**body), actor=current_actor(), now=current_time())


@blueprint.get("/plans")
@requires(*AUDIT)
@blueprint.arguments(AuditPlanPageQuerySchema, location="query")
@blueprint.response(200, AuditPlanPageSchema)
def list_plans(query: dict[str, Any]) -> dict[str, Any]:
    """List sampling plans, newest first."""
    found = plans.list_plans(**query)
    return {"plans": found, "next": found[-1].id if len(found) == query["limit"] else None}


@blueprint.get("/plans/<uuid:plan_id>")
@requires(*AUDIT)
@blueprint.response(200, PlanResultsSchema)
def one_plan(plan_id: UUID) -> dict[str, Any]:
    """Return a plan and what each arm brought so far."""
    return {"plan": plans.find_plan(plan_id), "arms": plans.results(plan_id)}


@blueprint.get("/plans/<uuid:plan_id>/visits")
@requires(*AUDIT)
@blueprint.arguments(DrawnQuerySchema, location="query")
@blueprint.response(200, DrawnPageSchema)
def drawn(query: dict[str, Any], plan_id: UUID) -> dict[str, Any]:
    """List the drawn visits in an order that does not tell their arms. The look is logged."""
    rows: Sequence[Any] = plans.drawn_visits(plan_id, **query, actor=current_actor(), now=current_time())
    return {"visits": rows, "next": rows[-1].place if len(rows) == query["limit"] else None}


@blueprint.get("/plans/<uuid:plan_id>/redraw")
@requires(*AUDIT)
@blueprint.response(200, DrawnAgainSchema)
def redraw(plan_id: UUID) -> plans.DrawnAgain:
    """Draw a plan again from its kept population and seed, and compare."""
    return plans.draw_again(plan_id)


@blueprint.post("/visits/<uuid:visit_id>/findings")
@requires(Role.AUDITOR)
@blueprint.arguments(RaisedSchema)
@blueprint.response(201, FindingSchema)
def raise_finding(body: dict[str, Any], visit_id: UUID) -> Finding:
    """Write down what no check found. It is decided like any other finding."""
    told = {name: value for name, value in body["citation"].items() if value is not None}
    return deciding.raise_finding(
        visit_id,
        rule=body["rule"],
        severity=body["severity"],
        words=body["words"],
        citation={name: str(value) if isinstance(value, UUID) else value for name, value in told.items()},
        actor=current_actor(),
        now=current_time(),
    )


@blueprint.post("/visits/<uuid:visit_id>/conclusion")
@requires(Role.AUDITOR)
@blueprint.arguments(ConclusionSchema)
@blueprint.response(201, ConclusionSchema)
def conclude(body: dict[str, Any], visit_id: UUID) -> Audit:
    """Say that a visit was audited; every finding must have been decided. It leaves the queue."""
    return deciding.conclude(visit_id, note=body["note"], actor=current_actor(), now=current_time())

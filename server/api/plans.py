"""Day plans: proposed, looked at, accepted stop by stop."""

from typing import Any
from uuid import UUID

from server.api.auth import current_actor, current_time, requires
from server.api.plan_forms import (
    AcceptanceSchema,
    AcceptedSchema,
    LeftOutPageSchema,
    LeftOutQuerySchema,
    NewPlanSchema,
    PlanPageSchema,
    PlanQuerySchema,
    PlanSchema,
    StopPageSchema,
    StopQuerySchema,
)
from server.api.transport import Blueprint
from server.authority import Role
from server.models.plans import Plan
from server.planning.plan import explained
from server.planning.problem import Point
from server.workflows.cases import find_client
from server.workflows.plans import accepting, asking
from server.workflows.plans.asking import Asked, AskedHours, AskedTeam

blueprint = Blueprint("plans", __name__, url_prefix="/plans", description="Who visits whom on a day")


@blueprint.post("")
@requires(Role.DISPATCHER, Role.SUPERVISOR)
@blueprint.arguments(NewPlanSchema)
@blueprint.response(202, PlanSchema)
def ask(body: dict[str, Any]) -> dict[str, Any]:
    """Have a day planned. The answer comes at once; the plan is made by a worker, `GET` it by its id.

    Candidates are the cases named; or the open cases (of a client) with a point near a team's start and no
    visit on that day yet, what falls due first in front, until enough that may be visited are found. Nothing
    is reserved by a plan.
    """
    client_id = body["client"] and find_client(body["client"]).id
    return _shown(asking.ask(_asked(body, client_id), actor=current_actor(), now=current_time()))


def _asked(body: dict[str, Any], client_id: UUID | None) -> Asked:
    same = ("day", "within_km", "most_candidates", "minutes", "with_approval", "kmh", "overhead_minutes")
    return Asked(
        **{name: body[name] for name in same},
        teams=tuple(map(_team, body["teams"])),
        case_ids=None if body["case_ids"] is None else tuple(dict.fromkeys(body["case_ids"])),
        client_id=client_id,
        hours=tuple(
            AskedHours(one["case_id"], one["from"], one["until"], one["minutes"]) for one in body["hours"]
        ),
    )


def _team(body: dict[str, Any]) -> AskedTeam:
    def point(place: dict[str, float] | None) -> Point | None:
        return None if place is None else Point(place["latitude"], place["longitude"])

    start = point(body["start"])
    assert start is not None
    return AskedTeam(
        members=tuple(body["members"]),
        lead=body["lead"],
        works=(body["works"]["from"], body["works"]["until"]),
        start=start,
        end=point(body["end"]),
        breaks=tuple((one["from"], one["until"]) for one in body["breaks"]),
        most_stops=body["most_stops"],
    )


@blueprint.get("")
@requires(Role.DISPATCHER, Role.SUPERVISOR, Role.AUDITOR)
@blueprint.arguments(PlanQuerySchema, location="query")
@blueprint.response(200, PlanPageSchema)
def page(query: dict[str, Any]) -> dict[str, Any]:
    """List the plans, newest first."""
    found = asking.list_plans(day=query["day"], after=query["after"], limit=query["limit"])
    last = found[-1].id if len(found) == query["limit"] else None
    return {"plans": [_shown(plan) for plan in found], "next": last}


@blueprint.get("/<uuid:plan_id>")
@requires(Role.DISPATCHER, Role.SUPERVISOR, Role.AUDITOR)
@blueprint.response(200, PlanSchema)
def show(plan_id: UUID) -> dict[str, Any]:
    """Show how far a plan is; when it is ready, its sums and the reasons for what was left out, counted."""
    return _shown(asking.find_plan(plan_id))


def _shown(plan: Plan) -> dict[str, Any]:
    names = ("id", "day", "state", "fault", "requested_by", "requested_at", "started_at", "finished_at")
    asked = asking.asked_of(plan)
    sums = plan.sums or None
    return {
        **{name: getattr(plan, name) for name in names},
        "progress": {"phase": plan.phase, "done": plan.done, "total": plan.total},
        "travel": {"kmh": asked.kmh, "overhead_minutes": asked.overhead_minutes},
        "minutes": asked.minutes,
        "with_approval": asked.with_approval,
        "teams": [
            {"no": no, "members": team.members, "lead": team.lead, **(sums["teams"][no] if sums else {})}
            for no, team in enumerate(asked.teams)
        ],
        "sums": sums,
    }


@blueprint.get("/<uuid:plan_id>/stops")
@requires(Role.DISPATCHER, Role.SUPERVISOR, Role.AUDITOR)
@blueprint.arguments(StopQuerySchema, location="query")
@blueprint.response(200, StopPageSchema)
def stops(query: dict[str, Any], plan_id: UUID) -> dict[str, Any]:
    """List the proposed visits, team by team in the order of the day, and what became of them."""
    found = asking.list_stops(plan_id, team_no=query["team_no"], after=query["after"], limit=query["limit"])
    return {"stops": found, "next": found[-1].place if len(found) == query["limit"] else None}


@blueprint.get("/<uuid:plan_id>/left-out")
@requires(Role.DISPATCHER, Role.SUPERVISOR, Role.AUDITOR)
@blueprint.arguments(LeftOutQuerySchema, location="query")
@blueprint.response(200, LeftOutPageSchema)
def left_out(query: dict[str, Any], plan_id: UUID) -> dict[str, Any]:
    """List the candidates that are no stop, each with the one reason why."""
    found = asking.list_left_out(plan_id, why=query["why"], after=query["after"], limit=query["limit"])
    names = ("case_id", "why", "rule", "slug", "allowed_from")
    shown = [
        {name: getattr(one, name) for name in names} | {"explanation": explained(one.why)} for one in found
    ]
    return {"left_out": shown, "next": found[-1].case_id if len(found) == query["limit"] else None}


@blueprint.post("/<uuid:plan_id>/cancel")
@requires(Role.DISPATCHER, Role.SUPERVISOR)
@blueprint.response(200, PlanSchema)
@blueprint.alt_response(409, description="The plan is ready or has failed.")
def cancel(plan_id: UUID) -> dict[str, Any]:
    """Stop computing a plan. Safe to repeat."""
    return _shown(asking.cancel(plan_id, now=current_time()))


@blueprint.post("/<uuid:plan_id>/acceptances")
@requires(Role.DISPATCHER, Role.SUPERVISOR)
@blueprint.arguments(AcceptanceSchema)
@blueprint.response(200, AcceptedSchema)
@blueprint.alt_response(409, description="The plan is not ready.")
def accept(body: dict[str, Any], plan_id: UUID) -> dict[str, Any]:
    """Assign chosen stops, each judged again now; what is refused says why, the rest goes on.

    Send it again after a lost answer, or while `remaining` is not 0: a stop becomes one assignment. One
    refused before is tried again only when it is named in `stop_ids`.
    """
    chosen = accepting.Chosen(
        stop_ids=None if body["stop_ids"] is None else tuple(body["stop_ids"]),
        team_nos=None if body["team_nos"] is None else tuple(body["team_nos"]),
    )
    done = accepting.accept(
        plan_id,
        chosen,
        actor=current_actor(),
        now=current_time(),
        approval_reason=body["approval_reason"],
    )
    return {"outcomes": done.outcomes, "remaining": done.remaining}

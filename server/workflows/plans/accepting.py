"""Which of the proposed visits are assigned?

Only what the dispatcher chose, stop by stop, each in its own transaction and by the same path as any other
assignment: judged again with the facts of now, under the debtor's lock. What changed since the plan is
refused with its reasons, and the rest goes on. So is a second visit of a debtor's day that the rules would
let pass (A3) and nobody meant, because another dispatcher gave the first one meanwhile. A stop becomes one
assignment: chosen again, after an answer was lost, it gives the same one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from server.authority import Actor
from server.database import db, release_connection, transaction
from server.errors import Conflict, DomainError, Fault, Invalid
from server.models.dispatch import ENDED_EARLY, Assignment
from server.models.plans import Plan, PlanStop
from server.rules.facts import WantedVisit
from server.workflows.dispatch import assign
from server.workflows.plans.asking import Asked, asked_of, find_plan
from server.workflows.standing_packs import local_zone

MOST_AT_ONCE: Final = 100
"""Stops that one call tries to assign; whoever chose more calls again."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Stops by their ids, or all of some teams, or (neither named) all of the plan.

    Only those named by id are tried again after a refusal.
    """

    stop_ids: tuple[UUID, ...] | None = None
    team_nos: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a chosen stop: an assignment, or a refusal (the verdict, or another problem)."""

    stop_id: UUID
    case_id: UUID
    assignment_id: UUID | None = None
    refusal: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of the chosen stops; `remaining` were not tried yet."""

    outcomes: tuple[Outcome, ...]
    remaining: int


class StopClaim:
    """A stop that an assignment settles (`dispatch.Claim`)."""

    def __init__(self, stop_id: UUID, *, actor: Actor, now: datetime) -> None:
        self._stop_id, self._actor, self._now = stop_id, actor, now

    def served_by(self) -> UUID | None:
        """Return the assignment that the stop became, if any; nobody else settles it meanwhile."""
        query = sa.select(PlanStop.assignment_id).where(PlanStop.id == self._stop_id)
        return db.session.scalar(query.with_for_update())

    def serve(self, assignment: Assignment) -> None:
        """Note the assignment on the stop; Conflict where the debtor got another visit since the plan."""
        self._require_no_other(assignment)
        accepted = {"assignment_id": assignment.id, "accepted_at": self._now}
        accepted |= {"accepted_by": self._actor.staff_id, "refused_at": None, "refusal": None}
        _note(self._stop_id, **accepted)

    def _require_no_other(self, assignment: Assignment) -> None:
        zone = local_zone()
        of_the_plan = aliased(PlanStop)
        other = db.session.execute(
            sa.select(Assignment.id, Assignment.window_start)
            .select_from(PlanStop)
            .join(Plan, Plan.id == PlanStop.plan_id)
            .join(Assignment, Assignment.issued_at > Plan.requested_at)
            .where(
                PlanStop.id == self._stop_id,
                Assignment.debtor_id == assignment.debtor_id,
                Assignment.state.not_in(ENDED_EARLY),
                Assignment.id != assignment.id,
                sa.cast(sa.func.timezone(zone.key, Assignment.window_start), sa.Date) == Plan.day,
                ~sa.exists().where(
                    of_the_plan.plan_id == Plan.id, of_the_plan.assignment_id == Assignment.id
                ),
            )
            .order_by(Assignment.window_start)
            .limit(1)
        ).first()
        if other is not None:
            at = other.window_start.astimezone(zone)
            detail = (
                f"Since this plan was asked for, the debtor was given another visit, on {at:%Y-%m-%d} at "
                f"{at:%H:%M}. If a second one that day is meant, assign it by hand."
            )
            raise Conflict("debtor-visited-meanwhile", detail, assignment_id=str(other.id))


def accept(
    plan_id: UUID, chosen: Chosen, *, actor: Actor, now: datetime, approval_reason: str = ""
) -> Accepted:
    """Assign the chosen stops, as many as one call may; say of each what became of it."""
    plan = find_plan(plan_id)
    if plan.state != "ready":
        detail = f"The plan is {plan.state}; only one that is ready can be accepted."
        raise Conflict("plan-not-ready", detail, state=plan.state)
    asked = asked_of(plan)
    stops = _load(plan_id, chosen)
    release_connection()
    outcomes: list[Outcome] = []
    tried = remaining = 0
    for stop in stops:
        is_refused = stop.refused_at is not None and chosen.stop_ids is None
        if stop.assignment_id is not None or is_refused:
            outcomes.append(Outcome(stop.id, stop.case_id, stop.assignment_id, stop.refusal))
        elif tried == MOST_AT_ONCE:
            remaining += 1
        else:
            tried += 1
            outcomes.append(_try(stop, asked, actor=actor, now=now, approval_reason=approval_reason))
    return Accepted(tuple(outcomes), remaining)


def _load(plan_id: UUID, chosen: Chosen) -> Sequence[PlanStop]:
    """Return the chosen stops in the order of the plan; Invalid when one is not of this plan."""
    query = sa.select(PlanStop).where(PlanStop.plan_id == plan_id).order_by(PlanStop.place)
    if chosen.team_nos is not None:
        query = query.where(PlanStop.team_no.in_(chosen.team_nos))
    if chosen.stop_ids is not None:
        query = query.where(PlanStop.id.in_(chosen.stop_ids))
    stops = db.session.scalars(query.execution_options(populate_existing=True)).all()
    unknown = set(chosen.stop_ids or ()) - {stop.id for stop in stops}
    if unknown:
        faults = [
            Fault(f"/stop_ids/{place}", "Is not a stop of this plan.")
            for place, stop_id in enumerate(chosen.stop_ids or ())
            if stop_id in unknown
        ]
        raise Invalid("stop-unknown", "Name stops of this plan.", faults=faults)
    return stops


def _try(stop: PlanStop, asked: Asked, *, actor: Actor, now: datetime, approval_reason: str) -> Outcome:
    stop_id, case_id = stop.id, stop.case_id
    team = asked.teams[stop.team_no]
    wanted = WantedVisit(
        case_id=case_id,
        address_id=stop.address_id,
        window_start=stop.arrives_at,
        window_end=stop.leaves_at,
        team=team.members,
        lead=team.lead,
        evidence_entry_id=stop.evidence_entry_id,
    )
    claim = StopClaim(stop_id, actor=actor, now=now)
    try:
        assignment = assign(wanted, actor=actor, now=now, approval_reason=approval_reason, claim=claim)
    except DomainError as error:
        refusal = {"slug": error.slug, "detail": error.detail, **error.facts}
        if isinstance(error, Invalid):
            refusal["errors"] = [{"pointer": one.pointer, "detail": one.detail} for one in error.faults]
        with transaction():
            _note(stop_id, refused_at=now, refusal=refusal)
        return Outcome(stop_id, case_id, refusal=refusal)
    return Outcome(stop_id, case_id, assignment.id)


def _note(stop_id: UUID, **values: Any) -> None:
    """Write on a stop that is not settled yet."""
    db.session.execute(
        sa.update(PlanStop)
        .where(PlanStop.id == stop_id, PlanStop.assignment_id.is_(None))
        .values(**values)
        .execution_options(synchronize_session=False)
    )

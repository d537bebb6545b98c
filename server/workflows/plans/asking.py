"""Which day should be planned, with whom, and how far is it?

An order is checked as a whole, every fault with its place, and stored with its job in one transaction. A plan
is read, left and come back to by its id; nothing is reserved by it.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from server.authority import Actor, Role
from server.bulk import any_of
from server.database import db, transaction
from server.errors import Conflict, Fault, Invalid, NotFound
from server.jobs import enqueue, task
from server.models.cases import Case
from server.models.people import Staff
from server.models.plans import Plan, PlanLeftOut, PlanStop
from server.planning.problem import Point
from server.rules.json_form import from_json, to_json
from server.workflows.standing_packs import active_pack
from server.workflows.visitability import a_day
from sync.protocol import uuid7

MOST_NAMED: Final = 20
"""Faults that are told one by one."""
SILENT_MINUTES: Final = 10
LOST: Final = "The worker that computed it fell silent. Nothing was assigned; ask for the plan again."


@dataclass(frozen=True, slots=True)
class AskedTeam:
    """Who goes together; hours are local times of the day. `end` None: wherever the last visit is."""

    members: tuple[UUID, ...]
    lead: UUID
    works: tuple[time, time]
    start: Point
    end: Point | None = None
    breaks: tuple[tuple[time, time], ...] = ()
    most_stops: int | None = None


@dataclass(frozen=True, slots=True)
class AskedHours:
    """A case with hours of its own, as agreed with the debtor, or a visit of another length."""

    case_id: UUID
    begin: time | None = None
    end: time | None = None
    minutes: int | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A day to plan. `case_ids` None: the open cases (of a client) near the teams, what falls due first."""

    day: date
    teams: tuple[AskedTeam, ...]
    case_ids: tuple[UUID, ...] | None
    client_id: UUID | None
    within_km: int
    most_candidates: int
    minutes: int
    with_approval: bool
    kmh: float
    overhead_minutes: int
    hours: tuple[AskedHours, ...] = ()


def asked_of(plan: Plan) -> Asked:
    """Read the order that a plan was made from."""
    return from_json(Asked, plan.asked)


def ask(asked: Asked, *, actor: Actor, now: datetime) -> Plan:
    """Store an order and its job; Invalid names everything that is wrong with it."""
    a_day(asked.day, now=now, pack=active_pack(now))
    faults = [*_faults_of_teams(asked.teams), *_faults_of_cases(asked)]
    if faults:
        detail = "Correct the fields listed in `errors` and ask again."
        raise Invalid("plan-faulty", detail, faults=faults[:MOST_NAMED], fault_count=len(faults))
    assert actor.staff_id is not None
    plan = Plan(
        id=uuid7(), day=asked.day, asked=to_json(asked), requested_by=actor.staff_id, requested_at=now
    )
    with transaction() as session:
        session.add(plan)
        session.flush()
        compute_later(plan.id)
        session.refresh(plan)
    return plan


def compute_later(plan_id: UUID) -> None:
    """Enqueue a plan's job, once; two of them never run at the same time."""
    name = f"plan-{plan_id}"
    enqueue("plans.compute", lock=name, queueing_lock=name, plan_id=str(plan_id))


def _faults_of_teams(teams: Sequence[AskedTeam]) -> Iterator[Fault]:
    everybody = [staff_id for team in teams for staff_id in team.members]
    visitors = sa.select(Staff.id).where(any_of(Staff.id, "ids"), Staff.roles.contains([Role.VISITOR.value]))
    known = set(db.session.scalars(visitors, {"ids": list(set(everybody))}))
    often = Counter(everybody)
    for number, team in enumerate(teams):
        at = f"/teams/{number}"
        for place, staff_id in enumerate(team.members):
            if staff_id not in known:
                yield Fault(f"{at}/members/{place}", "There is no visitor with this id.")
            elif often[staff_id] > 1:
                yield Fault(f"{at}/members/{place}", "Is named more than once; nobody goes twice at a time.")
        if team.lead not in team.members:
            yield Fault(f"{at}/lead", "Is not one of the members.")
        if team.works[0] >= team.works[1]:
            yield Fault(f"{at}/works/until", "Must be after `from`.")
        for place, (begin, end) in enumerate(team.breaks):
            if begin >= end:
                yield Fault(f"{at}/breaks/{place}/until", "Must be after `from`.")


def _faults_of_cases(asked: Asked) -> Iterator[Fault]:
    named = asked.case_ids or ()
    known = set(db.session.scalars(sa.select(Case.id).where(any_of(Case.id, "ids")), {"ids": list(named)}))
    for place, case_id in enumerate(named):
        if case_id not in known:
            yield Fault(f"/case_ids/{place}", "There is no case with this id.")
    for place, hours in enumerate(asked.hours):
        if asked.case_ids is not None and hours.case_id not in known:
            yield Fault(f"/hours/{place}/case_id", "Is not one of `case_ids`.")
        if hours.begin is not None and hours.end is not None and hours.begin >= hours.end:
            yield Fault(f"/hours/{place}/until", "Must be after `from`.")


def find_plan(plan_id: UUID) -> Plan:
    """Return a plan or raise NotFound."""
    plan = db.session.get(Plan, plan_id)
    if plan is None:
        raise NotFound("plan-unknown", "There is no plan with this id.")
    return plan


def list_plans(*, day: date | None, after: UUID | None, limit: int) -> Sequence[Plan]:
    """Return one page of plans, newest first."""
    query = sa.select(Plan).order_by(Plan.id.desc()).limit(limit)
    if day is not None:
        query = query.where(Plan.day == day)
    return db.session.scalars(query.where(Plan.id < after) if after else query).all()


def list_stops(plan_id: UUID, *, team_no: int | None, after: int | None, limit: int) -> Sequence[PlanStop]:
    """Return one page of a plan's stops, team by team in the order of the day."""
    find_plan(plan_id)
    query = sa.select(PlanStop).where(PlanStop.plan_id == plan_id).order_by(PlanStop.place).limit(limit)
    if team_no is not None:
        query = query.where(PlanStop.team_no == team_no)
    return db.session.scalars(query.where(PlanStop.place > after) if after is not None else query).all()


def list_left_out(plan_id: UUID, *, why: str | None, after: UUID | None, limit: int) -> Sequence[PlanLeftOut]:
    """Return one page of what a plan left out, in the order of case ids."""
    find_plan(plan_id)
    query = sa.select(PlanLeftOut).where(PlanLeftOut.plan_id == plan_id)
    if why is not None:
        query = query.where(PlanLeftOut.why == why)
    query = query.order_by(PlanLeftOut.case_id).limit(limit)
    return db.session.scalars(query.where(PlanLeftOut.case_id > after) if after else query).all()


def cancel(plan_id: UUID, *, now: datetime) -> Plan:
    """Stop a plan that is not ready; whoever computes it notices and writes nothing. Safe to repeat."""
    with transaction() as session:
        plan = session.get(Plan, plan_id, with_for_update=True, populate_existing=True)
        if plan is None:
            raise NotFound("plan-unknown", "There is no plan with this id.")
        if plan.state in ("ready", "failed"):
            detail = f"The plan is {plan.state}; nothing is being computed any more."
            raise Conflict("plan-over", detail, state=plan.state)
        if plan.state != "cancelled":
            plan.state, plan.finished_at = "cancelled", now
    return plan


@task("plans.sweep", every="*/5 * * * *")
def sweep(*, now: datetime) -> None:
    """Leave no plan waiting or running for ever: report the lost, enqueue those whose job is gone.

    A job whose worker died is put back by the queue within minutes, so silence is longer than that.
    """
    silent = Plan.heard_at < sa.func.clock_timestamp() - sa.func.make_interval(0, 0, 0, 0, 0, SILENT_MINUTES)
    with transaction() as session:
        session.execute(
            sa.update(Plan)
            .where(Plan.state == "running", silent)
            .values(state="failed", fault=LOST, finished_at=now)
            .execution_options(synchronize_session=False)
        )
        for plan_id in session.scalars(sa.select(Plan.id).where(Plan.state == "waiting", silent)).all():
            compute_later(plan_id)

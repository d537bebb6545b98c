"""How does an order become a plan?

A job outside any transaction: short ones only say that it began, how far it is, and what came out. Whoever
began first and fell silent is overtaken: the number of the run fences every write, so a plan is stored once
and whole, or not at all.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from server.bulk import insert_rows
from server.database import release_connection, transaction
from server.errors import DomainError
from server.jobs import task
from server.models.plans import Plan, PlanLeftOut, PlanStop
from server.planning.plan import DayPlan, LeftOut, TeamDay
from server.planning.planner import plan_day
from server.rules.json_form import to_json
from server.workflows.plans.asking import asked_of, find_plan
from server.workflows.plans.gathering import Gathered, gather
from sync.protocol import uuid7

STEPS: Final = 40
"""How often progress is written while a plan is made."""
ATTEMPTS: Final = 3


class Overtaken(Exception):
    """The plan was cancelled, or another worker has begun it anew: nothing may be written any more."""


@task("plans.compute", attempts=ATTEMPTS)
def compute(*, now: datetime, plan_id: str) -> None:
    """Make a plan. Safe to run twice; a plan that is over is left alone."""
    try:
        run = begin(UUID(plan_id), now=now)
        try:
            gathered = gather(asked_of(find_plan(UUID(plan_id))), now=now, on_judged=run.judged)
            release_connection()
            plan = plan_day(gathered.problem, on_progress=run.planned)
            run.store(plan, gathered, now=now)
        except DomainError as error:
            run.fail(error.detail, now=now)
    except Overtaken:
        return


def begin(plan_id: UUID, *, now: datetime) -> "Run":
    """Begin a plan, or begin it anew after its worker died; Overtaken when it is over."""
    began = {"state": "running", "phase": "judging", "done": 0, "total": 0, "started_at": now}
    with transaction() as session:
        number = session.scalar(
            sa.update(Plan)
            .where(Plan.id == plan_id, Plan.state.in_(("waiting", "running")))
            .values(**began, run=Plan.run + 1, heard_at=sa.func.clock_timestamp())
            .returning(Plan.run)
            .execution_options(synchronize_session=False)
        )
    if number is None:
        raise Overtaken
    return Run(plan_id, number)


class Run:
    """One worker's hold on a plan."""

    def __init__(self, plan_id: UUID, number: int) -> None:
        self._plan_id, self._number = plan_id, number
        self._told: int | None = None

    def judged(self, done: int, total: int) -> None:
        """Say how many cases were judged."""
        self._write(phase="judging", done=done, total=total)

    def planned(self, done: int, total: int) -> None:
        """Say how many candidates are settled; not every one is worth a write."""
        if self._told is None or done == total or done >= self._told + max(1, total // STEPS):
            self._told = done
            self._write(phase="planning", done=done, total=total)

    def fail(self, fault: str, *, now: datetime) -> None:
        """Say why there will be no plan."""
        self._write(state="failed", fault=fault, finished_at=now)

    def store(self, plan: DayPlan, gathered: Gathered, *, now: datetime) -> None:
        """Write the whole plan, and that it is ready."""
        stops = list(_stops(plan, gathered, plan_id=self._plan_id))
        left_out = [{"plan_id": self._plan_id} | _columns(one) for one in plan.left_out]
        settled = len(stops) + len(left_out)
        ready = {"state": "ready", "phase": "storing", "done": settled, "total": settled}
        with transaction() as session:
            self._hold(session, **ready, sums=_sums(plan), finished_at=now)
            insert_rows(session, PlanStop, stops)
            insert_rows(session, PlanLeftOut, left_out)

    def _write(self, **values: Any) -> None:
        with transaction() as session:
            self._hold(session, **values)

    def _hold(self, session: Any, **values: Any) -> None:
        held = session.scalar(
            sa.update(Plan)
            .where(Plan.id == self._plan_id, Plan.run == self._number, Plan.state == "running")
            .values(**values, heard_at=sa.func.clock_timestamp())
            .returning(Plan.id)
            .execution_options(synchronize_session=False)
        )
        if held is None:
            raise Overtaken


def _stops(plan: DayPlan, gathered: Gathered, *, plan_id: UUID) -> Iterator[dict[str, Any]]:
    candidates = {one.case_id: one for one in gathered.problem.candidates}
    for place, stop in enumerate(plan.stops, start=1):
        one, answer = candidates[stop.case_id], gathered.answers[stop.case_id]
        yield {
            "id": uuid7(),
            "plan_id": plan_id,
            "place": place,
            "team_no": stop.team_no,
            "case_id": stop.case_id,
            "address_id": answer.address_id,
            "evidence_entry_id": answer.evidence_entry_id,
            "arrives_at": stop.arrives,
            "leaves_at": stop.leaves,
            "metres": stop.metres,
            "travel_minutes": stop.travel_minutes,
            "waits_minutes": stop.waits_minutes,
            "due": stop.due,
            "due_at": one.due_at,
            "approval_rule": one.approval.rule if one.approval else "",
        }


def _columns(left_out: LeftOut) -> dict[str, Any]:
    names = ("case_id", "why", "rule", "slug", "allowed_from")
    return {name: getattr(left_out, name) for name in names}


def _sums(plan: DayPlan) -> dict[str, Any]:
    """Sum a plan up, as it is shown at a glance."""
    return {
        "stops": len(plan.stops),
        "left_out": len(plan.left_out),
        "metres": sum(day.metres for day in plan.teams),
        "travel_minutes": sum(day.travel_minutes for day in plan.teams),
        "dues": Counter(stop.due for stop in plan.stops),
        "whys": Counter(one.why for one in plan.left_out),
        "rules": Counter(one.rule for one in plan.left_out if one.rule),
        "teams": [_team(day) for day in plan.teams],
    }


def _team(day: TeamDay) -> dict[str, Any]:
    shown = ("no", "metres", "travel_minutes", "sets_out", "is_back", "fault")
    return {name: to_json(getattr(day, name)) for name in shown} | {"stops": len(day.stops)}

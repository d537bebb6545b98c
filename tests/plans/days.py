"""Days to plan on real tables: who is asked, and the answers."""

from datetime import date, time
from typing import Any
from uuid import UUID

from server.database import db
from server.models.cases import Case
from server.models.people import Staff
from server.models.plans import Plan, PlanStop
from server.planning.problem import Point
from server.workflows.plans import asking, computing
from server.workflows.plans.asking import Asked, AskedTeam
from tests.office import NOW, Office

DAY = date(2026, 11, 24)
HERE = Point(39.9087, 116.4605)


def a_crew(*members: Staff, **facts: Any) -> AskedTeam:
    """A team that works from 9 to 18 and starts where the doors are; the first leads."""
    ids = tuple(member.id for member in members)
    defaults: dict[str, Any] = {"works": (time(9), time(18)), "start": HERE}
    return AskedTeam(members=ids, lead=ids[0], **(defaults | facts))


def an_order(*crews: AskedTeam, cases: list[Case] | None = None, **facts: Any) -> Asked:
    """An order for the office's Tuesday."""
    defaults: dict[str, Any] = {
        "day": DAY,
        "client_id": None,
        "within_km": 50,
        "most_candidates": 3_000,
        "minutes": 60,
        "with_approval": False,
        "kmh": 15.0,
        "overhead_minutes": 5,
        "case_ids": None if cases is None else tuple(case.id for case in cases),
    }
    return Asked(teams=crews, **(defaults | facts))


def planned(office: Office, asked: Asked) -> Plan:
    """Ask for a plan and make it as the worker does, but without the other jobs that wait."""
    plan = asking.ask(asked, actor=office.actor(), now=NOW)
    computing.compute(now=NOW, plan_id=str(plan.id))
    return fresh(plan)


def fresh(plan: Plan) -> Plan:
    """The plan as it is stored now."""
    db.session.rollback()
    db.session.expire_all()
    return asking.find_plan(plan.id)


def stops_of(plan: Plan) -> list[PlanStop]:
    """A plan's stops in their order."""
    return list(asking.list_stops(plan.id, team_no=None, after=None, limit=500))


def left_out_of(plan: Plan) -> dict[UUID, tuple[str, str]]:
    """Reason and rule by case."""
    rows = asking.list_left_out(plan.id, why=None, after=None, limit=500)
    return {row.case_id: (row.why, row.rule) for row in rows}

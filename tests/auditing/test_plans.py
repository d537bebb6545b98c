"""A sample is drawn so that anybody can draw it again, and nobody can pick."""

from datetime import date, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from server.database import db, transaction
from server.models.auditing import AuditPlan, PlannedVisit, QueuedVisit
from server.workflows.transparency.checking import alterations
from server.workflows.transparency.logged import Alteration
from server.workflows.transparency.sequencing import sequence
from tests.auditing.builders import DAY, a_judged_visit
from tests.builders import Person, a_visitor, now

PERIOD = {"first_day": str(DAY), "last_day": str(DAY)}


@pytest.fixture
def visits(app: Flask) -> list[UUID]:
    """Twenty visits of one day, each a little worse than the one before, and one of the day after."""
    visitor = a_visitor()
    made = [a_judged_visit(visitor, ("made", "severe", n / 20)) for n in range(20)]
    a_judged_visit(visitor, ("made", "severe", 1.0), day=DAY + timedelta(days=1))
    return made


def draw(auditor: Person, **wanted: Any) -> dict[str, Any]:
    answer = auditor.post("/api/v1/audit/plans", json={**PERIOD, "size": 10, **wanted})
    assert answer.status_code == 201, answer.json
    return answer.get_json()


def arms(plan: dict[str, Any]) -> dict[str | None, set[UUID]]:
    rows = db.session.execute(
        sa.select(PlannedVisit.arm, PlannedVisit.visit_id).where(PlannedVisit.plan_id == UUID(plan["id"]))
    )
    found: dict[str | None, set[UUID]] = {}
    for arm, visit_id in rows:
        found.setdefault(arm, set()).add(visit_id)
    return found


def test_the_control_arm_is_drawn_by_lot_and_the_rest_are_the_worst_that_are_left(
    auditor: Person, visits: list[UUID]
) -> None:
    plan = draw(auditor, control_percent=30, seed="a public seed")

    def lot(visit_id: UUID) -> bytes:
        return sha256(f"a public seed/{visit_id}".encode()).digest()

    by_lot = set(sorted(visits, key=lot)[:3])
    left_worst_first = [visit for visit in reversed(visits) if visit not in by_lot]
    assert plan["population"] == 20
    assert arms(plan) == {
        "control": by_lot,
        "risk": set(left_worst_first[:7]),
        None: set(left_worst_first[7:]),
    }


def test_the_same_plan_and_seed_draw_the_same_visits_whatever_became_of_the_scores(
    auditor: Person, visits: list[UUID]
) -> None:
    plan = draw(auditor, seed="s")
    again, another = draw(auditor, seed="s"), draw(auditor, seed="t")
    with transaction() as session:
        session.execute(sa.update(QueuedVisit).values(score=0))

    redrawn = auditor.get(f"/api/v1/audit/plans/{plan['id']}/redraw").get_json()

    assert redrawn == {"population": 20, "differing": 0, "is_same": True}
    assert arms(plan) == arms(again) and plan["drawn_sha256"] == again["drawn_sha256"]
    assert plan["drawn_sha256"] != another["drawn_sha256"]


@pytest.mark.parametrize(
    "change",
    [
        sa.update(PlannedVisit).where(PlannedVisit.arm == "risk").values(arm=None, place=None),
        sa.update(PlannedVisit).where(PlannedVisit.arm.is_(None)).values(score=1000),
        sa.delete(PlannedVisit).where(PlannedVisit.arm.is_(None)),
        sa.update(AuditPlan).values(seed="another"),
    ],
    ids=["one taken out", "a score raised", "one left out", "another seed"],
)
def test_a_draw_that_was_tampered_with_is_not_drawn_again(
    auditor: Person, visits: list[UUID], change: sa.UpdateBase
) -> None:
    plan = draw(auditor)
    with transaction() as session:
        session.execute(change)

    assert auditor.get(f"/api/v1/audit/plans/{plan['id']}/redraw").get_json()["is_same"] is False


def altered() -> list[Alteration]:
    """What does not fit, but for the builders' visits, which nobody signed."""
    return [one for one in alterations() if not one.where.startswith("visit ")]


def test_a_plan_is_in_the_log_and_an_altered_one_is_named(auditor: Person, visits: list[UUID]) -> None:
    plan = draw(auditor)
    sequence(now=now())
    assert altered() == []
    with transaction() as session:
        session.execute(sa.update(AuditPlan).values(drawn_sha256=b"x" * 32))

    (found,) = altered()

    assert (found.what, found.where) == ("the row is not what was logged", f"plan {plan['id']}")


def test_the_order_of_the_drawn_tells_nothing_of_their_arms_until_they_were_audited(
    auditor: Person, visits: list[UUID]
) -> None:
    plan = draw(auditor, control_percent=50, seed="s")
    seen: list[dict[str, Any]] = []
    after = 0
    while after is not None:
        page = auditor.get(f"/api/v1/audit/plans/{plan['id']}/visits?limit=4&after={after}").get_json()
        seen, after = seen + page["visits"], page["next"]
    drawn = arms(plan)

    assert {UUID(one["visit_id"]) for one in seen} == drawn["control"] | drawn["risk"]
    assert {one["arm"] for one in seen} == {None}
    assert [one["visit_id"] for one in seen] == sorted(
        (one["visit_id"] for one in seen),
        key=lambda visit_id: sha256(f"s/place/{visit_id}".encode()).digest(),
    )


@pytest.mark.parametrize(
    ("wanted", "status", "slug"),
    [
        ({"first_day": "2026-11-24", "last_day": "2026-11-23"}, 422, "period-faulty"),
        ({"first_day": "2026-01-01", "last_day": "2026-12-31"}, 422, "period-faulty"),
        ({"first_day": "2020-01-01", "last_day": "2020-01-02"}, 409, "nothing-to-draw"),
        ({**PERIOD, "branch": "nowhere"}, 409, "nothing-to-draw"),
    ],
)
def test_a_draw_from_nothing_is_refused(
    auditor: Person, visits: list[UUID], wanted: dict[str, Any], status: int, slug: str
) -> None:
    answer = auditor.post("/api/v1/audit/plans", json=wanted)

    assert (answer.status_code, answer.get_json()["type"].rsplit("/", 1)[-1]) == (status, slug)
    assert db.session.scalar(sa.select(sa.func.count()).select_from(AuditPlan)) == 0


def test_plans_are_listed_newest_first(auditor: Person, visits: list[UUID]) -> None:
    made = [draw(auditor, seed=str(n))["id"] for n in range(3)]

    first = auditor.get("/api/v1/audit/plans?limit=2").get_json()
    rest = auditor.get(f"/api/v1/audit/plans?limit=2&after={first['next']}").get_json()

    assert [plan["id"] for plan in first["plans"] + rest["plans"]] == made[::-1]
    assert date.fromisoformat(first["plans"][0]["first_day"]) == DAY


@pytest.mark.parametrize(("size", "percent"), [(1639, 20), (10_000, 100), (10_000, 50), (10_000, 0)])
def test_the_largest_sample_can_be_drawn(
    auditor: Person, visits: list[UUID], size: int, percent: int
) -> None:
    plan = draw(auditor, size=size, control_percent=percent)

    drawn = sum(len(ids) for arm, ids in arms(plan).items() if arm is not None)
    assert (plan["population"], drawn) == (20, 20)
    assert auditor.get(f"/api/v1/audit/plans/{plan['id']}/redraw").get_json()["is_same"]

"""A plan is made by a worker from what the tables say, and is never stuck."""

from datetime import date, time, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy import event

from server.database import db, transaction
from server.errors import Conflict, Invalid
from server.jobs import run_worker
from server.models.cases import Address, Case, Debtor
from server.models.deadlines import CaseClock
from server.models.dispatch import Assignment
from server.models.people import Absence, Qualification
from server.models.plans import LEFT_OUT_WHYS, STOP_DUES, Plan, PlanLeftOut, PlanStop
from server.planning.plan import DUE_ORDER, WHY
from server.planning.planner import plan_day
from server.planning.problem import Point
from server.workflows.assignments import cancel
from server.workflows.dispatch import assign
from server.workflows.plans import asking, computing
from server.workflows.plans.gathering import gather
from tests.builders import a_client_bank, a_handset, a_ledger_entry, a_visitor, add, an_address
from tests.office import NOW, Door, Office, a_door, a_team, a_wish, china
from tests.plans.days import DAY, HERE, a_crew, an_order, fresh, left_out_of, planned, stops_of


def due(case: Case, at: str, **facts: Any) -> None:
    """A deadline of a case."""
    defaults: dict[str, Any] = {"rule": "F1", "state": "running", "opened_on": date(2026, 11, 1)}
    defaults |= {"client_id": case.client_id, "opened_by": "allocation"}
    add(CaseClock(case_id=case.id, due_at=china(at), updated_at=NOW, **(defaults | facts)))


def moved(door: Door, *, north_km: float) -> Door:
    """The same door, so far north of where teams start; no point at all for infinity."""
    with transaction() as session:
        address = session.get_one(Address, door.address.id)
        address.latitude = None if north_km == float("inf") else HERE.latitude + north_km / 111
        address.longitude = None if north_km == float("inf") else HERE.longitude
    return door


def test_the_words_of_the_planner_are_those_of_the_tables():
    assert tuple(WHY) == LEFT_OUT_WHYS
    assert DUE_ORDER == STOP_DUES


def test_what_falls_due_first_is_planned_first_and_nearest_first_inside(office: Office):
    doors = {name: moved(a_door(), north_km=km) for name, km in
             {"late": 2, "today": 4, "near": 1, "far": 3, "kept": 1, "none": 1.5}.items()}  # fmt: skip
    due(doors["late"].case, "2026-11-20 18:00", state="missed")
    due(doors["today"].case, "2026-11-24 18:00")
    due(doors["near"].case, "2026-12-30 18:00")
    due(doors["far"].case, "2026-12-30 18:00")
    due(doors["kept"].case, "2026-11-20 18:00", state="met")
    due(doors["none"].case, "2026-11-20 18:00", is_provisional=True)
    crew = a_crew(*a_team(), most_stops=3)

    plan = planned(office, an_order(crew))

    assert plan.state == "ready"
    named = {door.case.id: name for name, door in doors.items()}
    assert {(named[stop.case_id], stop.due) for stop in stops_of(plan)} == {
        ("late", "overdue"),
        ("today", "due_today"),
        ("near", "due_later"),
    }
    assert [named[stop.case_id] for stop in stops_of(plan)] == ["near", "late", "today"]
    assert {named[case_id]: why for case_id, (why, _) in left_out_of(plan).items()} == {
        "far": "days_full",
        "kept": "days_full",
        "none": "days_full",
    }
    assert plan.sums["whys"] == {"days_full": 3}
    assert (plan.sums["stops"], plan.sums["left_out"], plan.sums["teams"][0]["stops"]) == (3, 3, 3)


def test_every_case_left_out_names_its_reason_and_its_rule(office: Office):
    doors = {
        "blocked": a_door(balance_as_of=date(2026, 10, 1)),
        "small": a_door(outstanding_fen=100),
        "nowhere": moved(a_door(), north_km=float("inf")),
        "far": moved(a_door(), north_km=200),
        "poor": a_door(hardship=("pregnancy",)),
        "ordinary": a_door(),
    }
    trio = a_crew(*a_team(3))

    plan = planned(office, an_order(trio, cases=[door.case for door in doors.values()]))

    found = left_out_of(plan)
    assert {name: found.get(door.case.id) for name, door in doors.items()} == {
        "blocked": ("blocked", "C4"),
        "small": ("needs_approval", "B18"),
        "nowhere": ("no_point", ""),
        "far": ("team_too_large", "A10"),
        "poor": ("team_too_large", "A10"),
        "ordinary": ("team_too_large", "A10"),
    }
    assert plan.sums["whys"] == {"blocked": 1, "needs_approval": 1, "no_point": 1, "team_too_large": 3}
    assert plan.sums["rules"] == {"C4": 1, "B18": 1, "A10": 3}


def test_a_debtor_who_is_visited_that_day_is_planned_beside_that_visit(office: Office):
    door = a_door()
    assign(a_wish(door, *a_team(), start="2026-11-24 10:00", hours=3), actor=office.actor(), now=NOW)

    plan = planned(office, an_order(a_crew(*a_team()), cases=[door.case]))

    (stop,) = stops_of(plan)
    assert stop.arrives_at >= china("2026-11-24 13:00")


def test_a_case_that_needs_approval_is_planned_when_asked_for(office: Office):
    door = a_door(outstanding_fen=100)

    plan = planned(office, an_order(a_crew(*a_team()), cases=[door.case], with_approval=True))

    (stop,) = stops_of(plan)
    assert stop.approval_rule == "B18"


def test_a_debtor_s_budget_is_shared_by_the_plan_and_what_is_assigned_already(office: Office):
    first = a_door()
    debtor = db.session.get_one(Debtor, first.case.debtor_id)
    doors = [first, a_door(debtor=debtor), a_door(debtor=debtor)]
    assign(a_wish(first, *a_team(), start="2026-11-24 10:00"), actor=office.actor(), now=NOW)

    plan = planned(office, an_order(a_crew(*a_team()), cases=[door.case for door in doors]))

    assert len(stops_of(plan)) == 1
    assert sorted(left_out_of(plan).values()) == [("budget_used", "A3")] * 2


def test_a_debtor_in_hardship_stays_a_week_away_from_the_next_visit(office: Office):
    door = a_door(hardship=("pregnancy",))
    assign(a_wish(door, *a_team(), start="2026-12-01 10:00"), actor=office.actor(), now=NOW)
    late = an_order(a_crew(*a_team(), works=(time(10, 30), time(18))), cases=[door.case])

    plans = [planned(office, one) for one in (late, an_order(a_crew(*a_team()), cases=[door.case]))]

    assert left_out_of(plans[0]) == {door.case.id: ("no_team_free", "")}
    (stop,) = stops_of(plans[1])
    assert stop.arrives_at <= china("2026-11-24 10:00")


def test_leave_training_breaks_and_other_visits_are_kept_free(office: Office):
    lead, second = a_team()
    taken = {"leave": ("09:00", "11:00"), "training": ("15:00", "18:00")}
    with transaction() as session:
        for kind, (start, end) in taken.items():
            span = {"starts_at": china(f"{DAY} {start}"), "ends_at": china(f"{DAY} {end}")}
            session.add(Absence(staff_id=second.id, kind=kind, **span))
    assign(
        a_wish(moved(a_door(), north_km=1), lead, second, start=f"{DAY} 13:00"), actor=office.actor(), now=NOW
    )
    doors = [a_door() for _ in range(5)]
    crew = a_crew(lead, second, breaks=((time(12), time(12, 30)),))

    plan = planned(office, an_order(crew, cases=[door.case for door in doors], minutes=30))

    hours = [(stop.arrives_at, stop.leaves_at) for stop in stops_of(plan)]
    assert hours == [
        (china(f"{DAY} {start}"), china(f"{DAY} {start}") + timedelta(minutes=30))
        for start in ("11:05", "14:09")
    ]


def test_a_team_that_may_not_go_says_why_and_the_others_go(office: Office):
    trainee, stranger = a_visitor(qualified=False), a_visitor(qualified=False)
    with transaction() as session:
        session.add(Qualification(staff_id=trainee.id, kind="nda", obtained_on=date(2026, 1, 5)))
    a_handset(trainee)
    door = a_door()
    crews = [a_crew(trainee), a_crew(*a_team(1), stranger), a_crew(a_visitor()), a_crew(*a_team(1))]

    plan = planned(office, an_order(*crews, cases=[door.case]))

    faults = ["lead-not-qualified", "member-not-qualified", "lead-without-device", None]
    assert [team["fault"] for team in plan.sums["teams"]] == faults
    assert [stop.team_no for stop in stops_of(plan)] == [3]


def test_a_trainee_goes_as_the_second_of_a_team(office: Office):
    trainee = a_visitor(qualified=False)
    with transaction() as session:
        session.add(Qualification(staff_id=trainee.id, kind="nda", obtained_on=date(2026, 1, 5)))
    door = a_door()

    plan = planned(office, an_order(a_crew(*a_team(1), trainee), cases=[door.case]))

    assert len(stops_of(plan)) == 1


def test_without_names_the_open_cases_near_the_teams_are_candidates(office: Office):
    near, far = a_door(), moved(a_door(), north_km=80)
    a_door(state="closed")

    plan = planned(office, an_order(a_crew(*a_team()), within_km=50))

    assert [stop.case_id for stop in stops_of(plan)] == [near.case.id]
    assert far.case.id not in left_out_of(plan)


def test_a_case_that_is_visited_on_the_day_is_not_proposed_once_more_unless_named(office: Office):
    door, fresh_door, cancelled_door, left_door = a_door(), a_door(), a_door(), a_door()
    begun = assign(a_wish(left_door, *a_team(), start="2026-11-24 11:00"), actor=office.actor(), now=NOW)
    with transaction() as session:
        session.get_one(Assignment, begun.id).state = "started"
    cancel(begun.id, reason="its visitor left", actor=office.actor(), now=NOW)
    assign(a_wish(door, *a_team(), start="2026-11-24 10:00"), actor=office.actor(), now=NOW)
    assign(a_wish(fresh_door, *a_team(), start="2026-11-25 10:00"), actor=office.actor(), now=NOW)
    taken_back = assign(
        a_wish(cancelled_door, *a_team(), start="2026-11-24 12:00"), actor=office.actor(), now=NOW
    )
    cancel(taken_back.id, reason="ill", actor=office.actor(), now=NOW)

    found = planned(office, an_order(a_crew(*a_team())))
    named = planned(office, an_order(a_crew(*a_team()), cases=[door.case]))

    assert {stop.case_id for stop in stops_of(found)} == {fresh_door.case.id, cancelled_door.case.id}
    assert [stop.case_id for stop in stops_of(named)] == [door.case.id]


def test_the_search_for_candidates_passes_over_what_is_blocked(office: Office):
    blocked, first, later = a_door(balance_as_of=date(2026, 10, 1)), a_door(), a_door()
    due(blocked.case, "2026-11-20 18:00")
    due(first.case, "2026-11-25 18:00")

    plan = planned(office, an_order(a_crew(*a_team()), most_candidates=1))

    assert [stop.case_id for stop in stops_of(plan)] == [first.case.id]
    assert left_out_of(plan) == {blocked.case.id: ("blocked", "C4")}
    assert later.case.id not in left_out_of(plan)


def test_hours_agreed_with_a_debtor_are_kept(office: Office):
    door, other = a_door(), a_door()
    hours = asking.AskedHours(door.case.id, time(14), time(15, 30), minutes=90)

    plan = planned(office, an_order(a_crew(*a_team()), cases=[door.case, other.case], hours=(hours,)))

    agreed = next(stop for stop in stops_of(plan) if stop.case_id == door.case.id)
    assert (agreed.arrives_at, agreed.leaves_at) == (china(f"{DAY} 14:00"), china(f"{DAY} 15:30"))


def test_evidence_of_the_debtor_s_wish_goes_with_the_stop(office: Office):
    door = a_door()
    wish = a_ledger_entry(door.case, channel="inbound", at=NOW, asks_for_visit=True)
    for hour in (9, 15):
        assign(a_wish(door, *a_team(), start=f"{DAY} {hour:02}:00"), actor=office.actor(), now=NOW)

    plan = planned(office, an_order(a_crew(*a_team()), cases=[door.case]))

    (stop,) = stops_of(plan)
    assert stop.evidence_entry_id == wish.id


def test_every_fault_of_an_order_is_named_at_once(office: Office):
    visitor, ghost = a_visitor(), UUID(int=7)
    crew = a_crew(visitor, works=(time(18), time(9)), breaks=((time(12), time(12)),))
    twice = asking.AskedTeam(members=(visitor.id, ghost), lead=ghost, works=(time(9), time(18)), start=HERE)
    astray = asking.AskedTeam(members=(visitor.id,), lead=ghost, works=(time(9), time(18)), start=Point(0, 0))
    order = an_order(crew, twice, astray, case_ids=(ghost,), hours=(asking.AskedHours(visitor.id),))

    with pytest.raises(Invalid) as refused:
        asking.ask(order, actor=office.actor(), now=NOW)

    assert sorted(fault.pointer for fault in refused.value.faults) == [
        "/case_ids/0",
        "/hours/0/case_id",
        "/teams/0/breaks/0/until",
        "/teams/0/members/0",
        "/teams/0/works/until",
        "/teams/1/members/0",
        "/teams/1/members/1",
        "/teams/2/lead",
        "/teams/2/members/0",
    ]
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Plan)) == 0


def test_a_day_that_is_over_cannot_be_planned(office: Office):
    with pytest.raises(Invalid, match="day-out-of-range"):
        asking.ask(an_order(a_crew(*a_team()), day=date(2026, 11, 22)), actor=office.actor(), now=NOW)


def test_the_number_of_statements_does_not_grow_with_the_day(office: Office):
    counted: list[int] = []
    client_id = a_client_bank().id
    for size in (2, 9):
        debtors = [
            add(Debtor(client_id=client_id, reference=f"{size}-{n}", hardship=[])) for n in range(size)
        ]
        doors, crews = [a_door(debtor=debtor) for debtor in debtors], [a_crew(*a_team()) for _ in range(size)]
        order = an_order(*crews, cases=[door.case for door in doors])
        statements = 0

        def count(*_: Any) -> None:
            nonlocal statements
            statements += 1

        event.listen(db.engine, "before_cursor_execute", count)
        gather(order, now=NOW, on_judged=lambda done, total: None)
        event.remove(db.engine, "before_cursor_execute", count)
        counted.append(statements)

    assert counted[0] == counted[1] < 30


def test_progress_is_seen_by_others_while_it_is_made(office: Office):
    doors = [a_door() for _ in range(4)]
    plan = asking.ask(
        an_order(a_crew(*a_team()), cases=[d.case for d in doors]), actor=office.actor(), now=NOW
    )
    run = computing.begin(plan.id, now=NOW)
    seen: list[tuple[str, str, int, int]] = []

    def look(done: int, total: int) -> None:
        run.planned(done, total)
        seen.append((fresh(plan).state, fresh(plan).phase, fresh(plan).done, fresh(plan).total))

    gathered = gather(asking.asked_of(plan), now=NOW, on_judged=run.judged)
    plan_day(gathered.problem, on_progress=look)

    assert seen[0] == ("running", "planning", 0, 4)
    assert [done for *_, done, _ in seen] == sorted(done for *_, done, _ in seen)
    assert seen[-1] == ("running", "planning", 4, 4)


def test_a_cancelled_plan_writes_nothing_more(office: Office, app: Flask):
    door = a_door()
    plan = asking.ask(an_order(a_crew(*a_team()), cases=[door.case]), actor=office.actor(), now=NOW)
    run = computing.begin(plan.id, now=NOW)
    gathered = gather(asking.asked_of(plan), now=NOW, on_judged=run.judged)

    asking.cancel(plan.id, now=NOW)

    with pytest.raises(computing.Overtaken):
        run.planned(1, 1)
    with pytest.raises(computing.Overtaken):
        run.store(plan_day(gathered.problem), gathered, now=NOW)
    run_worker(app, until_idle=True)
    assert fresh(plan).state == "cancelled"
    assert stops_of(plan) == []
    assert asking.cancel(plan.id, now=NOW).state == "cancelled"


def test_a_plan_whose_worker_died_is_made_by_the_next_one_and_stored_once(office: Office, app: Flask):
    door = a_door()
    plan = asking.ask(an_order(a_crew(*a_team()), cases=[door.case]), actor=office.actor(), now=NOW)
    dead = computing.begin(plan.id, now=NOW)
    gathered = gather(asking.asked_of(plan), now=NOW, on_judged=dead.judged)

    run_worker(app, until_idle=True)

    assert (fresh(plan).state, fresh(plan).run) == ("ready", 2)
    with pytest.raises(computing.Overtaken):
        dead.store(plan_day(gathered.problem), gathered, now=NOW)
    assert len(stops_of(plan)) == 1
    with pytest.raises(Conflict, match="plan-over"):
        asking.cancel(plan.id, now=NOW)


def silence(plan: Plan, *, minutes: int) -> None:
    """Nobody has said anything about this plan for so long."""
    ago = sa.func.clock_timestamp() - timedelta(minutes=minutes)
    with transaction() as session:
        session.execute(sa.update(Plan).where(Plan.id == plan.id).values(heard_at=ago))


def test_a_plan_nobody_computes_any_more_is_reported_as_failed(office: Office):
    plan, alive = (asking.ask(an_order(a_crew(*a_team())), actor=office.actor(), now=NOW) for _ in range(2))
    for one in (plan, alive):
        computing.begin(one.id, now=NOW)
    silence(plan, minutes=11)
    silence(alive, minutes=9)

    asking.sweep(now=NOW)

    assert (fresh(plan).state, fresh(alive).state) == ("failed", "running")
    assert "ask for the plan again" in fresh(plan).fault


def test_a_waiting_plan_whose_job_is_gone_is_enqueued_again(office: Office, app: Flask):
    plan = asking.ask(an_order(a_crew(*a_team())), actor=office.actor(), now=NOW)
    with transaction() as session:
        session.execute(sa.text("DELETE FROM procrastinate_jobs"))
    silence(plan, minutes=11)

    asking.sweep(now=NOW)
    asking.sweep(now=NOW)
    run_worker(app, until_idle=True)

    assert (fresh(plan).state, fresh(plan).run) == ("ready", 1)


def test_a_second_job_leaves_a_ready_plan_as_it_is(office: Office):
    door = a_door()
    plan = planned(office, an_order(a_crew(*a_team()), cases=[door.case]))
    (before,) = stops_of(plan)

    computing.compute(now=NOW, plan_id=str(plan.id))

    (after,) = stops_of(fresh(plan))
    assert (after.id, fresh(plan).run) == (before.id, 1)
    assert db.session.scalar(sa.select(sa.func.count()).select_from(PlanStop)) == 1
    assert db.session.scalar(sa.select(sa.func.count()).select_from(PlanLeftOut)) == 0


def test_addresses_elsewhere_do_not_lead_the_team_astray(office: Office):
    door = a_door()
    an_address(door.case, status="unverified", latitude=10.0, longitude=10.0)

    plan = planned(office, an_order(a_crew(*a_team()), cases=[door.case]))

    assert [stop.address_id for stop in stops_of(plan)] == [door.address.id]

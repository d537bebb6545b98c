"""Each reason for leaving a case out, and each for keeping a team at home, by one example."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from server.planning.plan import WHY
from server.planning.planner import plan_day
from server.planning.problem import Appointment, Member, Stopped
from server.planning.teams import fault_of
from tests.planning.problems import BEGINS, a_candidate, a_day, a_member, a_team, at, between, north

CASES: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("blocked", "D25", {"blocked": Stopped("D25", "hold-complaint")}, {}),
    ("needs_approval", "B18", {"approval": Stopped("B18", "small-balance")}, {}),
    ("no_point", "", {"point": None}, {}),
    ("budget_used", "A3", {"budget_left": 0}, {}),
    ("budget_used", "A9", {"budget_left": 0, "is_hardship": True}, {}),
    ("no_team", "", {}, {"lead": UUID(int=5)}),
    ("team_too_large", "A10", {"team_max": 1}, {}),
    ("team_too_small", "X1", {"team_min": 3, "team_max": 4}, {}),
    ("team_barred", "", {"pack": "strict"}, {"barred": frozenset({"strict"})}),
    ("no_team_free", "", {"opens": at("18:00")}, {}),
    ("no_team_free", "", {"closes": at("9:20")}, {}),
    ("no_team_free", "", {"latest_start": at("8:59")}, {}),
    ("no_team_free", "", {"minutes": 60}, {"works": between("9:00", "9:50")}),
    ("no_team_free", "", {"minutes": 60}, {"breaks": (between("9:30", "17:30"),)}),
    ("out_of_reach", "", {"point": north(200)}, {}),
    ("out_of_reach", "", {"closes": at("9:31")}, {}),
    ("out_of_reach", "", {"point": north(64)}, {"end": north(0)}),
]


@pytest.mark.parametrize(("why", "rule", "case", "team"), CASES)
def test_a_case_is_left_out_for_this_reason(why: str, rule: str, case: dict[str, Any], team: dict[str, Any]):
    day = a_day(a_candidate(1, **case), teams=(a_team(**team),))

    (out,) = plan_day(day).left_out

    assert (out.why, out.rule) == (why, rule)


def test_every_reason_has_an_example():
    assert {why for why, *_ in CASES} | {"days_full"} == set(WHY)


def test_a_case_that_the_first_example_changes_nothing_about_is_a_stop():
    (stop,) = plan_day(a_day(a_candidate(1))).stops

    assert (stop.arrives, stop.leaves, stop.metres, stop.travel_minutes) == (at("9:05"), at("9:35"), 0, 5)


def test_days_that_are_full_say_so():
    team = a_team(works=between("9:00", "10:15"))

    plan = plan_day(a_day(*(a_candidate(number) for number in range(3)), teams=(team,)))

    assert [out.why for out in plan.left_out] == ["days_full"]
    assert len(plan.stops) == 2


def test_one_debtor_s_other_cases_are_left_out_when_the_plan_uses_the_budget():
    same = UUID(int=77)
    cases = [a_candidate(number, debtor_id=same, budget_left=2) for number in range(3)]

    plan = plan_day(a_day(*cases))

    assert len(plan.stops) == 2
    assert [(out.why, out.rule) for out in plan.left_out] == [("budget_used", "A3")]


def test_a_case_with_a_lower_cap_of_its_own_lowers_it_for_the_whole_debtor():
    same = UUID(int=77)
    cases = [a_candidate(1, debtor_id=same, budget_left=1), a_candidate(2, debtor_id=same, budget_left=2)]

    assert len(plan_day(a_day(*cases)).stops) == 1


def test_a_break_is_a_break_and_the_way_goes_on_after_it():
    far = a_candidate(1, point=north(15))
    team = a_team(works=between("11:30", "18:00"), breaks=(between("12:00", "13:00"),))

    (stop,) = plan_day(a_day(far, teams=(team,))).stops

    assert stop.travel_minutes > 60
    assert stop.arrives == at("11:30") + timedelta(minutes=60 + stop.travel_minutes)


def test_stops_are_put_around_an_appointment_from_and_to_its_place():
    appointment = Appointment(at("10:00"), at("11:00"), north(5))
    team = a_team(appointments=(appointment,), works=between("9:00", "12:30"))

    plan = plan_day(a_day(a_candidate(1), a_candidate(2, point=north(5)), teams=(team,)))

    assert [(stop.case_id.int, stop.arrives) for stop in plan.stops] == [(1, at("9:05")), (2, at("11:05"))]
    assert plan.teams[0].metres == pytest.approx(5_000, rel=0.01)


def test_an_appointment_that_cannot_be_kept_only_takes_its_time():
    unreachable = Appointment(at("10:00"), at("11:00"), north(500))
    team = a_team(appointments=(unreachable,), works=between("9:30", "11:40"))

    plan = plan_day(a_day(a_candidate(1, minutes=25), a_candidate(2, minutes=40), teams=(team,)))

    assert [(stop.case_id.int, stop.arrives) for stop in plan.stops] == [(1, at("9:35"))]


def test_a_team_sets_out_later_instead_of_waiting_before_the_first_door():
    plan = plan_day(a_day(a_candidate(1, opens=at("11:00"))))

    assert (plan.teams[0].sets_out, plan.stops[0].waits_minutes) == (at("10:55"), 0)


def test_nothing_is_planned_before_now():
    day = a_day(a_candidate(1), now=at("14:00") + timedelta(seconds=1))

    (stop,) = plan_day(day).stops

    assert stop.arrives == at("14:06")


@pytest.mark.parametrize(
    ("due_at", "due"),
    [
        (BEGINS - timedelta(seconds=1), "overdue"),
        (BEGINS, "due_today"),
        (BEGINS + timedelta(days=1), "due_soon"),
        (BEGINS + timedelta(days=8), "due_later"),
        (None, "no_due_date"),
    ],
)
def test_a_stop_says_how_pressing_it_is(due_at: Any, due: str):
    (stop,) = plan_day(a_day(a_candidate(1, due_at=due_at))).stops

    assert stop.due == due


def test_a_far_case_that_is_overdue_goes_before_a_near_one_that_is_not():
    far = a_candidate(1, point=north(20), due_at=BEGINS - timedelta(days=1))
    near = a_candidate(2)
    team = a_team(works=between("9:00", "11:10"))

    plan = plan_day(a_day(near, far, teams=(team,)))

    assert [stop.case_id for stop in plan.stops] == [far.case_id]


@pytest.mark.parametrize(
    ("second", "third", "fault"),
    [
        (a_member(2), a_member(3), None),
        (Member(UUID(int=2), False, False, is_trainee=True), a_member(3), None),
        (Member(UUID(int=2), False, False), a_member(3), "member-not-qualified"),
        (
            Member(UUID(int=2), False, False, is_trainee=True),
            Member(UUID(int=3), False, False, is_trainee=True),
            "more-than-one-trainee",
        ),
    ],
)
def test_a_trainee_goes_only_as_the_one_second_member(second: Member, third: Member, fault: str | None):
    team = a_team(members=(a_member(1), second, third), lead=UUID(int=1))

    assert fault_of(team) == fault


@pytest.mark.parametrize(
    ("facts", "fault"),
    [
        ({"is_qualified": False, "is_trainee": True, "can_lead": False}, "lead-not-qualified"),
        ({"can_lead": False}, "lead-without-device"),
    ],
)
def test_a_lead_is_qualified_and_carries_a_phone(facts: dict[str, Any], fault: str):
    team = replace(a_team(), members=(a_member(1, **facts),), lead=UUID(int=1))

    assert fault_of(team) == fault

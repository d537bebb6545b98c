"""Only what was chosen is assigned, judged again on the facts of now, once, and the rest goes on."""

from datetime import time, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from server.authority import Role
from server.database import db, transaction
from server.errors import Conflict, Invalid
from server.models.cases import Case, Debtor, Hold
from server.models.dispatch import Assignment, AssignmentMember, BudgetSlot, Decision
from server.models.feed import FeedRow
from server.workflows import assignments
from server.workflows.dispatch import assign
from server.workflows.plans import accepting, asking
from server.workflows.plans.accepting import Accepted, Chosen, accept
from sync.protocol import uuid7
from tests.builders import a_ledger_entry
from tests.dispatch.test_concurrency import at_once
from tests.office import NOW, Office, a_door, a_team, a_wish, china
from tests.plans.days import DAY, a_crew, an_order, fresh, planned, stops_of

EVERYTHING = Chosen()


def count(model: Any) -> int:
    return db.session.scalar(sa.select(sa.func.count()).select_from(model)) or 0


def rules_of(done: Accepted) -> list[list[str]]:
    """The rules that refused, stop by stop."""
    refused = [one.refusal for one in done.outcomes if one.refusal is not None]
    return [[reason["rule"] for reason in refusal["reasons"]] for refusal in refused]


def test_chosen_stops_become_assignments_as_if_they_were_asked_for_one_by_one(office: Office):
    team = a_team()
    doors = [a_door() for _ in range(3)]
    plan = planned(office, an_order(a_crew(*team), cases=[door.case for door in doors]))
    first, second, third = stops_of(plan)

    done = accept(plan.id, Chosen(stop_ids=(first.id, third.id)), actor=office.actor(), now=NOW)

    assert done.remaining == 0
    made = {one.stop_id: db.session.get_one(Assignment, one.assignment_id) for one in done.outcomes}
    assert set(made) == {first.id, third.id}
    for stop in (first, third):
        one = made[stop.id]
        assert (one.case_id, one.address_id) == (stop.case_id, stop.address_id)
        assert (one.window_start, one.window_end) == (stop.arrives_at, stop.leaves_at)
        assert (one.lead_id, one.state) == (team[0].id, "issued")
        assert db.session.get_one(Decision, one.decision_id).allowed
    assert [stop.assignment_id for stop in stops_of(fresh(plan))] == [
        made[first.id].id,
        None,
        made[third.id].id,
    ]
    sent = db.session.scalars(sa.select(FeedRow.entity_id).where(FeedRow.kind == "assignment")).all()
    assert sorted(sent) == sorted([one.id for one in made.values()] * len(team))
    assert (count(BudgetSlot), count(AssignmentMember)) == (2, 4)
    assert second.refused_at is None


def test_a_lost_answer_is_asked_for_again_and_is_the_same(office: Office):
    doors = [a_door() for _ in range(3)]
    plan = planned(office, an_order(a_crew(*a_team()), cases=[door.case for door in doors]))
    first = accept(plan.id, EVERYTHING, actor=office.actor(), now=NOW)

    again = accept(plan.id, EVERYTHING, actor=office.actor(), now=NOW + timedelta(minutes=5))
    named = Chosen(stop_ids=tuple(one.stop_id for one in first.outcomes))
    once_more = accept(plan.id, named, actor=office.actor(), now=NOW + timedelta(minutes=6))

    assert first == again == once_more
    assert (count(Assignment), count(Decision)) == (3, 3)


def test_a_stop_whose_assignment_was_cancelled_is_not_assigned_twice(office: Office):
    plan = planned(office, an_order(a_crew(*a_team()), cases=[a_door().case]))
    (first,) = accept(plan.id, EVERYTHING, actor=office.actor(), now=NOW).outcomes
    assert first.assignment_id is not None
    assignments.cancel(first.assignment_id, reason="x", actor=office.actor(), now=NOW)

    (again,) = accept(plan.id, EVERYTHING, actor=office.actor(), now=NOW).outcomes

    assert again == first
    assert count(Assignment) == 1


def test_what_changed_since_is_refused_with_its_reasons_and_the_rest_goes_on(office: Office):
    held, taken, stale, good = doors = [a_door() for _ in range(4)]
    plan = planned(office, an_order(a_crew(*a_team()), cases=[door.case for door in doors]))
    with transaction() as session:
        session.add(
            Hold(scope="debtor", debtor_id=held.case.debtor_id, case_id=held.case.id, reason="complaint",
                 raised_at=NOW, raised_by=office.actor().staff_id)
        )  # fmt: skip
        session.get_one(Case, stale.case.id).balance_as_of = None
    for hour in (9, 20):
        assign(a_wish(taken, *a_team(), start=f"{DAY} {hour:02}:00"), actor=office.actor(), now=NOW)

    done = accept(plan.id, EVERYTHING, actor=office.actor(), now=NOW)

    said = {one.case_id: one for one in done.outcomes}
    assert said[good.case.id].assignment_id is not None
    refused = {
        case_id: [reason["rule"] for reason in one.refusal["reasons"]]
        for case_id, one in said.items()
        if one.refusal is not None
    }
    assert refused == {held.case.id: ["D25"], taken.case.id: ["A3"], stale.case.id: ["C4"]}
    assert all(one.refusal["reasons"][0]["quotation"] for one in said.values() if one.refusal)


def test_a_debtor_to_whom_somebody_else_sent_a_team_meanwhile_gets_no_second_visit_unmeant(office: Office):
    doors = [a_door() for _ in range(4)]
    cases = [door.case for door in doors]
    morning, afternoon = (a_crew(*a_team(), works=(time(hour), time(hour + 4))) for hour in (9, 13))
    mine, theirs = (planned(office, an_order(one, cases=cases, minutes=30)) for one in (morning, afternoon))
    soon, later = NOW + timedelta(minutes=1), NOW + timedelta(minutes=2)
    first = accept(theirs.id, EVERYTHING, actor=office.actor(), now=soon)

    done = accept(mine.id, EVERYTHING, actor=office.actor(), now=later)

    assert all(one.assignment_id for one in first.outcomes)
    standing = {one.case_id: str(one.assignment_id) for one in first.outcomes}
    said = {one.case_id: one.refusal or {} for one in done.outcomes}
    assert {each["slug"] for each in said.values()} == {"debtor-visited-meanwhile"}
    assert {case_id: each["assignment_id"] for case_id, each in said.items()} == standing
    assert count(Assignment) == len(doors)


def test_a_second_visit_that_the_plan_knew_of_is_assigned(office: Office):
    door = a_door()
    assign(a_wish(door, *a_team(), start=f"{DAY} 19:00"), actor=office.actor(), now=NOW)
    plan = planned(office, an_order(a_crew(*a_team()), cases=[door.case]))

    (one,) = accept(plan.id, EVERYTHING, actor=office.actor(), now=NOW + timedelta(minutes=1)).outcomes

    assert one.assignment_id is not None


def test_a_debtor_s_two_cases_of_one_plan_are_both_assigned(office: Office):
    door = a_door()
    other = a_door(debtor=db.session.get_one(Debtor, door.case.debtor_id))
    plan = planned(office, an_order(a_crew(*a_team()), cases=[door.case, other.case]))

    done = accept(plan.id, EVERYTHING, actor=office.actor(), now=NOW + timedelta(minutes=1))

    assert len([one for one in done.outcomes if one.assignment_id is not None]) == 2


def test_a_refused_stop_is_tried_again_only_when_it_is_named(office: Office):
    door = a_door()
    plan = planned(office, an_order(a_crew(*a_team()), cases=[door.case]))
    (stop,) = stops_of(plan)
    with transaction() as session:
        session.get_one(Case, door.case.id).balance_as_of = None
    first = accept(plan.id, EVERYTHING, actor=office.actor(), now=NOW)
    with transaction() as session:
        session.get_one(Case, door.case.id).balance_as_of = NOW.date()

    again = accept(plan.id, EVERYTHING, actor=office.actor(), now=NOW)
    named = accept(plan.id, Chosen(stop_ids=(stop.id,)), actor=office.actor(), now=NOW)

    assert rules_of(first) == rules_of(again) == [["C4"]]
    assert [one.assignment_id is not None for one in named.outcomes] == [True]
    (now,) = stops_of(fresh(plan))
    assert (now.refused_at, now.refusal) == (None, None)


def test_a_whole_team_is_chosen_by_its_number(office: Office):
    doors = [a_door() for _ in range(4)]
    crews = [a_crew(*a_team(), most_stops=2) for _ in range(2)]
    plan = planned(office, an_order(*crews, cases=[door.case for door in doors]))

    done = accept(plan.id, Chosen(team_nos=(1,)), actor=office.actor(), now=NOW)

    assert [one.assignment_id is not None for one in done.outcomes] == [True, True]
    assert {stop.team_no for stop in stops_of(fresh(plan)) if stop.assignment_id} == {1}


def test_more_than_one_call_may_hold_says_how_many_remain(office: Office, monkeypatch: pytest.MonkeyPatch):
    doors = [a_door() for _ in range(5)]
    plan = planned(office, an_order(a_crew(*a_team()), cases=[door.case for door in doors]))
    monkeypatch.setattr(accepting, "MOST_AT_ONCE", 2)

    calls = [accept(plan.id, EVERYTHING, actor=office.actor(), now=NOW) for _ in range(3)]

    assert [(len(done.outcomes), done.remaining) for done in calls] == [(2, 3), (4, 1), (5, 0)]
    assert count(Assignment) == 5


def test_what_needs_approval_is_accepted_by_a_supervisor_with_a_reason(office: Office):
    order = an_order(a_crew(*a_team()), cases=[a_door(outstanding_fen=100).case], with_approval=True)
    plan = planned(office, order)
    (stop,) = stops_of(plan)
    chosen, supervisor = Chosen(stop_ids=(stop.id,)), office.actor(Role.SUPERVISOR)

    tries = [
        accept(plan.id, chosen, actor=office.actor(), now=NOW, approval_reason="small, but asked for"),
        accept(plan.id, chosen, actor=supervisor, now=NOW),
        accept(plan.id, chosen, actor=supervisor, now=NOW, approval_reason="small, but asked for"),
    ]

    assert [one.assignment_id is not None for done in tries for one in done.outcomes] == [False, False, True]
    (made,) = db.session.scalars(sa.select(Assignment)).all()
    assert db.session.get_one(Decision, made.decision_id).approved_by == supervisor.staff_id


def test_the_debtor_s_wish_serves_the_third_visit(office: Office):
    door = a_door()
    wish = a_ledger_entry(door.case, channel="inbound", at=NOW, asks_for_visit=True)
    for hour in (9, 20):
        assign(a_wish(door, *a_team(), start=f"{DAY} {hour:02}:00"), actor=office.actor(), now=NOW)
    plan = planned(office, an_order(a_crew(*a_team()), cases=[door.case]))

    (one,) = accept(plan.id, EVERYTHING, actor=office.actor(), now=NOW).outcomes

    slot = db.session.scalar(sa.select(BudgetSlot).where(BudgetSlot.assignment_id == one.assignment_id))
    assert slot is not None and slot.evidence_entry_id == wish.id


def test_a_stop_whose_hour_has_passed_is_refused_and_says_so(office: Office):
    plan = planned(office, an_order(a_crew(*a_team()), cases=[a_door().case]))

    (one,) = accept(plan.id, EVERYTHING, actor=office.actor(), now=china(f"{DAY} 20:30")).outcomes

    assert one.refusal is not None
    assert one.refusal["errors"] == [{"pointer": "/window/end", "detail": "Lies in the past."}]


def test_only_a_ready_plan_and_its_own_stops_can_be_accepted(office: Office):
    plan = planned(office, an_order(a_crew(*a_team()), cases=[a_door().case]))
    waiting = asking.ask(an_order(a_crew(*a_team())), actor=office.actor(), now=NOW)
    (stop,) = stops_of(plan)

    with pytest.raises(Invalid) as unknown:
        accept(plan.id, Chosen(stop_ids=(stop.id, uuid7())), actor=office.actor(), now=NOW)
    with pytest.raises(Conflict, match="plan-not-ready"):
        accept(waiting.id, EVERYTHING, actor=office.actor(), now=NOW)

    assert [fault.pointer for fault in unknown.value.faults] == ["/stop_ids/1"]
    assert count(Assignment) == 0


def test_the_same_stops_accepted_by_eight_at_once_become_one_assignment_each(office: Office, app: Flask):
    doors = [a_door() for _ in range(3)]
    plan = planned(office, an_order(a_crew(*a_team()), cases=[door.case for door in doors]))
    actor = office.actor()

    results: list[Accepted] = at_once(
        app, [lambda: accept(plan.id, EVERYTHING, actor=actor, now=NOW) for _ in range(8)]
    )

    answers = {tuple(one.assignment_id for one in done.outcomes) for done in results}
    assert len(answers) == 1
    assert None not in next(iter(answers))
    assert (count(Assignment), count(BudgetSlot)) == (3, 3)


def test_many_plans_and_dispatchers_at_once_never_exceed_a_debtor_s_budget(office: Office, app: Flask):
    doors = [a_door(), a_door(hardship=("pregnancy",))]
    debtor = db.session.get_one(Debtor, doors[0].case.debtor_id)
    doors.append(a_door(debtor=debtor))
    actor = office.actor()
    cases = [door.case for door in doors]
    plans = [planned(office, an_order(a_crew(*a_team()), cases=cases)) for _ in range(5)]
    assert [len(stops_of(plan)) for plan in plans] == [3] * 5
    wishes = [a_wish(door, *a_team(), start=f"{DAY} 15:00") for door in doors for _ in range(2)]

    at_once(
        app,
        [
            *[lambda plan=plan: accept(plan.id, EVERYTHING, actor=actor, now=NOW) for plan in plans],
            *[lambda wish=wish: assign(wish, actor=actor, now=NOW) for wish in wishes],
        ],
    )

    slots = sa.select(BudgetSlot.debtor_id, sa.func.count()).group_by(BudgetSlot.debtor_id)
    taken = {debtor_id: taken for debtor_id, taken in db.session.execute(slots).all()}
    assert taken == {doors[0].case.debtor_id: 2, doors[1].case.debtor_id: 1}
    assert count(Assignment) == 3
    served = [stop.assignment_id for plan in plans for stop in stops_of(plan) if stop.assignment_id]
    assert len(served) == len(set(served)) <= 3

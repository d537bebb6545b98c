"""Many dispatchers at once: together they cannot do what none of them may do alone."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import OperationalError

from server.authority import Role
from server.database import db, transaction
from server.models.assignments import end_early
from server.models.cases import Case, Debtor, Hold
from server.models.dispatch import Assignment, AssignmentMember, BudgetSlot, Decision
from server.workflows import assignments
from server.workflows.dispatch import VisitRefused, assign, lock_visit, reassign
from server.workflows.people import depart
from tests.builders import a_ledger_entry
from tests.office import NOW, Office, a_door, a_team, a_wish

DISPATCHERS = 32


def at_once(app: Flask, deeds: Sequence[Callable[[], Any]]) -> list[Any]:
    """Do all deeds at the same time, each on a connection of its own; return results or errors."""
    gate = threading.Barrier(len(deeds))

    def run(deed: Callable[[], Any]) -> Any:
        with app.app_context():
            gate.wait()
            try:
                return deed()
            except VisitRefused as refused:
                return refused.verdict

    with ThreadPoolExecutor(len(deeds)) as pool:
        results = list(pool.map(run, deeds))
    db.session.rollback()
    return results


def granted(results: Sequence[Any]) -> list[Assignment]:
    return [result for result in results if isinstance(result, Assignment)]


def test_32_dispatchers_at_once_get_two_visits_for_one_debtor(office: Office, app: Flask):
    door = a_door()
    starts = [f"2026-11-24 {8 + number // 3:02}:{number % 3 * 2}0" for number in range(DISPATCHERS)]
    wishes = [a_wish(door, *a_team(), start=start, hours=1 / 3) for start in starts]
    actor = office.actor()

    results = at_once(app, [lambda wish=wish: assign(wish, actor=actor, now=NOW) for wish in wishes])

    refused = [result for result in results if not isinstance(result, Assignment)]
    assert len(granted(results)) == 2
    assert [sorted(verdict.rules) for verdict in refused] == [["A3"]] * (DISPATCHERS - 2)
    assert db.session.scalar(sa.select(sa.func.count()).select_from(BudgetSlot)) == 2
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Decision)) == DISPATCHERS


@pytest.mark.parametrize("is_one_case", [True, False])
def test_of_two_teams_for_one_debtor_at_one_time_one_goes(office: Office, app: Flask, is_one_case: bool):
    door = a_door()
    other = door if is_one_case else a_door(debtor=db.session.get_one(Debtor, door.case.debtor_id))
    wishes = [
        a_wish(door, *a_team(), start="2026-11-24 10:00"),
        a_wish(other, *a_team(), start="2026-11-24 10:30"),
    ]
    actor = office.actor()

    results = at_once(app, [lambda wish=wish: assign(wish, actor=actor, now=NOW) for wish in wishes])

    assert len(granted(results)) == 1
    (refused,) = [result for result in results if not isinstance(result, Assignment)]
    assert sorted(refused.rules) == ["X7"]
    assert refused.allowed_from >= granted(results)[0].window_end


def test_one_piece_of_evidence_serves_one_of_many(office: Office, app: Flask):
    door = a_door()
    asked = a_ledger_entry(door.case, channel="inbound", at=NOW, asks_for_visit=True)
    actor = office.actor()
    for hour in (8, 9):
        assign(a_wish(door, *a_team(), start=f"2026-11-24 {hour:02}:00"), actor=actor, now=NOW)
    wishes = [a_wish(door, *a_team(), evidence=asked.id) for _ in range(8)]

    results = at_once(app, [lambda wish=wish: assign(wish, actor=actor, now=NOW) for wish in wishes])

    assert len(granted(results)) == 1


def test_one_team_wanted_for_many_debtors_goes_to_one(office: Office, app: Flask):
    team = a_team()
    wishes = [a_wish(a_door(), *team) for _ in range(8)]
    actor = office.actor()

    results = at_once(app, [lambda wish=wish: assign(wish, actor=actor, now=NOW) for wish in wishes])

    refused = [result for result in results if not isinstance(result, Assignment)]
    assert len(granted(results)) == 1
    assert [sorted(verdict.rules) for verdict in refused] == [["X2"]] * 7
    active = sa.select(sa.func.count()).select_from(AssignmentMember).where(AssignmentMember.active)
    assert db.session.scalar(active) == 2


def test_two_debtors_that_want_one_team_take_turns_before_anything_is_written(office: Office, app: Flask):
    """Written at the same moment, each would wait for the other in the exclusion constraint: a deadlock."""
    team = a_team()
    first, second = (a_wish(a_door(), *team) for _ in range(2))

    def impatient() -> None:
        with app.app_context(), transaction() as session:
            session.execute(sa.text("SET LOCAL lock_timeout = '200ms'"))
            lock_visit(second)

    with transaction(), ThreadPoolExecutor(1) as pool:
        lock_visit(first)
        with pytest.raises(OperationalError, match="lock timeout"):
            pool.submit(impatient).result()


@pytest.mark.parametrize("attempt", range(5))
def test_a_hold_raised_meanwhile_leaves_no_open_assignment(office: Office, app: Flask, attempt: int):
    door = a_door()
    actor = office.actor(Role.SUPERVISOR)

    def hold() -> None:
        with transaction() as session:
            case = session.get_one(Case, door.case.id)
            raised = {"raised_at": NOW, "raised_by": actor.staff_id, "reason": "complaint"}
            session.add(Hold(scope="debtor", debtor_id=case.debtor_id, case_id=case.id, **raised))
            session.flush()
            stopped = Assignment.debtor_id == case.debtor_id
            end_early(stopped, state="cancelled", reason="hold", actor=actor, now=NOW)

    wishes = [a_wish(door, *a_team()) for _ in range(4)]
    deeds: list[Callable[[], Any]] = [lambda w=wish: assign(w, actor=actor, now=NOW) for wish in wishes]
    at_once(app, [*deeds[:attempt], hold, *deeds[attempt:]])

    still_open = sa.select(Assignment.id).where(Assignment.state == "issued")
    assert db.session.scalars(still_open).all() == []
    assert db.session.scalar(sa.select(sa.func.count()).select_from(BudgetSlot)) == 0


def test_somebody_who_leaves_meanwhile_has_no_open_assignment(office: Office, app: Flask):
    team = a_team()
    wishes = [a_wish(a_door(), *team, start=f"2026-11-24 {hour:02}:00") for hour in range(9, 13)]
    actor = office.actor()
    deeds: list[Callable[[], Any]] = [lambda w=wish: assign(w, actor=actor, now=NOW) for wish in wishes]

    at_once(app, [*deeds, lambda: depart(team[1].id, actor=actor, now=NOW)])

    still_open = sa.select(Assignment.id).where(Assignment.state == "issued")
    assert db.session.scalars(still_open).all() == []


def test_cancel_reassign_and_assign_together_never_exceed_the_budget(office: Office, app: Flask):
    door = a_door()
    actor = office.actor()
    first = assign(a_wish(door, *a_team()), actor=actor, now=NOW)
    second = assign(a_wish(door, *a_team(), start="2026-11-24 14:00"), actor=actor, now=NOW)
    other = a_team()
    wishes = [a_wish(door, *a_team(), start="2026-11-24 16:00") for _ in range(6)]
    ids = tuple(member.id for member in other)

    results = at_once(
        app,
        [
            *[lambda w=wish: assign(w, actor=actor, now=NOW) for wish in wishes],
            lambda: assignments.cancel(first.id, reason="x", actor=actor, now=NOW),
            lambda: reassign(second.id, team=ids, lead=ids[0], reason="x", actor=actor, now=NOW),
        ],
    )

    open_ones = sa.select(sa.func.count()).select_from(Assignment).where(Assignment.state == "issued")
    slots = db.session.scalar(sa.select(sa.func.count()).select_from(BudgetSlot))
    assert db.session.scalar(open_ones) == slots
    assert slots is not None and slots <= 2
    assert len(granted(results)) <= 2

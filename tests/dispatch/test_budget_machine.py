"""Dispatchers, planners, phones, imports and the worker at once, in any order: no budget is ever exceeded.

Hypothesis chooses what happens next; what happens together happens in threads on connections of their own,
against PostgreSQL. Phones are real: they knock offline, also for visits that were cancelled behind their
back, and report days later.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from server.authority import Actor
from server.database import db, transaction
from server.errors import DomainError
from server.jobs import run_worker
from server.models.cases import LedgerEntry
from server.models.dispatch import ENDED_EARLY, Assignment, BudgetSlot
from server.models.people import Staff
from server.models.plans import PlanStop
from server.models.visits import Visit
from server.rules import pack as packs
from server.workflows import assignments
from server.workflows.dispatch import assign, reassign
from server.workflows.eligibility import which_cases
from server.workflows.plans import asking, computing
from server.workflows.plans.accepting import Accepted, Chosen, accept
from server.workflows.rejudging import rejudge_later
from sync.client import Report
from sync.phone import Phone
from sync.protocol import uuid7
from tests.builders import a_ledger_entry, a_visitor
from tests.dispatch.test_concurrency import at_once
from tests.office import CHINA, NOW, Door, Office, Stopped, a_door, a_wish
from tests.phones import Watch, a_phone, office
from tests.plans.days import a_crew, an_order

HOUSE = packs.load("cn.house", NOW.date())
WEEK = timedelta(days=7)
wishes = st.tuples(st.integers(0, 1), st.integers(0, 3), st.integers(0, 1), st.integers(8, 18), st.booleans())
which = st.integers(0, 7)
teams = st.sets(st.integers(0, 3), min_size=1)


class Agency(RuleBasedStateMachine):
    """Two debtors, one of them in hardship; four teams, each with a phone."""

    app: Flask
    office: Office

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.app.extensions["clock"] = Stopped(at=self.now)  # the worker's time goes back too
        self.actor: Actor = self.office.actor()
        self.doors = [a_door(), a_door(hardship=("pregnancy",))]
        self.asked = [
            a_ledger_entry(door.case, channel="inbound", at=NOW, asks_for_visit=True).id
            for door in self.doors
        ]
        self.teams = [tuple(a_visitor() for _ in range(2)) for _ in range(4)]
        self.folders = [self._enrol(team[0]) for team in self.teams]
        self.made: list[UUID] = []
        self.plans: list[UUID] = []
        self.is_judged_again = True

    def _enrol(self, staff: Staff) -> Path:
        folder = Path(mkdtemp())
        a_phone(staff, folder).close()
        return folder

    def teardown(self) -> None:
        for folder in self.folders:
            shutil.rmtree(folder)

    @contextmanager
    def _phone(self, number: int) -> Iterator[Phone]:
        """Take a phone into the hand: its outbox belongs to one thread at a time."""
        phone = Phone(self.folders[number], clocks=Watch(real=lambda: self.now).clocks())
        try:
            yield phone
        finally:
            phone.close()

    def _wish(self, door: int, team: int, days: int, hour: int, has_evidence: bool) -> Callable[[], Any]:
        start = (self.now.astimezone(CHINA) + timedelta(days=days)).date()
        wish = a_wish(
            self.doors[door],
            *self.teams[team],
            start=f"{start} {hour:02}:00",
            evidence=self.asked[door] if has_evidence else None,
        )
        return self._quietly(lambda: assign(wish, actor=self.actor, now=self.now))

    def _quietly(self, deed: Callable[[], Any]) -> Callable[[], Any]:
        """Do something that may be refused; a refusal is an answer."""

        def tried() -> Any:
            try:
                return deed()
            except DomainError as refusal:
                return refusal

        return tried

    def _together(self, *deeds: Callable[[], Any]) -> None:
        results = at_once(self.app, deeds)
        self.made += [result.id for result in results if isinstance(result, Assignment)]
        accepted = [one for result in results if isinstance(result, Accepted) for one in result.outcomes]
        ids = (one.assignment_id for one in accepted if one.assignment_id is not None)
        self.made += [one for one in dict.fromkeys(ids) if one not in self.made]

    def _of(self, lead: UUID) -> int:
        return next(number for number, team in enumerate(self.teams) if team[0].id == lead)

    def _push(self, number: int) -> Callable[[], Any]:
        def push() -> None:
            with office(self.app) as http, self._phone(number) as phone:
                phone.connect(http).push(Report())

        return push

    @initialize(teams=teams)
    def a_day_was_planned(self, teams: set[int]) -> None:
        self.a_day_is_planned(1, teams)

    @rule(several=st.lists(wishes, min_size=1, max_size=4))
    def dispatchers_assign(self, several: list[Any]) -> None:
        self._together(*(self._wish(*one) for one in several))

    @rule(days=st.integers(0, 1), team=st.integers(0, 3))
    def somebody_takes_what_the_list_offers(self, days: int, team: int) -> None:
        day = (self.now.astimezone(CHINA) + timedelta(days=days)).date()
        ids = [door.case.id for door in self.doors]
        offered = [one for one in which_cases(day=day, now=self.now, pack=HOUSE, case_ids=ids)]
        free = [one for one in offered if one.first_start is not None]
        db.session.rollback()
        if free:
            one = free[0]
            door = next(door for door in self.doors if door.case.id == one.case_id)
            assert one.first_start is not None
            start = f"{one.first_start.astimezone(CHINA):%Y-%m-%d %H:%M}"
            wish = a_wish(door, *self.teams[team], start=start, evidence=one.evidence_entry_id)
            self._together(self._quietly(lambda: assign(wish, actor=self.actor, now=self.now)))

    @rule(days=st.integers(0, 1), teams=teams)
    def a_day_is_planned(self, days: int, teams: set[int]) -> None:
        day = (self.now.astimezone(CHINA) + timedelta(days=days)).date()
        crews = [a_crew(*self.teams[team], works=(time(8), time(21))) for team in sorted(teams)]
        order = an_order(*crews, cases=[door.case for door in self.doors], day=day)
        plan = asking.ask(order, actor=self.actor, now=self.now)
        computing.compute(now=self.now, plan_id=str(plan.id))
        self.plans.append(plan.id)

    @precondition(lambda self: self.plans)
    @rule(chosen=st.lists(which, min_size=1, max_size=4), several=st.lists(wishes, max_size=2))
    def plans_are_accepted_while_dispatchers_assign(self, chosen: list[int], several: list[Any]) -> None:
        plans = [self.plans[one % len(self.plans)] for one in chosen]
        accepting = [
            self._quietly(lambda plan=plan: accept(plan, Chosen(), actor=self.actor, now=self.now))
            for plan in plans
        ]
        self._together(*accepting, *(self._wish(*one) for one in several))

    @precondition(lambda self: self.plans)
    @rule(one=which, phone=st.integers(0, 3))
    def a_plan_is_accepted_while_a_phone_reports(self, one: int, phone: int) -> None:
        plan = self.plans[one % len(self.plans)]
        accepting = self._quietly(lambda: accept(plan, Chosen(), actor=self.actor, now=self.now))
        self._together(accepting, self._push(phone))
        self.is_judged_again = False

    @precondition(lambda self: self.made)
    @rule(one=which, team=st.integers(0, 3), wish=wishes)
    def reassigned_while_another_assigns(self, one: int, team: int, wish: Any) -> None:
        ids = tuple(member.id for member in self.teams[team])
        old = self.made[one % len(self.made)]
        self._together(
            self._quietly(
                lambda: reassign(old, team=ids, lead=ids[0], reason="x", actor=self.actor, now=self.now)
            ),
            self._wish(*wish),
        )

    @precondition(lambda self: self.made)
    @rule(one=which, wish=wishes)
    def cancelled_while_another_assigns(self, one: int, wish: Any) -> None:
        old = self.made[one % len(self.made)]
        self._together(
            self._quietly(lambda: assignments.cancel(old, reason="x", actor=self.actor, now=self.now)),
            self._wish(*wish),
        )

    @precondition(lambda self: self.made)
    @rule(one=which)
    def a_team_knocks_offline(self, one: int) -> None:
        assignment = db.session.get_one(Assignment, self.made[one % len(self.made)])
        team = self._of(assignment.lead_id)
        body = {"visit_id": str(uuid7()), "assignment_id": str(assignment.id), "permit_id": None}
        body |= {"position": None, "team": [str(assignment.lead_id)], "checklist": {}}
        db.session.rollback()
        with self._phone(team) as phone:
            phone.record("visit.started", body)

    @precondition(lambda self: self.made)
    @rule(one=which, several=st.lists(wishes, max_size=3))
    def a_visit_taken_back_took_place_all_the_same(self, one: int, several: list[Any]) -> None:
        old = self.made[one % len(self.made)]
        self._together(
            self._quietly(lambda: assignments.cancel(old, reason="x", actor=self.actor, now=self.now))
        )
        self.a_team_knocks_offline(one)
        lead = db.session.get_one(Assignment, old).lead_id
        db.session.rollback()
        self.a_phone_reports_while_dispatchers_assign(self._of(lead), several)

    @rule(phone=st.integers(0, 3), several=st.lists(wishes, max_size=3))
    def a_phone_reports_while_dispatchers_assign(self, phone: int, several: list[Any]) -> None:
        self._together(self._push(phone), *(self._wish(*one) for one in several))
        self.is_judged_again = False

    @rule(door=st.integers(0, 1), hours=st.integers(0, 30))
    def another_agency_s_visit_is_imported(self, door: int, hours: int) -> None:
        case = self.doors[door].case
        a_ledger_entry(case, channel="visit", at=self.now - timedelta(hours=hours))
        with transaction():
            rejudge_later(Assignment.debtor_id == case.debtor_id)
        self.is_judged_again = False

    @rule(hours=st.integers(1, 9))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        self.app.extensions["clock"] = Stopped(at=self.now)
        assignments.expire_overdue(now=self.now)

    @rule()
    def the_worker_catches_up(self) -> None:
        run_worker(self.app, until_idle=True)
        db.session.rollback()
        self.is_judged_again = True

    @invariant()
    def what_was_granted_stays_within_every_day_s_slots(self) -> None:
        for door in self.doors:
            slots = _slots(door)
            evidenced = [slot.evidence_entry_id for slot in slots if slot.evidence_entry_id]
            per_day = Counter(slot.day for slot in slots if not slot.evidence_entry_id)
            assert len(evidenced) == len(set(evidenced))
            assert all(count <= HOUSE.visits_per_day for count in per_day.values())
            assert {slot.assignment_id for slot in slots} >= {one.id for one in _planned(door)}
        db.session.rollback()

    @invariant()
    def a_stop_became_one_visit_at_most(self) -> None:
        query = sa.select(PlanStop.assignment_id).where(PlanStop.assignment_id.is_not(None))
        served = db.session.scalars(query.where(PlanStop.plan_id.in_(self.plans))).all()
        assert len(served) == len(set(served))
        assert set(served) <= set(self.made)
        db.session.rollback()

    @precondition(lambda self: self.is_judged_again)
    @invariant()
    def nobody_is_sent_beyond_what_took_place(self) -> None:
        for door in self.doors:
            asked_for = _asked_for(door)
            planned = [one for one in _planned(door) if one.id not in asked_for]
            took_place = list(_arrivals(door, but=asked_for))
            for one in planned:
                if one.window_end <= self.now:
                    continue
                times = took_place + [other.window_start for other in planned if other is not one]
                assert sum(_day(at) == _day(one.window_start) for at in times) < HOUSE.visits_per_day
                if door is self.doors[1]:
                    assert not [at for at in times if abs(at - one.window_start) < WEEK]
        db.session.rollback()


def _day(at: datetime) -> date:
    return at.astimezone(CHINA).date()


def _slots(door: Door) -> list[BudgetSlot]:
    return list(db.session.scalars(sa.select(BudgetSlot).where(BudgetSlot.debtor_id == door.case.debtor_id)))


def _asked_for(door: Door) -> set[UUID]:
    """The assignments that a wish serves: of those it was spent on the first made, else the open one.

    Also of those taken back: their team may have gone all the same.
    """
    spent = sa.select(Assignment).where(
        Assignment.debtor_id == door.case.debtor_id, Assignment.evidence_entry_id.is_not(None)
    )
    on: dict[UUID | None, list[Assignment]] = {}
    for one in db.session.scalars(spent):
        on.setdefault(one.evidence_entry_id, []).append(one)
    visits = sa.select(Visit.assignment_id, sa.func.min(Visit.arrived_earliest)).group_by(Visit.assignment_id)
    made = {assignment_id: at for assignment_id, at in db.session.execute(visits)}
    served: set[UUID] = set()
    for several in on.values():
        went = sorted((made[one.id], one.id) for one in several if one.id in made)
        standing = {one.id for one in several if one.state not in ENDED_EARLY}
        served |= {went[0][1]} if went else standing
    return served


def _planned(door: Door) -> list[Assignment]:
    """Assignments that nobody started and nobody ended."""
    query = sa.select(Assignment).where(
        Assignment.debtor_id == door.case.debtor_id, Assignment.state.in_(("issued", "acknowledged"))
    )
    return list(db.session.scalars(query))


def _arrivals(door: Door, *, but: set[UUID]) -> Iterator[datetime]:
    """When the debtor was visited, by whomever; `but` not on these assignments."""
    visits = sa.select(Visit.arrived_earliest).where(
        Visit.debtor_id == door.case.debtor_id, Visit.assignment_id.not_in(but)
    )
    imported = sa.select(LedgerEntry.at).where(
        LedgerEntry.debtor_id == door.case.debtor_id, LedgerEntry.channel == "visit"
    )
    yield from db.session.scalars(visits)
    yield from db.session.scalars(imported)


def test_no_order_of_events_exceeds_a_budget(app: Flask, office: Office):
    Agency.app, Agency.office = app, office

    run_state_machine_as_test(
        Agency,
        settings=settings(
            max_examples=12,
            stateful_step_count=18,
            deadline=None,
            print_blob=True,
            phases=tuple(set(Phase) - {Phase.shrink}),  # each step costs transactions; the blob repeats it
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )

    granted = sa.select(sa.func.count()).select_from(Assignment)
    refused = granted.where(Assignment.state.in_(ENDED_EARLY))
    assert (db.session.scalar(granted) or 0) > (db.session.scalar(refused) or 0) > 0
    accepted = sa.select(sa.func.count()).select_from(PlanStop).where(PlanStop.assignment_id.is_not(None))
    assert db.session.scalar(accepted)

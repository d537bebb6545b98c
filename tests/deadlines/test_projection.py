"""The stored clocks are what counting from scratch gives, whatever happened and in whichever order."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.authority import Role
from server.database import db, transaction
from server.jobs import run_worker
from server.models.cases import Case, Client, Debtor, Hold
from server.models.deadlines import CaseClock, Payment, Promise
from server.models.dispatch import Assignment
from server.models.visits import Account, Visit
from server.workflows import clocks, holds
from server.workflows.calendar import publish_year
from server.workflows.cases import NewEntry, add_ledger_entry, set_hardship
from server.workflows.exchange.waiting import reconcile_visits
from server.workflows.holds import Word
from server.workflows.recounting import recount_later
from sync.protocol import uuid7
from tests import cluster
from tests.api.correspondence import a_letter, seal
from tests.api.files import send
from tests.builders import a_case, a_handset, a_ledger_entry, a_visitor, add, an_address, an_assignment
from tests.letters.standing import a_standing_template
from tests.office import NOW, Office, Stopped, a_door, an_office

Row = tuple[Any, ...]


def stored() -> dict[tuple[UUID, str], Row]:
    """Every stored clock but the time it was written."""
    names = [column.name for column in sa.inspect(CaseClock).columns if column.name != "updated_at"]
    db.session.rollback()
    rows = db.session.execute(sa.select(*(getattr(CaseClock, name) for name in names))).all()
    return {(row.case_id, row.rule): tuple(row) for row in rows}


def from_scratch(now: datetime) -> dict[tuple[UUID, str], Row]:
    """Forget every clock and count them all."""
    with transaction() as session:
        session.execute(sa.delete(CaseClock))
    clocks.recount_all(now=now)
    return stored()


def settled(app: Flask, now: datetime = NOW) -> None:
    """Count everything and leave no job behind, so that only what comes next can change a clock."""
    run_worker(app, until_idle=True)
    clocks.recount_all(now=now)


def rules_of(case: Case) -> dict[str, str]:
    """The states of a case's clocks by rule."""
    return {rule: row[6] for (case_id, rule), row in stored().items() if case_id == case.id}


def a_quiet_case(**facts: Any) -> Case:
    """A case of this November without any contact, of a client of its own."""
    facts = {"allocated_on": date(2026, 11, 20), "balance_as_of": date(2026, 11, 20), **facts}
    case = a_case(**facts)
    with transaction() as session:
        session.execute(sa.text("DELETE FROM ledger_entries"))
    return case


def reference_of(model: Any, thing_id: UUID) -> str:
    return db.session.get_one(model, thing_id).reference


def of_file(case: Case, **facts: Any) -> dict[str, Any]:
    """A client's row about a case."""
    return {
        "kind": "cases",
        "client_reference": reference_of(Client, case.client_id),
        "reference": case.reference,
        "debtor_reference": reference_of(Debtor, case.debtor_id),
        **facts,
    }


def imports(office: Office, *rows: dict[str, Any]) -> None:
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    answer = send(office.person(Role.DISPATCHER), lines.encode())
    assert answer.get_json()["rejected"] == 0, answer.text


# --- what triggers a count ---------------------------------------------------------------------------------


def test_a_call_counts_at_once_and_for_the_debtors_other_case_too(app: Flask, office: Office):
    case = a_quiet_case(hardship=("pregnancy",))
    other = a_case(debtor=db.session.get_one(Debtor, case.debtor_id), allocated_on=date(2026, 11, 20))
    with transaction() as session:
        session.execute(sa.text("DELETE FROM ledger_entries"))
    settled(app)
    assert rules_of(other)["F4"] == "running"

    add_ledger_entry(case.id, NewEntry("call", NOW), actor=office.actor(), now=NOW)
    run_worker(app, until_idle=True)

    assert rules_of(case)["F4"] == "met"
    assert rules_of(other)["F4"] == "capped"  # day 1 is today, and somebody in hardship was called today
    assert stored() == from_scratch(NOW)


def test_a_hold_suspends_and_its_release_lets_run(app: Flask, office: Office):
    case = a_quiet_case()
    settled(app)

    held = holds.raise_on_case(case.id, reason="other", note="", actor=office.actor(), now=NOW)
    run_worker(app, until_idle=True)
    suspended = set(rules_of(case).values())
    holds.release(held.id, Word("go on"), actor=office.actor(Role.SUPERVISOR), now=NOW)
    run_worker(app, until_idle=True)

    assert suspended == {"suspended"}
    assert rules_of(case)["F6"] == "running"


def test_a_closed_case_has_no_clocks(app: Flask, office: Office):
    case = a_quiet_case()
    settled(app)
    assert rules_of(case)

    imports(office, of_file(case, outstanding="0", balance_as_of="2026-11-22"))
    run_worker(app, until_idle=True)

    assert rules_of(case) == {}


def test_hardship_tightens_what_may_still_be_asked_for(app: Flask, office: Office):
    case = a_quiet_case()
    other = a_case(debtor=db.session.get_one(Debtor, case.debtor_id), state="closed")
    with transaction() as session:
        session.execute(sa.text("DELETE FROM ledger_entries"))
    a_ledger_entry(other, channel="call", at=NOW)
    settled(app)
    before = rules_of(case)["F4"]

    set_hardship(case.debtor_id, hardship=["pregnancy"], actor=office.actor(), now=NOW)
    run_worker(app, until_idle=True)

    assert (before, rules_of(case)["F4"]) == ("running", "capped")


def test_a_new_balance_is_counted(app: Flask, office: Office):
    case = a_quiet_case()
    settled(app)

    imports(office, of_file(case, outstanding="499.99", balance_as_of="2026-11-22"))
    run_worker(app, until_idle=True)

    assert "F7" in rules_of(case) and "F6" not in rules_of(case)


def test_the_first_case_of_a_months_batch_ends_the_clocks_of_f3(app: Flask, office: Office):
    old = a_quiet_case(allocated_on=date(2026, 5, 6))
    settled(app)
    assert "F1" in rules_of(old)
    bank = reference_of(Client, old.client_id)

    imports(
        office,
        {"kind": "debtors", "client_reference": bank, "reference": "N1", "name": "王建国"},
        {
            "kind": "cases", "client_reference": bank, "reference": "NEW", "debtor_reference": "N1",
            "outstanding": "900", "balance_as_of": "2026-11-20", "allocated_on": "2026-11-20",
        },
    )  # fmt: skip
    run_worker(app, until_idle=True)

    assert "F1" not in rules_of(old)
    assert stored() == from_scratch(NOW)


def test_a_visit_that_met_the_debtor_follows_up(app: Flask, office: Office):
    case = a_quiet_case()
    visitor = a_visitor()
    assignment = an_assignment(case, an_address(case), visitor, start=NOW - timedelta(hours=2))
    handset = a_handset(visitor)
    visit = add(
        Visit(
            id=uuid7(), assignment_id=assignment.id, debtor_id=case.debtor_id, device_id=handset.device.id,
            staff_id=visitor.id, team=[visitor.id], seen_seq=0, arrived_earliest=NOW, arrived_latest=NOW,
            arrived_method="anchored", started_item=uuid7(), first_received_at=NOW, evidence_due_at=NOW,
        )
    )  # fmt: skip
    settled(app)
    assert "F6" in rules_of(case)

    add(
        Account(
            id=uuid7(), visit_id=visit.id, device_id=handset.device.id, item_id=uuid7(),
            author_id=visitor.id, claims={"met": "debtor"}, narrative="", written_earliest=NOW,
            written_latest=NOW, received_at=NOW,
        )
    )  # fmt: skip
    reconcile_visits(now=NOW, visit_ids=[str(visit.id)])  # what a push enqueues
    run_worker(app, until_idle=True)

    assert "F11" in rules_of(case)  # somebody who was met is reachable


def test_a_letter_that_was_posted_starts_its_clock_and_its_receipt_another(app: Flask, office: Office):
    door = a_door()
    a_standing_template(door.case)
    with transaction() as session:
        session.execute(sa.text("DELETE FROM ledger_entries"))
    letter = a_letter(office, door)
    seal(office, letter)
    settled(app)
    before = set(rules_of(door.case))
    path, posted = f"/letters/{letter['id']}/deliveries", {"posted_on": "2026-11-23"}

    assert office.ask(path, posted).status_code == 200
    run_worker(app, until_idle=True)
    on_its_way = set(rules_of(door.case)) - before
    office.ask(path, {**posted, "received_on": "2026-11-23"})
    run_worker(app, until_idle=True)

    assert on_its_way == {"F17"}
    assert set(rules_of(door.case)) - before == {"F17", "F18"}


def test_a_published_calendar_is_counted_again(app: Flask, office: Office):
    late = NOW.replace(month=12, day=29)
    app.extensions["clock"] = Stopped(at=late)
    case = a_quiet_case(allocated_on=date(2026, 12, 29))
    settled(app, late)
    before = stored()[case.id, "F6"]

    publish_year(
        2027, days={date(2027, 1, n): ("holiday", "New Year") for n in (1, 2, 3)}, notice="2027", now=late
    )
    run_worker(app, until_idle=True)

    assert before[-1] is True
    assert stored()[case.id, "F6"][-1] is False


def test_counting_twice_writes_nothing_the_second_time(app: Flask, office: Office):
    a_quiet_case()
    counting = clocks.Counting(NOW)
    ids = list(db.session.scalars(sa.select(Case.id)))

    first, again = counting.count(ids), counting.count(ids)

    assert first > 0
    assert again == 0
    assert clocks.Counting(NOW + timedelta(minutes=1)).count(ids) == 0
    assert set(db.session.scalars(sa.select(CaseClock.updated_at))) == {NOW}


def test_a_case_that_cannot_be_counted_keeps_its_clocks_and_stops_no_other(app: Flask, office: Office):
    bad, sound = a_quiet_case(), a_quiet_case()
    settled(app)
    before = rules_of(bad)
    a_ledger_entry(bad, channel="letter", at=NOW, received_on=date(9999, 12, 31))  # no door lets it in
    call = NewEntry("inbound", NOW, effective=True, result="提醒")
    add_ledger_entry(sound.id, call, actor=office.actor(), now=NOW)

    for job in (
        lambda: clocks.recount(now=NOW, cases=[str(bad.id), str(sound.id)]),
        lambda: clocks.recount_all(now=NOW),
    ):
        with pytest.raises(clocks.Uncounted, match=f"1 cases could not be counted: {bad.id}"):
            job()

        assert rules_of(bad) == before != {}
        assert "F14" in rules_of(sound)


def test_a_row_at_the_end_of_all_days_stops_no_other_case(app: Flask, office: Office):
    """Stored before such days were refused, or typed into the database."""
    odd, fine = a_case(), a_case()
    a_ledger_entry(odd, at=datetime(9999, 12, 31, 23, 59, tzinfo=UTC), channel="call")

    with pytest.raises(clocks.Uncounted, match=f"1 cases could not be counted: {odd.id}"):
        clocks.recount_all(now=NOW)

    assert db.session.scalars(sa.select(CaseClock.rule).where(CaseClock.case_id == fine.id)).all()


def test_clocks_never_touch_assignments(app: Flask, office: Office):
    case = a_quiet_case()
    assignment = an_assignment(case, an_address(case), a_visitor(), start=NOW + timedelta(days=1))

    clocks.recount_all(now=NOW)
    clocks.recount_all(now=NOW + timedelta(days=40))

    assert db.session.get_one(Assignment, assignment.id, populate_existing=True).state == "issued"


# --- any sequence of events --------------------------------------------------------------------------------


@dataclass
class Stage:
    """Two cases of one debtor and one of another client, and what may happen to them."""

    app: Flask
    office: Office
    now: datetime = NOW
    cases: list[Case] = field(default_factory=list)

    def happen(self, event: str, which: int) -> None:
        case = db.session.get_one(Case, self.cases[which % len(self.cases)].id)
        deed: Callable[[Case], None] = getattr(self, event)
        deed(case)

    def a_call(self, case: Case) -> None:
        add_ledger_entry(case.id, NewEntry("call", self.now), actor=self.office.actor(), now=self.now)

    def spoken_to(self, case: Case) -> None:
        entry = NewEntry("inbound", self.now, effective=True, result="willing_to_pay")
        add_ledger_entry(case.id, entry, actor=self.office.actor(), now=self.now)

    def a_reminder(self, case: Case) -> None:
        entry = NewEntry("call", self.now, effective=True, result="提醒")
        add_ledger_entry(case.id, entry, actor=self.office.actor(), now=self.now)

    def a_letter(self, case: Case) -> None:
        entry = NewEntry("letter", self.now, received_on=self.now.date())
        add_ledger_entry(case.id, entry, actor=self.office.actor(), now=self.now)

    def held(self, case: Case) -> None:
        holds.raise_on_case(case.id, reason="other", note="", actor=self.office.actor(), now=self.now)

    def held_whole(self, case: Case) -> None:
        holds.raise_on_case(
            case.id, reason="stop_requested", note="", actor=self.office.actor(), now=self.now
        )

    def released(self, case: Case) -> None:
        actor = self.office.actor(Role.SUPERVISOR)
        standing = sa.select(Hold.id).where(Hold.case_id == case.id, Hold.released_at.is_(None))
        for hold_id in db.session.scalars(standing).all():
            holds.release(hold_id, Word("go on", given_by="debtor"), actor=actor, now=self.now)

    def in_hardship(self, case: Case) -> None:
        set_hardship(case.debtor_id, hardship=["pregnancy"], actor=self.office.actor(), now=self.now)

    def promised(self, case: Case) -> None:
        with transaction() as session:
            session.add(
                Promise(
                    client_id=case.client_id, reference=str(uuid7()), case_id=case.id,
                    debtor_id=case.debtor_id, amount_fen=100, due_on=self.now.date() + timedelta(days=4),
                    made_at=self.now, source="office",
                )
            )  # fmt: skip
            recount_later(cases=[case.id])

    def paid(self, case: Case) -> None:
        with transaction() as session:
            session.add(
                Payment(
                    client_id=case.client_id, reference=str(uuid7()), case_id=case.id, amount_fen=100,
                    paid_on=self.now.date(), source="office", recorded_at=self.now,
                )
            )  # fmt: skip
            recount_later(cases=[case.id])

    def small(self, case: Case) -> None:
        imports(self.office, of_file(case, outstanding="100", balance_as_of=str(self.now.date())))

    def lost(self, case: Case) -> None:
        imports(self.office, of_file(case, status_code="FOUND1"))

    def allocated_again(self, case: Case) -> None:
        imports(self.office, of_file(case, allocated_on=str(self.now.date())))

    def closed(self, case: Case) -> None:
        imports(self.office, of_file(case, state="closed"))

    def a_night(self, case: Case) -> None:
        self._later(days=1)

    def a_fortnight(self, case: Case) -> None:
        self._later(days=14)

    def _later(self, *, days: int) -> None:
        self.now += timedelta(days=days)
        self.app.extensions["clock"] = Stopped(at=self.now)
        clocks.recount_all(now=self.now)


EVENTS = sorted(name for name in vars(Stage) if not name.startswith("_") and name not in ("happen", "now"))
"""Everything that may happen."""


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 2)), max_size=7))
def test_after_any_events_the_projection_is_what_counting_from_scratch_gives(
    app: Flask, events: list[tuple[str, int]]
):
    db.session.remove()  # an open read would keep the tables from being emptied
    cluster.empty_tables(db.engine)
    stage = Stage(app, an_office(app))
    first = a_quiet_case()
    second = a_case(debtor=db.session.get_one(Debtor, first.debtor_id), allocated_on=date(2026, 5, 6))
    stage.cases = [first, second, a_quiet_case(allocated_on=date(2026, 5, 6), hand="second")]
    settled(app)

    for event, which in events:
        stage.happen(event, which)
    run_worker(app, until_idle=True)

    assert stored() == from_scratch(stage.now)


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_of_the_property_can_happen(app: Flask, event: str):
    stage = Stage(app, an_office(app))
    stage.cases = [a_quiet_case()]
    settled(app)

    stage.happen(event, 0)
    run_worker(app, until_idle=True)

    assert stored() == from_scratch(stage.now)

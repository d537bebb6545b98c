"""A push and a dispatcher at the same moment: they wait for one another in one order, never in a circle."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy import event

from server.database import db
from server.errors import Conflict
from server.models.cases import Case
from server.models.dispatch import Assignment
from server.models.visits import Item
from server.workflows.dispatch import VisitRefused, assign, reassign
from server.workflows.exchange.waiting import project_items
from sync.phone import Phone
from sync.wire import write_pushed
from tests.builders import now
from tests.office import NOW, Office, a_door, a_team, a_wish
from tests.phones import a_phone
from tests.pushing import account_body, batch_of, begin, push, push_raw, waiting

PATIENCE_SECONDS = 60


def acknowledge(phone: Phone, assignment: Assignment) -> None:
    phone.record("assignment.acknowledged", {"assignment_id": str(assignment.id)})


def acknowledge_and_begin(phone: Phone, assignment: Assignment) -> None:
    acknowledge(phone, assignment)
    begin(phone, assignment.id)


def begin_and_hold(phone: Phone, assignment: Assignment) -> None:
    begin(phone, assignment.id)
    phone.record("hold.requested", {"case_id": str(assignment.case_id), "reason": "deceased", "text": ""})


def begin_with_a_bad_report(phone: Phone, assignment: Assignment) -> None:
    """One item is refused, so that the batch is applied one by one."""
    begin(phone, assignment.id)
    phone.record("hold.requested", {"case_id": str(phone.device_id), "reason": "deceased", "text": ""})
    phone.record("hold.requested", {"case_id": str(assignment.case_id), "reason": "deceased", "text": ""})


def answered_in_thread(app: Flask, phone: Phone, pool: ThreadPoolExecutor) -> Future[Any]:
    raw = json.dumps(batch_of(phone, [write_pushed(item) for item in waiting(phone)])).encode()
    token = phone.outbox.fact("token")

    def send() -> Any:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return app.test_client().post("/api/v1/sync/push", data=raw, headers=headers)

    return pool.submit(send)


def wait_until_somebody_waits(watcher: sa.Connection) -> None:
    """Return as soon as a statement waits for somebody's lock. Other workers' databases say nothing here."""
    blocked = sa.text(
        "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
        " WHERE NOT granted AND datname = current_database()"
    )
    gives_up = time.monotonic() + PATIENCE_SECONDS
    while not watcher.scalar(blocked):
        watcher.rollback()
        assert time.monotonic() < gives_up, "nobody ever waited"


@pytest.mark.parametrize(
    "record", [acknowledge_and_begin, begin_and_hold, begin_with_a_bad_report], ids=lambda one: one.__name__
)
def test_a_push_waits_for_the_debtor_before_it_touches_the_assignment(
    app: Flask, phone: Phone, assignment: Assignment, record: Callable[[Phone, Assignment], None]
) -> None:
    record(phone, assignment)
    debtor = sa.text("SELECT FROM debtors WHERE id = :id FOR UPDATE")
    row = sa.text("SELECT FROM assignments WHERE id = :id FOR UPDATE NOWAIT")
    with db.engine.connect() as dispatcher, db.engine.connect() as watcher, ThreadPoolExecutor(1) as pool:
        dispatcher.execute(debtor, {"id": assignment.debtor_id})
        answer = answered_in_thread(app, phone, pool)
        wait_until_somebody_waits(watcher)

        dispatcher.execute(row, {"id": assignment.id})  # fails if the push holds it: that is the circle
        dispatcher.rollback()

        told = answer.result(PATIENCE_SECONDS)
    assert told.status_code == 200, told.text
    assert told.json["outcomes"][0]["outcome"] == "applied"


def test_a_complaint_that_waits_for_its_check_in_locks_as_one_that_came_with_it(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    visit_id = begin(phone, assignment.id)
    phone.record("complaint.raised", {"visit_id": str(visit_id), "text": "要投诉"})
    check_in, complaint = waiting(phone)
    assert [one["outcome"] for one in push(app, phone, [complaint])] == ["held"]
    phone.outbox.acknowledge([{"id": str(complaint.id), "outcome": "held"}])
    shared = sa.text("SELECT FROM debtors WHERE id = :id FOR KEY SHARE")
    with db.engine.connect() as another, db.engine.connect() as watcher, ThreadPoolExecutor(1) as pool:
        another.execute(shared, {"id": assignment.debtor_id})
        answer = answered_in_thread(app, phone, pool)
        wait_until_somebody_waits(watcher)
        nothing_taken = sa.text("SELECT FROM assignments WHERE id = :id FOR UPDATE NOWAIT")
        another.execute(nothing_taken, {"id": assignment.id})
        another.rollback()
        assert answer.result(PATIENCE_SECONDS).json["outcomes"][0]["outcome"] == "applied"
    db.session.rollback()
    assert db.session.scalar(sa.select(Item.outcome).where(Item.item_id == complaint.id)) == "applied"
    assert check_in.id != complaint.id


@pytest.fixture
def unhurried(app: Flask) -> Iterator[None]:
    """Who waits looks for a circle once, after this time: the rival has to be waiting by then."""

    def wait_longer(connection: sa.Connection) -> None:
        connection.exec_driver_sql("SET LOCAL deadlock_timeout = '4s'")

    event.listen(db.engine, "begin", wait_longer)
    yield
    event.remove(db.engine, "begin", wait_longer)


def test_a_push_that_loses_a_circle_of_waiting_is_applied_by_itself_a_moment_later(
    app: Flask, phone: Phone, assignment: Assignment, unhurried: None
) -> None:
    phone.record("hold.requested", {"case_id": str(assignment.case_id), "reason": "deceased", "text": ""})
    head = sa.text("SELECT FROM feed_heads WHERE scope = :scope FOR UPDATE")
    case = sa.text("SELECT FROM debtors WHERE id = :id FOR UPDATE")
    with db.engine.connect() as rival, db.engine.connect() as watcher, ThreadPoolExecutor(1) as pool:
        rival.execute(sa.text("SET LOCAL deadlock_timeout = '60s'"))  # the push is the one that loses
        rival.execute(head, {"scope": f"staff:{phone.staff_id}"})
        answer = answered_in_thread(app, phone, pool)
        wait_until_somebody_waits(watcher)

        rival.execute(case, {"id": assignment.debtor_id})
        rival.rollback()

        told = answer.result(PATIENCE_SECONDS)
    assert told.status_code == 200, told.text
    assert told.json["outcomes"][0]["outcome"] == "applied"


def test_holds_from_phones_and_reassignments_at_once_end_in_order(
    office: Office, app: Flask, tmp_path: Path
) -> None:
    actor = office.actor()
    for attempt in range(4):
        door, old, new = a_door(), a_team(), a_team()
        granted = assign(a_wish(door, *old), actor=actor, now=NOW)
        phone = a_phone(old[0], tmp_path / f"phone-{attempt}")
        acknowledge_and_begin(phone, granted)
        phone.record("hold.requested", {"case_id": str(granted.case_id), "reason": "deceased", "text": ""})
        gate = threading.Barrier(2)
        ids = tuple(member.id for member in new)

        def give_away(granted: Assignment = granted, ids: Any = ids, gate: Any = gate) -> str:
            with app.app_context():
                gate.wait()
                try:
                    reassign(granted.id, team=ids, lead=ids[0], reason="x", actor=actor, now=NOW)
                except (VisitRefused, Conflict) as refused:
                    return type(refused).__name__
            return "reassigned"

        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(give_away)
            raw = json.dumps(batch_of(phone, [write_pushed(item) for item in waiting(phone)])).encode()
            gate.wait()
            answer = push_raw(app, phone, raw)
            said = other.result(PATIENCE_SECONDS)
        phone.close()

        assert answer.status_code == 200, answer.text
        assert said in ("reassigned", "VisitRefused", "Conflict")
        db.session.rollback()
        still_open = sa.select(Assignment.id).where(
            Assignment.case_id == granted.case_id, Assignment.state.in_(["issued", "acknowledged"])
        )
        assert db.session.scalars(still_open).all() == []
        assert db.session.get_one(Case, granted.case_id).debtor_id == granted.debtor_id


def test_a_circle_that_never_opens_leaves_the_items_stored_for_later(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    begin(phone, assignment.id)
    raw = json.dumps(batch_of(phone, [write_pushed(item) for item in waiting(phone)])).encode()
    circle = """
        CREATE FUNCTION no_way_out() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'deadlock detected' USING ERRCODE = '40P01'; END $$;
        CREATE TRIGGER no_way_out BEFORE INSERT ON visits FOR EACH ROW EXECUTE FUNCTION no_way_out()
    """
    with db.engine.begin() as rival:
        rival.execute(sa.text(circle))
    try:
        stored = push_raw(app, phone, raw)
    finally:
        with db.engine.begin() as rival:
            rival.execute(sa.text("DROP TRIGGER no_way_out ON visits; DROP FUNCTION no_way_out"))
    outcome = db.session.scalars(sa.select(Item.outcome)).one()
    db.session.rollback()

    project_items(now=now())

    (told,) = stored.json()["outcomes"]
    assert (stored.status_code, told["outcome"], told["receipt"] is not None) == (200, "held", True)
    assert outcome == "received"
    again = push_raw(app, phone, raw).json()["outcomes"][0]
    assert (again["outcome"], again["receipt"]) == ("duplicate", told["receipt"])
    assert db.session.scalars(sa.select(Item.outcome)).one() == "applied"


def test_a_full_disk_is_no_fault_of_the_items(app: Flask, phone: Phone, assignment: Assignment) -> None:
    visit_id = begin(phone, assignment.id)
    phone.record("visit.account", account_body(phone, visit_id))
    full = """
        CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = '53100'; END $$;
        CREATE TRIGGER no_room BEFORE INSERT ON accounts FOR EACH ROW EXECUTE FUNCTION no_room()
    """
    with db.engine.begin() as disk:
        disk.execute(sa.text(full))
    raw = json.dumps(batch_of(phone, [write_pushed(item) for item in waiting(phone)])).encode()
    try:
        refused = push_raw(app, phone, raw)
    finally:
        with db.engine.begin() as disk:
            disk.execute(sa.text("DROP TRIGGER no_room ON accounts; DROP FUNCTION no_room"))

    later = push_raw(app, phone, raw)

    assert (refused.status_code, refused.json()["type"]) == (503, "/problems/database-unavailable")
    assert [one["outcome"] for one in later.json()["outcomes"]] == ["applied", "applied"]
    assert [one["problem"] for one in later.json()["outcomes"]] == [None, None]

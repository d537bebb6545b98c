"""Work that comes with every push finds its rows by key: it costs no more when the office holds more.

A plan made while a table was small reads the whole of it, and prepared statements keep their plans. What no
index leads to is read whole each time. PostgreSQL counts both, also where there is one row to read.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy import event

from server.database import db, release_connection, transaction
from server.jobs import run_worker
from server.models.dispatch import Assignment
from server.models.visits import Visit
from server.workflows.bundle_records import records_of
from sync.phone import Phone, claims_of
from sync.protocol import uuid7
from tests.pushing import begin, evidence_body, outcomes, pushed

SMALL_FOR_EVER: Final = {"backups"}
_SCANS: Final = sa.text("SELECT relname, seq_scan FROM pg_stat_xact_user_tables WHERE seq_scan > 0")


@pytest.fixture
def read_whole(app: Flask) -> Iterator[set[str]]:
    """The tables that transactions have read from end to end."""
    tables: set[str] = set()
    before: dict[Any, dict[str, int]] = {}

    def open_(session: Any, transaction: Any, connection: sa.Connection) -> None:
        connection.exec_driver_sql("DISCARD PLANS")  # a trigger's, made where nobody asked for a key
        before[session] = {name: scans for name, scans in connection.execute(_SCANS)}

    def look(session: Any) -> None:
        if session.in_transaction():
            scanned = session.execute(_SCANS).all()
            tables.update(name for name, scans in scanned if scans > before[session].get(name, 0))

    with app.app_context():
        event.listen(db.session, "after_begin", open_)
        event.listen(db.session, "before_commit", look)
        yield tables
        event.remove(db.session, "before_commit", look)
        event.remove(db.session, "after_begin", open_)


def a_visit(phone: Phone, assignment: Assignment) -> None:
    phone.record("assignment.acknowledged", {"assignment_id": str(assignment.id)})
    visit_id = begin(phone, assignment.id)
    phone.record("visit.evidence", evidence_body(phone, visit_id))
    phone.end_visit(visit_id, position=None)
    at = datetime.now(UTC)
    promise = {"amount_fen": 50_000, "due_on": "2099-01-01"}
    said = claims_of(
        arrived_at=at, left_at=at, team=[phone.staff_id], met="debtor", outcome="promise", promise=promise
    )
    first = phone.write_account(visit_id, claims=said, narrative="承诺还款。")
    phone.write_account(visit_id, claims=said, narrative="承诺还款五百元。", amends=first)


def what_stops_work(phone: Phone, assignment: Assignment) -> None:
    case = {"case_id": str(assignment.case_id)}
    phone.record("complaint.raised", case | {"text": "要投诉"})
    phone.record("incident.raised", case | {"kind": "other", "text": "狗"})
    phone.record("contact.learned", case | {"name": "王五", "phone": "13800001111", "relation": "兄弟"})
    phone.record("contact.refused", case | {"why": "refused", "name": "赵六", "relation": "neighbour"})
    phone.record("hold.requested", case | {"reason": "deceased", "text": "去世"})
    phone.record("gap.explained", {"visit_id": str(uuid7()), "text": "没电"})


@pytest.mark.parametrize("tell", [a_visit, what_stops_work])
def test_no_push_reads_a_table_from_end_to_end(
    app: Flask, phone: Phone, assignment: Assignment, read_whole: set[str], tell: Any
) -> None:
    tell(phone, assignment)

    assert set(outcomes(pushed(app, phone))) <= {"applied", "held"}

    assert read_whole - SMALL_FOR_EVER == set()


def test_nothing_that_follows_a_push_lacks_an_index(
    app: Flask, phone: Phone, assignment: Assignment, read_whole: set[str]
) -> None:
    a_visit(phone, assignment)
    what_stops_work(phone, assignment)
    pushed(app, phone)
    read_whole.clear()

    with planned_by_key():
        run_worker(app, until_idle=True)

    assert read_whole - SMALL_FOR_EVER == set()


def test_what_a_bundle_tells_of_a_visit_is_found_by_key(
    app: Flask, phone: Phone, assignment: Assignment, read_whole: set[str]
) -> None:
    a_visit(phone, assignment)
    pushed(app, phone)
    visit_id = db.session.scalars(sa.select(Visit.id)).one()
    release_connection()
    read_whole.clear()

    with planned_by_key(), transaction() as session:
        records_of(session, session.get_one(Visit, visit_id), evidence=[], decisions=[])

    assert read_whole == set()


@contextmanager
def planned_by_key() -> Iterator[None]:
    """Have every transaction read whole what no index leads to, and nothing else, however small it is."""

    def plan(session: Any, transaction: Any, connection: sa.Connection) -> None:
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        connection.exec_driver_sql("SET LOCAL plan_cache_mode = force_custom_plan")

    event.listen(db.session, "after_begin", plan)
    try:
        yield
    finally:
        event.remove(db.session, "after_begin", plan)


def test_a_phone_that_asks_how_it_stands_does_not_have_its_years_read(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    begin(phone, assignment.id)
    pushed(app, phone)
    with db.engine.begin() as connection:
        connection.execute(_YEARS)
    read: list[int] = []

    def look(session: Any) -> None:
        read.append(session.execute(_ITEMS_READ).scalar_one())

    event.listen(db.session, "before_commit", look)
    headers = {"Authorization": f"Bearer {phone.outbox.fact('token')}"}
    answer = app.test_client().get("/api/v1/sync/status", headers=headers)
    event.remove(db.session, "before_commit", look)

    assert answer.status_code == 200
    assert max(read) < 100


_YEARS: Final = sa.text(
    """
    INSERT INTO items (device_id, item_id, seq, prev, sha256, type, payload_type, payload, signatures,
                       received_at, receipt, outcome)
    SELECT device_id, gen_random_uuid(), n, prev, sha256, type, payload_type, payload, signatures,
           received_at, receipt, outcome
      FROM items, generate_series(2, 300) AS n
    """
)
_ITEMS_READ: Final = sa.text(
    "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'items'"
)

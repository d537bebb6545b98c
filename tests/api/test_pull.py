"""Pull: a phone gets what changed for it, in order, and forgets what was taken away."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask

from server.authority import SYSTEM
from server.database import db, transaction
from server.models.access import AccessEntry
from server.models.assignments import end_early
from server.models.cases import Case, Hold
from server.models.dispatch import Assignment
from server.models.feed import FeedHead, FeedRow, publish, staff_scope
from server.models.people import Staff
from server.workflows.calendar import seed_calendar
from sync.client import Report
from sync.phone import Phone
from sync.protocol import uuid7
from tests.builders import now
from tests.phones import office
from tests.pushing import begin


def test_a_phone_pulls_its_assignments_and_forgets_what_was_taken_away(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    with office(app) as http:
        phone.connect(http).pull(Report())
    held = [entity_id for entity_id, _, _ in phone.outbox.entities("assignment")]
    with transaction():
        end_early(
            Assignment.id == assignment.id, state="cancelled", reason="hold: paid", actor=SYSTEM, now=now()
        )
    with office(app) as http:
        phone.connect(http).pull(Report())

    assert held == [assignment.id]
    assert phone.outbox.entities("assignment") == []


def test_a_hold_raised_while_the_phone_was_offline_is_told_apart_from_one_it_knew(
    app: Flask, phone: Phone, assignment: Assignment, tmp_path: Path
) -> None:
    with office(app) as http:
        phone.connect(http).pull(Report())
    raised = now() - timedelta(hours=1)
    with transaction() as session:
        case = session.get_one(Case, assignment.case_id)
        session.add(
            Hold(
                scope="debtor",
                debtor_id=case.debtor_id,
                case_id=case.id,
                reason="complaint",
                raised_at=raised,
            )
        )
        end_early(Assignment.id == assignment.id, state="cancelled", reason="hold", actor=SYSTEM, now=raised)
    begin(phone, assignment.id)
    with office(app) as http:
        phone.connect(http).session()
    begin(phone, assignment.id)
    with office(app) as http:
        phone.connect(http).session()

    offline, knowing = [one["flags"] for one in phone.outbox.outcomes()]
    assert "hold_not_delivered" in offline and "after_hold" not in offline
    assert "after_hold" in knowing and "hold_not_delivered" not in knowing


def test_sixteen_writers_lose_no_row_of_the_feed(app: Flask, visitor: Staff) -> None:
    def write() -> None:
        with app.app_context():
            for _ in range(20):
                with transaction():
                    publish(staff_scope(visitor.id), kind="assignment", entity_id=uuid7(), op="put")
            db.session.remove()

    threads = [threading.Thread(target=write) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    seqs = db.session.scalars(sa.select(FeedRow.seq).order_by(FeedRow.seq)).all()
    assert list(seqs) == list(range(1, 321))


@pytest.mark.parametrize("cursor", ["nonsense", "eyJ4IjoxfQ==", "W10="])
def test_a_cursor_that_is_not_ours_asks_for_a_reset(app: Flask, phone: Phone, cursor: str) -> None:
    with office(app) as http:
        headers = {"Authorization": f"Bearer {phone.outbox.fact('token')}"}
        answer = http.get("/api/v1/sync/pull", params={"cursor": cursor}, headers=headers)

    assert (answer.status_code, answer.json()["type"]) == (410, "/problems/feed-reset")


def test_after_a_restored_backup_the_phone_starts_over_and_ends_in_the_same_state(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    with office(app) as http:
        phone.connect(http).pull(Report())
    with transaction() as session:
        session.execute(sa.update(FeedHead).values(epoch=uuid7()))

    with office(app) as http:
        phone.connect(http).pull(Report())

    assert [entity_id for entity_id, _, _ in phone.outbox.entities("assignment")] == [assignment.id]


def test_the_phone_gets_the_calendar_and_every_name_it_is_given_is_logged(
    app: Flask, phone: Phone, visitor: Staff, assignment: Assignment
) -> None:
    seed_calendar(now=datetime(2026, 1, 5, tzinfo=UTC))

    with office(app) as http:
        phone.connect(http).pull(Report())

    years = {body["year"]: body for _, _, body in phone.outbox.entities("calendar")}
    assert years[2026]["status"] == "published" and len(years[2026]["days"]) > 20
    (logged,) = db.session.scalars(sa.select(AccessEntry)).all()
    assert (logged.staff_id, logged.entity_id, logged.action) == (visitor.id, phone.device_id, "sync.pull")
    assert logged.request == {"assignments": [str(assignment.id)], "cases": [str(assignment.case_id)]}

"""What phones may forget, and what happens when a backup is put back over newer data."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from server.database import db, transaction
from server.errors import Conflict, NotFound
from server.models.backups import Origin
from server.models.feed import FeedHead, publish, staff_scope
from server.models.people import Staff
from server.workflows import backups
from server.workflows.backups import notice_restored_database
from sync.client import Report
from sync.phone import Phone
from sync.protocol import uuid7
from sync.wire import write_pushed
from tests.builders import a_visitor, now
from tests.phones import a_phone, office
from tests.pushing import account_body, batch_of, push_raw, waiting


def record(phone: Phone, count: int) -> None:
    for _ in range(count):
        phone.record("visit.account", account_body(phone, uuid7()))


def push(app: Flask, phone: Phone) -> dict[str, Any]:
    raw = json.dumps(batch_of(phone, [write_pushed(item) for item in waiting(phone)])).encode()
    answer = push_raw(app, phone, raw)
    assert answer.status_code == 200, answer.text
    return answer.json()


def told(app: Flask, phone: Phone) -> dict[str, int]:
    """What a push, a pull and the status say the phone may forget; they must agree."""
    with office(app) as http:
        headers = {"Authorization": f"Bearer {phone.outbox.fact('token')}"}
        page = http.get("/api/v1/sync/pull", headers=headers).json()
        status = http.get("/api/v1/sync/status", headers=headers).json()
    assert page["durable_through"] == status["durable_through"]
    assert page["ack_seq"] == status["acked_seq"]
    return {"acked": page["ack_seq"], "durable": page["durable_through"]}


def test_without_declared_backups_what_is_stored_counts_as_durable(app: Flask, phone: Phone) -> None:
    record(phone, 2)
    answer = push(app, phone)

    assert (answer["durable_through"], told(app, phone)) == (2, {"acked": 2, "durable": 2})


def test_a_backup_promises_what_was_stored_before_it_began(app: Flask, phone: Phone) -> None:
    record(phone, 2)
    push(app, phone)
    name = backups.mark(now=now())
    record(phone, 1)
    push(app, phone)
    before = told(app, phone)

    backups.complete(name, now=now())

    assert (before, told(app, phone)) == ({"acked": 3, "durable": 3}, {"acked": 3, "durable": 2})


def test_once_there_are_backups_a_new_phone_may_forget_nothing(app: Flask, tmp_path: Path) -> None:
    backups.complete(backups.mark(now=now()), now=now())
    late = a_phone(a_visitor(), tmp_path / "late")
    record(late, 2)

    answer = push(app, late)

    assert (answer["ack_seq"], answer["durable_through"], told(app, late)["durable"]) == (2, 0, 0)
    late.close()


def test_an_older_backup_that_ends_later_takes_nothing_back(app: Flask, phone: Phone) -> None:
    record(phone, 1)
    push(app, phone)
    older = backups.mark(now=now())
    record(phone, 1)
    push(app, phone)
    newer = backups.mark(now=now())

    moved = [backups.complete(newer, now=now()), backups.complete(older, now=now())]

    assert (moved, told(app, phone)["durable"]) == ([1, 0], 2)


def test_a_backup_is_completed_once_and_only_under_its_name(app: Flask) -> None:
    name = backups.mark(now=now())
    backups.complete(name, now=now())

    with pytest.raises(Conflict):
        backups.complete(name, now=now())
    with pytest.raises(NotFound):
        backups.complete(uuid7(), now=now())


def epochs() -> dict[str, UUID]:
    db.session.rollback()
    rows = db.session.execute(sa.select(FeedHead.scope, FeedHead.epoch))
    return {row.scope: row.epoch for row in rows}


def something_published(visitor: Staff) -> None:
    with transaction():
        publish(staff_scope(visitor.id), kind="assignment", entity_id=uuid7(), op="put")
        publish("everyone", kind="calendar", entity_id=UUID(int=2026), op="put")


def test_a_restored_database_is_noticed_and_every_phone_starts_over(
    app: Flask, phone: Phone, visitor: Staff
) -> None:
    something_published(visitor)
    notice_restored_database(now=now())
    first = epochs()
    notice_restored_database(now=now())
    assert epochs() == first
    with office(app) as http:
        phone.connect(http).pull(Report())
        with transaction() as session:
            session.execute(sa.update(Origin).values(identity="another cluster/1/5"))

        notice_restored_database(now=now())

        headers = {"Authorization": f"Bearer {phone.outbox.fact('token')}"}
        query = {"cursor": phone.outbox.fact("cursor")}
        refused = http.get("/api/v1/sync/pull", params=query, headers=headers)
    again = epochs()
    notice_restored_database(now=now())
    assert (refused.status_code, refused.json()["type"]) == (410, "/problems/feed-reset")
    assert again.keys() == first.keys() and not set(again.values()) & set(first.values())
    assert epochs() == again


def test_the_operator_may_say_that_a_backup_was_put_back(app: Flask, visitor: Staff) -> None:
    something_published(visitor)
    first = epochs()

    count = backups.begin_new_epochs(now=now())

    assert count == 2 and not set(epochs().values()) & set(first.values())

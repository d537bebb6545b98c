"""A feed that never loses, doubles or stalls, whoever commits late, dies or comes back from a backup."""

import random
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import OperationalError

from server.authority import SYSTEM
from server.config import Config
from server.database import db, transaction
from server.models.assignments import end_early
from server.models.dispatch import Assignment
from server.models.feed import FeedHead, FeedRow, Op, publish, staff_scope
from server.models.people import Staff
from sync.client import Report
from sync.phone import Phone
from sync.protocol import uuid7
from tests.builders import a_case, a_visitor, an_address, an_assignment
from tests.failures.gates import gate
from tests.office import Office, a_body, a_door, a_team
from tests.phones import Watch, a_phone, office
from tests.pushing import begin

WRITERS = 16


def pull(app: Flask, phone: Phone, *, cursor: str | None = None, limit: int = 500) -> dict[str, Any]:
    """One page, without the client."""
    query: dict[str, Any] = {"limit": limit} | ({"cursor": cursor} if cursor else {})
    with office(app) as http:
        headers = {"Authorization": f"Bearer {phone.outbox.fact('token')}"}
        answer = http.get("/api/v1/sync/pull", params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def sync(app: Flask, phone: Phone) -> None:
    with office(app) as http:
        phone.sync(http)


def held(phone: Phone) -> set[UUID]:
    """The assignments a phone shows."""
    return {entity_id for entity_id, _, _ in phone.outbox.entities("assignment")}


def ids(page: dict[str, Any]) -> list[UUID]:
    return [UUID(change["id"]) for change in page["changes"]]


def numbers(scope: str) -> list[int]:
    db.session.rollback()
    rows = db.session.scalars(sa.select(FeedRow.seq).where(FeedRow.scope == scope).order_by(FeedRow.seq))
    return list(rows)


def announce(app: Flask, scope: str, entity_id: UUID, op: Op = "put") -> None:
    """Publish one change in a transaction of its own."""
    with app.app_context():
        with transaction():
            publish(scope, kind="assignment", entity_id=entity_id, op=op)
        db.session.remove()


@contextmanager
def in_background(*acts: Callable[[], None]) -> Iterator[None]:
    threads = [threading.Thread(target=act) for act in acts]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join()


def test_the_first_to_take_a_number_commits_last(
    app: Flask, config: Config, phone: Phone, visitor: Staff
) -> None:
    scope, slow, quick = staff_scope(visitor.id), uuid7(), uuid7()
    before = pull(app, phone)["cursor"]

    with (
        gate(config.libpq_url, "feed", at="commit", only=f"NEW.entity_id = '{slow}'") as in_commit,
        in_background(lambda: announce(app, scope, slow, "remove")),
    ):
        in_commit.reached()
        with in_background(lambda: announce(app, scope, quick, "remove")):
            meanwhile = pull(app, phone, cursor=before)
            in_commit.open()

    assert meanwhile["changes"] == []
    for cursor in (None, before, meanwhile["cursor"]):
        assert ids(pull(app, phone, cursor=cursor)) == [slow, quick]


def test_an_unrelated_open_transaction_stalls_nobody(
    app: Flask, config: Config, phone: Phone, visitor: Staff
) -> None:
    change = uuid7()
    with psycopg.connect(config.libpq_url) as other:
        other.execute("UPDATE staff SET branch = 'open' WHERE id <> %s", [visitor.id])
        other.execute("SELECT * FROM feed_heads")
        announce(app, staff_scope(visitor.id), change, "remove")
        page = pull(app, phone)

    assert ids(page) == [change]


def test_a_rollback_leaves_no_gap(app: Flask, config: Config, visitor: Staff) -> None:
    scope, refused = staff_scope(visitor.id), uuid7()
    announce(app, scope, uuid7())

    with (
        gate(config.libpq_url, "feed", at="commit", only=f"NEW.entity_id = '{refused}'") as in_commit,
        in_background(lambda: _announce_in_vain(app, scope, refused)),
    ):
        in_commit.end(in_commit.reached())
        in_commit.open()
    announce(app, scope, uuid7())

    assert numbers(scope) == [1, 2]


def _announce_in_vain(app: Flask, scope: str, entity_id: UUID) -> None:
    with pytest.raises(OperationalError):
        announce(app, scope, entity_id)


def test_the_same_cursor_twice_gives_the_same_rows(app: Flask, phone: Phone, visitor: Staff) -> None:
    door = a_case()
    assigned = [an_assignment(door, an_address(door), visitor, start=_hour(n)) for n in range(5)]
    cursor = pull(app, phone, limit=2)["cursor"]

    first, again = (pull(app, phone, cursor=cursor, limit=2) for _ in range(2))

    assert first["changes"] == again["changes"]
    assert ids(first) == [one.id for one in assigned[2:4]]


def _hour(n: int) -> datetime:
    return datetime(2026, 11, 24, 1, tzinfo=UTC) + timedelta(hours=3 * n)


def test_a_phone_that_dies_at_any_moment_of_applying_a_page(
    app: Flask, phone: Phone, visitor: Staff, tmp_path: Path
) -> None:
    case = a_case()
    assigned = [an_assignment(case, an_address(case), visitor, start=_hour(n)) for n in range(3)]
    sync(app, phone)
    with transaction():
        end_early(Assignment.id == assigned[0].id, state="cancelled", reason="x", actor=SYSTEM, now=_hour(0))
    images: list[Path] = []

    def keep_an_image(statement: str) -> None:
        image = tmp_path / f"image-{len(images)}"
        shutil.copytree(phone.folder, image)
        images.append(image)

    phone.outbox._db.set_trace_callback(keep_an_image)  # the disk as it is at each statement
    sync(app, phone)
    phone.outbox._db.set_trace_callback(None)

    whole = phone.outbox.entities("assignment")
    assert len(images) > 5 and len(whole) == 2
    for image in images:
        started_again = Phone(image, clocks=Watch().clocks())
        sync(app, started_again)
        assert started_again.outbox.entities("assignment") == whole
        started_again.close()


def test_writes_go_on_during_a_first_sync_of_fifty_pages(app: Flask, phone: Phone, visitor: Staff) -> None:
    scope, dice = staff_scope(visitor.id), random.Random(11)
    assigned = _many_assignments(visitor, 250)
    with transaction():
        for entity_id in assigned:
            publish(scope, kind="assignment", entity_id=entity_id, op="put")
    shown, cursor, pages, more = set[UUID](), None, 0, True

    while more or pages <= 60:
        page = pull(app, phone, cursor=cursor, limit=5)
        for change in page["changes"]:
            (shown.add if change["op"] == "put" else shown.discard)(UUID(change["id"]))
        cursor, more, pages = page["cursor"], page["has_more"], pages + 1
        if pages <= 60:
            announce(app, scope, dice.choice(assigned), "put" if pages % 2 else "remove")

    last = db.session.execute(sa.select(FeedRow.entity_id, FeedRow.op).where(FeedRow.scope == scope))
    assert pages > 50
    assert shown == {row.entity_id for row in last if row.op == "put"}


def _many_assignments(visitor: Staff, number: int) -> list[UUID]:
    case = a_case()
    model = an_assignment(case, an_address(case), visitor)
    columns = {one.key: getattr(model, one.key) for one in Assignment.__table__.columns}
    with transaction() as session:
        rows = [columns | {"id": uuid7(), "permit_id": uuid7()} for _ in range(number)]
        session.execute(sa.insert(Assignment), rows)
    return [row["id"] for row in rows]


def test_a_reassignment_takes_and_gives_in_one_transaction(office: Office, tmp_path: Path) -> None:
    app, door, (one, two) = office.app, a_door(), (a_team(1), a_team(1))
    phones = [a_phone(team[0], tmp_path / f"{n}") for n, team in enumerate((one, two))]
    first = office.ask("/assignments", a_body(door, *one)).get_json()["id"]
    sync(app, phones[0])
    team = {"team": [str(two[0].id)], "lead": str(two[0].id), "reason": "illness"}

    second = office.ask(f"/assignments/{first}/reassign", team).get_json()["id"]

    query = "SELECT scope, op, entity_id, xmin::text FROM feed WHERE kind = 'assignment'"
    rows = db.session.execute(sa.text(query)).all()
    assert {(row.scope, row.op, str(row.entity_id)) for row in rows} == {
        (staff_scope(one[0].id), "remove", first),
        (staff_scope(two[0].id), "put", second),
    }
    assert len({row.xmin for row in rows}) == 1
    for phone, expected in zip(phones, (set(), {UUID(second)}), strict=True):
        sync(app, phone)
        assert held(phone) == expected
        phone.close()


def test_regained_access_gives_the_whole_body_again(
    app: Flask, phone: Phone, visitor: Staff, assignment: Assignment
) -> None:
    sync(app, phone)
    first = phone.outbox.entities("assignment")
    announce(app, staff_scope(visitor.id), assignment.id, "remove")
    sync(app, phone)
    lost = phone.outbox.entities("assignment")

    announce(app, staff_scope(visitor.id), assignment.id, "put")
    sync(app, phone)

    again = phone.outbox.entities("assignment")
    assert lost == []
    assert [body for _, _, body in again] == [body for _, _, body in first]


def test_a_stale_cursor_starts_over_and_ends_in_the_same_state(
    app: Flask, phone: Phone, visitor: Staff
) -> None:
    case = a_case()
    kept, gone = (an_assignment(case, an_address(case), visitor, start=_hour(n)) for n in range(2))
    sync(app, phone)
    with transaction() as session:
        end_early(Assignment.id == gone.id, state="cancelled", reason="x", actor=SYSTEM, now=_hour(0))
    with transaction() as session:
        session.execute(sa.delete(FeedRow).where(FeedRow.op == "remove"))
        session.execute(sa.update(FeedHead).values(oldest_tombstone=FeedHead.seq))

    with office(app) as http:
        was_reset = phone.connect(http).pull(Report())

    assert was_reset
    assert held(phone) == {kept.id}


def test_a_server_clock_stepped_back_an_hour_hides_nothing(office: Office, tmp_path: Path) -> None:
    app, visitor = office.app, a_visitor()
    case = a_case()
    first = an_assignment(case, an_address(case), visitor, start=_hour(0))
    phone = a_phone(visitor, tmp_path / "phone")
    sync(app, phone)
    begin(phone, first.id)
    clock = app.extensions["clock"]
    app.extensions["clock"] = replace(clock, at=clock.at - timedelta(hours=1))

    second = an_assignment(case, an_address(case), visitor, start=_hour(1))
    sync(app, phone)

    outcome = phone.outbox.outcomes()[0]
    assert held(phone) == {first.id, second.id}
    assert (outcome["outcome"], numbers(staff_scope(visitor.id))) == ("applied", [1, 2])
    phone.close()


def test_the_database_is_restored_from_a_backup(
    app: Flask, config: Config, phone: Phone, visitor: Staff
) -> None:
    case = a_case()
    before, after = (an_assignment(case, an_address(case), visitor, start=_hour(n)) for n in range(2))
    sync(app, phone)
    with transaction():
        end_early(Assignment.id == after.id, state="cancelled", reason="x", actor=SYSTEM, now=_hour(0))
    visit_id = begin(phone, before.id)
    phone.end_visit(visit_id, position=None)
    with restored_after(config.libpq_url):
        sync(app, phone)
        receipts = [one["receipt"] for one in phone.outbox.outcomes()]
        shown = held(phone)
        db.session.remove()
        db.engine.dispose()

    sync(app, phone)
    sync(app, phone)

    stored = db.session.execute(sa.text("SELECT item_id, outcome FROM items ORDER BY seq")).all()
    assert all(receipts) and shown == {before.id}
    assert [row.outcome for row in stored] == ["applied", "applied"]
    assert [row.item_id for row in stored] == [one["id"] for one in phone.outbox.outcomes()]
    assert phone.outbox.count_waiting() == (0, 0)


@contextmanager
def restored_after(url: str) -> Iterator[None]:
    """Make a backup of the whole database now, and put it in its place when the block is over."""
    base, _, name = url.rpartition("/")
    db.session.remove()
    db.engine.dispose()
    others = "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = %s"
    with psycopg.connect(f"{base}/postgres", autocommit=True) as outside:
        outside.execute(others, [name])  # an autovacuum worker, too, keeps a database from being copied
        outside.execute(f'CREATE DATABASE "{name}_backup" TEMPLATE "{name}"'.encode())
        yield
        outside.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())
        outside.execute(f'ALTER DATABASE "{name}_backup" RENAME TO "{name}"'.encode())


def test_writers_and_readers_at_once_miss_no_row(app: Flask, phone: Phone, visitor: Staff) -> None:
    scope, seen, cursor = staff_scope(visitor.id), set[UUID](), None
    written = [[uuid7() for _ in range(10)] for _ in range(WRITERS)]

    def write(mine: list[UUID]) -> None:
        for one in mine:
            announce(app, scope, one, "remove")

    threads = [threading.Thread(target=write, args=(mine,)) for mine in written]
    for thread in threads:
        thread.start()
    is_over = False
    while not is_over:
        is_over = not any(thread.is_alive() for thread in threads)
        page = pull(app, phone, cursor=cursor, limit=7)
        seen.update(ids(page))
        cursor, is_over = page["cursor"], is_over and not page["has_more"]

    assert seen == {one for mine in written for one in mine}
    assert numbers(scope) == list(range(1, 10 * WRITERS + 1))

"""What a phone knows against the office reaches the office: it lies at the desk until somebody has looked."""

import json
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from server.database import db, transaction
from server.models.dispatch import Assignment
from server.models.visits import FieldReport, Item
from sync.chain import record_digest
from sync.events import Event, RecordDiffers
from sync.phone import Phone
from sync.store import PhoneFull
from tests.builders import Cast, Person, Role, now
from tests.desk import correct, decide, desk, look, told
from tests.office import Stopped
from tests.phones import Watch, office
from tests.pushing import an_account, begin


def synced(phone: Phone, app: Flask) -> list[Event]:
    """One session of the phone; what it told the app of its record."""
    events: list[Event] = []
    with office(app) as http:
        phone.sync(http, on_event=events.append)
    return [one for one in events if isinstance(one, RecordDiffers)]


def reports() -> list[dict[str, Any]]:
    query = sa.select(FieldReport.body).where(FieldReport.type == "record.doubted")
    found = db.session.scalars(query.order_by(FieldReport.received_at)).all()
    db.session.rollback()
    return list(found)


def health(person: Person, phone: Phone) -> dict[str, Any]:
    return told(person.get(f"/api/v1/devices/{phone.device_id}/sync"))


def forget(*digests: bytes) -> None:
    """What an older backup, restored without a word, does not hold."""
    with transaction() as session:
        session.execute(sa.text("SET LOCAL session_replication_role = replica"))
        session.execute(sa.delete(Item).where(Item.sha256.in_(digests)))
        session.execute(
            sa.text("UPDATE devices SET record_digest = record_digest # CAST(:lost AS bit(256))"),
            {"lost": f"{int.from_bytes(record_digest(digests)):0256b}"},
        )


@pytest.fixture
def supervisor(cast: Cast) -> Person:
    return cast.person(Role.SUPERVISOR)


@pytest.fixture
def lost(app: Flask, phone: Phone, assignment: Assignment) -> list[bytes]:
    """Items that a phone has dropped because they were durable, and the office has lost."""
    an_account(phone, begin(phone, assignment.id))
    synced(phone, app)
    gone = list(db.session.scalars(sa.select(Item.sha256)))
    db.session.rollback()
    phone.outbox.remember(durable_through=len(gone))
    phone.outbox.release(now=now() + timedelta(days=8))
    forget(*gone)
    return gone


def test_a_record_that_stays_different_is_told_to_the_office_once(
    app: Flask, phone: Phone, lost: list[bytes], supervisor: Person
) -> None:
    assert synced(phone, app) == []  # it offers all it has first

    (said,) = synced(phone, app)
    again = synced(phone, app)

    assert isinstance(said, RecordDiffers) and said.doubt.held == record_digest(lost)
    (report,) = reports()
    assert report == {"held": said.doubt.held.hex(), "told": said.doubt.told.hex()}
    assert len(again) == 1
    (entry,) = desk(supervisor)
    assert (entry["kind"], entry["problem"]) == ("doubt", "record-doubted")
    assert look(supervisor, entry["ref"])["signature"] == "valid"


def test_another_loss_is_another_doubt_but_not_within_a_week(
    app: Flask, phone: Phone, lost: list[bytes]
) -> None:
    for _ in range(2):
        synced(phone, app)
    phone.record("gap.explained", {"why": "没电"})
    synced(phone, app)
    phone.outbox.remember(durable_through=100)
    phone.outbox.release(now=now() + timedelta(days=8))
    forget(*db.session.scalars(sa.select(Item.sha256).where(Item.type == "gap.explained")))

    for _ in range(3):
        synced(phone, app)
    within = len(reports())
    at = now()
    app.extensions["clock"] = Stopped(at=at + timedelta(days=7, minutes=1))
    for _ in range(3):
        synced(phone, app)

    assert within == 1
    first, second = reports()
    assert first != second


def test_two_idle_copies_of_a_phone_do_not_doubt_one_another_for_ever(
    app: Flask, phone: Phone, tmp_path: Path
) -> None:
    phone.outbox.store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copytree(phone.folder, tmp_path / "copy")
    copy = Phone(tmp_path / "copy", clocks=Watch().clocks())
    phone.record("gap.explained", {"why": "first"})
    copy.record("gap.explained", {"why": "second"})
    pushed = 0

    for number in range(24):
        for one in (phone, copy):
            with office(app) as http:
                report = one.sync(http)
            pushed += report.pushed if number >= 12 else 0
    copy.close()

    assert (len(reports()), pushed) == (2, 0)


def test_a_doubt_is_owed_until_a_supervisor_has_looked_at_it(
    app: Flask, phone: Phone, lost: list[bytes], supervisor: Person, cast: Cast
) -> None:
    dispatcher = cast.person(Role.DISPATCHER)
    for _ in range(2):
        synced(phone, app)
    (entry,) = desk(supervisor, "kind=doubt")
    before = health(dispatcher, phone)

    told(decide(supervisor, entry, "retry"), 409)
    told(decide(supervisor, entry, "accept", reason="the backup of the 3rd; asked the visitor"))

    assert (before["health"]["doubts"], before["doubt_items"]) == (1, [entry["item_id"]])
    assert before["health"]["is_owing"]
    assert desk(supervisor) == []
    after = health(dispatcher, phone)
    assert (after["health"]["doubts"], after["doubt_items"], after["health"]["is_owing"]) == (0, [], False)
    told(decide(supervisor, entry, "accept", seen=1), 409)


@pytest.mark.parametrize("kind", ["fork", "doubt"])
def test_what_only_wants_to_be_seen_is_not_corrected(
    app: Flask, phone: Phone, lost: list[bytes], supervisor: Person, kind: str
) -> None:
    for _ in range(2):
        synced(phone, app)
    (entry,) = desk(supervisor)
    ref = entry["ref"].replace("doubt", kind, 1)

    answer = correct(supervisor, {**entry, "ref": ref}, "gap.explained", {"why": "made up"})

    assert told(answer, 409)["type"].endswith("decision-not-for-this")


def test_a_log_that_did_not_only_grow_lies_at_the_desk_too(
    app: Flask, phone: Phone, supervisor: Person
) -> None:
    phone.record("log.doubted", {"why": "shorter", "held": "fieldvisit/x\n2\n", "told": "fieldvisit/x\n1\n"})

    synced(phone, app)

    (entry,) = desk(supervisor)
    assert (entry["kind"], entry["problem"]) == ("doubt", "log-doubted")
    heaps = json.loads(supervisor.get("/api/v1/quarantine/summary").text)["heaps"]
    assert [(heap["kind"], heap["problem"], heap["count"]) for heap in heaps] == [("doubt", "log-doubted", 1)]


def test_a_full_phone_says_it_later_and_goes_on_syncing(
    app: Flask, phone: Phone, lost: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: Any, **__: Any) -> None:
        raise PhoneFull("the disk has no room for another record")

    synced(phone, app)
    with monkeypatch.context() as full:
        full.setattr(phone.outbox, "append", no_room)
        told_then = synced(phone, app)
    before = reports()

    synced(phone, app)

    assert (len(told_then), before) == (1, [])
    assert len(reports()) == 1

"""Whoever holds password and signing key can rewrite the whole log; the phones that saw it before say so."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from server.database import db, transaction
from server.models.visits import FieldReport
from server.workflows.transparency.checking import alterations
from server.workflows.transparency.sequencing import sequence
from sync.events import Event, LogDoubted
from sync.phone import Phone
from sync.witness import open_head
from tests.builders import a_visitor, now
from tests.phones import a_phone, office

WIPED = ("DELETE FROM log_checkpoints", "DELETE FROM log_tiles", "UPDATE log_leaves SET leaf_index = NULL")


def sql(*statements: str) -> None:
    with transaction() as session:
        for statement in statements:
            session.execute(sa.text(statement))


def grown_by(count: int) -> None:
    sql(
        "INSERT INTO log_leaves (kind, subject_id, entry) SELECT 'erasure', gen_random_uuid(),"
        f" sha256(uuid_send(gen_random_uuid())) FROM generate_series(1, {count})"
    )
    while sequence(now=now()):
        pass


def synced(phone: Phone, app: Flask) -> list[Event]:
    """One session of the phone; what it told the app of the log."""
    told: list[Event] = []
    with office(app) as http:
        phone.sync(http, on_event=told.append)
    return [one for one in told if isinstance(one, LogDoubted)]


def kept_size(phone: Phone) -> int:
    return open_head(phone.outbox.fact("log_head"), key=phone.server_key).size


def doubts() -> list[Any]:
    query = sa.select(FieldReport.body).where(FieldReport.type == "log.doubted")
    found = db.session.scalars(query.order_by(FieldReport.received_at)).all()
    db.session.rollback()
    return list(found)


def accused() -> list[str]:
    return [one.where for one in alterations() if one.what.startswith("a phone holds")]


@pytest.fixture
def phone(app: Flask, tmp_path: Path) -> Iterator[Phone]:
    """A phone that has seen a log of 300 leaves."""
    handset = a_phone(a_visitor(), tmp_path / "phone")
    grown_by(300)
    assert synced(handset, app) == []
    yield handset
    handset.close()


def test_a_phone_follows_a_log_that_only_grows(app: Flask, phone: Phone):
    for more in (1, 411, 0):
        grown_by(more)
        assert synced(phone, app) == []

    assert kept_size(phone) == 712
    assert doubts() == [] and accused() == []


def test_a_log_rewritten_by_whoever_holds_the_key_is_doubted_reported_and_named(app: Flask, phone: Phone):
    before = phone.outbox.fact("log_head")
    sql(*WIPED, "UPDATE log_leaves SET entry = sha256('x') WHERE id = (SELECT min(id) FROM log_leaves)")
    grown_by(5)

    (told,) = synced(phone, app)

    assert isinstance(told, LogDoubted) and told.doubt.why == "rewritten"
    (doubt,) = doubts()
    assert doubt == {"why": "rewritten", "held": before, "told": phone.outbox.fact("log_head")}
    assert accused() == [f"device {phone.device_id}"]


def test_a_log_that_lost_its_end_is_doubted_once_and_then_watched_from_there(app: Flask, phone: Phone):
    sql(*WIPED, "DELETE FROM log_leaves WHERE id > (SELECT min(id) + 99 FROM log_leaves)")
    grown_by(0)
    while sequence(now=now()):
        pass

    (told,) = synced(phone, app)

    assert isinstance(told, LogDoubted) and told.doubt.why == "shorter"
    assert kept_size(phone) == 100
    grown_by(50)
    assert synced(phone, app) == []
    assert len(doubts()) == 1 and accused() == [f"device {phone.device_id}"]


def test_a_broken_log_stops_no_phone(app: Flask, phone: Phone):
    grown_by(300)
    sql("DELETE FROM log_tiles WHERE level = 0")

    (told,) = synced(phone, app)

    assert isinstance(told, LogDoubted)
    assert len(doubts()) == 1


def test_a_doubt_with_heads_that_we_never_signed_accuses_nobody(app: Flask, phone: Phone):
    phone.record("log.doubted", {"why": "rewritten", "held": "fieldvisit/x\n1\n", "told": ""})
    phone.record("log.doubted", {"held": ["nothing"]})

    synced(phone, app)

    assert len(doubts()) == 2 and accused() == []


def test_an_office_without_a_log_is_believed(app: Flask, tmp_path: Path):
    handset = a_phone(a_visitor(), tmp_path / "phone")

    assert synced(handset, app) == []
    assert handset.outbox.fact("log_head") is None
    handset.close()

"""Rows that go in by columns: what a row says is what the table holds."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from flask import Flask

from server.bulk import insert_rows
from server.database import db, transaction
from server.models.cases import Debtor
from server.models.visits import FieldReport, Item, Visit
from sync.protocol import uuid7
from tests.builders import a_handset, a_visitor

AT = datetime(2026, 11, 24, 4, 0, 0, 123456, tzinfo=UTC)


def an_item(handset_id: object, **facts: object) -> dict[str, object]:
    return {
        "device_id": handset_id,
        "item_id": uuid7(),
        "seq": 1,
        "prev": None,
        "sha256": b"\x00\xff" * 16,
        "type": "visit.account",
        "visit_id": None,
        "payload_type": 'a "quoted" \\ type, 狗 {}',
        "payload": bytes(range(256)),
        "signatures": [{"keyid": "k", "sig": "s"}],
        "received_at": AT,
        "receipt": {"a": [1, None, "狗"]},
        "outcome": "received",
        "flags": ['one, "two"', "{three}"],
        "problem": None,
    } | facts


def test_every_kind_of_value_comes_back_as_it_went_in(app: Flask) -> None:
    device_id = a_handset(a_visitor()).device.id
    rows = [
        an_item(device_id),
        an_item(device_id, seq=2**53, prev=b"p" * 32, visit_id=uuid7(), flags=[], problem={"slug": "x"}),
    ]

    with transaction() as session:
        insert_rows(session, Item, rows)

    for row in rows:
        kept = db.session.get_one(Item, (device_id, row["item_id"]))
        assert {name: getattr(kept, name) for name in row} == row
    with_problem = sa.select(sa.func.count()).select_from(Item).where(Item.problem.is_not(None))
    assert db.session.scalar(with_problem) == 1


def test_rows_that_are_there_already_are_named_by_their_absence(app: Flask) -> None:
    report = {
        "id": uuid7(),
        "device_id": uuid7(),
        "item_id": uuid7(),
        "type": "x",
        "body": {},
        "received_at": AT,
    }
    other = {**report, "id": uuid7()}
    then = "ON CONFLICT (id) DO NOTHING RETURNING id"

    with transaction() as session:
        first = insert_rows(session, FieldReport, [report], then=then)
        second = insert_rows(session, FieldReport, [report, other], then=then)

    assert (first, second) == ([report["id"]], [other["id"]])


def test_no_rows_are_no_statement(app: Flask) -> None:
    with transaction() as session:
        assert insert_rows(session, Visit, []) == []


def test_columns_that_must_be_encrypted_on_the_way_in_are_refused(app: Flask) -> None:
    with transaction() as session, pytest.raises(TypeError, match="in bulk"):
        insert_rows(session, Debtor, [{"id": uuid7(), "name": "张小明"}])

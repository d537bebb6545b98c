"""Pull and status say what the office holds of a phone's record, in one digest."""

from typing import Any

import pytest
from flask import Flask

from server.models.dispatch import Assignment
from sync.chain import record_digest
from sync.envelope import digest
from sync.phone import Phone
from sync.protocol import ITEM, PushedItem
from tests.pushing import an_account, begin, push, waiting

NOTHING = "0" * 64


def told(app: Flask, phone: Phone) -> str:
    headers = {"Authorization": f"Bearer {phone.outbox.fact('token')}"}
    client, doors = app.test_client(), ("/api/v1/sync/pull", "/api/v1/sync/status")
    answers: list[dict[str, Any]] = [client.get(door, headers=headers).get_json() for door in doors]
    (said,) = {answer["record_digest"] for answer in answers}
    return said


def names(items: list[PushedItem]) -> list[bytes]:
    return [digest(one.envelope.payload_type, one.envelope.payload) for one in items]


@pytest.fixture
def items(phone: Phone, assignment: Assignment) -> list[PushedItem]:
    an_account(phone, begin(phone, assignment.id))
    return waiting(phone)


def test_the_digest_is_that_of_all_stored_items_however_often_and_in_whatever_order_they_came(
    app: Flask, phone: Phone, items: list[PushedItem]
) -> None:
    before = told(app, phone)
    push(app, phone, items[1:])
    between = told(app, phone)

    for _ in range(2):
        push(app, phone, items)

    assert before == NOTHING
    assert between == record_digest(names(items)[1:]).hex()
    assert told(app, phone) == record_digest(names(items)).hex()


def test_other_bytes_under_a_known_id_do_not_count(app: Flask, phone: Phone, items: list[PushedItem]) -> None:
    push(app, phone, items)
    first = items[0]
    payload = first.envelope.payload.replace(b'"position":null', b'"position": null')
    assert payload != first.envelope.payload

    push(app, phone, [PushedItem(first.id, first.seq, first.prev, phone.key.seal(ITEM, payload))])

    assert told(app, phone) == record_digest(names(items)).hex()

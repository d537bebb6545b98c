"""Two phones with one key: both are believed as far as their items go, and both are shown to the office."""

import json

import pytest
import sqlalchemy as sa
from flask import Flask

from server.authority import SYSTEM
from server.database import db, transaction
from server.models.dispatch import Assignment
from server.models.people import Device, Staff
from server.models.visits import Item
from server.workflows.people import depart
from sync.phone import Phone
from sync.protocol import ITEM, PushedItem, uuid7
from tests.builders import now
from tests.pushing import account_body, begin, push, waiting


def twin_of(phone: Phone, item: PushedItem) -> PushedItem:
    """What a clone of the phone wrote in the same place: another id, other words, the same key."""
    other = uuid7()
    payload = item.envelope.payload.replace(str(item.id).encode(), str(other).encode())
    return PushedItem(other, item.seq, item.prev, phone.key.seal(ITEM, payload))


def flags(item: PushedItem) -> list[str]:
    db.session.rollback()
    found = db.session.scalars(sa.select(Item).where(Item.item_id == item.id)).one()
    assert found.outcome == "applied"
    return found.flags


def test_both_sides_of_a_fork_are_applied_and_flagged(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    visit_id = begin(phone, assignment.id)
    phone.record("visit.account", account_body(phone, visit_id))
    first, second = waiting(phone)
    push(app, phone, [first, second])
    clone = twin_of(phone, second)

    told = push(app, phone, [clone])

    assert told[0]["outcome"] == "applied" and "chain_fork" in told[0]["flags"]
    assert "chain_fork" in flags(second) and "chain_fork" not in flags(first)


def test_a_fork_shows_also_when_the_later_item_came_first(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    visit_id = begin(phone, assignment.id)
    for _ in range(2):
        phone.record("visit.account", account_body(phone, visit_id))
    first, second, third = waiting(phone)
    push(app, phone, [first, third])

    told = push(app, phone, [twin_of(phone, second)])

    assert "chain_fork" in told[0]["flags"]
    assert "chain_fork" in flags(third)


def test_what_fills_a_gap_rightly_is_no_fork(app: Flask, phone: Phone, assignment: Assignment) -> None:
    visit_id = begin(phone, assignment.id)
    for _ in range(2):
        phone.record("visit.account", account_body(phone, visit_id))
    first, second, third = waiting(phone)
    push(app, phone, [first, third])

    push(app, phone, [second])

    assert [name for item in (first, second, third) for name in flags(item) if name == "chain_fork"] == []


def test_a_phone_that_jumps_numbers_hears_of_two_hundred_gaps_and_no_more(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    begin(phone, assignment.id)
    (item,) = waiting(phone)
    record = json.loads(item.envelope.payload)
    odd = []
    for n in range(250):
        other = uuid7()
        payload = json.dumps(record | {"item_id": str(other), "seq": 3 + 2 * n, "prev": "ab" * 32}).encode()
        odd.append(PushedItem(other, 3 + 2 * n, b"\xab" * 32, phone.key.seal(ITEM, payload)))

    push(app, phone, odd)
    headers = {"Authorization": f"Bearer {phone.outbox.fact('token')}"}
    answer = app.test_client().get("/api/v1/sync/status", headers=headers)

    told = json.loads(answer.text)
    assert (len(told["missing"]), told["missing"][:2]) == (200, [[1, 2], [4, 4]])


@pytest.mark.parametrize("ends", ["revoked", "left"])
def test_a_phone_that_may_only_submit_is_heard_and_its_fork_shows(
    app: Flask, phone: Phone, visitor: Staff, assignment: Assignment, ends: str
) -> None:
    begin(phone, assignment.id)
    (mine,) = waiting(phone)
    push(app, phone, [mine])
    if ends == "left":
        depart(visitor.id, actor=SYSTEM, now=now())
    else:
        with transaction() as session:
            session.execute(sa.update(Device).values(revoked_at=now()))

    told = push(app, phone, [twin_of(phone, mine)])

    assert told[0]["outcome"] == "applied"
    assert {"chain_fork", "key_revoked" if ends == "revoked" else "staff_left"} <= set(told[0]["flags"])
    assert "chain_fork" in flags(mine)

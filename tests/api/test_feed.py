"""The feed's own books: digests that say what a phone must hold, whatever was published in which order."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from server.database import db, transaction
from server.models.dispatch import Assignment
from server.models.feed import FeedHead, FeedRow, Op, hex_digest, publish, staff_scope
from server.models.people import Staff
from sync.feed import digest_of
from sync.phone import Phone
from sync.protocol import uuid7
from tests.builders import a_case, a_visitor, an_address, an_assignment, now
from tests.phones import a_phone, office


@pytest.fixture
def visitor(app: Flask) -> Staff:
    return a_visitor()


def digests() -> dict[str, str]:
    db.session.rollback()
    return {
        scope: hex_digest(bits)
        for scope, bits in db.session.execute(sa.select(FeedHead.scope, FeedHead.digest))
    }


def recomputed() -> dict[str, str]:
    rows: dict[str, list[tuple[str, UUID, int]]] = {}
    for row in db.session.scalars(sa.select(FeedRow)):
        held = rows.setdefault(row.scope, [])
        if row.op == "put":
            held.append((row.kind, row.entity_id, row.rev))
    return {scope: digest_of(held) for scope, held in rows.items()}


@pytest.mark.parametrize("seed", range(3))
def test_a_digest_is_kept_up_through_any_history(app: Flask, seed: int) -> None:
    print("seed", seed)
    dice = random.Random(seed)
    scopes, entities = ["everyone", "staff:1", "staff:2"], [uuid7() for _ in range(5)]
    ops: list[Op] = ["put", "remove"]
    done: Counter[str] = Counter()

    for _ in range(40):
        with transaction():
            for _ in range(dice.randint(1, 6)):
                op = dice.choice(ops)
                done[op] += 1
                publish(
                    dice.choice(scopes),
                    kind=dice.choice(["assignment", "calendar"]),
                    entity_id=dice.choice(entities),
                    op=op,
                )

        assert digests() == recomputed()
    assert min(done.values()) > 40


def test_a_rolled_back_change_leaves_the_digest_alone(app: Flask) -> None:
    with transaction():
        publish("staff:1", kind="assignment", entity_id=uuid7(), op="put")
    before = digests()

    with pytest.raises(RuntimeError, match="no"), transaction():
        publish("staff:1", kind="assignment", entity_id=uuid7(), op="put")
        raise RuntimeError("no")

    assert digests() == before != {"staff:1": digest_of([])}


@pytest.fixture
def phone(visitor: Staff, tmp_path: Path) -> Iterator[Phone]:
    phone = a_phone(visitor, tmp_path / "phone")
    yield phone
    phone.close()


def give(visitor: Staff, *, after_days: int = 0) -> Assignment:
    """An assignment on the visitor's phone."""
    case = a_case()
    return an_assignment(case, an_address(case), visitor, start=now() + timedelta(days=after_days))


def page(app: Flask, phone: Phone, **query: Any) -> dict[str, Any]:
    with office(app) as http:
        headers = {"Authorization": f"Bearer {phone.outbox.fact('token')}"}
        answer = http.get("/api/v1/sync/pull", params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def holdings(page: dict[str, Any], scope: str) -> list[tuple[str, UUID, int]]:
    return [
        (one["kind"], UUID(one["id"]), one["rev"])
        for one in page["changes"]
        if one["op"] == "put" and one["scope"] == scope
    ]


def test_the_last_page_says_what_the_phone_must_hold_now(app: Flask, phone: Phone, visitor: Staff) -> None:
    for day in range(3):
        give(visitor, after_days=day)
    own = staff_scope(visitor.id)

    first = page(app, phone, limit=2)
    last = page(app, phone, limit=2, cursor=first["cursor"])

    assert (first["has_more"], first["scope_digest"]) == (True, {})
    held = holdings(first, own) + holdings(last, own)
    assert (last["has_more"], last["scope_digest"]) == (False, {own: digest_of(held)})


def test_a_row_whose_entity_is_gone_is_taken_off_phones_and_out_of_the_digest(
    app: Flask, phone: Phone, visitor: Staff
) -> None:
    kept, own, lost = give(visitor), staff_scope(visitor.id), uuid7()
    with transaction():
        publish(own, kind="assignment", entity_id=lost, op="put")

    first = page(app, phone)
    second = page(app, phone, cursor=first["cursor"])
    third = page(app, phone, cursor=second["cursor"])

    assert {one["id"]: one["op"] for one in first["changes"]} == {str(kept.id): "put", str(lost): "remove"}
    assert own not in first["scope_digest"]
    assert [(one["id"], one["op"]) for one in second["changes"]] == [(str(lost), "remove")]
    assert second["scope_digest"][own] == digest_of(holdings(first, own))
    assert third["changes"] == []

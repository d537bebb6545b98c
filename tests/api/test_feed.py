"""The feed's own books: digests that say what a phone must hold, whatever was published in which order."""

import gzip
import json
import random
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from server.database import db, transaction
from server.models.dispatch import Assignment
from server.models.feed import FeedHead, FeedRow, Op, hex_digest, publish, staff_scope
from server.models.people import Staff
from server.workflows.exchange.forgetting import AT_ONCE, forget_removals
from sync.feed import digest_of
from sync.phone import Phone
from sync.protocol import uuid7
from tests.builders import a_case, an_address, an_assignment, now
from tests.phones import office


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


def age(scope: str, entity_id: UUID, *, days: int) -> None:
    with transaction() as session:
        old = sa.update(FeedRow).where(FeedRow.scope == scope, FeedRow.entity_id == entity_id)
        session.execute(old.values(changed_at=sa.func.now() - timedelta(days=days)))


def removals(scope: str) -> list[UUID]:
    db.session.rollback()
    rows = sa.select(FeedRow.entity_id).where(FeedRow.scope == scope, FeedRow.op == "remove")
    return list(db.session.scalars(rows.order_by(FeedRow.seq)))


def published(scope: str, op: Op, *entities: UUID) -> None:
    for entity_id in entities:
        with transaction():
            publish(scope, kind="assignment", entity_id=entity_id, op=op)


def test_old_removals_are_forgotten_and_who_missed_them_starts_over(
    app: Flask, phone: Phone, visitor: Staff
) -> None:
    own = staff_scope(visitor.id)
    kept, gone, recent = give(visitor), uuid7(), uuid7()
    early = page(app, phone)["cursor"]
    published(own, "remove", gone, recent)
    late = page(app, phone)["cursor"]
    age(own, gone, days=91)
    age(own, recent, days=89)
    before = digests()

    forget_removals(now=now())

    assert (removals(own), digests()) == ([recent], before)
    with office(app) as http:
        headers = {"Authorization": f"Bearer {phone.outbox.fact('token')}"}
        missed = http.get("/api/v1/sync/pull", params={"cursor": early}, headers=headers)
    assert (missed.status_code, missed.json()["type"]) == (410, "/problems/feed-reset")
    assert page(app, phone, cursor=late)["changes"] == []
    assert [one["id"] for one in page(app, phone)["changes"]] == [str(kept.id), str(recent)]


def test_a_first_sync_of_many_pages_is_not_sent_back_by_what_was_forgotten_before(
    app: Flask, phone: Phone, visitor: Staff
) -> None:
    own = staff_scope(visitor.id)
    held = {str(give(visitor, after_days=day).id) for day in range(4)}
    gone = uuid7()
    published(own, "remove", gone)
    age(own, gone, days=91)
    forget_removals(now=now())

    pages = [page(app, phone, limit=1)]
    while pages[-1]["has_more"]:
        pages.append(page(app, phone, limit=1, cursor=pages[-1]["cursor"]))

    assert {change["id"] for one in pages for change in one["changes"]} == held
    assert len(pages) == 4


def test_whoever_publishes_is_not_waited_for_and_does_not_wait(app: Flask, visitor: Staff) -> None:
    own, other = staff_scope(visitor.id), staff_scope(uuid7())
    gone = uuid7()
    for scope in (own, other):
        published(scope, "remove", gone)
        age(scope, gone, days=91)
    with db.engine.connect() as writer:
        writer.execute(sa.text("SELECT FROM feed_heads WHERE scope = :own FOR UPDATE"), {"own": own})

        forget_removals(now=now())

        assert (removals(own), removals(other)) == ([gone], [])
    forget_removals(now=now())
    assert removals(own) == []


def test_forgetting_takes_small_bites_until_nothing_is_left(app: Flask, visitor: Staff) -> None:
    own, kept = staff_scope(visitor.id), uuid7()
    with transaction():
        publish(own, kind="assignment", entity_id=kept, op="put")
        for _ in range(2 * AT_ONCE + 1):
            publish(own, kind="assignment", entity_id=uuid7(), op="remove")
    with transaction() as session:
        session.execute(sa.update(FeedRow).values(changed_at=sa.func.now() - timedelta(days=91)))

    forget_removals(now=now())

    assert removals(own) == []
    assert db.session.scalars(sa.select(FeedRow.entity_id)).all() == [kept]
    assert db.session.scalars(sa.select(FeedHead.oldest_tombstone)).one() == 2 * AT_ONCE + 2


def test_who_regains_access_gets_the_whole_body_again(app: Flask, phone: Phone, visitor: Staff) -> None:
    assignment, own = give(visitor), staff_scope(visitor.id)
    cursor = page(app, phone)["cursor"]
    published(own, "remove", assignment.id)
    taken = page(app, phone, cursor=cursor)
    published(own, "put", assignment.id)

    given = page(app, phone, cursor=taken["cursor"])

    assert [one["op"] for one in taken["changes"]] == ["remove"]
    (change,) = given["changes"]
    assert (change["op"], change["rev"], change["body"]["debtor"]["name"]) == ("put", 3, "张小明")


def test_a_phone_that_can_unpack_gets_its_page_packed(app: Flask, phone: Phone, visitor: Staff) -> None:
    for day in range(3):
        give(visitor, after_days=day)
    headers = {"Authorization": f"Bearer {phone.outbox.fact('token')}"}
    client = app.test_client()

    plain = client.get("/api/v1/sync/pull", headers=headers)
    packed = client.get("/api/v1/sync/pull", headers={**headers, "Accept-Encoding": "br, gzip"})
    refused = client.get("/api/v1/sync/pull", headers={**headers, "Accept-Encoding": "gzip;q=0"})

    assert (plain.headers.get("Content-Encoding"), refused.headers.get("Content-Encoding")) == (None, None)
    assert (packed.headers["Content-Encoding"], packed.headers["Vary"]) == ("gzip", "Accept-Encoding")
    unpacked = json.loads(gzip.decompress(packed.data))
    assert unpacked["changes"] == plain.get_json()["changes"]
    assert len(packed.data) < len(plain.data) / 2

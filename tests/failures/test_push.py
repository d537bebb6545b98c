"""Pushes that fail in the middle: real processes, real PostgreSQL, the plug pulled at a chosen statement."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import httpx
import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask

from server.config import Config
from server.database import db, transaction
from server.models.dispatch import Assignment
from server.models.people import Token
from server.models.visits import Account, Item, Visit
from sync.client import Report, SyncFault
from sync.events import ItemsReceipted
from sync.phone import Phone
from sync.protocol import PushedItem
from sync.wire import write_pushed
from tests.builders import a_token, now
from tests.failures.gates import gate
from tests.failures.servers import Server
from tests.phones import office
from tests.pushing import account_body, batch_of, begin, push, push_raw, waiting
from tests.stored import stored

PUSH = "/api/v1/sync/push"


def written(phone: Phone, items: list[PushedItem] | None = None) -> bytes:
    """A batch of all that waits, as bytes."""
    items = waiting(phone) if items is None else items
    return json.dumps(batch_of(phone, [write_pushed(one) for one in items])).encode()


def headers(phone: Phone) -> dict[str, str]:
    return {"Authorization": f"Bearer {phone.outbox.fact('token')}", "Content-Type": "application/json"}


def send(url: str, raw: bytes, told: dict[str, str]) -> httpx.Response | None:
    """Post over the network; None when the connection breaks."""
    try:
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as http:
            return http.post(PUSH, content=raw, headers=told)
    except httpx.TransportError:
        return None


@contextmanager
def in_flight(url: str, raw: bytes, told: dict[str, str]) -> Iterator[None]:
    """Send in the background while the block runs; it is over when the block is left."""
    sender = threading.Thread(target=send, args=(url, raw, told))
    sender.start()
    yield
    sender.join()


class LosesAnswers(httpx.BaseTransport):
    """Does what it is asked and loses the first answers."""

    def __init__(self, app: Flask, *, lost: int) -> None:
        self.inner, self.lost = httpx.WSGITransport(app=app), lost

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self.inner.handle_request(request)
        if self.lost:
            self.lost -= 1
            raise httpx.ReadError("lost", request=request)
        return answer


def test_response_lost(app: Flask, phone: Phone, assignment: Assignment) -> None:
    visit_id = begin(phone, assignment.id)
    phone.record("visit.account", account_body(phone, visit_id))

    with httpx.Client(transport=LosesAnswers(app, lost=1), base_url="http://office") as http:
        client = phone.connect(http)
        with pytest.raises(SyncFault):
            client.push(Report())
        receipts = {
            row.item_id: row.receipt for row in db.session.execute(sa.select(Item.item_id, Item.receipt))
        }
        client.push(Report())

    assert (stored(Item), stored(Visit), stored(Account)) == (2, 1, 1)
    assert {one["id"]: one["receipt"] for one in phone.outbox.outcomes()} == receipts


@pytest.mark.parametrize("ways", [2, 3, 5, 10, 30])
def test_identical_batches_at_once_over_real_processes(
    app: Flask, phone: Phone, assignment: Assignment, server: Server, ways: int
) -> None:
    visit_id = begin(phone, assignment.id)
    phone.record("visit.account", account_body(phone, visit_id))
    raw, told = written(phone), headers(phone)
    barrier = threading.Barrier(ways)

    def one(_: int) -> httpx.Response | None:
        barrier.wait()
        return send(server.url, raw, told)

    with ThreadPoolExecutor(ways) as pool:
        answers = list(pool.map(one, range(ways)))

    outcomes = [answer.json()["outcomes"] for answer in answers if answer is not None]
    assert len(outcomes) == ways
    assert sorted(each[0]["outcome"] for each in outcomes) == ["applied"] + ["duplicate"] * (ways - 1)
    assert len({json.dumps([one["receipt"] for one in each]) for each in outcomes}) == 1
    assert (stored(Item), stored(Visit), stored(Account)) == (2, 1, 1)


def test_killed_after_the_inbox_commit(
    app: Flask, config: Config, phone: Phone, assignment: Assignment, server: Server
) -> None:
    begin(phone, assignment.id)
    raw, told = written(phone), headers(phone)

    with gate(config.libpq_url, "items", at="commit") as in_commit, in_flight(server.url, raw, told):
        session = in_commit.reached()
        server.kill()
        in_commit.open()  # the commit that was asked for takes place, and nobody is left to say so
        in_commit.left(session)
    db.session.rollback()
    kept = db.session.execute(sa.select(Item.outcome, Item.receipt)).one()
    server.start()
    answer = send(server.url, raw, told)

    assert answer is not None
    (outcome,) = answer.json()["outcomes"]
    assert (kept.outcome, outcome["outcome"], outcome["receipt"]) == ("applied", "duplicate", kept.receipt)
    assert (stored(Item), stored(Visit)) == (1, 1)


def test_killed_while_the_items_are_applied(
    app: Flask, config: Config, phone: Phone, assignment: Assignment, server: Server
) -> None:
    begin(phone, assignment.id)
    raw, told = written(phone), headers(phone)

    with gate(config.libpq_url, "visits", at="statement") as at_projection, in_flight(server.url, raw, told):
        session = at_projection.reached()
        server.kill()
        at_projection.end(session)
    stored_then = (stored(Item), stored(Visit))
    server.start()
    answer = send(server.url, raw, told)

    assert stored_then == (0, 0)  # nothing was acknowledged, and nothing of it is there
    assert answer is not None
    assert [one["outcome"] for one in answer.json()["outcomes"]] == ["applied"]
    assert (stored(Item), stored(Visit)) == (1, 1)


def test_killed_before_the_inbox_commit(
    app: Flask, config: Config, phone: Phone, assignment: Assignment, server: Server
) -> None:
    begin(phone, assignment.id)
    raw, told = written(phone), headers(phone)

    with gate(config.libpq_url, "items", at="commit") as in_commit, in_flight(server.url, raw, told):
        session = in_commit.reached()
        server.kill()
        in_commit.end(session)
    items_then = stored(Item)
    server.start()
    answer = send(server.url, raw, told)

    assert items_then == 0
    assert answer is not None
    assert [one["outcome"] for one in answer.json()["outcomes"]] == ["applied"]
    assert (stored(Item), stored(Visit)) == (1, 1)


def test_reassigned_away_before_the_visit_is_reported(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    begin(phone, assignment.id)
    with transaction() as session:
        session.execute(sa.update(Assignment).values(state="cancelled"))

    outcome = push(app, phone)[0]

    assert outcome["outcome"] == "applied"
    assert "assignment_cancelled" in outcome["flags"]
    assert stored(Visit) == 1


def test_the_token_expires_mid_batch(app: Flask, phone: Phone, assignment: Assignment) -> None:
    visit_id = begin(phone, assignment.id)
    for _ in range(60):
        phone.record("visit.account", account_body(phone, visit_id))

    def expire(event: object) -> None:
        if isinstance(event, ItemsReceipted) and event.receipted == 25:
            with transaction() as session:
                session.execute(sa.update(Token).values(expires_at=now() - timedelta(seconds=1)))

    with office(app) as http:
        with pytest.raises(SyncFault) as cut_off:
            phone.connect(http, on_event=expire).push(Report())
        left = phone.outbox.count_waiting()[0]
        phone.outbox.remember(token=a_token(phone.staff_id, device_id=phone.device_id))
        phone.connect(http).push(Report())

    assert (cut_off.value.is_transient, left) == (True, 36)
    assert phone.outbox.count_waiting() == (0, 0)
    assert (stored(Item), stored(Account)) == (61, 60)


def test_unknown_fields_round_trip(app: Flask, phone: Phone, assignment: Assignment) -> None:
    begin(phone, assignment.id, of_the_future={"deep": [1, {"x": "字"}]})
    sent = waiting(phone)[0].envelope.payload

    push(app, phone)

    payload = db.session.scalars(sa.select(Item.payload)).one()
    assert payload == sent
    assert json.loads(payload)["body"]["of_the_future"] == {"deep": [1, {"x": "字"}]}


def test_the_database_is_down(app: Flask, config: Config, phone: Phone, assignment: Assignment) -> None:
    begin(phone, assignment.id)
    raw = written(phone)

    with no_connections_to(config.libpq_url):
        down = push_raw(app, phone, raw)
    back = push_raw(app, phone, raw)

    assert (down.status_code, down.headers["content-type"]) == (503, "application/problem+json")
    assert int(down.headers["Retry-After"]) > 0
    assert [one["outcome"] for one in back.json()["outcomes"]] == ["applied"]
    assert stored(Item) == 1


def test_the_database_goes_away_between_inbox_and_projection(
    app: Flask, config: Config, phone: Phone, assignment: Assignment, server: Server
) -> None:
    begin(phone, assignment.id)
    raw, told = written(phone), headers(phone)
    answers: list[httpx.Response | None] = []

    with gate(config.libpq_url, "visits", at="statement") as at_projection:
        sender = threading.Thread(target=lambda: answers.append(send(server.url, raw, told)))
        sender.start()
        at_projection.end(at_projection.reached())
        at_projection.open()
        sender.join()
    again = send(server.url, raw, told)

    assert answers[0] is not None and again is not None
    assert answers[0].status_code in (200, 503)  # done again on a fresh connection, or left to the phone
    assert again.status_code == 200
    assert (stored(Item), stored(Visit)) == (1, 1)


@contextmanager
def no_connections_to(url: str) -> Iterator[None]:
    """End every session of a database and let nobody in, as when its server is down."""
    base, _, name = url.rpartition("/")
    name = name.partition("?")[0]
    with psycopg.connect(f"{base}/postgres", autocommit=True) as outside:
        try:
            outside.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'.encode())
            end = "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = %s"
            outside.execute(end, [name])
            yield
        finally:
            outside.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'.encode())

"""Push: what a phone hands in is stored once, as it was signed, and receipted."""

import json
import threading
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from flask import Flask

from server.database import db, transaction
from server.models.dispatch import Assignment
from server.models.evidence import Evidence
from server.models.people import Staff
from server.models.visits import Account, ConflictingItem, Item, Visit
from server.workflows.exchange.waiting import project_items
from sync.client import Report, SyncFault
from sync.envelope import digest
from sync.phone import Phone
from sync.protocol import ITEM, uuid7
from sync.wire import write_clock, write_pushed
from tests.builders import a_handset, now
from tests.phones import BreakingTransport, office
from tests.pushing import an_account, begin, outcomes, push_raw, pushed
from tests.stored import stored


def test_a_day_offline_reaches_the_office(app: Flask, phone: Phone, assignment: Assignment) -> None:
    visit_id = begin(phone, assignment.id)
    photo = phone.capture(b"jpeg", visit_id=visit_id, kind="photo", purpose="door", mime="image/jpeg")
    phone.end_visit(visit_id, position=None)
    account = an_account(phone, visit_id)

    report = Report()
    with office(app) as http:
        phone.connect(http).push(report)

    assert report.pushed == 4
    db.session.rollback()
    visit = db.session.get_one(Visit, visit_id)
    assert (visit.state, visit.assignment_id, visit.ended_item is not None) == (
        "reported",
        assignment.id,
        True,
    )
    assert db.session.get_one(Account, account).narrative == "已告知还款渠道。"
    assert db.session.get_one(Evidence, photo).state == "expected"
    assert db.session.get_one(Assignment, assignment.id, populate_existing=True).state == "reported"


def test_the_office_keeps_exactly_the_bytes_that_were_signed(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    begin(phone, assignment.id)
    sent = phone.outbox.next_batch(1)[0]

    pushed(app, phone)

    item = db.session.scalars(sa.select(Item)).one()
    assert item.payload == sent.envelope.payload
    assert item.sha256 == digest(ITEM, sent.envelope.payload)


def test_replayed_batch_returns_the_first_receipts(app: Flask, phone: Phone, assignment: Assignment) -> None:
    visit_id = begin(phone, assignment.id)
    an_account(phone, visit_id)
    items = phone.outbox.next_batch(10)

    first = pushed(app, phone, items)
    again = pushed(app, phone, items)

    assert outcomes(first) == ["applied", "applied"]
    assert outcomes(again) == ["duplicate", "duplicate"]
    receipts = [[one["receipt"] for one in answer["outcomes"]] for answer in (first, again)]
    assert receipts[0] == receipts[1]
    assert stored(Account) == 1


@pytest.mark.parametrize("ways", [2, 3, 5, 10, 30])
def test_identical_batches_at_once_are_applied_once(
    app: Flask, phone: Phone, assignment: Assignment, ways: int
) -> None:
    visit_id = begin(phone, assignment.id)
    an_account(phone, visit_id)
    items = phone.outbox.next_batch(10)
    answers: list[dict[str, Any]] = []
    gate = threading.Barrier(ways)

    body = {"batch_id": str(uuid7()), "clock": write_clock(phone.read_clock())}
    body["items"] = [write_pushed(item) for item in items]
    token = phone.outbox.fact("token")
    raw = json.dumps(body).encode()

    def send() -> None:
        gate.wait()
        with office(app) as http:
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            answers.append(http.post("/api/v1/sync/push", content=raw, headers=headers).json())

    threads = [threading.Thread(target=send) for _ in range(ways)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(answers) == ways
    assert sorted(outcomes(answer)[0] for answer in answers) == ["applied"] + ["duplicate"] * (ways - 1)
    receipts = {json.dumps([one["receipt"] for one in answer["outcomes"]]) for answer in answers}
    assert len(receipts) == 1
    assert (stored(Item), stored(Visit), stored(Account)) == (2, 1, 1)


def test_one_poison_item_of_fifty_does_not_hold_up_the_others(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    visit_id = begin(phone, assignment.id)
    for n in range(49):
        if n == 20:
            phone.record("visit.account", {"visit_id": str(visit_id), "account_id": "not an id"})
        else:
            an_account(phone, visit_id)

    answer = pushed(app, phone)

    told = answer["outcomes"]
    assert [one["outcome"] for one in told].count("applied") == 49
    assert told[21]["outcome"] == "quarantined"
    assert told[21]["problem"]["pointer"] == "/body/account_id"
    assert told[21]["receipt"] is not None


def test_an_item_the_database_refuses_is_quarantined_alone(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    visit_id = begin(phone, assignment.id)
    an_account(phone, visit_id)
    phone.record("hold.requested", {"case_id": str(uuid7()), "reason": "complaint", "text": "x"})
    an_account(phone, visit_id)

    answer = pushed(app, phone)

    assert outcomes(answer) == ["applied", "applied", "quarantined", "applied"]
    assert answer["outcomes"][2]["problem"]["slug"] == "case-unknown"


def test_same_id_with_other_bytes_keeps_both(app: Flask, phone: Phone, assignment: Assignment) -> None:
    begin(phone, assignment.id, checklist={"badge": True})
    original = phone.outbox.next_batch(1)[0]
    forged = type(original)(
        id=original.id,
        seq=original.seq,
        prev=original.prev,
        envelope=phone.key.seal(ITEM, original.envelope.payload.replace(b'"badge":true', b'"badge":false')),
    )
    pushed(app, phone, [original])

    answer = pushed(app, phone, [forged])

    assert outcomes(answer) == ["conflicting"]
    assert answer["outcomes"][0]["receipt"]["item_sha256"] != digest(ITEM, original.envelope.payload).hex()
    assert (stored(Item), stored(ConflictingItem)) == (1, 1)
    assert outcomes(pushed(app, phone, [original])) == ["duplicate"]


def test_a_later_number_before_an_earlier_one_is_applied_and_the_gap_is_named(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    visit_id = begin(phone, assignment.id)
    an_account(phone, visit_id)
    an_account(phone, visit_id)
    first, second, third = phone.outbox.next_batch(3)
    pushed(app, phone, [first])

    ahead = pushed(app, phone, [third])
    filled = pushed(app, phone, [second])

    assert (outcomes(ahead), ahead["missing"], ahead["ack_seq"]) == (["applied"], [[2, 2]], 1)
    assert "chain_gap" in ahead["outcomes"][0]["flags"]
    assert (filled["missing"], filled["ack_seq"]) == ([], 3)


@pytest.mark.parametrize(
    ("raw", "status", "slug"),
    [
        (b"{", 400, "malformed-json"),
        (b'{"batch_id": NaN}', 400, "malformed-json"),
        (b'{"batch_id": "\\u0000"}', 400, "malformed-json"),
        (b'{"batch_id": "\\ud800"}', 400, "malformed-json"),
        (b"\xff\xfe", 400, "malformed-json"),
        (b"[" * 100_000, 400, "malformed-json"),
        (b"[]", 400, "malformed-json"),
        (b'{"items": 7}', 422, "batch-invalid"),
        (b'{"items": [1]}', 422, "batch-invalid"),
        (b'{"items": []}', 422, "batch-invalid"),
        (b" " * (8 * 1024 * 1024 + 1), 413, "request-entity-too-large"),
    ],
    ids=["cut", "nan", "nul", "surrogate", "utf16", "deep", "list", "type", "item", "empty", "huge"],
)
def test_bytes_that_are_no_batch_get_a_precise_problem(
    app: Flask, phone: Phone, raw: bytes, status: int, slug: str
) -> None:
    answer = push_raw(app, phone, raw)

    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{slug}")
    assert answer.headers["content-type"] == "application/problem+json"
    assert stored(Item) == 0


def test_an_unreadable_item_is_kept_raw_and_receipted_once(app: Flask, phone: Phone) -> None:
    first = push_raw(app, phone, b"\x00garbage", path="/api/v1/sync/quarantine")
    again = push_raw(app, phone, b"\x00garbage", path="/api/v1/sync/quarantine")

    assert first.status_code == 200
    assert first.json() == again.json()


def test_the_client_bisects_to_the_one_item_the_server_cannot_read(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    visit_id = begin(phone, assignment.id)
    an_account(phone, visit_id)
    huge = an_account(phone, visit_id, narrative="长" * 3_000_000)
    an_account(phone, visit_id)

    report = Report()
    with office(app) as http:
        phone.connect(http).push(report)

    assert phone.outbox.count_waiting() == (0, 0)
    assert len(report.stuck) == 1
    db.session.rollback()
    assert (stored(Account), db.session.get(Account, huge)) == (2, None)


def test_items_left_in_the_inbox_by_a_crash_are_applied_by_the_periodic_job(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    visit_id = begin(phone, assignment.id)
    pushed(app, phone)
    with transaction() as session:
        session.execute(sa.delete(Visit))
        session.execute(sa.update(Item).values(outcome="received"))

    project_items(now=now())

    assert db.session.get(Visit, visit_id) is not None


@pytest.mark.parametrize("seed", range(8))
def test_over_a_breaking_network_everything_arrives_exactly_once(
    app: Flask, phone: Phone, assignment: Assignment, seed: int
) -> None:
    print("seed", seed)
    visit_id = begin(phone, assignment.id)
    accounts = [an_account(phone, visit_id) for _ in range(60)]
    transport = BreakingTransport(app, seed=seed)

    with httpx.Client(transport=transport, base_url="http://office") as http:
        client = phone.connect(http)
        for _ in range(200):
            try:
                client.push(Report())
                client.pull(Report())
            except SyncFault as fault:
                assert fault.is_transient
            else:
                if phone.outbox.count_waiting() == (0, 0):  # an item with bad luck may stand aside
                    break

    assert phone.outbox.count_waiting() == (0, 0)
    assert stored(Account) == len(accounts)
    assert [one["outcome"] for one in phone.outbox.outcomes()].count(None) == 0


def test_an_office_token_cannot_push(app: Flask, visitor: Staff) -> None:
    from_office = a_handset(visitor)
    with transaction() as session:
        session.execute(sa.text("UPDATE tokens SET device_id = NULL"))
    with office(app) as http:
        answer = http.post("/api/v1/sync/push", content=b"{}", headers=from_office.headers)

    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/device-needed")

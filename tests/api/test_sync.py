"""Push and pull: nothing is lost, doubled or hidden."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa
from flask import Flask

from server.authority import SYSTEM
from server.database import db, transaction
from server.models.access import AccessEntry
from server.models.assignments import end_early
from server.models.cases import Case, Hold
from server.models.dispatch import Assignment
from server.models.evidence import Evidence
from server.models.feed import FeedHead, FeedRow, publish, staff_scope
from server.models.people import Device, Staff
from server.models.visits import Account, ConflictingItem, Item, Visit
from server.workflows.calendar import seed_calendar
from server.workflows.exchange.waiting import look_at_held_again, project_items, reconcile_visits
from sync.client import Report, SyncFault
from sync.envelope import digest
from sync.phone import Phone, claims_of
from sync.protocol import ITEM, uuid7
from sync.wire import write_clock, write_pushed
from tests.builders import a_handset, a_visitor, now
from tests.phones import BreakingTransport, Watch, a_phone, office

Phones = Callable[[Staff], Phone]


@pytest.fixture
def phone(app: Flask, visitor: Staff, tmp_path: Path) -> Iterator[Phone]:
    handset = a_phone(visitor, tmp_path / "phone")
    yield handset
    handset.close()


def start(phone: Phone, assignment_id: UUID) -> UUID:
    """Check in for an assignment; the visit's id."""
    visit_id = uuid7()
    body = {
        "visit_id": str(visit_id),
        "assignment_id": str(assignment_id),
        "permit_id": None,
        "position": None,
        "team": [str(phone.staff_id)],
        "checklist": {"badge": True},
    }
    phone.record("visit.started", body)
    return visit_id


def an_account(
    phone: Phone, visit_id: UUID, *, amends: UUID | None = None, narrative: str = "已告知还款渠道。"
) -> UUID:
    moment = datetime.now(UTC)
    claims = claims_of(
        arrived_at=moment, left_at=moment, team=[phone.staff_id], met="debtor", outcome="refused"
    )
    return phone.write_account(visit_id, claims=claims, narrative=narrative, amends=amends)


def push(app: Flask, phone: Phone, items: list[Any] | None = None) -> httpx.Response:
    """Push these items (all that wait) by hand, without the client."""
    items = phone.outbox.next_batch(100) if items is None else items
    body = {
        "batch_id": str(uuid7()),
        "clock": write_clock(phone.read_clock()),
        "items": [write_pushed(item) for item in items],
    }
    return push_raw(app, phone, json.dumps(body).encode())


def push_raw(app: Flask, phone: Phone, raw: bytes, *, path: str = "/api/v1/sync/push") -> httpx.Response:
    with office(app) as http:
        headers = {
            "Authorization": f"Bearer {phone.outbox.fact('token')}",
            "Content-Type": "application/json",
        }
        return http.post(path, content=raw, headers=headers)


def outcomes(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["outcome"] for one in answer.json()["outcomes"]]


def stored(model: type[Any]) -> int:
    db.session.rollback()
    return db.session.scalar(sa.select(sa.func.count()).select_from(model)) or 0


def test_a_day_offline_reaches_the_office(app: Flask, phone: Phone, assignment: Assignment) -> None:
    visit_id = start(phone, assignment.id)
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
    start(phone, assignment.id)
    sent = phone.outbox.next_batch(1)[0]

    push(app, phone)

    item = db.session.scalars(sa.select(Item)).one()
    assert item.payload == sent.envelope.payload
    assert item.sha256 == digest(ITEM, sent.envelope.payload)


def test_replayed_batch_returns_the_first_receipts(app: Flask, phone: Phone, assignment: Assignment) -> None:
    visit_id = start(phone, assignment.id)
    an_account(phone, visit_id)
    items = phone.outbox.next_batch(10)

    first = push(app, phone, items)
    again = push(app, phone, items)

    assert outcomes(first) == ["applied", "applied"]
    assert outcomes(again) == ["duplicate", "duplicate"]
    receipts = [[one["receipt"] for one in answer.json()["outcomes"]] for answer in (first, again)]
    assert receipts[0] == receipts[1]
    assert stored(Account) == 1


@pytest.mark.parametrize("ways", [2, 3, 5, 10, 30])
def test_identical_batches_at_once_are_applied_once(
    app: Flask, phone: Phone, assignment: Assignment, ways: int
) -> None:
    visit_id = start(phone, assignment.id)
    an_account(phone, visit_id)
    items = phone.outbox.next_batch(10)
    answers: list[httpx.Response] = []
    gate = threading.Barrier(ways)

    body = {"batch_id": str(uuid7()), "clock": write_clock(phone.read_clock())}
    body["items"] = [write_pushed(item) for item in items]
    token = phone.outbox.fact("token")
    raw = json.dumps(body).encode()

    def send() -> None:
        gate.wait()
        with office(app) as http:
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            answers.append(http.post("/api/v1/sync/push", content=raw, headers=headers))

    threads = [threading.Thread(target=send) for _ in range(ways)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(answers) == ways
    assert sorted(outcomes(answer)[0] for answer in answers) == ["applied"] + ["duplicate"] * (ways - 1)
    receipts = {json.dumps([one["receipt"] for one in answer.json()["outcomes"]]) for answer in answers}
    assert len(receipts) == 1
    assert (stored(Item), stored(Visit), stored(Account)) == (2, 1, 1)


def test_one_poison_item_of_fifty_does_not_hold_up_the_others(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    visit_id = start(phone, assignment.id)
    for n in range(49):
        if n == 20:
            phone.record("visit.account", {"visit_id": str(visit_id), "account_id": "not an id"})
        else:
            an_account(phone, visit_id)

    answer = push(app, phone)

    told = answer.json()["outcomes"]
    assert [one["outcome"] for one in told].count("applied") == 49
    assert told[21]["outcome"] == "quarantined"
    assert told[21]["problem"]["pointer"] == "/body/account_id"
    assert told[21]["receipt"] is not None


def test_an_item_the_database_refuses_is_quarantined_alone(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    visit_id = start(phone, assignment.id)
    an_account(phone, visit_id)
    phone.record("hold.requested", {"case_id": str(uuid7()), "reason": "complaint", "text": "x"})
    an_account(phone, visit_id)

    answer = push(app, phone)

    assert outcomes(answer) == ["applied", "applied", "quarantined", "applied"]
    assert answer.json()["outcomes"][2]["problem"]["slug"] == "case-unknown"


def test_same_id_with_other_bytes_keeps_both(app: Flask, phone: Phone, assignment: Assignment) -> None:
    start(phone, assignment.id)
    original = phone.outbox.next_batch(1)[0]
    forged = type(original)(
        id=original.id,
        seq=original.seq,
        prev=original.prev,
        envelope=phone.key.seal(ITEM, original.envelope.payload.replace(b'"badge":true', b'"badge":false')),
    )
    push(app, phone, [original])

    answer = push(app, phone, [forged])

    assert outcomes(answer) == ["conflicting"]
    assert (
        answer.json()["outcomes"][0]["receipt"]["item_sha256"]
        != digest(ITEM, original.envelope.payload).hex()
    )
    assert (stored(Item), stored(ConflictingItem)) == (1, 1)
    assert outcomes(push(app, phone, [original])) == ["duplicate"]


def test_a_later_number_before_an_earlier_one_is_applied_and_the_gap_is_named(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    visit_id = start(phone, assignment.id)
    an_account(phone, visit_id)
    an_account(phone, visit_id)
    first, second, third = phone.outbox.next_batch(3)
    push(app, phone, [first])

    ahead = push(app, phone, [third])
    filled = push(app, phone, [second])

    assert (outcomes(ahead), ahead.json()["missing"], ahead.json()["ack_seq"]) == (["applied"], [[2, 2]], 1)
    assert "chain_gap" in ahead.json()["outcomes"][0]["flags"]
    assert (filled.json()["missing"], filled.json()["ack_seq"]) == ([], 3)


def test_an_amendment_waits_for_its_parent(app: Flask, phone: Phone, assignment: Assignment) -> None:
    visit_id = start(phone, assignment.id)
    parent = an_account(phone, visit_id)
    amendment = an_account(phone, visit_id, amends=parent)
    started, parent_item, amending = phone.outbox.next_batch(3)
    push(app, phone, [started])

    early = push(app, phone, [amending])
    push(app, phone, [parent_item])

    assert outcomes(early) == ["held"]
    db.session.rollback()
    assert db.session.get_one(Account, amendment).parent_id == parent
    item = db.session.scalars(sa.select(Item).where(Item.item_id == amending.id)).one()
    assert (item.outcome, "late_parent" in item.flags) == ("applied", True)


def test_an_account_before_its_check_in_is_held_and_then_applied(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    visit_id = start(phone, assignment.id)
    account = an_account(phone, visit_id)
    started, told = phone.outbox.next_batch(2)

    early = push(app, phone, [told])
    push(app, phone, [started])

    assert outcomes(early) == ["held"]
    db.session.rollback()
    assert db.session.get(Account, account) is not None


def test_pushes_that_cross_do_not_leave_an_item_waiting(
    app: Flask, phone: Phone, assignment: Assignment, visitor: Staff, tmp_path: Path
) -> None:
    other = a_phone(visitor, tmp_path / "other")
    visit_id = start(phone, assignment.id)
    account = an_account(other, visit_id)
    held = push(app, other)
    with transaction() as session:  # as if the check-in's push had not seen it
        session.execute(sa.update(Item).values(outcome="applied"))
    push(app, phone)
    with transaction() as session:
        session.execute(sa.update(Item).where(Item.type == "visit.account").values(outcome="held"))

    waiting = "SELECT args FROM procrastinate_jobs WHERE task_name = 'look_at_held_again'"
    (asked,) = db.session.scalars(sa.text(waiting)).all()
    look_at_held_again(now=now(), **asked)

    other.close()
    assert outcomes(held) == ["held"]
    assert db.session.get_one(Account, account).visit_id == visit_id


def test_a_cloned_phone_shows_as_a_fork(app: Flask, phone: Phone, assignment: Assignment) -> None:
    start(phone, assignment.id)
    mine = phone.outbox.next_batch(1)[0]
    forked_payload = mine.envelope.payload.replace(str(mine.id).encode(), str(other := uuid7()).encode())
    clone = type(mine)(id=other, seq=1, prev=None, envelope=phone.key.seal(ITEM, forked_payload))
    push(app, phone, [mine])

    answer = push(app, phone, [clone])

    assert "chain_fork" in answer.json()["outcomes"][0]["flags"]


def test_a_visit_without_a_known_assignment_is_stored_and_flagged(app: Flask, phone: Phone) -> None:
    visit_id = start(phone, uuid7())

    answer = push(app, phone)

    assert "assignment_unknown" in answer.json()["outcomes"][0]["flags"]
    db.session.rollback()
    assert db.session.get_one(Visit, visit_id).assignment_id is None


def test_a_wrong_signature_is_quarantined_with_a_receipt(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    start(phone, assignment.id)
    item = phone.outbox.next_batch(1)[0]
    spoiled = item.envelope.signatures[0].sig[:-1] + bytes([item.envelope.signatures[0].sig[-1] ^ 1])
    signature = type(item.envelope.signatures[0])(keyid="x", sig=spoiled)
    envelope = type(item.envelope)(item.envelope.payload_type, item.envelope.payload, (signature,))

    answer = push(app, phone, [type(item)(item.id, item.seq, item.prev, envelope)])

    one = answer.json()["outcomes"][0]
    assert (one["outcome"], one["problem"]["slug"]) == ("quarantined", "signature-wrong")
    assert one["receipt"]["item_id"] == str(item.id)


def test_a_revoked_phone_may_hand_in_but_not_pull(app: Flask, phone: Phone, assignment: Assignment) -> None:
    start(phone, assignment.id)
    with transaction() as session:
        session.execute(sa.update(Device).values(revoked_at=now()))

    answer = push(app, phone)
    with office(app) as http:
        headers = {"Authorization": f"Bearer {phone.outbox.fact('token')}"}
        pulled = http.get("/api/v1/sync/pull", headers=headers)

    assert outcomes(answer) == ["applied"]
    assert "key_revoked" in answer.json()["outcomes"][0]["flags"]
    assert (pulled.status_code, pulled.json()["type"]) == (403, "/problems/device-revoked")


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
    visit_id = start(phone, assignment.id)
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
    visit_id = start(phone, assignment.id)
    push(app, phone)
    with transaction() as session:
        session.execute(sa.delete(Visit))
        session.execute(sa.update(Item).values(outcome="received"))

    project_items(now=now())

    assert db.session.get(Visit, visit_id) is not None


def test_a_phone_pulls_its_assignments_and_forgets_what_was_taken_away(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    with office(app) as http:
        phone.connect(http).pull(Report())
    held = [entity_id for entity_id, _, _ in phone.outbox.entities("assignment")]
    with transaction():
        end_early(
            Assignment.id == assignment.id, state="cancelled", reason="hold: paid", actor=SYSTEM, now=now()
        )
    with office(app) as http:
        phone.connect(http).pull(Report())

    assert held == [assignment.id]
    assert phone.outbox.entities("assignment") == []


def test_a_hold_raised_while_the_phone_was_offline_is_told_apart_from_one_it_knew(
    app: Flask, phone: Phone, assignment: Assignment, tmp_path: Path
) -> None:
    with office(app) as http:
        phone.connect(http).pull(Report())
    raised = now() - timedelta(hours=1)
    with transaction() as session:
        case = session.get_one(Case, assignment.case_id)
        session.add(
            Hold(
                scope="debtor",
                debtor_id=case.debtor_id,
                case_id=case.id,
                reason="complaint",
                raised_at=raised,
            )
        )
        end_early(Assignment.id == assignment.id, state="cancelled", reason="hold", actor=SYSTEM, now=raised)
    start(phone, assignment.id)
    with office(app) as http:
        phone.connect(http).session()
    start(phone, assignment.id)
    with office(app) as http:
        phone.connect(http).session()

    offline, knowing = [one["flags"] for one in phone.outbox.outcomes()]
    assert "hold_not_delivered" in offline and "after_hold" not in offline
    assert "after_hold" in knowing and "hold_not_delivered" not in knowing


def test_sixteen_writers_lose_no_row_of_the_feed(app: Flask, visitor: Staff) -> None:
    def write() -> None:
        with app.app_context():
            for _ in range(20):
                with transaction():
                    publish(staff_scope(visitor.id), kind="assignment", entity_id=uuid7(), op="put")
            db.session.remove()

    threads = [threading.Thread(target=write) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    seqs = db.session.scalars(sa.select(FeedRow.seq).order_by(FeedRow.seq)).all()
    assert list(seqs) == list(range(1, 321))


@pytest.mark.parametrize("cursor", ["nonsense", "eyJ4IjoxfQ==", "W10="])
def test_a_cursor_that_is_not_ours_asks_for_a_reset(app: Flask, phone: Phone, cursor: str) -> None:
    with office(app) as http:
        headers = {"Authorization": f"Bearer {phone.outbox.fact('token')}"}
        answer = http.get("/api/v1/sync/pull", params={"cursor": cursor}, headers=headers)

    assert (answer.status_code, answer.json()["type"]) == (410, "/problems/feed-reset")


def test_after_a_restored_backup_the_phone_starts_over_and_ends_in_the_same_state(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    with office(app) as http:
        phone.connect(http).pull(Report())
    with transaction() as session:
        session.execute(sa.update(FeedHead).values(epoch=uuid7()))

    with office(app) as http:
        phone.connect(http).pull(Report())

    assert [entity_id for entity_id, _, _ in phone.outbox.entities("assignment")] == [assignment.id]


@pytest.mark.parametrize("seed", range(8))
def test_over_a_breaking_network_everything_arrives_exactly_once(
    app: Flask, phone: Phone, assignment: Assignment, seed: int
) -> None:
    print("seed", seed)
    visit_id = start(phone, assignment.id)
    accounts = [an_account(phone, visit_id) for _ in range(60)]
    transport = BreakingTransport(app, seed=seed)

    with httpx.Client(transport=transport, base_url="http://office") as http:
        client = phone.connect(http)
        for _ in range(200):
            try:
                client.push(Report())
                client.pull(Report())
                break
            except SyncFault as fault:
                assert fault.is_transient

    assert phone.outbox.count_waiting() == (0, 0)
    assert stored(Account) == len(accounts)
    assert [one["outcome"] for one in phone.outbox.outcomes()].count(None) == 0


def test_a_clock_five_years_wrong_does_not_move_the_visit(
    app: Flask, visitor: Staff, assignment: Assignment, tmp_path: Path
) -> None:
    watch = Watch(skew=timedelta(days=5 * 365))
    phone = a_phone(visitor, tmp_path / "wrong", watch=watch)
    with office(app) as http:
        phone.connect(http).pull(Report())
    before = now()
    visit_id = start(phone, assignment.id)
    after = now()

    push(app, phone)

    db.session.rollback()
    visit = db.session.get_one(Visit, visit_id)
    assert visit.arrived_method == "anchored"
    assert visit.arrived_earliest <= after and visit.arrived_latest >= before
    assert visit.arrived_latest - visit.arrived_earliest < timedelta(seconds=5)


def test_an_office_token_cannot_push(app: Flask, visitor: Staff) -> None:
    from_office = a_handset(visitor)
    with transaction() as session:
        session.execute(sa.text("UPDATE tokens SET device_id = NULL"))
    with office(app) as http:
        answer = http.post("/api/v1/sync/push", content=b"{}", headers=from_office.headers)

    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/device-needed")


def test_the_phone_gets_the_calendar_and_every_name_it_is_given_is_logged(
    app: Flask, phone: Phone, visitor: Staff, assignment: Assignment
) -> None:
    seed_calendar(now=datetime(2026, 1, 5, tzinfo=UTC))

    with office(app) as http:
        phone.connect(http).pull(Report())

    years = {body["year"]: body for _, _, body in phone.outbox.entities("calendar")}
    assert years[2026]["status"] == "published" and len(years[2026]["days"]) > 20
    logged = db.session.scalars(sa.select(AccessEntry)).all()
    assert [(one.staff_id, one.entity_id, one.action) for one in logged] == [
        (visitor.id, assignment.case_id, "sync.pull")
    ]


def test_two_items_with_one_visit_or_account_id_keep_the_first_and_flag_the_second(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    visit_id = start(phone, assignment.id)
    first = an_account(phone, visit_id, narrative="first")
    sent = json.loads(phone.outbox.next_batch(2)[1].envelope.payload)["body"]
    phone.record("visit.account", {**sent, "narrative": "second"})
    phone.record("visit.started", json.loads(phone.outbox.next_batch(1)[0].envelope.payload)["body"])

    flags = [one["flags"] for one in push(app, phone).json()["outcomes"]]

    assert "account_written_twice" not in flags[1] and "account_written_twice" in flags[2]
    assert "visit_started_twice" not in flags[0] and "visit_started_twice" in flags[3]
    db.session.rollback()
    assert db.session.get_one(Account, first).narrative == "first"


def test_a_push_asks_once_for_all_its_visits_to_be_judged_again(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    visits = sorted(str(start(phone, assignment.id)) for _ in range(3))
    push(app, phone)
    push(app, phone)

    waiting = (
        "SELECT task_name, args FROM procrastinate_jobs WHERE task_name LIKE 'reconcile_visit%' ORDER BY id"
    )
    (asked,) = db.session.execute(sa.text(waiting)).all()
    reconcile_visits(now=now(), visit_ids=asked.args["visit_ids"])
    reconcile_visits(now=now(), visit_ids=asked.args["visit_ids"])

    jobs = db.session.execute(sa.text(waiting)).all()[1:]
    assert (asked.task_name, asked.args["visit_ids"]) == ("reconcile_visits", visits)
    assert [(job.task_name, job.args["visit_id"]) for job in jobs] == [
        ("reconcile_visit", visit_id) for visit_id in visits
    ]


def test_a_stranger_cannot_amend_somebody_elses_account(
    app: Flask, phone: Phone, assignment: Assignment, tmp_path: Path
) -> None:
    visit_id = start(phone, assignment.id)
    original = an_account(phone, visit_id)
    push(app, phone)
    other = a_phone(a_visitor(), tmp_path / "stranger")
    an_account(other, visit_id, amends=original, narrative="一切正常。")

    answer = push(app, other)
    other.close()

    one = answer.json()["outcomes"][0]
    assert (one["outcome"], one["problem"]["slug"]) == ("quarantined", "not-your-visit")
    assert one["receipt"] is not None
    assert stored(Account) == 1


def test_an_item_that_names_another_person_counts_for_the_phones_owner(
    app: Flask, phone: Phone, visitor: Staff, assignment: Assignment
) -> None:
    somebody = a_visitor()
    owner = phone.outbox.fact("staff_id")
    phone.outbox.remember(staff_id=str(somebody.id))
    visit_id = start(phone, assignment.id)
    phone.outbox.remember(staff_id=owner)

    answer = push(app, phone)

    assert "staff_mismatch" in answer.json()["outcomes"][0]["flags"]
    db.session.rollback()
    assert db.session.get_one(Visit, visit_id).staff_id == visitor.id

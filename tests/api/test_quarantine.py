"""The desk shows what could not be applied, oldest first and as it is, and writes down who looked."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask

from server.database import db, transaction
from server.models.access import AccessEntry
from server.models.dispatch import Assignment
from server.models.people import Staff
from server.models.visits import RawSubmission
from sync.events import Event, Stuck
from sync.phone import Phone
from sync.protocol import ITEM, PushedItem, uuid7
from sync.wire import write_pushed
from tests.builders import Cast, Person, Role, a_visitor, now
from tests.desk import a_faulty_account, desk, look, told
from tests.phones import a_phone, office
from tests.pushing import account_body, begin, push, push_raw, waiting


@pytest.fixture
def supervisor(cast: Cast) -> Person:
    return cast.person(Role.SUPERVISOR)


def test_everything_that_was_not_applied_lies_at_the_desk_oldest_first(
    app: Flask, phone: Phone, assignment: Assignment, supervisor: Person
) -> None:
    visit_id, faulty = a_faulty_account(app, phone, assignment)
    twin_payload = faulty.envelope.payload.replace(str(faulty.id).encode(), str(twin := uuid7()).encode())
    push(app, phone, [PushedItem(twin, faulty.seq, faulty.prev, phone.key.seal(ITEM, twin_payload))])
    other = faulty.envelope.payload.replace(b'"narrative":7', b'"narrative":8')
    push(app, phone, [PushedItem(faulty.id, faulty.seq, faulty.prev, phone.key.seal(ITEM, other))])
    push_raw(app, phone, b"\x00garbage", path="/api/v1/sync/quarantine")
    phone.record("visit.account", account_body(phone, visit_id, parent=str(uuid7())))
    push(app, phone, waiting(phone)[-1:])

    found = desk(supervisor)

    assert sorted(one["kind"] for one in found) == [
        "conflict", "fork", "fork", "held", "item", "item", "raw",
    ]  # fmt: skip
    received = [datetime.fromisoformat(one["received_at"]) for one in found]
    assert received == sorted(received)
    problems = {one["kind"]: one["problem"] for one in found}
    assert problems == {
        "conflict": "other-bytes",
        "fork": "chain-fork",
        "held": "parent-missing",
        "item": "body-invalid",
        "raw": "bytes-unreadable",
    }
    heaps = told(supervisor.get("/api/v1/quarantine/summary"))["heaps"]
    assert {(heap["kind"], heap["count"]) for heap in heaps} == {
        ("fork", 2), ("item", 2), ("conflict", 1), ("held", 1), ("raw", 1),
    }  # fmt: skip


def test_the_list_goes_on_after_the_last_entry_seen_and_never_twice(
    app: Flask, phone: Phone, assignment: Assignment, supervisor: Person
) -> None:
    visit_id = begin(phone, assignment.id)
    for _ in range(5):
        phone.record("visit.account", account_body(phone, visit_id, narrative=7))
    push(app, phone)
    for n in range(3):
        push_raw(app, phone, b"garbage %d" % n, path="/api/v1/sync/quarantine")
    whole = [one["ref"] for one in desk(supervisor)]

    seen: list[str] = []
    after = ""
    while True:
        page = told(supervisor.get(f"/api/v1/quarantine?limit=3{after}"))
        seen += [one["ref"] for one in page["entries"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"

    assert len(whole) == 8
    assert seen == whole


def test_the_list_is_narrowed_by_phone_visitor_problem_kind_and_age(
    app: Flask, phone: Phone, visitor: Staff, assignment: Assignment, supervisor: Person, tmp_path: Path
) -> None:
    a_faulty_account(app, phone, assignment)
    other = a_phone(a_visitor(), tmp_path / "other")
    push_raw(app, other, b"garbage", path="/api/v1/sync/quarantine")
    with transaction() as session:
        session.execute(sa.update(RawSubmission).values(received_at=now() - timedelta(hours=30)))

    kinds = {
        query: [one["kind"] for one in desk(supervisor, query)]
        for query in (
            f"device_id={other.device_id}",
            f"staff_id={visitor.id}",
            "problem=body-invalid",
            "kind=raw",
            "older_than_hours=24",
            "kind=raw&problem=body-invalid",
        )
    }
    other.close()

    assert list(kinds.values()) == [["raw"], ["item"], ["item"], ["raw"], ["raw"], []]


def test_a_look_shows_the_bytes_what_is_wrong_and_what_stands_around_and_is_logged(
    app: Flask, phone: Phone, visitor: Staff, assignment: Assignment, supervisor: Person
) -> None:
    visit_id, faulty = a_faulty_account(app, phone, assignment)
    phone.record("visit.ended", {"visit_id": str(visit_id), "position": None})
    push(app, phone, waiting(phone)[-1:])
    (entry,) = desk(supervisor)

    seen = look(supervisor, entry["ref"])
    bytes_ = supervisor.get(f"/api/v1/quarantine/{entry['ref']}/content")

    assert bytes_.data == faulty.envelope.payload
    assert bytes_.headers["Content-Type"] == "application/octet-stream"
    assert "attachment" in bytes_.headers["Content-Disposition"]
    assert (seen["signature"], seen["outcome"], seen["problem"]["pointer"]) == (
        "valid", "quarantined", "/body/narrative",
    )  # fmt: skip
    assert seen["json"] == json.loads(faulty.envelope.payload)
    assert [(one["step"], one["type"]) for one in seen["neighbours"]] == [
        (-1, "visit.started"), (1, "visit.ended"),
    ]  # fmt: skip
    assert seen["receipt"]["item_sha256"] == entry["sha256"]
    logged = db.session.scalars(sa.select(AccessEntry).where(AccessEntry.action.like("quarantine.%"))).all()
    assert {(one.action, one.staff_id, one.entity_id) for one in logged} == {
        ("quarantine.look", supervisor.staff.id, faulty.id),
        ("quarantine.content", supervisor.staff.id, faulty.id),
    }


@pytest.mark.parametrize("raw", [b"\x00\xff\xfe", b"", b'{"a":"\\u0000"}', b"[" * 1000, b"x" * 300_000])
def test_bytes_of_any_kind_are_shown_as_text_that_can_be_read(
    app: Flask, phone: Phone, supervisor: Person, raw: bytes
) -> None:
    push_raw(app, phone, raw, path="/api/v1/sync/quarantine")
    (entry,) = desk(supervisor)

    seen = look(supervisor, entry["ref"])

    assert (seen["signature"], seen["json"]) == ("none", None)
    assert seen["fault"]["detail"]
    assert "\x00" not in seen["text"] and len(seen["text"]) <= 100_000
    assert seen["is_cut"] is (len(raw) > 100_000)


def test_the_visitor_is_told_what_was_put_aside_and_why(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    visit_id = begin(phone, assignment.id)
    body = account_body(phone, visit_id)
    faulty = phone.record("visit.account", body | {"claims": body["claims"] | {"met": "relative"}})
    events: list[Event] = []
    with office(app) as http:
        report = phone.sync(http, on_event=events.append)
        again = phone.sync(http)

    (told,) = [event for event in events if isinstance(event, Stuck)]
    assert (report.stuck, again.stuck) == ([str(faulty)], [])
    assert (told.what, told.id) == ("item", faulty)
    assert "/body/claims/met must be one of: debtor, liable_person, third_party, nobody" in told.why


def test_an_item_that_came_raw_says_where_it_is_wrong(
    app: Flask, phone: Phone, assignment: Assignment, supervisor: Person
) -> None:
    begin(phone, assignment.id)
    (item,) = waiting(phone)
    payload = json.loads(item.envelope.payload)
    payload["clock"]["monotonic_ms"] = -215_425_933
    spoiled = phone.key.seal(ITEM, json.dumps(payload).encode())
    raw = json.dumps(write_pushed(PushedItem(item.id, item.seq, item.prev, spoiled))).encode()
    push_raw(app, phone, raw, path="/api/v1/sync/quarantine")
    (entry,) = desk(supervisor)

    seen = look(supervisor, entry["ref"])

    assert (seen["signature"], seen["json"], seen["fault"]["pointer"]) == (
        "valid", payload, "/clock/monotonic_ms",
    )  # fmt: skip


@pytest.mark.parametrize(
    "ref", ["x", "item.0.0.0", "a.b.c.d", "item." + "0" * 32 + "." + "0" * 32 + "." + "0" * 64, "%00"]
)
def test_a_name_that_nothing_has_is_not_found(app: Flask, supervisor: Person, ref: str) -> None:
    answers = [
        supervisor.get(f"/api/v1/quarantine/{ref}"),
        supervisor.get(f"/api/v1/quarantine?after={ref}"),
        supervisor.get(f"/api/v1/quarantine/{ref}/content"),
    ]

    assert {one.status_code for one in answers} <= {404, 422}

"""Which phones owe us something: gaps, items that wait or were refused, forks, files that are due."""

import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from server.models.dispatch import Assignment
from server.models.people import Staff
from sync.phone import Phone
from sync.protocol import ITEM, PushedItem, uuid7
from tests.api.tus import CONTENT, Uploader
from tests.builders import Cast, Person, Role, a_handset, a_visitor
from tests.phones import a_phone
from tests.pushing import account_body, begin, evidence_body, push, push_raw, waiting


@pytest.fixture
def dispatcher(cast: Cast) -> Person:
    return cast.person(Role.DISPATCHER)


def phones(person: Person, query: str = "") -> list[dict[str, Any]]:
    answer = person.get(f"/api/v1/devices/sync?{query}")
    assert answer.status_code == 200, answer.text
    return json.loads(answer.text)["phones"]


def test_a_phone_that_handed_in_all_it_has_owes_nothing(
    app: Flask, phone: Phone, visitor: Staff, assignment: Assignment, dispatcher: Person
) -> None:
    begin(phone, assignment.id)
    push(app, phone)

    (seen,) = phones(dispatcher)

    assert (seen["device_id"], seen["staff_name"], seen["is_owing"]) == (
        str(phone.device_id), visitor.name, False,
    )  # fmt: skip
    assert (seen["acked_seq"], seen["highest_seq"]) == (1, 1)
    assert seen["last_item_at"] is not None
    assert phones(dispatcher, "is_owing=true") == []


def test_a_file_that_nobody_promised_is_not_owed(app: Flask, visitor: Staff, dispatcher: Person) -> None:
    given_up, wrong = (Uploader(app, a_handset(visitor)) for _ in range(2))
    given_up.call("DELETE", given_up.created(CONTENT))
    assert wrong.create(CONTENT, sha256="ab" * 32, body=CONTENT).status_code == 409

    assert {(one["files_owed"], one["is_owing"]) for one in phones(dispatcher)} == {(0, False)}


def test_everything_a_phone_owes_is_counted_and_named(
    app: Flask, phone: Phone, assignment: Assignment, dispatcher: Person
) -> None:
    visit_id = begin(phone, assignment.id)
    phone.record("visit.evidence", evidence_body(phone, visit_id))
    phone.record("visit.account", account_body(phone, visit_id, narrative=7))
    phone.record("visit.account", account_body(phone, visit_id, parent=str(uuid7())))
    phone.record("visit.ended", {"visit_id": str(visit_id), "position": None})
    phone.record("visit.ended", {"visit_id": str(visit_id), "position": None})
    check_in, promise, faulty, amending, _, last = waiting(phone)
    payload = check_in.envelope.payload
    clone = payload.replace(str(check_in.id).encode(), str(other := uuid7()).encode())
    twin = PushedItem(other, 1, None, phone.key.seal(ITEM, clone))
    odd = PushedItem(check_in.id, 1, None, phone.key.seal(ITEM, payload + b" "))
    push(app, phone, [check_in, twin, promise, faulty, amending, last, odd])
    push_raw(app, phone, b"garbage", path="/api/v1/sync/quarantine")

    (seen,) = phones(dispatcher, "is_owing=true")
    answer = dispatcher.get(f"/api/v1/devices/{phone.device_id}/sync")
    detail = json.loads(answer.text)

    owed = {"held": 1, "quarantined": 1, "forked": 2, "conflicting": 1, "raw": 1, "files_owed": 1}
    assert {name: seen[name] for name in owed} == owed
    assert (seen["acked_seq"], seen["highest_seq"], seen["is_owing"]) == (4, 6, True)
    assert detail["missing"] == [[5, 5]]
    assert (detail["held_items"], detail["quarantined_items"]) == ([str(amending.id)], [str(faulty.id)])
    assert sorted(detail["forked_items"]) == sorted([str(check_in.id), str(other)])
    assert detail["health"]["device_id"] == seen["device_id"]


def test_the_list_is_paged_and_narrowed_to_a_visitor(
    app: Flask, visitor: Staff, dispatcher: Person, tmp_path: Path
) -> None:
    for n in range(5):
        a_phone(visitor if n < 2 else a_visitor(), tmp_path / f"p{n}").close()
    whole = [one["device_id"] for one in phones(dispatcher)]

    first = json.loads(dispatcher.get("/api/v1/devices/sync?limit=3").text)
    rest = phones(dispatcher, f"limit=3&after={first['next']}")

    assert [one["device_id"] for one in first["phones"] + rest] == whole == sorted(whole)
    assert len(phones(dispatcher, f"staff_id={visitor.id}")) == 2
    assert dispatcher.get(f"/api/v1/devices/{uuid7()}/sync").status_code == 404

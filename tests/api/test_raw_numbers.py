"""Raw bytes fill the number at which they stand: a rotten item keeps nothing after it from being durable."""

from typing import Any

import pytest
from flask import Flask

from server.models.dispatch import Assignment
from sync.client import Report
from sync.phone import Phone
from tests.phones import office
from tests.pushing import an_account, begin, push, push_raw, waiting

RAW = "/api/v1/sync/quarantine"


def standing(app: Flask, phone: Phone) -> tuple[int, list[list[int]], int]:
    headers = {"Authorization": f"Bearer {phone.outbox.fact('token')}"}
    told: dict[str, Any] = app.test_client().get("/api/v1/sync/status", headers=headers).get_json()
    return told["acked_seq"], told["missing"], told["durable_through"]


@pytest.mark.parametrize(
    ("at", "reached", "missing"),
    [("?seq=2", 3, []), ("", 1, [[2, 2]]), ("?seq=5", 1, [[2, 2], [4, 4]])],
    ids=["where it stands", "nowhere", "elsewhere"],
)
def test_nothing_is_missing_where_raw_bytes_stand(
    app: Flask, phone: Phone, assignment: Assignment, at: str, reached: int, missing: list[list[int]]
) -> None:
    an_account(phone, begin(phone, assignment.id))
    an_account(phone, begin(phone, assignment.id))
    first, _rotten, third, *_ = waiting(phone)
    push(app, phone, [first])

    kept = push_raw(app, phone, b"\x00rotten", path=f"{RAW}{at}")
    push(app, phone, [third])

    assert kept.status_code == 200
    assert standing(app, phone) == (reached, missing, reached)


def test_the_newest_number_may_be_of_raw_bytes_and_repeating_them_changes_nothing(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    begin(phone, assignment.id)
    push(app, phone, waiting(phone))
    newest, _, _ = standing(app, phone)

    for _ in range(2):
        push_raw(app, phone, b"\x00rotten", path=f"{RAW}?seq={newest + 1}")

    assert standing(app, phone) == (newest + 1, [], newest + 1)


def test_bytes_that_came_without_a_number_get_it_when_they_come_again(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    an_account(phone, begin(phone, assignment.id))
    an_account(phone, begin(phone, assignment.id))
    first, second, _rotten, fourth = waiting(phone)[:4]

    receipts = [push_raw(app, phone, b"\x00rotten", path=f"{RAW}{at}").json() for at in ("", "?seq=3", "")]
    push(app, phone, [fourth])
    push(app, phone, [first, second])

    assert receipts[0] == receipts[1] == receipts[2]
    assert standing(app, phone) == (4, [], 4)


@pytest.mark.parametrize("seq", ["0", "-1", "two", str(2**53 + 1)])
def test_raw_bytes_at_an_impossible_number_are_refused_by_name(app: Flask, phone: Phone, seq: str) -> None:
    answer = push_raw(app, phone, b"\x00rotten", path=f"{RAW}?seq={seq}")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/seq"


def test_an_item_that_the_client_hands_in_raw_leaves_no_gap_behind(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    visit_id = begin(phone, assignment.id)
    an_account(phone, visit_id, narrative="长" * 3_000_000)
    an_account(phone, visit_id)

    with office(app) as http:
        phone.connect(http).push(Report())

    assert standing(app, phone) == (3, [], 3)

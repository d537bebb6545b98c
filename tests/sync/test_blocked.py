"""Somebody on the way blocks an item, or the feed: nothing else waits behind it."""

from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from sync import caution
from sync.client import Report, SyncFault
from sync.events import Event, Stuck
from sync.outbox import Outbox
from tests.sync.fake_office import (
    WAITING,
    FakeOffice,
    Fault,
    Handler,
    a_change,
    answering,
    arrived,
    blocking,
    client,
    cutting_above,
    lose_answer,
    lose_request,
    saying,
    session,
    well,
)
from tests.sync.made import KEY, a_file, append


def sent(office: FakeOffice, *methods: str) -> int:
    return len([method for method, _ in office.requests if method in methods])


def test_an_item_whose_connection_is_always_cut_does_not_hold_up_the_others(
    outbox: Outbox, office: FakeOffice, tmp_path: Path
) -> None:
    before = [append(outbox, KEY) for _ in range(7)]
    huge = append(outbox, KEY, body={"kind": "dog", "text": "x" * 50_000})
    after = [append(outbox, KEY) for _ in range(40)]
    file = a_file(outbox, tmp_path, b"jpeg")
    way = cutting_above(40_000)

    first, second, third = (session(outbox, office, ever=way) for _ in range(3))

    assert isinstance(first, SyncFault)
    for found in (second, third):
        assert isinstance(found, Report) and found.stuck == [str(huge.item_id)]
    assert {str(one.item_id) for one in (*before, *after)} <= set(office.items)
    assert [item.id for item in outbox.next_batch(10)] == [huge.item_id]
    assert arrived(office, file) == b"jpeg"
    session(outbox, office)  # on another network it simply goes
    assert outbox.count_waiting() == (0, 0)
    session(outbox, office)
    assert [path for _, path in office.requests] == ["/api/v1/sync/pull"]


def test_an_office_that_has_an_item_whose_answer_is_always_cut_is_not_taken_for_a_restored_one(
    outbox: Outbox, office: FakeOffice
) -> None:
    for _ in range(6):
        append(outbox, KEY)
    way = blocking(b'"seq": 6', lose_answer)

    found = [session(outbox, office, ever=way) for _ in range(4)]

    assert (len(office.items), outbox.count_waiting()) == (6, (1, 0))
    assert [one.pushed for one in found if isinstance(one, Report)] == [5, 0, 0]
    asked = ["/api/v1/sync/status", "/api/v1/sync/push", "/api/v1/sync/pull"]
    assert [path for _, path in office.requests] == asked


def test_two_items_that_somebody_blocks_are_found_and_told_apart_from_the_others(
    outbox: Outbox, office: FakeOffice
) -> None:
    sealed = [
        append(outbox, KEY, body={"kind": "dog", "text": "x" * (9000 * (n in (3, 30)))}) for n in range(50)
    ]
    events: list[Event] = []

    for _ in range(6):
        office.faults = [cutting_above(9000)] * 200
        with suppress(SyncFault):
            client(outbox, office, on_event=events.append).session()

    assert {item.id for item in outbox.next_batch(99)} == {sealed[3].item_id, sealed[30].item_id}
    assert {event.id for event in events if isinstance(event, Stuck)} == {
        sealed[3].item_id,
        sealed[30].item_id,
    }


def test_without_a_network_a_session_ends_with_its_first_request(outbox: Outbox, office: FakeOffice) -> None:
    sealed = [append(outbox, KEY) for _ in range(60)]

    for _ in range(10):
        session(outbox, office, ever=lose_request)
        assert len(office.requests) == 1
    session(outbox, office)

    assert list(office.items) == [str(one.item_id) for one in sealed]


def test_where_somebody_else_answers_everything_a_batch_is_sent_once_and_then_only_a_question(
    outbox: Outbox, office: FakeOffice
) -> None:
    for _ in range(60):
        append(outbox, KEY)

    asked = []
    for _ in range(5):
        session(outbox, office, ever=saying(403, b"<h1>log in</h1>", "text/html"))
        asked += office.requests

    assert asked == [("POST", "/api/v1/sync/push"), *[("GET", "/api/v1/sync/status")] * 4]


def test_on_a_way_that_cuts_every_body_no_session_sends_more_than_one_batch_did(
    outbox: Outbox, office: FakeOffice
) -> None:
    sealed = [append(outbox, KEY) for _ in range(60)]
    cut: list[int] = []

    def cutting(handle: Handler, request: httpx.Request) -> httpx.Response:
        cut.append(len(request.read()))
        return cutting_above(0)(handle, request)

    session(outbox, office, ever=cutting)
    (first,) = cut
    for _ in range(20):
        cut.clear()
        session(outbox, office, ever=cutting)
        assert sum(cut) <= first
    session(outbox, office)

    assert {str(one.item_id) for one in sealed} == set(office.items)
    assert outbox.count_waiting() == (0, 0)


def test_where_no_more_may_stand_aside_a_session_offers_the_next_one_no_more_than_twice(
    outbox: Outbox, office: FakeOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caution, "MOST_ASIDE", 1)
    for _ in range(3):
        append(outbox, KEY, body={"kind": "dog", "text": "x" * 9000})

    for _ in range(12):
        session(outbox, office, ever=cutting_above(9000))
        assert sent(office, "POST") <= 3


PULL_FAILS: dict[str, Fault] = {
    "a page that is none": saying(200, b"{}"),
    "reset": lose_request,
    "500": answering(500, "internal"),
    "wait": answering(503, "try-again", **{"Retry-After": "5"}),
}


@pytest.mark.parametrize("how", PULL_FAILS.values(), ids=PULL_FAILS)
def test_a_feed_that_does_not_come_holds_up_no_file(
    outbox: Outbox, office: FakeOffice, tmp_path: Path, how: Fault
) -> None:
    file = a_file(outbox, tmp_path, b"jpeg")

    def no_feed(handle: Handler, request: httpx.Request) -> httpx.Response:
        return (how if request.url.path.endswith("/pull") else well)(handle, request)

    found = [session(outbox, office, ever=no_feed) for _ in range(3)]

    assert all(isinstance(one, SyncFault) for one in found)
    assert arrived(office, file) == b"jpeg"
    assert isinstance(session(outbox, office), Report)
    assert [path for _, path in office.requests] == ["/api/v1/sync/pull"]


def test_items_that_do_not_get_through_hold_up_no_file(
    outbox: Outbox, office: FakeOffice, tmp_path: Path
) -> None:
    file = a_file(outbox, tmp_path, b"jpeg")
    down = blocking(b'"items"', answering(500, "internal"))

    found = [session(outbox, office, ever=down) for _ in range(2)]

    assert all(isinstance(one, SyncFault) for one in found)
    assert arrived(office, file) == b"jpeg"


@pytest.mark.parametrize("how", WAITING.values(), ids=WAITING)
def test_an_item_that_is_always_asked_to_wait_does_not_hold_up_the_others_for_ever(
    outbox: Outbox, office: FakeOffice, tmp_path: Path, how: Fault
) -> None:
    before = [append(outbox, KEY) for _ in range(7)]
    bad = append(outbox, KEY, body={"kind": "dog", "text": "virus"})
    after = [append(outbox, KEY) for _ in range(40)]
    file = a_file(outbox, tmp_path, b"jpeg")
    scanner = blocking(b'"seq": 8', how)

    found = [session(outbox, office, ever=scanner) for _ in range(9)]

    assert {str(one.item_id) for one in (*before, *after)} <= set(office.items)
    assert (arrived(office, file), [item.id for item in outbox.next_batch(9)]) == (b"jpeg", [bad.item_id])
    waits = [one.retry_after for one in found if isinstance(one, SyncFault)]
    assert len(waits) == 6 and all(waits)  # whoever asked was obeyed each time
    assert isinstance(found[-1], Report) and found[-1].stuck == [str(bad.item_id)]
    session(outbox, office)  # on another network it simply goes
    assert outbox.count_waiting() == (0, 0)


def test_a_stranger_who_asks_for_an_hour_gets_five_minutes_and_the_office_its_hour(
    outbox: Outbox, office: FakeOffice
) -> None:
    append(outbox, KEY)
    asked = {"Retry-After": "3600"}

    found = [session(outbox, office, ever=answering(503, slug, **asked)) for slug in (None, "try-again")]

    assert [one.retry_after for one in found if isinstance(one, SyncFault)] == [300, 3600]


def test_what_the_office_has_to_say_reaches_a_phone_whose_items_somebody_blocks(
    outbox: Outbox, office: FakeOffice
) -> None:
    for _ in range(30):
        append(outbox, KEY)
    stop = a_change()
    office.pages = [office.page(changes=[stop])]

    first, second = (session(outbox, office, ever=blocking(b'"items"', lose_request)) for _ in range(2))

    assert isinstance(first, SyncFault) and isinstance(second, SyncFault)
    assert [str(name) for name, _, _ in outbox.entities("assignment")] == [stop["id"]]


def test_an_office_that_asks_to_wait_is_offered_the_same_batch_again(
    outbox: Outbox, office: FakeOffice
) -> None:
    for _ in range(30):
        append(outbox, KEY)
    for _ in range(3):
        session(outbox, office, ever=answering(503, "try-again", **{"Retry-After": "7"}))

    session(outbox, office)

    assert sent(office, "POST") == 2

"""A phone on every kind of bad network: nothing is lost, nothing believed that is not the office's."""

from typing import Any
from uuid import UUID

import pytest

from sync.client import Report, SyncFault
from sync.outbox import Outbox
from tests.sync.fake_office import (
    BROKEN,
    FakeOffice,
    Fault,
    a_change,
    answering,
    client,
    well,
)
from tests.sync.made import KEY, append


@pytest.mark.parametrize("fault", BROKEN.values(), ids=BROKEN)
def test_a_push_that_breaks_is_repeated_until_each_item_has_its_receipt(
    outbox: Outbox, office: FakeOffice, fault: Fault
) -> None:
    sealed = [append(outbox, KEY) for _ in range(30)]
    office.faults = [well, fault]

    with pytest.raises(SyncFault) as caught:
        client(outbox, office).push(Report())
    assert caught.value.is_transient
    assert outbox.count_waiting() == (5, 0)
    client(outbox, office).push(Report())

    assert outbox.count_waiting() == (0, 0)
    assert list(office.items) == [str(one.item_id) for one in sealed]


@pytest.mark.parametrize("fault", BROKEN.values(), ids=BROKEN)
def test_a_pull_that_breaks_moves_nothing(outbox: Outbox, office: FakeOffice, fault: Fault) -> None:
    office.faults = [fault]

    with pytest.raises(SyncFault) as caught:
        client(outbox, office).pull(Report())

    assert caught.value.is_transient
    assert (outbox.fact("cursor"), outbox.fact("anchor")) == (None, None)


def test_how_long_the_office_asked_to_wait_is_passed_on(outbox: Outbox, office: FakeOffice) -> None:
    append(outbox, KEY)
    office.faults = [answering(503, "try-again", **{"Retry-After": "7"})]

    with pytest.raises(SyncFault) as caught:
        client(outbox, office).session()

    assert caught.value.retry_after == 7


def test_a_refusal_by_the_office_itself_needs_a_person(outbox: Outbox, office: FakeOffice) -> None:
    append(outbox, KEY)
    office.faults = [answering(403, "device-needed")]

    with pytest.raises(SyncFault) as caught:
        client(outbox, office).push(Report())

    assert not caught.value.is_transient
    assert outbox.count_waiting() == (1, 0)


def test_a_batch_too_large_is_halved_down_to_the_one_item_that_goes_raw(
    outbox: Outbox, office: FakeOffice
) -> None:
    small = [append(outbox, KEY) for _ in range(4)]
    huge = append(outbox, KEY, body={"text": "长" * 20_000})
    office.most_bytes = 20_000

    report = Report()
    client(outbox, office).push(report)

    assert set(office.items) == {str(one.item_id) for one in small}
    assert (len(office.raw), report.stuck) == (1, [str(huge.item_id)])
    assert outbox.count_waiting() == (0, 0)


FORGED: list[dict[str, Any] | None] = [
    None,
    {},
    {"sig": "*"},
    {"sig": 5},
    {"sig": ""},
    {"item_sha256": "00" * 32},
    {"received_at": "2030-01-01T00:00:00Z"},
]


@pytest.mark.parametrize("changed", FORGED, ids=str)
def test_nothing_leaves_the_outbox_on_a_receipt_the_office_did_not_sign(
    outbox: Outbox, office: FakeOffice, changed: dict[str, Any] | None
) -> None:
    append(outbox, KEY)
    honest = office.receipt
    office.receipt = (  # type: ignore[method-assign]
        lambda item_id, sha256: {} if not changed else {**honest(item_id, sha256), **changed}
    )

    with pytest.raises(SyncFault):
        client(outbox, office).push(Report())

    assert outbox.count_waiting() == (1, 0)


def test_receipts_of_another_office_are_not_receipts(outbox: Outbox, office: FakeOffice) -> None:
    append(outbox, KEY)
    impostor = client(outbox, office)
    impostor.server_key = FakeOffice().public_key

    with pytest.raises(SyncFault):
        impostor.push(Report())

    assert outbox.count_waiting() == (1, 0)


def test_pages_are_pulled_until_there_are_no_more(outbox: Outbox, office: FakeOffice) -> None:
    first, second = a_change(), a_change()
    office.pages = [
        office.page(changes=[first], cursor="c1", has_more=True),
        office.page(changes=[second], cursor="c2", seen={"staff:1": 2}),
    ]

    report = Report()
    client(outbox, office).pull(report)

    held = {entity_id for entity_id, _, _ in outbox.entities("assignment")}
    assert held == {UUID(first["id"]), UUID(second["id"])}
    assert (outbox.fact("cursor"), outbox.fact("seen"), report.pulled) == ("c2", {"staff:1": 2}, 2)


@pytest.mark.parametrize(
    "page",
    [
        {"changes": None},
        {"changes": [7]},
        {"changes": [a_change(op="drop")]},
        {"changes": [a_change(id="x")]},
        {"changes": [a_change(body=None)]},
        {"cursor": None},
        {"anchor": {}},
        {"has_more": "no"},
        {"seen": {"staff:1": "x"}},
    ],
    ids=lambda page: str(page)[:30],
)
def test_a_page_that_is_not_the_protocols_is_not_applied(
    outbox: Outbox, office: FakeOffice, page: dict[str, Any]
) -> None:
    office.pages = [office.page(**page)]

    with pytest.raises(SyncFault) as caught:
        client(outbox, office).pull(Report())

    assert caught.value.is_transient
    assert outbox.fact("cursor") is None


def test_a_reset_starts_the_feed_over_and_offers_what_was_receipted_again(
    outbox: Outbox, office: FakeOffice
) -> None:
    sealed = append(outbox, KEY)
    client(outbox, office).session()
    outbox.apply([], cursor="old", seen={})
    office.items.clear()  # the office was restored from yesterday's backup
    office.faults = [answering(410, "feed-reset")]

    client(outbox, office).session()

    assert outbox.fact("cursor") == "c1"
    assert list(office.items) == [str(sealed.item_id)]


@pytest.mark.parametrize("is_revoked", [False, True])
def test_an_office_that_knows_less_than_it_said_is_offered_it_again(
    outbox: Outbox, office: FakeOffice, is_revoked: bool
) -> None:
    sealed = [append(outbox, KEY) for _ in range(3)]
    refused = answering(403, "device-revoked") if is_revoked else well
    office.faults = [well, refused]
    client(outbox, office).session()
    for lost in sealed[1:]:  # restored from a backup that has the first item; its feed looks the same
        del office.items[str(lost.item_id)]
    office.faults = [refused]

    client(outbox, office).session()

    assert list(office.items) == [str(one.item_id) for one in sealed]
    assert outbox.count_waiting() == (0, 0)


def test_a_revoked_phone_hands_in_and_learns_nothing(outbox: Outbox, office: FakeOffice) -> None:
    append(outbox, KEY)
    office.faults = [well, answering(403, "device-revoked")]

    client(outbox, office).session()

    assert (outbox.count_waiting(), outbox.fact("cursor")) == ((0, 0), None)

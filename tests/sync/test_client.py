"""A phone on every kind of bad network: nothing is lost, nothing believed that is not the office's."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from sync.client import Report, SyncFault
from sync.outbox import Outbox
from sync.pace import LEAST_BYTES
from tests.sync.fake_office import (
    FakeOffice,
    Fault,
    a_change,
    answering,
    arrived,
    client,
    cut_answer,
    cut_upload,
    lose_answer,
    lose_request,
    portal,
    redirect,
    well,
)
from tests.sync.made import KEY, a_file, append

BROKEN: dict[str, Fault] = {
    "request lost": lose_request,
    "answer lost": lose_answer,
    "answer cut": cut_answer,
    "portal": portal,
    "portal redirect": redirect,
    "portal 403": answering(403),
    "portal 404": answering(404),
    "proxy 400": answering(400),
    "proxy 502": answering(502),
    "token expired": answering(401, "token-expired"),
    "too many": answering(429, "too-many-requests"),
    "database down": answering(503, "try-again"),
}


def send_files(outbox: Outbox, office: FakeOffice) -> Report:
    report = Report()
    client(outbox, office).send_media(report)
    return report


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


@pytest.mark.parametrize("at", [0, 1, 1000, LEAST_BYTES])
def test_an_upload_that_was_cut_goes_on_where_the_office_says(
    outbox: Outbox, office: FakeOffice, tmp_path: Path, at: int
) -> None:
    content = bytes(range(256)) * 1500
    file = a_file(outbox, tmp_path, content)
    office.faults = [well, well, cut_upload(at)]

    with pytest.raises(SyncFault):
        send_files(outbox, office)
    send_files(outbox, office)

    assert arrived(office, file) == content
    assert [method for method, _ in office.requests].count("POST") == 1


def test_an_office_that_tells_the_offset_with_the_address_is_not_asked_for_it(
    outbox: Outbox, office: FakeOffice, tmp_path: Path
) -> None:
    file = a_file(outbox, tmp_path, b"jpeg")
    office.tells_offset = True

    send_files(outbox, office)

    assert [method for method, _ in office.requests] == ["POST", "PATCH"]
    assert arrived(office, file) == b"jpeg"


@pytest.mark.parametrize("number", [0, 1, 2], ids=["create", "ask", "send"])
@pytest.mark.parametrize("fault", BROKEN.values(), ids=BROKEN)
def test_whatever_breaks_while_uploading_the_file_arrives_whole_and_once(
    outbox: Outbox, office: FakeOffice, tmp_path: Path, fault: Fault, number: int
) -> None:
    file = a_file(outbox, tmp_path, b"jpeg")
    office.faults = [well] * number + [fault]

    for _ in range(2):
        try:
            send_files(outbox, office)
        except SyncFault as caught:
            assert caught.is_transient

    assert arrived(office, file) == b"jpeg"
    assert outbox.count_waiting()[1] == 0


@pytest.mark.parametrize("status", [409, 460])
def test_a_disagreement_about_the_offset_is_settled_by_asking(
    outbox: Outbox, office: FakeOffice, tmp_path: Path, status: int
) -> None:
    file = a_file(outbox, tmp_path, b"jpeg")
    office.faults = [well, well, answering(status, "offset-mismatch")]

    send_files(outbox, office)

    assert arrived(office, file) == b"jpeg"


def test_an_upload_that_does_not_get_on_ends_the_session_not_the_battery(
    outbox: Outbox, office: FakeOffice, tmp_path: Path
) -> None:
    a_file(outbox, tmp_path, b"jpeg")
    office.faults = [well, well, *[answering(409, "offset-mismatch"), well] * 50]

    with pytest.raises(SyncFault) as caught:
        send_files(outbox, office)

    assert caught.value.is_transient
    assert len(office.requests) < 20


@pytest.mark.parametrize("status", [404, 410])
def test_an_upload_the_office_lost_is_created_anew(
    outbox: Outbox, office: FakeOffice, tmp_path: Path, status: int
) -> None:
    file = a_file(outbox, tmp_path, b"jpeg")
    office.faults = [well, well, answering(status, "gone")]

    send_files(outbox, office)

    assert arrived(office, file) == b"jpeg"
    assert [method for method, _ in office.requests].count("POST") == 2


def test_a_file_the_office_keeps_refusing_is_set_aside_and_the_next_one_goes(
    outbox: Outbox, office: FakeOffice, tmp_path: Path
) -> None:
    bad, good = a_file(outbox, tmp_path, b"bad"), a_file(outbox, tmp_path, b"good", name="other")
    office.faults = [well, well, answering(422, "digest-mismatch")] * 3

    report = send_files(outbox, office)

    assert (report.stuck, report.uploaded) == ([str(bad.evidence_id)], 1)
    assert arrived(office, good) == b"good"
    assert outbox.count_waiting()[1] == 0


def test_a_file_that_may_not_be_sent_now_waits_and_does_not_hold_up_the_others(
    outbox: Outbox, office: FakeOffice, tmp_path: Path
) -> None:
    bad, good = a_file(outbox, tmp_path, b"bad"), a_file(outbox, tmp_path, b"good", name="other")
    office.faults = [answering(403, "not-yours")]

    report = send_files(outbox, office)

    assert report.stuck == [str(bad.evidence_id)]
    assert arrived(office, good) == b"good"
    assert [file.evidence_id for file in outbox.files.waiting()] == [bad.evidence_id]


def test_a_file_that_vanished_from_the_phone_is_reported_not_fatal(
    outbox: Outbox, office: FakeOffice, tmp_path: Path
) -> None:
    lost, cut = a_file(outbox, tmp_path, b"lost"), a_file(outbox, tmp_path, b"cut short", name="other")
    lost.path.unlink()
    cut.path.write_bytes(b"cut")

    report = send_files(outbox, office)

    assert report.stuck == [str(lost.evidence_id), str(cut.evidence_id)]
    assert office.files == {}


def test_an_empty_file_is_complete_once_created(outbox: Outbox, office: FakeOffice, tmp_path: Path) -> None:
    file = a_file(outbox, tmp_path, b"")

    report = send_files(outbox, office)

    assert (report.uploaded, arrived(office, file)) == (1, b"")

"""Files over every kind of bad network: each arrives whole and once, and none holds up the others.

Nor does an item that somebody on the way does not let through.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from sync.client import Report, SyncFault
from sync.events import Event, FileMoved, Stuck
from sync.outbox import Outbox
from sync.pace import LEAST_BYTES
from tests.sync.fake_office import (
    BROKEN,
    FakeOffice,
    Fault,
    Handler,
    answering,
    arrived,
    client,
    cut_upload,
    cutting_above,
    lose_answer,
    lose_request,
    portal,
    saying,
    taking_at_most,
    well,
)
from tests.sync.made import KEY, a_file, append


def send_files(outbox: Outbox, office: FakeOffice, **facts: Any) -> Report:
    report = Report()
    client(outbox, office, **facts).send_media(report)
    return report


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


def test_a_file_whose_evidence_was_erased_is_offered_no_more_and_holds_up_nobody(
    outbox: Outbox, office: FakeOffice, tmp_path: Path
) -> None:
    a_file(outbox, tmp_path, b"of somebody who was erased")
    office.faults = [answering(410, "evidence-erased")] * 2

    report = send_files(outbox, office)
    asked = len(office.requests)
    send_files(outbox, office)

    assert (report.uploaded, report.stuck, outbox.files.stuck()) == (0, [], {})
    assert outbox.files.count_waiting() == 0 and len(office.requests) == asked
    assert outbox.files.bytes_held() > 0  # until the promise is durable, as everything that arrived


@pytest.mark.parametrize("fault", [answering(410, "upload-lost"), answering(410), saying(410, b"gone")])
def test_whoever_else_says_gone_has_no_file_let_go(
    outbox: Outbox, office: FakeOffice, tmp_path: Path, fault: Fault
) -> None:
    a_file(outbox, tmp_path, b"still wanted")
    office.faults = [fault] * 2

    with suppress(SyncFault):
        send_files(outbox, office)

    assert outbox.files.count_waiting() == 1


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


@pytest.fixture
def taking(office: FakeOffice) -> FakeOffice:
    """An office that takes bytes with the creation and says how many it has."""
    office.takes_bytes = office.tells_offset = True
    return office


def test_a_file_that_one_request_carries_goes_with_its_creation(
    outbox: Outbox, taking: FakeOffice, tmp_path: Path
) -> None:
    small = a_file(outbox, tmp_path, b"jpeg")
    large = a_file(outbox, tmp_path, b"\1" * (LEAST_BYTES + 1), name="large")
    events: list[Event] = []

    send_files(outbox, taking, on_event=events.append)

    assert [method for method, _ in taking.requests] == ["POST", "POST", "PATCH", "PATCH"]
    assert (arrived(taking, small), len(arrived(taking, large))) == (b"jpeg", LEAST_BYTES + 1)
    moved = [(one.arrived, one.size_bytes) for one in events if isinstance(one, FileMoved)]
    assert moved[0] == (4, 4)


@pytest.mark.parametrize("fault", BROKEN.values(), ids=BROKEN)
def test_whatever_breaks_while_a_file_goes_with_its_creation_it_arrives_whole_and_once(
    outbox: Outbox, taking: FakeOffice, tmp_path: Path, fault: Fault
) -> None:
    file = a_file(outbox, tmp_path, b"jpeg")
    taking.faults = [fault]

    for _ in range(2):
        try:
            send_files(outbox, taking)
        except SyncFault as caught:
            assert caught.is_transient

    assert arrived(taking, file) == b"jpeg"
    assert outbox.count_waiting()[1] == 0


@pytest.mark.parametrize("at", [0, 1, 1000])
def test_a_creation_that_was_cut_goes_on_where_the_office_says(
    outbox: Outbox, taking: FakeOffice, tmp_path: Path, at: int
) -> None:
    file = a_file(outbox, tmp_path, bytes(range(256)) * 8)
    taking.faults = [cut_upload(at)]

    with pytest.raises(SyncFault):
        send_files(outbox, taking)
    send_files(outbox, taking)

    assert arrived(taking, file) == bytes(range(256)) * 8
    assert [method for method, _ in taking.requests] == ["POST", "POST", *(["PATCH"] if at else [])]


@pytest.mark.parametrize(
    ("status", "slug"), [(422, "digest-mismatch"), (413, "too-large"), (460, "checksum-mismatch")]
)
def test_what_the_office_says_against_a_creation_with_bytes_is_asked_again_without(
    outbox: Outbox, taking: FakeOffice, tmp_path: Path, status: int, slug: str
) -> None:
    file = a_file(outbox, tmp_path, b"jpeg")
    taking.faults = [answering(status, slug)]

    send_files(outbox, taking)

    assert arrived(taking, file) == b"jpeg"
    assert [method for method, _ in taking.requests] == ["POST", "POST", "PATCH"]


@pytest.mark.parametrize("most", [LEAST_BYTES, 1_000_000])
def test_a_proxy_that_takes_no_large_body_gets_smaller_ones_at_once_and_for_good(
    outbox: Outbox, taking: FakeOffice, tmp_path: Path, most: int
) -> None:
    content = bytes(3 * 1024**2)
    files = [a_file(outbox, tmp_path, content, name=name) for name in ("first", "second", "third")]
    refused: list[int] = []
    taking.faults = [taking_at_most(most, refused)] * 100

    send_files(outbox, taking)

    assert [arrived(taking, file) == content for file in files] == [True] * 3
    assert 1 <= len(refused) <= 4


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


# Somebody on the way.


def session(outbox: Outbox, office: FakeOffice, *faults: Fault, ever: Fault = well) -> Report | SyncFault:
    """One session of an app that makes a new client for each; after the first faults always this one."""
    office.requests.clear()
    office.faults = [*faults, *[ever] * 200]
    try:
        return client(outbox, office).session()
    except SyncFault as fault:
        assert fault.is_transient
        return fault


def blocking(word: bytes, how: Fault) -> Fault:
    """A scanner meets every body with this word in it so."""

    def fault(handle: Handler, request: httpx.Request) -> httpx.Response:
        return how(handle, request) if word in request.read() else handle(request)

    return fault


BLOCKED: dict[str, Fault] = {
    "403": answering(403),
    "a page with 200": portal,
    "503": answering(503),
    "reset": lose_request,
}


def sent(office: FakeOffice, *methods: str) -> int:
    return len([method for method, _ in office.requests if method in methods])


def waiting_files(outbox: Outbox) -> list[UUID]:
    return [file.evidence_id for file in outbox.files.waiting()]


@pytest.mark.parametrize("how", BLOCKED.values(), ids=BLOCKED)
@pytest.mark.parametrize("takes_bytes", [False, True])
def test_a_file_that_somebody_on_the_way_blocks_does_not_hold_up_the_others(
    outbox: Outbox, office: FakeOffice, tmp_path: Path, how: Fault, takes_bytes: bool
) -> None:
    office.takes_bytes = office.tells_offset = takes_bytes
    bad = a_file(outbox, tmp_path, b"looks like a virus", name="bad")
    good = [a_file(outbox, tmp_path, b"good", name=f"{n}") for n in range(3)]
    large = a_file(outbox, tmp_path, bytes(LEAST_BYTES + 1), name="large")
    scanner = blocking(b"virus", how)

    found = [session(outbox, office, ever=scanner) for _ in range(4)]

    assert [arrived(office, file) for file in good] == [b"good"] * 3
    assert len(arrived(office, large)) == LEAST_BYTES + 1
    assert waiting_files(outbox) == [bad.evidence_id]
    assert [isinstance(one, SyncFault) for one in found] == [True, True, False, False]
    assert isinstance(found[-1], Report) and found[-1].stuck == [str(bad.evidence_id)]
    session(outbox, office)  # on another network it simply goes
    assert (arrived(office, bad), waiting_files(outbox)) == (b"looks like a virus", [])


def test_many_blocked_files_do_not_hold_up_the_others_and_one_of_them_is_tried_a_session(
    outbox: Outbox, office: FakeOffice, tmp_path: Path
) -> None:
    office.takes_bytes = office.tells_offset = True
    bad = [a_file(outbox, tmp_path, b"virus", name=f"bad{n}").evidence_id for n in range(5)]
    scanner = blocking(b"virus", answering(403))
    for _ in range(10):
        session(outbox, office, ever=scanner)
    good = [a_file(outbox, tmp_path, b"good", name=f"good{n}") for n in range(5)]

    found = [session(outbox, office, ever=scanner) for _ in range(5)]

    assert [arrived(office, file) for file in good] == [b"good"] * 5
    stuck = [one.stuck for one in found if isinstance(one, Report)]
    assert sorted(stuck) == sorted([str(name)] for name in bad)


def test_without_a_network_one_file_is_tried_a_session_and_however_often_it_was(
    outbox: Outbox, office: FakeOffice, tmp_path: Path
) -> None:
    for n in range(4):
        a_file(outbox, tmp_path, b"jpeg", name=f"{n}")
    session(outbox, office, well, well, ever=lose_request)

    for _ in range(12):
        session(outbox, office, well, ever=lose_request)
        assert [path for _, path in office.requests] == ["/api/v1/sync/pull", "/api/v1/files"]

    session(outbox, office)
    assert outbox.count_waiting() == (0, 0)


def test_an_urgent_file_that_broke_twice_waits_for_one_turn_not_for_a_whole_recording(
    outbox: Outbox, office: FakeOffice, tmp_path: Path
) -> None:
    office.takes_bytes = office.tells_offset = True
    video = a_file(outbox, tmp_path, bytes(20 * 1024**2), name="video")
    session(outbox, office, well, well, ever=lose_request)
    photo = a_file(outbox, tmp_path, b"jpeg")
    session(outbox, office, well, well, lose_request)
    session(outbox, office, well, lose_request)
    events: list[Event] = []

    client(outbox, office, on_event=events.append).session()

    names = [event.evidence_id for event in events if isinstance(event, FileMoved)]
    before = [event.arrived for event in events if isinstance(event, FileMoved)][
        : names.index(photo.evidence_id)
    ]
    assert names[0] == video.evidence_id
    assert max(before) <= 12 * 1024**2
    assert outbox.count_waiting() == (0, 0)


def test_a_file_that_gets_on_a_little_each_session_keeps_its_place(
    outbox: Outbox, office: FakeOffice, tmp_path: Path
) -> None:
    first = a_file(outbox, tmp_path, bytes(5 * LEAST_BYTES), name="first")
    a_file(outbox, tmp_path, bytes(5 * LEAST_BYTES), name="second")
    session(outbox, office, well, well, well, well, well, ever=lose_request)

    for _ in range(3):
        session(outbox, office, well, well, well, ever=lose_request)

    assert len(arrived(office, first)) > 3 * LEAST_BYTES
    assert len(office.files) == 1


@pytest.mark.parametrize("most", [20_000, 100_000])
def test_a_proxy_that_takes_less_than_a_piece_gets_smaller_ones(
    outbox: Outbox, taking: FakeOffice, tmp_path: Path, most: int
) -> None:
    file = a_file(outbox, tmp_path, bytes(3 * LEAST_BYTES))
    refused: list[int] = []
    taking.faults = [taking_at_most(most, refused)] * 100

    send_files(outbox, taking)

    assert len(arrived(taking, file)) == 3 * LEAST_BYTES
    assert 1 <= len(refused) <= 4


def test_a_file_whose_pieces_somebody_cuts_without_a_word_goes_in_smaller_ones(
    outbox: Outbox, taking: FakeOffice, tmp_path: Path
) -> None:
    files = [a_file(outbox, tmp_path, bytes(200_000), name=f"{n}") for n in range(2)]

    for _ in range(8):
        session(outbox, taking, ever=cutting_above(70_000))

    assert [len(arrived(taking, file)) for file in files] == [200_000] * 2


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


def test_an_office_that_asks_to_wait_is_offered_the_same_batch_again(
    outbox: Outbox, office: FakeOffice
) -> None:
    for _ in range(30):
        append(outbox, KEY)
    for _ in range(3):
        session(outbox, office, ever=answering(503, "try-again", **{"Retry-After": "7"}))

    session(outbox, office)

    assert sent(office, "POST") == 2

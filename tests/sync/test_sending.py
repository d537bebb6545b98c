"""Files over every kind of bad network: each arrives whole and once, and none holds up the others."""

from contextlib import suppress
from pathlib import Path

import pytest

from sync.client import SyncFault
from sync.events import Event, FileMoved
from sync.outbox import Outbox
from sync.pace import LEAST_BYTES
from sync.sending import FileSender
from tests.sync.fake_office import (
    BROKEN,
    FakeOffice,
    Fault,
    answering,
    arrived,
    client,
    cut_upload,
    saying,
    send_files,
    taking_at_most,
    well,
)
from tests.sync.made import a_file, spoil


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


@pytest.mark.parametrize("size", [4, LEAST_BYTES + 1], ids=["with-its-creation", "in-pieces"])
def test_a_file_that_cannot_be_read_holds_up_nobody_and_is_tried_again(
    outbox: Outbox, taking: FakeOffice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    bad, good = a_file(outbox, tmp_path, bytes(size), name="bad"), a_file(outbox, tmp_path, b"good")

    with monkeypatch.context() as patch:
        spoil(patch, bad.path)
        report = send_files(outbox, taking)

    assert (report.stuck, arrived(taking, good)) == ([str(bad.evidence_id)], b"good")
    send_files(outbox, taking)
    assert arrived(taking, bad) == bytes(size)


def test_a_file_that_another_session_sent_and_dropped_before_its_turn_is_no_trouble(
    outbox: Outbox, office: FakeOffice, tmp_path: Path
) -> None:
    sent = a_file(outbox, tmp_path, b"sent")
    turn = outbox.files.next_turn()
    outbox.files.finish(sent.evidence_id)
    sent.path.unlink()
    sender = FileSender(outbox.files, client(outbox, office).office, lambda: 0)

    assert turn is not None and not sender.send(turn)

    assert (outbox.files.stuck(), office.requests) == ({}, [])


def test_an_empty_file_is_complete_once_created(outbox: Outbox, office: FakeOffice, tmp_path: Path) -> None:
    file = a_file(outbox, tmp_path, b"")

    report = send_files(outbox, office)

    assert (report.uploaded, arrived(office, file)) == (1, b"")

"""Somebody on the way blocks a file, or finds it too large: no other file waits behind it."""

from pathlib import Path
from uuid import UUID

import pytest

from sync.client import Report, SyncFault
from sync.events import Event, FileMoved
from sync.outbox import Outbox
from sync.pace import LEAST_BYTES
from tests.sync.fake_office import (
    WAITING,
    FakeOffice,
    Fault,
    answering,
    arrived,
    blocking,
    client,
    cutting_above,
    lose_request,
    portal,
    send_files,
    session,
    taking_at_most,
    well,
)
from tests.sync.made import a_file

BLOCKED: dict[str, Fault] = {
    "403": answering(403),
    "a page with 200": portal,
    "503": answering(503),
    "reset": lose_request,
}


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


def test_a_recording_that_broke_once_is_not_put_off_as_long_as_newer_ones_keep_coming(
    outbox: Outbox, office: FakeOffice, tmp_path: Path
) -> None:
    first = a_file(outbox, tmp_path, bytes(5 * LEAST_BYTES), name="first")
    session(outbox, office, well, well, ever=lose_request)  # not a byte of it arrived

    for n in range(2):  # the line carries less than is recorded
        a_file(outbox, tmp_path, bytes(100 * LEAST_BYTES), name=f"{n}")
        session(outbox, office, *[well] * 14, ever=lose_request)

    assert len(arrived(office, first)) == 5 * LEAST_BYTES


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


@pytest.mark.parametrize("how", WAITING.values(), ids=WAITING)
def test_a_file_that_is_always_asked_to_wait_does_not_hold_up_the_others_for_ever(
    outbox: Outbox, office: FakeOffice, tmp_path: Path, how: Fault
) -> None:
    bad = a_file(outbox, tmp_path, b"looks like a virus", name="bad")
    good = [a_file(outbox, tmp_path, b"good", name=f"{n}") for n in range(3)]

    found = [session(outbox, office, ever=blocking(b"virus", how)) for _ in range(4)]

    assert [arrived(office, file) for file in good] == [b"good"] * 3
    assert waiting_files(outbox) == [bad.evidence_id]
    assert [isinstance(one, SyncFault) for one in found] == [True, True, False, False]

"""In what order files leave: small and urgent first, nobody for ever last; forgotten only when safe."""

import random
from collections import deque
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from sync.envelope import DeviceKey
from sync.file_queue import SMALL_BYTES, SMALL_IN_A_ROW, TURN_BYTES, QueuedFile
from sync.outbox import Outbox, Sealed
from sync.wire import write_instant
from tests.sync.made import NOON, append

KEY = DeviceKey.generate()


def queue(outbox: Outbox, size: int, *, is_urgent: bool = False) -> UUID:
    """Queue a file of this size with its promise, which is the next item."""
    name = uuid4()
    path = outbox.path.parent / str(name)
    path.write_bytes(b"x" * min(size, 100))
    file = QueuedFile(name, path, "00" * 32, size, "image/jpeg", None, is_urgent)
    sealed = append(outbox, KEY)
    outbox.append(lambda seq, prev: Sealed(uuid4(), "x", sealed.digest, sealed.envelope), file=file)
    return name


def test_small_and_urgent_files_go_first_each_in_the_order_of_capture(outbox: Outbox) -> None:
    video = queue(outbox, 9_000_000)
    photo = queue(outbox, SMALL_BYTES)
    recording = queue(outbox, SMALL_BYTES + 1)
    incident = queue(outbox, 5_000_000, is_urgent=True)
    signature = queue(outbox, 300)

    assert [file.evidence_id for file in outbox.files.waiting()] == [
        photo,
        incident,
        signature,
        video,
        recording,
    ]


def turns(outbox: Outbox, count: int) -> list[UUID]:
    taken = []
    for _ in range(count):
        turn = outbox.files.next_turn()
        assert turn is not None
        taken.append(turn.file.evidence_id)
    return taken


def test_a_large_file_gets_a_turn_however_many_small_ones_keep_coming(outbox: Outbox) -> None:
    video = queue(outbox, 900_000_000)
    queue(outbox, 100)

    taken = turns(outbox, 3 * (SMALL_IN_A_ROW + 1))

    assert [name == video for name in taken] == ([False] * SMALL_IN_A_ROW + [True]) * 3


def test_whose_turn_it_is_survives_a_restart(outbox: Outbox) -> None:
    video = queue(outbox, 900_000_000)
    queue(outbox, 100)

    taken = []
    for _ in range(SMALL_IN_A_ROW + 1):
        again = Outbox(outbox.path)
        taken += turns(again, 1)
        again.close()

    assert taken[-1] == video


def test_a_file_set_aside_for_now_is_passed_over(outbox: Outbox) -> None:
    first, second = queue(outbox, 1), queue(outbox, 1)

    turn = outbox.files.next_turn(skipping={first})

    assert turn is not None and turn.file.evidence_id == second
    assert outbox.files.next_turn(skipping={first, second}) is None


def test_a_file_that_broke_goes_behind_its_kind_and_after_two_in_a_row_behind_all(outbox: Outbox) -> None:
    photo, other = queue(outbox, 1), queue(outbox, 1)
    video = queue(outbox, 900_000_000)

    order = []
    for _ in range(3):
        order.append(turns(outbox, 1))
        outbox.files.note_break(photo)
    outbox.files.finish(other)
    order.append(turns(outbox, 1))
    outbox.files.finish(video)

    assert order == [[photo], [other], [other], [video]]
    assert turns(outbox, 1) == [photo]
    assert outbox.files.next_turn(aside="never") is None


def test_a_file_that_stands_aside_has_its_turn_at_once_where_others_have_gone(outbox: Outbox) -> None:
    photo, video = queue(outbox, 1), queue(outbox, 900_000_000)
    for _ in range(2):
        outbox.files.note_break(photo)

    found = [outbox.files.next_turn(aside=when) for when in ("last", "first", "never")]

    assert [turn.file.evidence_id for turn in found if turn] == [video, photo, video]
    outbox.files.note_move(photo)
    assert turns(outbox, 1) == [photo]


@pytest.mark.parametrize("seed", range(5))
def test_nobody_starves_and_each_kind_keeps_its_order(outbox: Outbox, seed: int) -> None:
    print("seed", seed)
    dice = random.Random(seed)
    rest: dict[UUID, int] = {}
    waited: dict[UUID, int] = {}
    expected: dict[bool, deque[UUID]] = {True: deque(), False: deque()}

    for _ in range(120):
        if dice.random() < 0.45:  # a small one arrives all the time, sometimes a huge one
            size = 100 if dice.random() < 0.8 else dice.randint(1, 3) * TURN_BYTES
            name = queue(outbox, size)
            rest[name], waited[name] = size, 0
            expected[size <= SMALL_BYTES].append(name)
        turn = outbox.files.next_turn()
        if turn is None:
            continue
        name = turn.file.evidence_id
        assert name == expected[turn.file.size_bytes <= SMALL_BYTES][0]
        rest[name] -= turn.most_bytes
        if rest[name] <= 0:
            outbox.files.finish(name)
            expected[turn.file.size_bytes <= SMALL_BYTES].popleft()
        for kind in expected.values():
            if kind:
                waited[kind[0]] += 1

    # At the front of its kind, a file of up to three turns is through after three rounds.
    assert max(waited.values()) <= 3 * (SMALL_IN_A_ROW + 1)


def finished(outbox: Outbox, size: int = 10) -> tuple[UUID, Path]:
    """A file that arrived, whose promise has its receipt of a month ago."""
    name = queue(outbox, size)
    (file,) = [file for file in outbox.files.waiting() if file.evidence_id == name]
    outbox.files.finish(name)
    receipt = {"received_at": write_instant(NOON - timedelta(days=30))}
    items = outbox.next_batch(10)
    outbox.acknowledge({"id": str(item.id), "outcome": "applied", "receipt": receipt} for item in items)
    return name, file.path


def test_a_file_that_another_session_sent_and_dropped_meanwhile_is_not_called_gone(outbox: Outbox) -> None:
    name, _ = finished(outbox)
    outbox.remember(durable_through=2)
    outbox.release(now=NOON)  # the bytes are deleted

    outbox.files.finish(name, problem="the file on this phone is gone or was cut")
    outbox.files.finish(name)

    assert (outbox.files.stuck(), outbox.files.unsent(), outbox.files.bytes_held()) == ({}, [], 0)


def test_a_file_is_deleted_once_it_arrived_and_its_promise_is_durable(outbox: Outbox) -> None:
    _, path = finished(outbox)

    assert outbox.release(now=NOON) == 0
    assert path.exists()
    outbox.remember(durable_through=2)

    assert (outbox.release(now=NOON), path.exists(), outbox.files.bytes_held()) == (1, False, 0)
    assert outbox.release(now=NOON) == 0


@pytest.mark.parametrize("state", ["waiting", "stuck"])
def test_a_file_that_did_not_arrive_is_never_deleted(outbox: Outbox, state: str) -> None:
    name, path = finished(outbox)
    with outbox.store.atomically():
        outbox.store.db.execute("UPDATE media SET state = ? WHERE evidence_id = ?", (state, str(name)))
    outbox.remember(durable_through=2)

    outbox.release(now=NOON + timedelta(days=4000), is_short=True)

    assert path.exists()


def test_a_deletion_that_was_cut_off_is_finished_the_next_time(outbox: Outbox) -> None:
    name, path = finished(outbox)
    with outbox.store.atomically():  # marked, and then the battery died
        outbox.store.db.execute("UPDATE media SET state = 'spent' WHERE evidence_id = ?", (str(name),))

    assert (outbox.release(now=NOON), path.exists()) == (1, False)


def test_a_restored_office_is_sent_again_what_is_still_here(outbox: Outbox) -> None:
    name, _ = finished(outbox)

    outbox.offer_again()

    assert [file.evidence_id for file in outbox.files.waiting()] == [name]
    assert outbox.count_waiting() == (2, 1)


def test_a_stuck_file_goes_again_after_a_person_helped(outbox: Outbox) -> None:
    name = queue(outbox, 5)
    outbox.files.finish(name, problem="the office refuses this file")
    assert (outbox.files.stuck(), list(outbox.files.waiting())) == (
        {name: "the office refuses this file"},
        [],
    )

    outbox.files.retry(name)

    assert ([file.evidence_id for file in outbox.files.waiting()], outbox.files.stuck()) == ([name], {})


def test_files_are_found_again_after_the_app_was_moved(outbox: Outbox, tmp_path: Path) -> None:
    name = queue(outbox, 5)
    moved = tmp_path / "moved"
    moved.mkdir()
    outbox.store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for part in (str(name), "outbox.sqlite"):
        (tmp_path / part).rename(moved / part)

    again = Outbox(moved / "outbox.sqlite")
    (file,) = again.files.waiting()
    again.close()

    assert file.path == moved / str(name) and file.path.exists()

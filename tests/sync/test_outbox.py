"""The outbox: what was recorded survives a dead battery, in order, and leaves only with a receipt."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from sync.chain import Link, judge_links
from sync.envelope import DeviceKey, digest
from sync.outbox import BackOff, Outbox, QueuedFile, Sealed
from sync.protocol import Change
from tests.sync.made import NOON, append

KEY = DeviceKey.generate()


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    outbox = Outbox(tmp_path / "outbox.sqlite")
    yield outbox
    outbox.close()


def applied(sealed: Sealed, **facts: Any) -> dict[str, Any]:
    return {"id": str(sealed.item_id), "outcome": "applied", "flags": [], "receipt": {"sig": "x"}} | facts


@pytest.mark.parametrize("after", [1, 2, 7, 20, 60])
def test_a_phone_killed_while_recording_keeps_all_it_was_told_and_an_unbroken_chain(
    tmp_path: Path, after: int
) -> None:
    command = [sys.executable, "-m", "tests.sync.appending", str(tmp_path)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as phone:
        assert phone.stdout is not None
        lines = [phone.stdout.readline().split() for _ in range(after)]
        phone.send_signal(signal.SIGKILL)
        lines += [line.split() for line in phone.stdout if line.endswith("\n")]

    outbox = Outbox(tmp_path / "outbox.sqlite")
    kept = {one["id"]: one for one in outbox.outcomes()}
    waiting = {item.id for item in outbox.next_batch(10_000)}
    outbox.offer_again()
    links = [
        Link(item.seq, item.prev, digest(item.envelope.payload_type, item.envelope.payload))
        for item in outbox.next_batch(10_000)
    ]
    outbox.close()

    assert judge_links(links, {}) == [()] * len(links)
    assert {UUID(item_id) for _, item_id, _ in lines} <= set(kept)
    assert {bytes.fromhex(name) for _, _, name in lines} <= {link.digest for link in links}
    acknowledged = {UUID(item_id) for what, item_id, _ in lines if what == "acknowledged"}
    assert all(kept[item_id]["receipt"] == {"by": "office"} for item_id in acknowledged)
    assert not acknowledged & waiting


def test_an_item_that_cannot_be_sealed_leaves_the_chain_as_it_was(outbox: Outbox) -> None:
    first = append(outbox, KEY)

    def fail(seq: int, prev: bytes | None) -> Sealed:
        raise RuntimeError("the key store is locked")

    with pytest.raises(RuntimeError):
        outbox.append(fail)
    append(outbox, KEY)

    mine, after = outbox.next_batch(10)
    assert (mine.id, after.seq, after.prev) == (first.item_id, 2, first.digest)


def test_items_leave_in_the_order_they_were_recorded_and_only_once_acknowledged(outbox: Outbox) -> None:
    first, second, third = (append(outbox, KEY) for _ in range(3))

    outbox.acknowledge([applied(second)])

    assert [item.id for item in outbox.next_batch(10)] == [first.item_id, third.item_id]
    assert [item.id for item in outbox.next_batch(1)] == [first.item_id]
    assert outbox.count_waiting() == (2, 0)


def test_an_item_and_the_file_it_promises_are_queued_together(outbox: Outbox, tmp_path: Path) -> None:
    file = QueuedFile(uuid4(), tmp_path / "photo", "00" * 32, 5, "image/jpeg", None)

    def fail(seq: int, prev: bytes | None) -> Sealed:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        outbox.append(fail, file=file)

    assert outbox.count_waiting() == (0, 0)


def test_small_files_go_first_then_in_the_order_they_were_taken(outbox: Outbox, tmp_path: Path) -> None:
    sizes = [9_000_000, 400, 3_000_000, 300]
    for size in sizes:
        sealed = append(outbox, KEY)
        file = QueuedFile(uuid4(), tmp_path / "x", "00" * 32, size, "image/jpeg", None)
        outbox.append(lambda seq, prev, one=sealed: Sealed(uuid4(), "x", one.digest, one.envelope), file=file)

    assert [file.size_bytes for file in outbox.next_files()] == [400, 300, 9_000_000, 3_000_000]


def test_after_a_restored_backup_receipted_items_are_offered_again(outbox: Outbox) -> None:
    sealed = [append(outbox, KEY) for _ in range(3)]
    outbox.acknowledge([applied(one) for one in sealed])

    assert outbox.offer_again(above=1) == 2

    assert [item.seq for item in outbox.next_batch(10)] == [2, 3]


def a_put(name: UUID, rev: int, body: dict[str, Any]) -> Change:
    return Change("staff:1", "assignment", name, "put", rev, body)


def test_the_same_page_applied_twice_changes_nothing(outbox: Outbox) -> None:
    kept, removed = uuid4(), uuid4()
    outbox.apply([a_put(removed, 1, {})], cursor="c0", seen={})
    page = [a_put(kept, 2, {"a": "狗"}), Change("staff:1", "assignment", removed, "remove", 2, None)]

    states = []
    for _ in range(2):
        outbox.apply(page, cursor="c1", seen={"staff:1": 3})
        states.append((outbox.entities("assignment"), outbox.fact("cursor"), outbox.fact("seen")))

    assert states[0] == states[1] == ([(kept, 2, {"a": "狗"})], "c1", {"staff:1": 3})


def test_a_page_that_fails_half_way_moves_neither_entities_nor_cursor(outbox: Outbox) -> None:
    good, bad = a_put(uuid4(), 1, {}), a_put(uuid4(), 1, {"not json": object()})

    with pytest.raises(TypeError):
        outbox.apply([good, bad], cursor="c1", seen={})

    assert (outbox.entities("assignment"), outbox.fact("cursor")) == ([], None)


def test_forgetting_the_feed_keeps_what_was_recorded(outbox: Outbox) -> None:
    append(outbox, KEY)
    outbox.remember(token="t")
    outbox.apply([a_put(uuid4(), 1, {})], cursor="c1", seen={"staff:1": 1})

    outbox.forget_feed()

    assert (outbox.entities("assignment"), outbox.fact("cursor"), outbox.fact("seen")) == ([], None, None)
    assert (outbox.count_waiting(), outbox.fact("token")) == ((1, 0), "t")


@pytest.mark.parametrize(
    ("failures", "jitter", "seconds"), [(1, 0.0, 0.5), (1, 0.99, 0.995), (4, 0.0, 4), (100, 0.0, 150)]
)
def test_pauses_double_with_jitter_up_to_five_minutes(failures: int, jitter: float, seconds: float) -> None:
    assert BackOff().wait(failures, jitter=jitter) == timedelta(seconds=seconds)


def test_a_pause_the_office_asked_for_is_kept() -> None:
    asked = timedelta(hours=1)

    assert BackOff().next_try(1, now=NOON, jitter=0, asked=asked) == NOON + asked

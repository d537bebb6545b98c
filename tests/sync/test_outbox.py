"""The outbox: what was recorded survives a dead battery, in order, and leaves only with a receipt."""

import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from sync.chain import Link, judge_links
from sync.envelope import DeviceKey, digest
from sync.outbox import Outbox, QueuedFile, Sealed
from sync.protocol import Change
from sync.store import PhoneFull
from sync.wire import write_instant
from tests.sync.made import NOON, append

KEY = DeviceKey.generate()


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
    waiting = {item.id for item in outbox.next_batch(100_000, most_bytes=10**9)}
    outbox.offer_again()
    links = [
        Link(item.seq, item.prev, digest(item.envelope.payload_type, item.envelope.payload))
        for item in outbox.next_batch(100_000, most_bytes=10**9)
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


def test_starting_over_keeps_what_was_recorded_and_known(outbox: Outbox) -> None:
    append(outbox, KEY)
    outbox.remember(token="t")
    outbox.apply([a_put(uuid4(), 1, {})], cursor="c1", seen={"staff:1": 1})

    outbox.start_over()

    assert (outbox.fact("cursor"), outbox.fact("seen")) == (None, None)
    assert (outbox.count_waiting(), outbox.fact("token")) == ((1, 0), "t")


def test_while_a_feed_is_started_over_the_phone_keeps_its_permits_until_the_last_page(outbox: Outbox) -> None:
    gone, kept, new = uuid4(), uuid4(), uuid4()
    outbox.apply([a_put(gone, 1, {}), a_put(kept, 1, {})], cursor="c1", seen={})
    outbox.start_over()

    outbox.apply([a_put(kept, 2, {})], cursor="d1", seen={}, is_complete=False)
    between = {name for name, _, _ in outbox.entities("assignment")}
    outbox.apply([a_put(new, 1, {})], cursor="d2", seen={}, is_complete=True)

    assert between == {gone, kept}
    assert {name for name, _, _ in outbox.entities("assignment")} == {kept, new}
    assert set(outbox.held("staff:1")) == {("assignment", kept, 2), ("assignment", new, 1)}


def a_receipt(days_ago: float) -> dict[str, Any]:
    return {"received_at": write_instant(NOON - timedelta(days=days_ago)), "sig": "x"}


def envelopes(outbox: Outbox) -> list[bool]:
    """Whether the payload of each item is still here."""
    rows = outbox.store.db.execute("SELECT envelope != '' FROM items ORDER BY seq")
    return [bool(row[0]) for row in rows]


@pytest.mark.parametrize(
    ("days_ago", "through", "is_short", "is_kept"),
    [
        (8, 1, False, False),
        (6, 1, False, True),  # durable, but a backup may be older
        (6, 1, True, False),  # unless the room is needed
        (8, 0, False, True),  # the office does not call it durable
        (8, 0, True, True),
        (91, 0, False, False),  # bounded whatever an office fails to say
    ],
)
def test_a_payload_stays_until_the_office_has_it_for_good(
    outbox: Outbox, days_ago: float, through: int, is_short: bool, is_kept: bool
) -> None:
    sealed = append(outbox, KEY)
    outbox.acknowledge([applied(sealed, receipt=a_receipt(days_ago))])
    outbox.remember(durable_through=through)

    outbox.release(now=NOON, is_short=is_short)

    assert envelopes(outbox) == [is_kept]
    assert outbox.offer_again() == (1 if is_kept else 0)


def test_what_has_no_receipt_is_never_dropped(outbox: Outbox) -> None:
    append(outbox, KEY)
    outbox.remember(durable_through=1)

    outbox.release(now=NOON + timedelta(days=4000), is_short=True)

    assert envelopes(outbox) == [True]
    assert len(outbox.next_batch(1)) == 1


def test_receipts_are_kept_for_a_year_and_the_head_of_the_chain_for_ever(outbox: Outbox) -> None:
    sealed = [append(outbox, KEY) for _ in range(3)]
    ages = zip(sealed, (366, 364, 400), strict=True)
    outbox.acknowledge([applied(one, receipt=a_receipt(days)) for one, days in ages])
    outbox.remember(durable_through=3)

    outbox.release(now=NOON)
    after = append(outbox, KEY)

    assert [one["seq"] for one in outbox.outcomes()] == [2, 3, 4]
    (item,) = outbox.next_batch(1)
    assert (item.id, item.prev) == (after.item_id, sealed[-1].digest)


def test_a_batch_is_bounded_by_bytes_and_never_empty(outbox: Outbox) -> None:
    sealed = [append(outbox, KEY, body={"kind": "dog", "text": "x" * 10_000}) for _ in range(5)]

    sizes = [len(outbox.next_batch(25, most_bytes=most)) for most in (1, 32_000, 10_000_000)]

    assert sizes == [1, 2, 5]
    assert outbox.next_batch(1, above=3)[0].id == sealed[3].item_id
    assert [item.seq for item, _ in outbox.waiting_items()] == [1, 2, 3, 4, 5]


OLD_SCHEMA = """
CREATE TABLE items (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, prev BLOB, digest BLOB NOT NULL, type TEXT NOT NULL,
    envelope TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'waiting', outcome TEXT, flags TEXT, receipt TEXT);
CREATE INDEX items_waiting ON items (seq) WHERE state = 'waiting';
CREATE TABLE media (
    evidence_id TEXT PRIMARY KEY, path TEXT NOT NULL, sha256 TEXT NOT NULL, size_bytes INTEGER NOT NULL,
    mime TEXT NOT NULL, upload_url TEXT, state TEXT NOT NULL DEFAULT 'waiting', problem TEXT,
    queued INTEGER NOT NULL);
CREATE TABLE entities (
    scope TEXT, kind TEXT, id TEXT, rev INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (scope, kind, id));
CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


def test_the_outbox_of_an_earlier_release_opens_with_everything_in_it(tmp_path: Path) -> None:
    path, photo, entity = tmp_path / "outbox.sqlite", uuid4(), uuid4()
    with closing(sqlite3.connect(path)) as old:
        old.executescript(OLD_SCHEMA)
        row = (str(photo), str(tmp_path / "photo"), "00" * 32, 5, "image/jpeg", 1)
        old.execute(
            "INSERT INTO media (evidence_id, path, sha256, size_bytes, mime, queued) VALUES (?,?,?,?,?,?)",
            row,
        )
        old.execute("INSERT INTO entities VALUES ('staff:1', 'assignment', ?, 3, '{}')", (str(entity),))
        old.commit()

    for _ in range(2):
        with closing(Outbox(path)) as outbox:
            (file,) = outbox.files.waiting()
            assert (file.evidence_id, file.path, file.is_urgent) == (photo, tmp_path / "photo", False)
            assert outbox.entities("assignment") == [(entity, 3, {})]


def test_two_threads_record_into_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    with closing(Outbox(path)):
        pass

    def record() -> None:
        with closing(Outbox(path)) as mine:
            for _ in range(25):
                append(mine, KEY)

    threads = [threading.Thread(target=record) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with closing(Outbox(path)) as outbox:
        items = outbox.next_batch(1000)
    links = [
        Link(item.seq, item.prev, digest(item.envelope.payload_type, item.envelope.payload)) for item in items
    ]
    assert judge_links(links, {}) == [()] * 100
    assert [link.seq for link in links] == list(range(1, 101))


def test_a_full_disk_refuses_the_new_record_and_loses_none(outbox: Outbox) -> None:
    pages = outbox.store.db.execute("PRAGMA page_count").fetchone()[0]
    outbox.store.db.execute(f"PRAGMA max_page_count = {pages + 8}")
    recorded = []

    with pytest.raises(PhoneFull):
        while True:
            recorded.append(append(outbox, KEY, body={"kind": "dog", "text": "x" * 3000}))

    assert [item.id for item in outbox.next_batch(100, most_bytes=10**9)] == [one.item_id for one in recorded]
    outbox.store.db.execute(f"PRAGMA max_page_count = {pages + 100}")
    append(outbox, KEY)  # with room again the chain simply goes on
    assert len(outbox.next_batch(100, most_bytes=10**9)) == len(recorded) + 1 > 1

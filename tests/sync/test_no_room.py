"""A phone without room: what cannot be kept is refused, and what was kept is never lost for it."""

import base64
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from sync.cancelling import CancelToken
from sync.client import Report, SyncFault
from sync.envelope import DeviceKey
from sync.events import Event, NoRoom, Paused
from sync.loop import SyncLoop
from sync.outbox import Outbox
from sync.phone import Clocks, Phone, PhoneFull
from sync.store import Store
from tests.sync.fake_office import FakeOffice, a_change, answering, lose_request
from tests.sync.made import DEVICE, NOON, VISITOR

OFFICE = DeviceKey.generate()
VISIT = uuid4()
PRAGMAS = ("journal_mode", "synchronous")


@pytest.fixture
def phone(tmp_path: Path) -> Iterator[Phone]:
    phone = Phone(tmp_path / "phone", clocks=Clocks(wall=lambda: NOON))
    phone.outbox.remember(
        device_id=str(DEVICE),
        staff_id=str(VISITOR),
        token="a-token",
        server_key=base64.b64encode(OFFICE.spki).decode(),
    )
    yield phone
    phone.close()


def capture(phone: Phone, content: bytes) -> UUID:
    return phone.capture(content, visit_id=VISIT, kind="photo", purpose="door", mime="image/jpeg")


def test_a_capture_beyond_what_files_may_take_is_refused_and_what_waits_stays(
    phone: Phone, tmp_path: Path
) -> None:
    phone.shelf.most_bytes = 1000
    kept = capture(phone, b"x" * 900)

    for content in (b"y" * 101, io.BytesIO(b"y" * 600_000)):
        with pytest.raises(PhoneFull):
            phone.capture(content, visit_id=VISIT, kind="photo", purpose="door", mime="image/jpeg")

    assert phone.shelf.room() == 100
    assert [path.name for path in phone.media.iterdir()] == [str(kept)]
    assert phone.outbox.count_waiting() == (1, 1)
    phone.record("incident.raised", {"kind": "other", "text": "狗"})  # words always find room


def test_room_is_made_from_what_the_office_has_for_good(phone: Phone) -> None:
    phone.shelf.most_bytes = 1000
    capture(phone, b"x" * 900)
    office = FakeOffice(key=OFFICE, is_durable=True)
    office.time = NOON.replace(hour=NOON.hour + 1)
    with office.client() as http:
        phone.sync(http)

    second = capture(phone, b"y" * 900)

    assert [path.name for path in phone.media.iterdir()] == [str(second)]


def test_what_a_restored_office_took_in_again_is_not_durable_by_the_word_of_the_lost_one(
    phone: Phone,
) -> None:
    office = FakeOffice(key=OFFICE, is_durable=True)
    office.time = NOON + timedelta(hours=1)
    for _ in range(2):
        capture(phone, b"x" * 900)
    with office.client() as http:
        phone.sync(http)
    office.items.clear()  # restored from a backup without them
    office.faults = [answering(410, "feed-reset"), lose_request]
    with office.client() as http, suppress(SyncFault):
        phone.sync(http)

    with office.client() as http:
        phone.connect(http).push(Report())  # they are there again, and in no backup yet
    phone.make_room()

    assert len(office.items) == 2
    assert all(phone.outbox.item(seq) is not None for seq in (1, 2))


class Stream(io.BytesIO):
    """A recording as it comes from a camera: it cannot be had twice."""

    def seekable(self) -> bool:
        return False


def test_a_stream_that_cannot_be_had_again_is_kept_whole_or_refused(phone: Phone) -> None:
    phone.shelf.most_bytes = 1_000_000
    capture(phone, b"x" * 900_000)
    office = FakeOffice(key=OFFICE, is_durable=True)
    office.time = NOON + timedelta(hours=1)
    with office.client() as http:
        phone.sync(http)
    content = os.urandom(600_000)
    how: dict[str, Any] = {"visit_id": VISIT, "kind": "video", "purpose": "door", "mime": "video/x"}

    with pytest.raises(PhoneFull):
        phone.capture(Stream(content), **how)
    kept = phone.capture(Stream(content), **how)  # the room that the first one made

    assert (phone.media / str(kept)).read_bytes() == content
    assert [path.name for path in phone.media.iterdir()] == [str(kept)]


def test_on_a_disk_too_full_to_mark_anything_what_the_office_has_for_good_is_dropped_first(
    phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        capture(phone, b"x" * 900)
    office = FakeOffice(key=OFFICE, is_durable=True)
    office.time = NOON + timedelta(hours=1)
    with office.client() as http:
        phone.sync(http)
    unsent = capture(phone, b"unsent")
    really = Store.atomically

    def atomically(store: Store) -> AbstractContextManager[None]:
        if sum(path.stat().st_size for path in phone.media.iterdir()) > 1000:
            raise PhoneFull("the disk has no room for another record")
        return really(store)

    monkeypatch.setattr(Store, "atomically", atomically)

    said = phone.record("incident.raised", {"kind": "other", "text": "狗"})

    assert [path.name for path in phone.media.iterdir()] == [str(unsent)]
    assert said in {one["id"] for one in phone.outbox.outcomes()}
    assert phone.outbox.files.bytes_held() == len(b"unsent")


def fill(outbox: Outbox) -> None:
    """Let the store take no further page."""
    pages = outbox.store.db.execute("PRAGMA page_count").fetchone()[0]
    outbox.store.db.execute(f"PRAGMA max_page_count = {pages}")


def test_captures_that_were_refused_leave_nothing(phone: Phone) -> None:
    fill(phone.outbox)
    kept = []

    with pytest.raises(PhoneFull):
        while True:
            kept.append(capture(phone, b"x" * 1000))
    with pytest.raises(PhoneFull):
        phone.capture(
            io.BytesIO(b"x" * 600_000), visit_id=VISIT, kind="video", purpose="door", mime="video/x"
        )

    assert kept
    assert {path.name for path in phone.media.iterdir()} == {str(name) for name in kept}
    assert phone.outbox.files.bytes_held() == 1000 * len(kept)


def a_large_page(office: FakeOffice, **facts: Any) -> dict[str, Any]:
    return office.page(changes=[a_change(body={"x": "y" * 2000}) for _ in range(50)], **facts)


def test_a_full_phone_still_sends_its_files_and_its_loop_goes_on(phone: Phone) -> None:
    name = capture(phone, b"jpeg")
    fill(phone.outbox)
    office = FakeOffice(key=OFFICE)
    events: list[Event] = []
    token = CancelToken()

    def session() -> None:
        office.pages = [a_large_page(office)]
        with office.client() as http:
            phone.sync(http, on_event=events.append, cancel=token)

    def note(event: Event) -> None:
        events.append(event)
        loop.wake()
        if len([one for one in events if isinstance(one, Paused)]) == 3:
            token.cancel()

    loop = SyncLoop(session, token, note, jitter=lambda: 0)
    loop.run()

    assert bytes(office.files[f"/api/v1/files/{name}"]) == b"jpeg"
    assert phone.outbox.count_waiting() == (0, 0)
    paused = [(event.failures, event.reason) for event in events if isinstance(event, Paused)]
    assert paused == [(1, "no-room"), (2, "no-room"), (3, "no-room")]
    assert len([event for event in events if isinstance(event, NoRoom)]) == 3


def test_a_session_makes_the_room_it_lacks_from_what_the_office_has_for_good(phone: Phone) -> None:
    for _ in range(80):
        phone.record("incident.raised", {"kind": "other", "text": "x" * 5000})
    office = FakeOffice(key=OFFICE)
    with office.client() as http:
        phone.sync(http)
    fill(phone.outbox)
    office.time = NOON + timedelta(hours=1)
    office.pages = [a_large_page(office, durable_through=80, cursor="large") for _ in range(2)]
    events: list[Event] = []

    with office.client() as http:
        report = phone.sync(http, on_event=events.append)

    assert (report.pulled, phone.outbox.fact("cursor")) == (50, "large")
    assert [event for event in events if isinstance(event, NoRoom)] == []


def test_a_session_that_can_make_no_room_asks_for_nothing_twice(phone: Phone) -> None:
    fill(phone.outbox)
    office = FakeOffice(key=OFFICE)
    office.pages = [a_large_page(office)]

    with office.client() as http, pytest.raises(PhoneFull):
        phone.sync(http)

    assert len(office.requests) == 1
    assert phone.outbox.fact("anchor")["server_time"] == office.page()["anchor"]["server_time"]


FULL_DISK = """
import resource, sqlite3, sys
from pathlib import Path
from uuid import uuid4
from sync.phone import Clocks, Phone, PhoneFull

phone = Phone(Path(sys.argv[1]), clocks=Clocks())
phone.record("incident.raised", {"text": "before"})
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
try:
    phone.capture(bytes(900_000), visit_id=uuid4(), kind="photo", purpose="door", mime="image/jpeg")
except PhoneFull:
    print("full", sorted(path.name for path in phone.media.iterdir()))
try:
    while True:
        phone.record("incident.raised", {"text": "x" * 5000})
except (PhoneFull, sqlite3.OperationalError):  # the limit stops sqlite as a broken disk would
    print("full too", len(phone.outbox.next_batch(10_000, most_bytes=10**9)))
"""


def test_on_a_disk_that_is_really_full_nothing_recorded_is_lost(phone: Phone) -> None:
    phone.close()

    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(phone.folder)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == "full []"
    again = Phone(phone.folder, clocks=Clocks())
    assert f"full too {again.outbox.count_waiting()[0]}" == second
    again.close()


def test_captures_cut_off_before_their_promise_are_kept_for_a_person(phone: Phone) -> None:
    capture(phone, b"promised")
    (phone.media / "0190.part").write_bytes(b"half a video")

    assert [path.name for path in phone.shelf.unclaimed()] == ["0190.part"]


def test_bytes_then_name_then_promise_reach_the_disk_in_this_order(
    phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A power cut cannot be had in a test; what is asked of the kernel, and when, can be seen.
    forced: list[tuple[str, int]] = []
    really = os.fsync

    def fsync(handle: int) -> None:
        really(handle)
        forced.append((Path(os.readlink(f"/proc/self/fd/{handle}")).name, phone.outbox.count_waiting()[0]))

    monkeypatch.setattr(os, "fsync", fsync)

    name = capture(phone, b"jpeg")

    assert forced == [(f"{name}.part", 0), ("media", 0)]
    asked = [phone.outbox.store.db.execute(f"PRAGMA {what}").fetchone()[0] for what in PRAGMAS]
    assert (asked, phone.outbox.count_waiting()) == (["wal", 2], (1, 1))

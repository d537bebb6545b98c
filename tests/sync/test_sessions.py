"""A session tells the app what it does, stops when told to, and the loop around it waits with patience."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from sync.cancelling import Cancelled, CancelToken
from sync.client import Report, SyncFault
from sync.connection import Reason
from sync.events import (
    Event,
    FileArrived,
    FileMoved,
    ItemsReceipted,
    PageApplied,
    Paused,
)
from sync.loop import SyncLoop
from sync.outbox import Outbox
from sync.pace import LEAST_BYTES
from sync.patience import BackOff
from tests.sync.fake_office import (
    FakeOffice,
    Handler,
    answering,
    arrived,
    client,
    lose_request,
    well,
)
from tests.sync.made import KEY, a_file, append

# Events and cancelling.


def test_an_app_can_follow_a_session(outbox: Outbox, office: FakeOffice, tmp_path: Path) -> None:
    file = a_file(outbox, tmp_path, bytes(LEAST_BYTES + 5))
    events: list[Event] = []

    client(outbox, office, on_event=events.append).session()

    assert events == [
        ItemsReceipted(receipted=2, waiting=0),
        PageApplied(pulled=0, has_more=False),
        FileMoved(file.evidence_id, arrived=LEAST_BYTES, size_bytes=LEAST_BYTES + 5),
        FileMoved(file.evidence_id, arrived=LEAST_BYTES + 5, size_bytes=LEAST_BYTES + 5),
        FileArrived(file.evidence_id, files=1),
    ]


def test_what_an_event_tells_is_durable_when_it_is_told(
    outbox: Outbox, office: FakeOffice, tmp_path: Path
) -> None:
    a_file(outbox, tmp_path, b"jpeg")
    seen: list[tuple[str, tuple[int, int]]] = []

    def look(event: Event) -> None:
        with closing(Outbox(outbox.path)) as other:
            seen.append((type(event).__name__, other.count_waiting()))

    client(outbox, office, on_event=look).session()

    assert ("ItemsReceipted", (0, 1)) in seen
    assert ("FileArrived", (0, 0)) in seen


@pytest.mark.parametrize("number", range(6))
def test_a_cancelled_session_ends_before_its_next_request_and_the_next_one_finishes(
    outbox: Outbox, office: FakeOffice, tmp_path: Path, number: int
) -> None:
    for _ in range(30):
        append(outbox, KEY)
    content = bytes(range(256)) * 3000
    file = a_file(outbox, tmp_path, content)
    cancel = CancelToken()

    def cancelling(handle: Handler, request: httpx.Request) -> httpx.Response:
        cancel.cancel()
        return handle(request)

    office.faults = [*[well] * number, cancelling]

    with pytest.raises(Cancelled):
        client(outbox, office, cancel=cancel).session()

    assert len(office.requests) == number + 1
    client(outbox, office).session()
    assert outbox.count_waiting() == (0, 0)
    assert (arrived(office, file), len(office.items)) == (content, 32)


def test_cancelling_cuts_a_long_answer_short(outbox: Outbox, office: FakeOffice) -> None:
    append(outbox, KEY)
    cancel = CancelToken()

    class Slow(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield b"{"
            cancel.cancel()
            yield b'"outcomes": []}'

    office.faults = [lambda handle, request: httpx.Response(200, stream=Slow())]

    with pytest.raises(Cancelled):
        client(outbox, office, cancel=cancel).push(Report())

    assert outbox.count_waiting() == (1, 0)


@pytest.mark.parametrize("is_told", [True, False])
def test_an_app_that_closes_its_client_between_two_steps_ends_the_session_and_breaks_nothing(
    outbox: Outbox, office: FakeOffice, monkeypatch: pytest.MonkeyPatch, is_told: bool
) -> None:
    append(outbox, KEY)
    cancel = CancelToken()
    mine = client(outbox, office, cancel=cancel)
    really = mine.http.build_request

    def closing_it(*asked: Any, **how: Any) -> httpx.Request:
        if is_told:
            cancel.cancel()
        mine.http.close()
        return really(*asked, **how)

    monkeypatch.setattr(mine.http, "build_request", closing_it)

    with pytest.raises(Cancelled if is_told else SyncFault):
        mine.session()

    assert outbox.count_waiting() == (1, 0)


# The loop.


def run(loop: SyncLoop) -> threading.Thread:
    thread = threading.Thread(target=loop.run, daemon=True)
    thread.start()
    return thread


def test_a_loop_pauses_longer_after_each_failure_and_ends_when_cancelled() -> None:
    cancel, pauses = CancelToken(), []

    def session() -> None:
        raise SyncFault("no connection", is_transient=True, reason=Reason.OFFLINE)

    def note(event: Event) -> None:
        assert isinstance(event, Paused)
        pauses.append(event)
        loop.wake()
        if len(pauses) == 5:
            cancel.cancel()

    loop = SyncLoop(session, cancel, note, jitter=lambda: 0.5)

    loop.run()

    assert [pause.seconds for pause in pauses] == [1, 2, 4, 8, 16]
    assert {(pause.reason, pause.failures > 0) for pause in pauses} == {("offline", True)}


def test_a_wake_does_not_cut_short_what_the_office_asked_for() -> None:
    cancel, began, tries = CancelToken(), time.monotonic(), []

    def session() -> None:
        tries.append(time.monotonic() - began)
        if len(tries) == 2:
            raise Cancelled
        raise SyncFault("busy", is_transient=True, retry_after=1, reason=Reason.BUSY)

    hour = BackOff(first=timedelta(hours=1), most=timedelta(hours=1))
    loop = SyncLoop(session, cancel, lambda event: loop.wake(), back_off=hour, jitter=lambda: 0.9)

    loop.run()  # it would wait for an hour, did the wake not cut short the rest

    assert 1 <= tries[1] < 600


def test_a_refused_phone_does_not_hammer_the_office() -> None:
    cancel, pauses = CancelToken(), []

    def session() -> None:
        raise SyncFault("sign in", is_transient=True, reason=Reason.SIGN_IN)

    def note(event: Event) -> None:
        pauses.append(event)
        cancel.cancel()

    SyncLoop(session, cancel, note, jitter=lambda: 0).run()

    assert [pause.seconds for pause in pauses] == [BackOff().most.total_seconds()]


def test_a_loop_that_waits_is_woken_or_cancelled_at_once() -> None:
    cancel, sessions = CancelToken(), threading.Semaphore(0)
    loop = SyncLoop(sessions.release, cancel)

    thread = run(loop)
    assert sessions.acquire(timeout=60)
    loop.wake()
    assert sessions.acquire(timeout=60)
    cancel.cancel()
    thread.join(timeout=60)

    assert not thread.is_alive()


def test_a_loop_goes_on_until_everything_arrived(outbox: Outbox, office: FakeOffice) -> None:
    cancel = CancelToken()
    sealed = append(outbox, KEY)
    office.faults = [lose_request, answering(503, "try-again"), answering(500, "internal"), well]

    def note(event: Event) -> None:
        loop.wake()
        if isinstance(event, Paused) and event.reason is None:
            cancel.cancel()

    loop = SyncLoop(client(outbox, office, cancel=cancel).session, cancel, note, jitter=lambda: 0)
    loop.run()

    assert list(office.items) == [str(sealed.item_id)]


def test_files_are_checked_against_what_the_office_says_is_there(
    outbox: Outbox, office: FakeOffice, tmp_path: Path
) -> None:
    a_file(outbox, tmp_path, b"jpeg")
    office.faults = [well, lambda handle, request: httpx.Response(200, headers={"Upload-Offset": "99"})]

    with pytest.raises(SyncFault) as caught:
        client(outbox, office).send_media(Report())

    assert caught.value.is_transient
    assert outbox.count_waiting()[1] == 1

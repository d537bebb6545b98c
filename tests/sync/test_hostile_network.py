"""Portals, proxies and strangers: the phone believes only its office, and stops when it is told to."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from sync.cancelling import Cancelled, CancelToken
from sync.client import Report, SyncClient, SyncFault
from sync.connection import Connection, Reason
from sync.envelope import DeviceKey
from sync.events import (
    Event,
    FeedReset,
    FileArrived,
    FileMoved,
    ItemsReceipted,
    PageApplied,
    Paused,
    Stuck,
)
from sync.feed import digest_of
from sync.loop import SyncLoop
from sync.outbox import Outbox
from sync.patience import BackOff
from sync.sending import CHUNK_BYTES
from tests.sync.fake_office import FakeOffice, Fault, Handler, answering, lose_request, well
from tests.sync.made import a_clock, append
from tests.sync.test_client import a_change, a_file, arrived

KEY = DeviceKey.generate()


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with closing(Outbox(tmp_path / "outbox.sqlite")) as outbox:
        yield outbox


@pytest.fixture
def office() -> FakeOffice:
    return FakeOffice()


def client(
    outbox: Outbox,
    office: FakeOffice,
    *,
    on_event: Callable[[Event], None] = lambda event: None,
    cancel: CancelToken | None = None,
) -> SyncClient:
    return SyncClient(
        outbox=outbox,
        http=office.client(),
        server_key=office.public_key,
        read_clock=a_clock,
        on_anchor=lambda anchor, rtt_ms: outbox.remember(anchor=anchor),
        on_doubt=lambda doubt: None,
        monotonic_ms=lambda: 0,
        on_event=on_event,
        token="secret",
        cancel=cancel or CancelToken(),
    )


def saying(status: int, content: bytes, media_type: str = "application/json", **headers: str) -> Fault:
    def fault(handle: Handler, request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=content, headers={"Content-Type": media_type, **headers})

    return fault


def relabelled(handle: Handler, request: httpx.Request) -> httpx.Response:
    """The office's own answer, but some gateway says that it is a web page."""
    answer = handle(request)
    return httpx.Response(answer.status_code, content=answer.content, headers={"Content-Type": "text/html"})


def gzip_garbage(handle: Handler, request: httpx.Request) -> httpx.Response:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    return httpx.Response(200, stream=Raw(b"\x1f\x8bnot gzip at all"), headers=headers)


class Raw(httpx.SyncByteStream):
    """Bytes as they come over the wire."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self.content


STRANGERS: dict[str, Fault] = {
    "html with 200": saying(200, b"<html>Welcome</html>", "text/html"),
    "html that says it is json": saying(200, b"<html>Welcome</html>"),
    "json with the wrong type": relabelled,
    "json of another product": saying(200, b'{"status": "ok", "version": 3}'),
    "a list": saying(200, b"[]"),
    "nothing": saying(200, b""),
    "no content": saying(204, b""),
    "created": saying(201, b"{}"),
    "text that is no utf-8": saying(200, b"\xff\xfe{}"),
    "garbage gzip": gzip_garbage,
    "302 to a login page": answering(302, Location="http://portal.example/login"),
    "303": answering(303, Location="http://portal.example/login"),
    "307": answering(307, Location="http://portal.example/login"),
    "network authentication required": answering(511),
    "proxy authentication required": answering(407),
    "portal 401": answering(401),
    "portal 403": answering(403),
    "portal 410": answering(410),
    "portal 422": answering(422),
    "gateway 500": answering(500),
    "gateway 504": answering(504),
    "gone away": lose_request,
}


@pytest.mark.parametrize("fault", STRANGERS.values(), ids=STRANGERS)
def test_whoever_answers_a_push_instead_of_the_office_changes_nothing(
    outbox: Outbox, office: FakeOffice, fault: Fault
) -> None:
    append(outbox, KEY)
    office.faults = [fault]

    with pytest.raises(SyncFault) as caught:
        client(outbox, office).session()

    assert caught.value.is_transient
    assert outbox.count_waiting() == (1, 0)
    client(outbox, office).session()
    assert outbox.count_waiting() == (0, 0)


@pytest.mark.parametrize("fault", STRANGERS.values(), ids=STRANGERS)
def test_whoever_answers_a_pull_instead_of_the_office_moves_nothing(
    outbox: Outbox, office: FakeOffice, fault: Fault
) -> None:
    outbox.apply([], cursor="before", seen={})
    office.faults = [fault]

    with pytest.raises(SyncFault) as caught:
        client(outbox, office).pull(Report())

    assert caught.value.is_transient
    assert (outbox.fact("cursor"), outbox.fact("anchor")) == ("before", None)


@pytest.mark.parametrize("number", [0, 1, 2], ids=["create", "ask", "send"])
@pytest.mark.parametrize("fault", STRANGERS.values(), ids=STRANGERS)
def test_whoever_answers_an_upload_instead_of_the_office_costs_no_file(
    outbox: Outbox, office: FakeOffice, tmp_path: Path, fault: Fault, number: int
) -> None:
    file = a_file(outbox, tmp_path, b"jpeg")
    # A portal that blocks for long: many sessions in a row meet the same stranger at the same place.
    for _ in range(4):
        office.faults = [*[well] * (number if file.upload_url is None else number - 1), fault]
        try:
            client(outbox, office).send_media(Report())
        except SyncFault as caught:
            assert caught.is_transient
    office.faults = []

    client(outbox, office).send_media(Report())

    assert arrived(office, file) == b"jpeg"
    assert (outbox.files.stuck(), outbox.count_waiting()[1]) == ({}, 0)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (lose_request, Reason.OFFLINE),
        (STRANGERS["html with 200"], Reason.NOT_THE_OFFICE),
        (answering(401), Reason.NOT_THE_OFFICE),
        (answering(401, "token-expired"), Reason.SIGN_IN),
        (answering(429, "too-many-requests"), Reason.BUSY),
        (answering(503), Reason.BUSY),
        (answering(503, "try-again"), Reason.BUSY),
        (answering(403, "device-needed"), Reason.REFUSED),
    ],
)
def test_an_app_hears_why(outbox: Outbox, office: FakeOffice, fault: Fault, reason: Reason) -> None:
    append(outbox, KEY)
    office.faults = [fault]

    with pytest.raises(SyncFault) as caught:
        client(outbox, office).push(Report())

    assert caught.value.reason == reason


def test_a_date_in_retry_after_is_taken_by_the_answers_own_clock(outbox: Outbox, office: FakeOffice) -> None:
    append(outbox, KEY)
    dates = {"Retry-After": "Tue, 24 Nov 2026 04:01:30 GMT", "Date": "Tue, 24 Nov 2026 04:00:00 GMT"}
    office.faults = [answering(503, "try-again", **dates)]

    with pytest.raises(SyncFault) as caught:
        client(outbox, office).push(Report())

    assert caught.value.retry_after == 90


def test_the_token_is_sent_to_the_office_and_stays_out_of_the_apps_client(
    outbox: Outbox, office: FakeOffice
) -> None:
    asked: list[httpx.Request] = []
    office.faults = [lambda handle, request: (asked.append(request), handle(request))[1]]

    mine = client(outbox, office)
    mine.pull(Report())

    assert asked[0].headers["Authorization"] == "Bearer secret"
    assert "Authorization" not in mine.http.headers


@pytest.mark.parametrize(
    "location", ["http://evil.example/api/v1/files/1", "//evil.example/x", "http://", "http://[::1", ""]
)
def test_an_upload_is_never_continued_at_another_host(
    outbox: Outbox, office: FakeOffice, tmp_path: Path, location: str
) -> None:
    a_file(outbox, tmp_path, b"jpeg")
    office.faults = [lambda handle, request: httpx.Response(201, headers={"Location": location})]

    with pytest.raises(SyncFault) as caught:
        client(outbox, office).send_media(Report())

    assert caught.value.is_transient
    assert len(office.requests) == 1


@pytest.mark.parametrize("base", ["http://office", "http://office:80", "https://office/"])
def test_what_a_proxy_does_to_scheme_and_port_of_a_location_does_not_matter(base: str) -> None:
    asked: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(201, headers={"Location": "http://office:8000/api/v1/files/7?x=1"})

    http = httpx.Client(transport=httpx.MockTransport(answer), base_url=base)
    office = Connection(http)

    place = office.place_of(office.send("POST", "/api/v1/files"))

    assert (place.host, place.raw_path) == ("office", b"/api/v1/files/7?x=1")
    assert (place.scheme, place.port) == (http.base_url.scheme, http.base_url.port)


def test_a_client_that_follows_redirects_is_not_led_away(outbox: Outbox, office: FakeOffice) -> None:
    append(outbox, KEY)
    office.faults = [answering(307, Location="http://portal.example/")]
    mine = client(outbox, office)
    mine.http.follow_redirects = True

    with pytest.raises(SyncFault):
        mine.push(Report())

    assert len(office.requests) == 1


class Endless(httpx.SyncByteStream):
    """A page that never stops; counts how much of it was taken."""

    def __init__(self) -> None:
        self.given = 0

    def __iter__(self) -> Iterator[bytes]:
        while True:
            self.given += 65536
            yield bytes(65536)


def test_an_answer_without_end_does_not_fill_the_phone(outbox: Outbox, office: FakeOffice) -> None:
    append(outbox, KEY)
    endless = Endless()
    office.faults = [lambda handle, request: httpx.Response(200, stream=endless)]

    with pytest.raises(SyncFault) as caught:
        client(outbox, office).push(Report())

    assert caught.value.is_transient
    assert endless.given <= 33 * 1024**2


def test_pages_too_long_for_the_phone_are_asked_for_in_smaller_ones(
    outbox: Outbox, office: FakeOffice
) -> None:
    asked: list[str] = []

    def too_long(handle: Handler, request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params["limit"])
        return httpx.Response(200, stream=Endless()) if len(asked) < 3 else handle(request)

    office.faults = [too_long] * 3
    mine = client(outbox, office)
    mine.office = Connection(mine.http, most_bytes=200_000)

    mine.pull(Report())

    assert asked == ["500", "250", "125"]


def test_one_item_a_proxy_will_not_carry_does_not_hold_up_the_others(
    outbox: Outbox, office: FakeOffice
) -> None:
    before = append(outbox, KEY)
    huge = append(outbox, KEY, body={"kind": "dog", "text": "x" * 50_000})
    after = append(outbox, KEY)

    def small_proxy(handle: Handler, request: httpx.Request) -> httpx.Response:
        if len(request.read()) > 20_000:
            return httpx.Response(413, html="<h1>nginx</h1>")
        return handle(request)

    office.faults = [small_proxy] * 20
    events: list[Event] = []

    report = Report()
    client(outbox, office, on_event=events.append).push(report)

    assert set(office.items) == {str(before.item_id), str(after.item_id)}
    assert (report.stuck, outbox.count_waiting()) == ([str(huge.item_id)], (1, 0))
    assert [event.id for event in events if isinstance(event, Stuck)] == [huge.item_id]
    office.faults = []
    client(outbox, office).push(Report())  # on another network it simply goes
    assert outbox.count_waiting() == (0, 0)


# Resets.


def test_a_phone_that_holds_something_else_than_the_office_thinks_starts_over_once(
    outbox: Outbox, office: FakeOffice
) -> None:
    stray, true = uuid4(), a_change(rev=4)
    told = {"staff:1": digest_of([("assignment", UUID(true["id"]), 4)])}
    sealed = append(outbox, KEY)
    client(outbox, office).push(Report())
    office.items.clear()
    office.pages = [
        office.page(changes=[a_change(id=str(stray))], scope_digest=told),
        office.page(changes=[true], cursor="c2", scope_digest=told),
    ]
    events: list[Event] = []

    client(outbox, office, on_event=events.append).session()

    assert [name for name, _, _ in outbox.entities("assignment")] == [UUID(true["id"])]
    assert [event for event in events if isinstance(event, FeedReset)] == [FeedReset("differs")]
    assert list(office.items) == [str(sealed.item_id)]  # whatever the reason, it may be a restored office


def test_a_difference_that_starting_over_does_not_mend_is_not_mended_for_ever(
    outbox: Outbox, office: FakeOffice
) -> None:
    office.page = lambda **facts: FakeOffice.page(office, scope_digest={"staff:1": "ff" * 32}, **facts)  # type: ignore[method-assign]
    events: list[Event] = []

    for _ in range(5):
        client(outbox, office, on_event=events.append).pull(Report())

    assert len([event for event in events if isinstance(event, FeedReset)]) == 1
    assert len(office.requests) == 6


def test_digests_that_agree_cost_nothing(outbox: Outbox, office: FakeOffice) -> None:
    change = a_change(rev=9)
    told = {"staff:1": digest_of([("assignment", UUID(change["id"]), 9)]), "everyone": digest_of([])}
    office.pages = [office.page(changes=[change], scope_digest=told)]

    was_reset = client(outbox, office).pull(Report())

    assert (was_reset, len(office.requests)) == (False, 1)


def test_an_office_that_resets_for_ever_ends_the_session(outbox: Outbox, office: FakeOffice) -> None:
    outbox.apply([], cursor="old", seen={})
    more = office.page(has_more=True)
    reset = answering(410, "feed-reset")
    office.faults = [reset, saying(200, json.dumps(more).encode()), reset]

    with pytest.raises(SyncFault) as caught:
        client(outbox, office).pull(Report())

    assert caught.value.is_transient


# What later releases may say.


def test_words_of_a_later_day_do_not_stop_a_phone_of_today(outbox: Outbox, office: FakeOffice) -> None:
    sealed = append(outbox, KEY)

    def later(handle: Handler, request: httpx.Request) -> httpx.Response:
        answer = json.loads(handle(request).content)
        for one in answer["outcomes"]:
            one |= {"outcome": "deferred", "flags": ["after_eclipse", 7], "hint": {"x": 1}}
            one["receipt"]["log_index"] = 12
        return httpx.Response(200, json=answer | {"new": [1], "anchor": None})

    office.faults = [later]
    office.pages = [office.page(changes=[a_change(kind="drone", why="new")], weather="fine", rescue_key=7)]

    report = client(outbox, office).session()

    assert outbox.count_waiting() == (0, 0)
    (kept,) = outbox.outcomes()
    assert (kept["id"], kept["outcome"], kept["flags"]) == (sealed.item_id, "deferred", ["after_eclipse"])
    assert report.flags == ["after_eclipse"]
    assert len(outbox.entities("drone")) == 1


@pytest.mark.parametrize("flags", [None, 7, "x", {}])
def test_flags_that_are_none_are_none(outbox: Outbox, office: FakeOffice, flags: Any) -> None:
    append(outbox, KEY)

    def odd(handle: Handler, request: httpx.Request) -> httpx.Response:
        answer = json.loads(handle(request).content)
        answer["outcomes"][0]["flags"] = flags
        return httpx.Response(200, json=answer)

    office.faults = [odd]

    assert client(outbox, office).session().flags == []


def test_a_phone_that_may_only_submit_still_gets_the_time(outbox: Outbox, office: FakeOffice) -> None:
    append(outbox, KEY)
    anchor = FakeOffice().page()["anchor"]

    def with_anchor(handle: Handler, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=json.loads(handle(request).content) | {"anchor": anchor})

    office.faults = [with_anchor, answering(403, "device-revoked")]

    client(outbox, office).session()

    assert outbox.fact("anchor") == anchor


# Events and cancelling.


def test_an_app_can_follow_a_session(outbox: Outbox, office: FakeOffice, tmp_path: Path) -> None:
    file = a_file(outbox, tmp_path, bytes(CHUNK_BYTES + 5))
    events: list[Event] = []

    client(outbox, office, on_event=events.append).session()

    assert events == [
        ItemsReceipted(receipted=2, waiting=0),
        PageApplied(pulled=0, has_more=False),
        FileMoved(file.evidence_id, arrived=CHUNK_BYTES, size_bytes=CHUNK_BYTES + 5),
        FileMoved(file.evidence_id, arrived=CHUNK_BYTES + 5, size_bytes=CHUNK_BYTES + 5),
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


@pytest.mark.parametrize("number", range(7))
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

    loop = SyncLoop(session, cancel, lambda event: loop.wake(), jitter=lambda: 0.9)

    loop.run()

    assert 1 <= tries[1] < 1 + BackOff().first.total_seconds()


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
    assert sessions.acquire(timeout=10)
    loop.wake()
    assert sessions.acquire(timeout=10)
    cancel.cancel()
    thread.join(timeout=10)

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

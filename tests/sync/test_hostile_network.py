"""Portals, proxies and strangers: the phone believes only its office."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sync.client import Report, SyncFault
from sync.connection import Connection, Reason
from sync.events import (
    Event,
    Stuck,
)
from sync.outbox import Outbox
from tests.sync.fake_office import (
    FakeOffice,
    Fault,
    Handler,
    answering,
    arrived,
    client,
    lose_request,
    saying,
    well,
)
from tests.sync.made import KEY, a_file, append


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

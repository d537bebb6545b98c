"""An office behind a network that misbehaves on purpose: httpx.MockTransport with a list of faults.

Each fault is used for one request, in order; `well` lets one through. What the office has stored stays to
be looked at: `items` by id, `files` by upload path.
"""

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

import httpx

from sync.cancelling import CancelToken
from sync.chain import record_digest
from sync.client import Report, SyncClient, SyncFault
from sync.envelope import DeviceKey, PublicKey, digest, keyid_of
from sync.events import Event
from sync.outbox import Outbox, QueuedFile
from sync.protocol import RECEIPT, PushedItem
from sync.sending import BYTES
from sync.wire import read_batch, write_instant
from tests.sync.made import NOON, a_clock

Handler = Callable[[httpx.Request], httpx.Response]
Fault = Callable[[Handler, httpx.Request], httpx.Response]


def well(handle: Handler, request: httpx.Request) -> httpx.Response:
    """Let it through."""
    return handle(request)


def lose_request(handle: Handler, request: httpx.Request) -> httpx.Response:
    """The office never hears of it."""
    raise httpx.ConnectError("no route", request=request)


def lose_answer(handle: Handler, request: httpx.Request) -> httpx.Response:
    """The office does it and the phone never hears."""
    handle(request)
    raise httpx.ReadTimeout("silence", request=request)


def cut_answer(handle: Handler, request: httpx.Request) -> httpx.Response:
    """Half of the answer arrives as if it were all."""
    answer = handle(request)
    headers = {key: value for key, value in answer.headers.items() if key.lower() != "content-length"}
    half = answer.content[: len(answer.content) // 2]
    return httpx.Response(answer.status_code, headers=headers, content=half)


def portal(handle: Handler, request: httpx.Request) -> httpx.Response:
    """The hotel's network wants a room number."""
    return httpx.Response(200, html="<h1>Welcome</h1>")


def redirect(handle: Handler, request: httpx.Request) -> httpx.Response:
    """The same, politely."""
    return httpx.Response(302, headers={"Location": "http://portal/"})


def answering(status: int, slug: str | None = None, **headers: str) -> Fault:
    """Answer this status: as the office's problem if it has a slug, else as some proxy's page."""

    def fault(handle: Handler, request: httpx.Request) -> httpx.Response:
        if slug is None:
            return httpx.Response(status, html="<h1>proxy</h1>", headers=headers)
        return problem(status, slug, **headers)

    return fault


def taking_at_most(size: int, refused: list[int]) -> Fault:
    """A proxy lets no larger body through, as nginx does that nobody told otherwise; it counts them."""

    def fault(handle: Handler, request: httpx.Request) -> httpx.Response:
        if len(request.read()) > size:
            refused.append(len(request.read()))
            return httpx.Response(413, html="<h1>413 Request Entity Too Large</h1>")
        return handle(request)

    return fault


def cutting_above(size: int) -> Fault:
    """Somebody on the way resets whatever body is larger, and says nothing."""

    def fault(handle: Handler, request: httpx.Request) -> httpx.Response:
        if len(request.read()) > size:
            raise httpx.WriteError("broken pipe", request=request)
        return handle(request)

    return fault


def cut_upload(at: int) -> Fault:
    """The connection breaks after so many bytes of the body."""

    def fault(handle: Handler, request: httpx.Request) -> httpx.Response:
        handle(
            httpx.Request(request.method, request.url, headers=request.headers, content=request.read()[:at])
        )
        raise httpx.WriteError("broken pipe", request=request)

    return fault


def problem(status: int, slug: str, **headers: str) -> httpx.Response:
    content = json.dumps({"type": f"/problems/{slug}", "status": status}).encode()
    return httpx.Response(
        status, content=content, headers={"Content-Type": "application/problem+json", **headers}
    )


BROKEN: dict[str, Fault] = {
    "request lost": lose_request,
    "answer lost": lose_answer,
    "answer cut": cut_answer,
    "portal": portal,
    "portal redirect": redirect,
    "portal 403": answering(403),
    "portal 404": answering(404),
    "proxy 400": answering(400),
    "proxy 502": answering(502),
    "token expired": answering(401, "token-expired"),
    "too many": answering(429, "too-many-requests"),
    "database down": answering(503, "try-again"),
}


@dataclass
class FakeOffice:
    """Stores what it is sent, and hands out the pages it was given."""

    faults: list[Fault] = field(default_factory=list)
    key: DeviceKey = field(default_factory=DeviceKey.generate)
    items: dict[str, PushedItem] = field(default_factory=dict)
    raw: list[bytes] = field(default_factory=list)
    pages: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytearray] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    most_bytes: int = 1_000_000
    time: datetime = NOON
    is_durable: bool = False
    tells_offset: bool = False
    takes_bytes: bool = False
    """With the creation; a server that does not know the extension leaves them alone."""

    def client(self) -> httpx.Client:
        """A connection to it."""
        return httpx.Client(transport=httpx.MockTransport(self._answer), base_url="http://office")

    @property
    def public_key(self) -> PublicKey:
        return PublicKey.from_spki(self.key.spki, algorithm="ed25519")

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer one request without a network in between."""
        return self._handle(request)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append((request.method, request.url.path))
        fault = self.faults.pop(0) if self.faults else well
        return fault(self._handle, request)

    def _handle(self, request: httpx.Request) -> httpx.Response:
        match request.method, request.url.path:
            case "POST", "/api/v1/sync/push":
                return self._push(request.read())
            case "POST", "/api/v1/sync/quarantine":
                self.raw.append(request.read())
                return httpx.Response(
                    200, json={"receipt": self.receipt("raw", hashlib.sha256(request.read()).digest())}
                )
            case "GET", "/api/v1/sync/pull":
                return httpx.Response(200, json=self.pages.pop(0) if self.pages else self.page())
            case "GET", "/api/v1/sync/status":
                return httpx.Response(200, json={"record_digest": self.record_digest()})
            case "POST", "/api/v1/files":
                return self._create(request)
            case "HEAD", path if path in self.files:
                return httpx.Response(200, headers={"Upload-Offset": str(len(self.files[path]))})
            case "PATCH", path if path in self.files:
                return self._patch(path, request)
        return problem(404, "not-found")

    def _push(self, raw: bytes) -> httpx.Response:
        if len(raw) > self.most_bytes:
            return problem(413, "request-entity-too-large")
        outcomes = []
        for item in read_batch(raw).items:
            is_new = self.items.setdefault(str(item.id), item) is item
            name = digest(item.envelope.payload_type, item.envelope.payload)
            receipt = self.receipt(str(item.id), name)
            outcome = "applied" if is_new else "duplicate"
            outcomes.append({"id": str(item.id), "outcome": outcome, "flags": [], "receipt": receipt})
        return httpx.Response(200, json={"outcomes": outcomes, "ack_seq": len(self.items)})

    def record_digest(self) -> str:
        """Say what is held of the phone's record."""
        envelopes = [item.envelope for item in self.items.values()]
        return record_digest(digest(one.payload_type, one.payload) for one in envelopes).hex()

    def receipt(self, item_id: str, sha256: bytes) -> dict[str, Any]:
        """Sign the promise that something is stored."""
        promised = {
            "item_id": item_id,
            "item_sha256": sha256.hex(),
            "received_at": write_instant(NOON),
        }
        payload = json.dumps(promised, sort_keys=True, separators=(",", ":")).encode()
        sig = self.key.seal(RECEIPT, payload).signatures[0].sig
        return {**promised, "keyid": keyid_of(self.key.spki), "sig": base64.b64encode(sig).decode()}

    def page(self, **facts: Any) -> dict[str, Any]:
        """A page of the feed with nothing new."""
        anchor = {"token": "a1.0.x.y", "server_time": write_instant(self.time)}
        empty = {"changes": [], "cursor": "c1", "seen": {}, "has_more": False, "anchor": anchor}
        empty["record_digest"] = self.record_digest()
        return empty | ({"durable_through": len(self.items)} if self.is_durable else {}) | facts

    def _create(self, request: httpx.Request) -> httpx.Response:
        named = dict(pair.split(" ") for pair in request.headers["Upload-Metadata"].split(","))
        path = "/api/v1/files/" + base64.b64decode(named["evidence_id"]).decode()
        self.files.setdefault(path, bytearray())
        self.lengths[path] = int(request.headers["Upload-Length"])
        if self.takes_bytes and request.headers.get("Content-Type") == BYTES and not self.files[path]:
            self.files[path] += request.read()
        told = {"Upload-Offset": str(len(self.files[path]))} if self.tells_offset else {}
        return httpx.Response(201, headers={"Location": f"http://office{path}", **told})

    def _patch(self, path: str, request: httpx.Request) -> httpx.Response:
        if int(request.headers["Upload-Offset"]) != len(self.files[path]):
            return problem(409, "offset-mismatch")
        self.files[path] += request.read()
        assert len(self.files[path]) <= self.lengths[path]
        return httpx.Response(204, headers={"Upload-Offset": str(len(self.files[path]))})

    def forget(self, path: str) -> None:
        """Lose an upload, as when it expired."""
        del self.files[path]


def saying(status: int, content: bytes, media_type: str = "application/json", **headers: str) -> Fault:
    """Answer every request with these bytes."""

    def fault(handle: Handler, request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=content, headers={"Content-Type": media_type, **headers})

    return fault


def client(
    outbox: Outbox,
    office: FakeOffice,
    *,
    on_event: Callable[[Event], None] = lambda event: None,
    cancel: CancelToken | None = None,
) -> SyncClient:
    """The phone's client, with the app's wishes."""
    return SyncClient(
        outbox=outbox,
        http=office.client(),
        server_key=office.public_key,
        read_clock=a_clock,
        on_anchor=lambda anchor, rtt_ms: outbox.remember(anchor={**anchor, "rtt_ms": rtt_ms}),
        on_doubt=lambda *doubt: True,
        monotonic_ms=lambda: 0,
        on_event=on_event,
        token="secret",
        cancel=cancel or CancelToken(),
    )


def send_files(outbox: Outbox, office: FakeOffice, **facts: Any) -> Report:
    """Send what files the phone has, as one step alone."""
    report = Report()
    client(outbox, office, **facts).send_media(report)
    return report


WAITING: dict[str, Fault] = {
    "a stranger": answering(503, **{"Retry-After": "3600"}),
    "the office": answering(503, "try-again", **{"Retry-After": "5"}),
}


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


def arrived(office: FakeOffice, file: QueuedFile) -> bytes:
    """What the office has of a file."""
    return bytes(office.files[f"/api/v1/files/{file.evidence_id}"])


def a_change(**facts: Any) -> dict[str, Any]:
    """One row of a page."""
    change = {"scope": "staff:1", "kind": "assignment", "id": str(uuid4()), "op": "put", "rev": 1, "body": {}}
    return change | facts

"""What stands between a phone and the office: everything a network can do to a request, on demand.

Each request of a sync meets the next fault of its list. What the office answered is noted by a witness that
trusts neither side: every receipt ever handed out is a promise, whether its answer arrived or not.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx
from flask import Flask

from tests.simulation.interleaving import ServerDied, Turns

PUSH = "/api/v1/sync/push"
PORTAL = "<h1>Welcome! Please enter your room number.</h1>"


class PhoneDied(BaseException):
    """The phone's battery is dead: nothing more runs on it until it is started again."""


class Broken(AssertionError):
    """Something happened that never may: the run has failed."""


@dataclass(frozen=True, slots=True)
class Promise:
    """A receipt that the office signed, and in which of its histories (a restore begins another)."""

    history: int
    item_id: str
    receipt: dict[str, Any]
    outcome: str


@dataclass(slots=True)
class Witness:
    """Notes every receipt the office gives."""

    history: int = 0
    promises: list[Promise] = field(default_factory=list)

    def see(self, request: httpx.Request, answer: httpx.Response) -> None:
        if answer.status_code >= 500:
            raise Broken(f"{request.method} {request.url.path}: {answer.status_code} {answer.text[:300]}")
        if request.url.path != PUSH or answer.status_code != 200:
            return
        for one in answer.json()["outcomes"]:
            if not one.get("receipt"):
                raise Broken(f"an outcome without a receipt: {one}")
            self.promises.append(Promise(self.history, one["id"], one["receipt"], one["outcome"]))


@dataclass(slots=True)
class Wire:
    """The office's one door, and the requests that are still under way to it."""

    app: Flask
    turns: Turns
    witness: Witness
    on_the_way: list[httpx.Request] = field(default_factory=list)

    def serve(self, request: httpx.Request, *, die_at: int | None = None) -> httpx.Response:
        """Have the office answer; ServerDied if its process is killed at the n-th statement."""
        self.turns.die_at(die_at)
        try:
            answer = httpx.WSGITransport(app=self.app).handle_request(request)
            answer.read()
        finally:
            self.turns.die_at(None)
        self.witness.see(request, answer)
        return answer

    def deliver(self, n: int) -> None:
        """A request that was thought lost arrives after all; nobody waits for its answer."""
        if self.on_the_way:
            self.serve(self.on_the_way.pop(n % len(self.on_the_way)))


class Network(httpx.BaseTransport):
    """One phone's way to the office during one sync."""

    def __init__(self, wire: Wire, faults: Iterable[str] = (), *, passing: Callable[[], None]) -> None:
        self.wire, self.faults, self.passing = wire, list(faults), passing

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.passing()
        fault = self.faults.pop(0) if self.faults else "ok"
        name, _, number = fault.partition("@")
        handle: Callable[..., httpx.Response] = getattr(self, f"_{name}")
        return handle(request, int(number)) if number else handle(request)

    def _ok(self, request: httpx.Request) -> httpx.Response:
        return self.wire.serve(request)

    def _lose_request(self, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route", request=request)

    def _lose_answer(self, request: httpx.Request) -> httpx.Response:
        self.wire.serve(request)
        raise httpx.ReadError("the answer was lost", request=request)

    def _twice(self, request: httpx.Request) -> httpx.Response:
        self.wire.serve(_copy(request))
        return self.wire.serve(request)

    def _late(self, request: httpx.Request) -> httpx.Response:
        self.wire.on_the_way.append(_copy(request))
        raise httpx.ReadTimeout("silence", request=request)

    def _cut_request(self, request: httpx.Request) -> httpx.Response:
        """Half of the body arrives; its length said more was to come."""
        half = httpx.ByteStream(request.content[: len(request.content) // 2])
        headers = {**request.headers}
        self.wire.serve(httpx.Request(request.method, request.url, headers=headers, stream=half))
        raise httpx.WriteError("broken pipe", request=request)

    def _cut_answer(self, request: httpx.Request) -> httpx.Response:
        whole = self.wire.serve(request)
        kind = {"Content-Type": whole.headers.get("Content-Type", "")}
        return httpx.Response(
            whole.status_code, headers=kind, content=whole.content[: len(whole.content) // 2]
        )

    def _portal(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, html=PORTAL)

    def _busy(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(503, html="<h1>Bad gateway</h1>", headers={"Retry-After": "1"})

    def _crash(self, request: httpx.Request, statement: int) -> httpx.Response:
        try:
            return self.wire.serve(request, die_at=statement)
        except ServerDied:
            raise httpx.ReadError("connection reset", request=request) from None

    def _die_before(self, request: httpx.Request) -> httpx.Response:
        raise PhoneDied

    def _die_after(self, request: httpx.Request) -> httpx.Response:
        self.wire.serve(request)
        raise PhoneDied


def _copy(request: httpx.Request) -> httpx.Request:
    return httpx.Request(request.method, request.url, headers=request.headers, content=request.content)


def ask_as(wire: Wire, token: str, method: str, path: str, body: dict[str, Any] | None) -> httpx.Response:
    """Make an office user's request over a good line."""
    content = b"" if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = httpx.Request(method, f"http://office/api/v1{path}", headers=headers, content=content)
    return wire.serve(request)

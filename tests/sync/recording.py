"""Whole conversations between phone and office, written down once and replayed for ever.

What changes from one telling to the next (token, cursor, address of an upload) is a placeholder in the
requests. An answer of today means the same as the recorded one if it says everything that was said then:
members may be added, none may go, change its type or, unless it is of the moment, its value.
"""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import httpx

KEPT_HEADERS: Final = (
    "content-type",
    "tus-resumable",
    "upload-length",
    "upload-metadata",
    "upload-offset",
    "location",
)
# Members whose value is of the moment or of the server that was asked.
OF_THE_MOMENT: Final = frozenset(
    {"token", "expires_at", "cursor", "epoch", "server_time", "anchor_id", "received_at", "sig", "keyid"}
    | {"scope_digest", "durable_through", "client", "reference", "name", "payload", "days"}
)
# Ids that the stage of a recording fixes; others are made anew each time.
FIXED_IDS: Final = "01890000-"


# What was said of the bytes as they travelled; `read` has unpacked them.
_OF_THE_BYTES: Final = ("content-encoding", "content-length")


@dataclass
class Recorder(httpx.BaseTransport):
    """Passes requests on and writes the conversation down."""

    inner: httpx.BaseTransport
    told: list[dict[str, Any]] = field(default_factory=list)
    placeholders: dict[str, str] = field(default_factory=dict)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        content = request.read()
        answer = self.inner.handle_request(request)
        said = answer.read()
        self.told.append(
            {
                "ask": {
                    "method": request.method,
                    "path": self._with_placeholders(request.url.raw_path.decode()),
                    "is_signed_in": "authorization" in request.headers,
                    "headers": _kept(request.headers),
                    "content": base64.b64encode(content).decode(),
                },
                "answer": {
                    "status": answer.status_code,
                    "headers": _kept(answer.headers),
                    "json": json.loads(said) if said else None,
                },
            }
        )
        self._learn(answer, said)
        plain = [(name, value) for name, value in answer.headers.multi_items() if name not in _OF_THE_BYTES]
        return httpx.Response(answer.status_code, headers=plain, content=said)

    def _with_placeholders(self, path: str) -> str:
        for name, value in self.placeholders.items():
            path = path.replace(value, "{" + name + "}")
        return path

    def _learn(self, answer: httpx.Response, said: bytes) -> None:
        if "location" in answer.headers:
            self.placeholders["upload"] = httpx.URL(answer.headers["location"]).path
        told = json.loads(said) if said else {}
        if "cursor" in told:
            self.placeholders["cursor"] = str(httpx.QueryParams({"c": told["cursor"]}))[2:]


def _kept(headers: httpx.Headers) -> dict[str, str]:
    return {name: headers[name] for name in KEPT_HEADERS if name in headers}


@dataclass
class Replay:
    """Says again what a phone once said."""

    http: httpx.Client
    token: str = ""
    cursor: str = ""
    upload: str = ""

    def ask(self, ask: dict[str, Any]) -> httpx.Response:
        """Send one recorded request, byte for byte but for the placeholders."""
        path = ask["path"].replace("{upload}", self.upload)
        path = path.replace("{cursor}", str(httpx.QueryParams({"c": self.cursor}))[2:])
        headers = dict(ask["headers"])
        if ask["is_signed_in"]:
            headers["Authorization"] = f"Bearer {self.token}"
        answer = self.http.request(
            ask["method"], path, headers=headers, content=base64.b64decode(ask["content"])
        )
        self._learn(answer)
        return answer

    def _learn(self, answer: httpx.Response) -> None:
        if "location" in answer.headers:
            self.upload = httpx.URL(answer.headers["location"]).path
        told = answer.json() if answer.content else {}
        self.token = told.get("token", self.token)
        self.cursor = told.get("cursor", self.cursor)


def differences(then: Any, now: Any, pointer: str = "") -> Iterable[str]:
    """Name whatever was said then and is not said now."""
    if isinstance(then, dict) and isinstance(now, dict):
        for key, value in then.items():
            if key not in now:
                yield f"{pointer}/{key} is gone"
            elif key in OF_THE_MOMENT and value is not None:
                if type(value) is not type(now[key]):
                    yield f"{pointer}/{key} was a {type(value).__name__}"
            else:
                yield from differences(value, now[key], f"{pointer}/{key}")
    elif isinstance(then, list) and isinstance(now, list):
        if len(then) != len(now):
            yield f"{pointer} had {len(then)} entries"
        for n, (one, other) in enumerate(zip(then, now, strict=False)):
            yield from differences(one, other, f"{pointer}/{n}")
    elif then != now and not (_is_made_anew(then) and _is_made_anew(now)):
        yield f"{pointer} was {then!r:.200}, is {now!r:.200}"


def _is_made_anew(value: Any) -> bool:
    """Whether a value is an id that nobody fixed."""
    if not isinstance(value, str) or value.startswith(FIXED_IDS):
        return False
    try:
        UUID(value)
    except ValueError:
        return False
    return True

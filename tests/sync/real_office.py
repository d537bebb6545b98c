"""Fake offices behind a real socket: one for each first part of a path, all with one key.

A phone that really dies needs an office that really outlives it.
"""

import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from sync.envelope import DeviceKey
from tests.sync.fake_office import FakeOffice
from tests.sync.made import NOON


@dataclass
class Street:
    """Many offices; `at(name)` is reached under `url/name`."""

    url: str
    key: DeviceKey = field(default_factory=DeviceKey.generate)
    offices: dict[str, FakeOffice] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    enrolment: dict[str, Any] = field(default_factory=dict)
    requests: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def at(self, name: str) -> FakeOffice:
        with self.lock:
            later = NOON + timedelta(hours=1)
            return self.offices.setdefault(name, FakeOffice(key=self.key, time=later, is_durable=True))

    def answer(self, method: str, path: str, headers: Any, content: bytes) -> httpx.Response:
        """Let the office at the path's first part answer."""
        _, name, rest = path.split("/", 2)
        self.requests[name] += 1
        request = httpx.Request(
            method, f"http://office/{rest}", headers=list(headers.items()), content=content
        )
        if rest == "api/v1/devices":
            return httpx.Response(201, json=self.enrolment)
        answer = self.at(name).answer(request)
        if "Location" in answer.headers:
            answer.headers["Location"] = f"/{name}{httpx.URL(answer.headers['Location']).path}"
        return answer


@contextmanager
def a_street() -> Iterator[Street]:
    """Open the offices on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = street.answer(self.command, self.path, self.headers, content)
            self.send_response_only(answer.status_code)
            for key, value in answer.headers.items():
                if key.lower() != "content-length":
                    self.send_header(key, value)
            if answer.status_code != 204:
                self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_HEAD = do_PATCH = _serve

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Phones that die reset their connections; that is what this is for."""
            if not isinstance(sys.exception(), ConnectionError):
                super().handle_error(request, client_address)

    with Quiet(("127.0.0.1", 0), Handler) as server:
        street = Street(url=f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield street
        server.shutdown()
        thread.join()

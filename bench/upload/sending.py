"""How does this benchmark's client send? tus 1.0.0; the same code to every server.

As any tus client does, with a creation and one PATCH; or all in the creation, as this product's phones send
what one request carries.
"""

import base64
import hashlib
import http.client
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from bench.upload.servers import Sent, Server
from sync.protocol import uuid7

TUS = {"Tus-Resumable": "1.0.0"}
BYTES = "application/offset+octet-stream"
HEAD_BYTES = 16
PIECE_BYTES = 4_000_000
_NOISE = secrets.token_bytes(PIECE_BYTES)


@dataclass(frozen=True, slots=True)
class Content:
    """A file of any size that needs no memory: its own first bytes, then noise over and over."""

    size_bytes: int
    head: bytes
    sha256: str

    @classmethod
    def make(cls, size_bytes: int) -> "Content":
        """A file that nobody has sent before; hashed now, so that no clock runs meanwhile."""
        head, digest = secrets.token_bytes(HEAD_BYTES), hashlib.sha256()
        for piece in _pieces(head, size_bytes):
            digest.update(piece)
        return cls(size_bytes, head, digest.hexdigest())

    def pieces(self) -> Iterator[bytes | memoryview]:
        return _pieces(self.head, self.size_bytes)


def _pieces(head: bytes, size_bytes: int) -> Iterator[bytes | memoryview]:
    yield head
    left, noise = size_bytes - len(head), memoryview(_NOISE)
    while left > 0:
        yield noise[:left]
        left -= min(left, len(noise))


def connect(server: Server) -> http.client.HTTPConnection:
    """A connection that is kept for any number of uploads."""
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)


def create(
    server: Server, connection: http.client.HTTPConnection, content: Content, *, with_bytes: bool = False
) -> str:
    """Announce a file, or bring it at once; return where its bytes belong."""
    told = {"evidence_id": str(uuid7()), "sha256": content.sha256, "filetype": "image/jpeg"}
    metadata = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in told.items())
    headers = {**identity(server), "Upload-Length": str(content.size_bytes), "Upload-Metadata": metadata}
    if with_bytes:
        headers |= {"Content-Type": BYTES, "Content-Length": str(content.size_bytes)}
    body = content.pieces() if with_bytes else None
    connection.request("POST", server.path, body=body, headers=headers)
    answer = connection.getresponse()
    answer.read()
    if answer.status != 201:
        raise SystemExit(f"{server.name} does not create an upload: {answer.status}")
    if with_bytes and answer.headers["Upload-Offset"] != str(content.size_bytes):
        raise SystemExit(f"{server.name} does not take bytes with a creation")
    return urlsplit(answer.headers["Location"]).path


def send_at_once(server: Server, connection: http.client.HTTPConnection, content: Content) -> Sent:
    """Create an upload with all of its bytes; the seconds run until the answer."""
    started = time.perf_counter()
    where = create(server, connection, content, with_bytes=True)
    return Sent(where, content.sha256, time.perf_counter() - started)


def send(server: Server, connection: http.client.HTTPConnection, content: Content) -> Sent:
    """Create an upload and send all of it; the seconds run until the last answer."""
    started = time.perf_counter()
    where = create(server, connection, content)
    headers = {
        **identity(server),
        "Upload-Offset": "0",
        "Content-Type": BYTES,
        "Content-Length": str(content.size_bytes),
    }
    connection.request("PATCH", where, body=content.pieces(), headers=headers)
    answer = connection.getresponse()
    answer.read()
    if answer.status != 204 or answer.headers["Upload-Offset"] != str(content.size_bytes):
        raise SystemExit(f"{server.name} does not take the bytes: {answer.status}")
    return Sent(where, content.sha256, time.perf_counter() - started)


def identity(server: Server) -> dict[str, str]:
    """The headers of every request."""
    return {**TUS, "Authorization": f"Bearer {server.token}"} if server.token else dict(TUS)

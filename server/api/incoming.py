"""How do a request's bytes get from the connection into our memory, once?

WSGI's `read` copies every byte several times on its way: five milliseconds of processor time for a megabyte,
seven times what hashing it costs. Where gunicorn serves and the body's length is known, bytes are received
into the place where they are wanted. This is the only module that knows gunicorn's readers; a test holds it
to them. A connection that breaks takes nothing with it that had arrived.

What nobody wanted is read, too: gunicorn answers that a connection stays, and then closes it where a view
left more than 64 KiB of a body. A phone that offers a file which is here already would lose the next request.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from gunicorn.http.body import Body, ChunkedReader, LengthReader
from gunicorn.http.errors import ParseException
from gunicorn.http.unreader import SocketUnreader

from server.workflows.uploads import receiving

MOST_UNWANTED_BYTES: Final = 8 * 1024**2
"""Twice what our phones send with one request; whoever sends more hears that the connection closes."""
UNWANTED_SECONDS: Final = 30.0
PIECE: Final = 64 * 1024


class ReadOut:
    """WSGI around the app: a body is read to its end before its answer begins, or the answer says `close`."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def __call__(self, environ: Mapping[str, Any], start_response: Any) -> Iterable[bytes]:
        def begin(*answer: Any) -> Any:
            if not _is_read_out(environ.get("wsgi.input")):
                start_response.__self__.force_close()
            return start_response(*answer)

        return self._app(environ, begin)


def _is_read_out(body: Any) -> bool:
    """Throw away what is left of a body; False where that is too much, takes too long, or broke off."""
    if not (isinstance(body, Body) and isinstance(body.reader, LengthReader | ChunkedReader)):
        return True
    until, left = time.monotonic() + UNWANTED_SECONDS, MOST_UNWANTED_BYTES
    if cast("Any", body).failed or (isinstance(body.reader, LengthReader) and body.reader.length > left):
        return False
    try:
        while left > 0 and time.monotonic() < until:
            piece = body.read(PIECE)
            if not piece:
                return True
            left -= len(piece)
    except (OSError, ParseException):
        pass
    return False


def body_of(environ: Mapping[str, Any]) -> receiving.Body:
    """Return the request's body by the shortest way that this server allows."""
    body = environ["wsgi.input"]
    return FromSocket(body) if _is_on_its_way(body) else receiving.InPieces(body)


def _is_on_its_way(body: Any) -> bool:
    """Whether gunicorn knows how long this body is and has handed nothing of it out yet."""
    return (
        isinstance(body, Body)
        and isinstance(body.reader, LengthReader)
        and isinstance(body.reader.unreader, SocketUnreader)
        and not body.buf.getbuffer().nbytes
    )


class FromSocket:
    """A body of known length, received straight from the socket; gunicorn's own count goes along."""

    def __init__(self, body: Any) -> None:
        self._body = body
        self._reader = body.reader
        self._unreader = body.reader.unreader

    def readinto(self, room: memoryview, /) -> int:
        """Fill the room with what is here, waiting for the first byte; 0 when no more will come."""
        room = room[: self._reader.length]
        if not room:
            return 0
        ahead = self._unreader.take_buffered()  # came with the headers; may run on into the next request
        if ahead:
            count = min(len(ahead), len(room))
            room[:count] = ahead[:count]
            self._unreader.unread(ahead[count:])
        else:
            count = self._receive(room)
        self._reader.length -= count
        return count

    def _receive(self, room: memoryview) -> int:
        """Receive; a connection that ended or broke within a body carries no further request."""
        count = 0
        try:
            count = self._unreader.sock.recv_into(room)
        finally:
            self._body.failed = count == 0
        return count

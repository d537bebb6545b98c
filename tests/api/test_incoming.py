"""A body comes straight from gunicorn's socket: all of it, nothing of the next request, whatever breaks."""

import socket
import struct
from collections.abc import Iterator
from http.client import HTTPConnection
from io import BytesIO

import pytest
from gunicorn.config import Config
from gunicorn.http.parser import RequestParser

from server.api.incoming import MOST_UNWANTED_BYTES, FromSocket, body_of
from server.workflows.uploads import receiving

CONTENT = bytes(range(256)) * 4096


@pytest.fixture
def line() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The two ends of a connection: the phone's and the server's."""
    listener = socket.create_server(("127.0.0.1", 0))
    phone = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    with listener, phone, server:
        yield phone, server


def patch(length: int, path: str = "/one") -> bytes:
    return f"PATCH {path} HTTP/1.1\r\nHost: office\r\nContent-Length: {length}\r\n\r\n".encode()


def read_all(body: receiving.Body, *, room: int) -> bytes:
    got, buffer = b"", bytearray(room)
    while count := body.readinto(memoryview(buffer)):
        got += buffer[:count]
    return got


@pytest.mark.parametrize("room", [1000, 1 << 20])
def test_it_ends_where_the_next_request_begins(line: tuple[socket.socket, socket.socket], room: int) -> None:
    phone, server = line
    parser = RequestParser(Config(), server, ("127.0.0.1", 1))
    phone.sendall(patch(2000) + CONTENT[:2000] + patch(3000, "/two") + CONTENT[:3000])

    body = body_of({"wsgi.input": next(parser).body})
    first = read_all(body, room=room)
    following = next(parser)
    second = read_all(body_of({"wsgi.input": following.body}), room=room)

    assert isinstance(body, FromSocket)
    assert (first, following.path, second) == (CONTENT[:2000], "/two", CONTENT[:3000])


def test_a_reset_takes_nothing_with_it_that_had_arrived(line: tuple[socket.socket, socket.socket]) -> None:
    phone, server = line
    parser = RequestParser(Config(), server, ("127.0.0.1", 1))
    phone.sendall(patch(len(CONTENT)) + CONTENT[:5000])
    request = next(parser)
    body, buffer = body_of({"wsgi.input": request.body}), bytearray(len(CONTENT))
    got = body.readinto(memoryview(buffer))
    phone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    phone.close()

    with pytest.raises(OSError):
        while count := body.readinto(memoryview(buffer)[got:]):
            got += count

    assert buffer[:got] == CONTENT[:5000]
    assert parser.finish_body() is False


def test_a_body_of_unknown_length_and_another_server_s_are_read_in_pieces(
    line: tuple[socket.socket, socket.socket],
) -> None:
    phone, server = line
    head = b"PATCH /one HTTP/1.1\r\nHost: office\r\nTransfer-Encoding: chunked\r\n\r\n"
    phone.sendall(head + b"5\r\nhello\r\n0\r\n\r\n")
    chunked = body_of({"wsgi.input": next(RequestParser(Config(), server, ("127.0.0.1", 1))).body})
    other = body_of({"wsgi.input": BytesIO(CONTENT)})

    assert isinstance(chunked, receiving.InPieces) and isinstance(other, receiving.InPieces)
    assert read_all(chunked, room=3) == b"hello"
    assert read_all(other, room=100_000) == CONTENT


@pytest.mark.parametrize("is_chunked", [False, True])
def test_the_request_after_a_body_that_nobody_wanted_is_answered(
    live_server: tuple[str, int], is_chunked: bool
) -> None:
    connection = HTTPConnection(*live_server, timeout=60)

    for _ in range(5):
        body = iter([CONTENT]) if is_chunked else CONTENT
        connection.request("POST", "/api/v1/imports", body=body, encode_chunked=is_chunked)
        answer = connection.getresponse()
        answer.read()
        assert (answer.status, answer.getheader("Connection")) == (401, "keep-alive")

    connection.close()


def test_a_body_that_is_too_long_to_be_thrown_away_ends_its_connection_openly(
    live_server: tuple[str, int],
) -> None:
    with socket.create_connection(live_server, timeout=60) as line:
        line.sendall(patch(MOST_UNWANTED_BYTES + 1, "/api/v1/files/x") + CONTENT)
        head = line.recv(4096).decode().lower()

    assert "connection: close" in head

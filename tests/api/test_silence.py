"""Whoever falls silent in the middle of a request keeps nobody else waiting."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPResponse

import httpx
import pytest

from server.authority import Role
from server.config import Config
from tests.api.conftest import serving
from tests.api.tus import BYTES, Uploader
from tests.builders import Cast

PATIENCE_SECONDS = 60
THREADS = 2
MORE_THAN_A_SOCKET_HOLDS = 32 * 1024**2
HEAD = b"POST /api/v1/tokens HTTP/1.1\r\nHost: office\r\nContent-Type: application/json\r\n"
BEGUN = HEAD + b'Content-Length: 99\r\n\r\n{"employee'
SILENT = {
    "before a word": b"",
    "within a line": b"POST /api/v1/tok",
    "within the headers": HEAD,
    "within the body": BEGUN,
}


@pytest.fixture(scope="module")
def office(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """A server of few threads that waits a second for a client's bytes."""
    few = {"WEB_CONCURRENCY": "1", "WEB_THREADS": str(THREADS), "WEB_SILENCE_SECONDS": "1"}
    with serving(config, tmp_path_factory.mktemp("silence"), **few) as place:
        yield place


def test_more_silent_clients_than_threads_do_not_stop_the_office(office: tuple[str, int]) -> None:
    host, port = office
    with ExitStack() as stack:
        for _ in range(THREADS):
            for said in SILENT.values():
                client = stack.enter_context(socket.create_connection(office))
                client.sendall(said)

        answer = httpx.get(f"http://{host}:{port}/healthz", timeout=PATIENCE_SECONDS, trust_env=False)

    assert answer.status_code == 200


def test_clients_that_read_no_further_do_not_stop_the_office(
    office: tuple[str, int], uploader: Uploader, cast: Cast
) -> None:
    host, port = office
    content = bytes(MORE_THAN_A_SOCKET_HOLDS)
    uploader.created(content, body=content)
    link = (
        cast.person(Role.AUDITOR).get(f"/api/v1/evidence/{uploader.evidence_id}/link").get_json()["content"]
    )
    with ExitStack() as stack:
        for _ in range(THREADS):
            client = stack.enter_context(socket.create_connection(office, timeout=PATIENCE_SECONDS))
            client.sendall(f"GET {link} HTTP/1.1\r\nHost: office\r\n\r\n".encode())
            assert client.recv(15) == b"HTTP/1.1 200 OK"

        answer = httpx.get(f"http://{host}:{port}/healthz", timeout=PATIENCE_SECONDS, trust_env=False)

    assert answer.status_code == 200


def test_a_body_that_stops_coming_is_answered_so_that_a_phone_sends_it_again(office: tuple[str, int]) -> None:
    with socket.create_connection(office, timeout=PATIENCE_SECONDS) as client:
        client.sendall(BEGUN)
        answer = HTTPResponse(client)
        answer.begin()
        problem = json.loads(answer.read())

    assert (answer.status, answer.headers["Content-Type"]) == (408, "application/problem+json")
    assert problem["type"] == "/problems/body-incomplete"


def test_a_phone_that_falls_silent_within_a_file_keeps_what_had_arrived(
    office: tuple[str, int], uploader: Uploader
) -> None:
    at = uploader.created(bytes(1000))
    told = {**uploader.handset.headers, "Tus-Resumable": "1.0.0", "Content-Type": BYTES, "Upload-Offset": "0"}
    head = "".join(f"{name}: {value}\r\n" for name, value in told.items())

    with socket.create_connection(office, timeout=PATIENCE_SECONDS) as client:
        begun = f"PATCH {at} HTTP/1.1\r\nHost: office\r\n{head}Content-Length: 1000\r\n\r\n"
        client.sendall(begun.encode() + bytes(300))
        HTTPResponse(client).begin()

    assert uploader.offset(at) == 300

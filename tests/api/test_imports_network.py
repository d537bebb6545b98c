"""Importing over the real server: large bodies in pieces, and connections that break."""

import socket
from collections.abc import Iterator

import httpx
import pytest
import sqlalchemy as sa
from flask import Flask

from server.authority import Role
from server.database import db
from server.models.cases import Debtor, ImportRun
from tests.api.files import CSV, JSON_LINES, lines, news
from tests.builders import a_person, a_token

PATIENCE_SECONDS = 120
HEADER = "银行代码,客户号,姓名\n".encode("gb18030")


def the_runs() -> int | None:
    return db.session.scalar(sa.select(sa.func.count()).select_from(ImportRun))


def test_a_chunked_body_without_a_length_is_taken_in(app: Flask, live_server: tuple[str, int]) -> None:
    host, port = live_server
    headers = {"Authorization": f"Bearer {a_token(a_person(Role.DISPATCHER).id)}", "Content-Type": CSV}

    def pieces() -> Iterator[bytes]:
        yield HEADER
        for number in range(20_000):
            yield f"BANK,D{number},王建国\n".encode("gb18030")

    with httpx.Client(base_url=f"http://{host}:{port}", headers=headers, timeout=PATIENCE_SECONDS) as office:
        bank = lines(news("clients"))
        office.post("/api/v1/imports", content=bank, headers={"Content-Type": JSON_LINES}).raise_for_status()
        answer = office.post("/api/v1/imports?kind=debtors", content=pieces())

    assert answer.status_code == 201, answer.text
    assert (answer.json()["created"], answer.json()["encoding"]) == (20_000, "gb18030")
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Debtor)) == 20_000


@pytest.mark.parametrize(
    ("length", "piece"),
    [("Content-Length: 1000000", b"%s"), ("Transfer-Encoding: chunked", b"FFFF\r\n%s")],
    ids=["announced length", "chunked"],
)
def test_a_connection_that_breaks_imports_nothing(
    app: Flask, live_server: tuple[str, int], length: str, piece: bytes
) -> None:
    host, port = live_server
    token = a_token(a_person(Role.DISPATCHER).id)
    start = (
        f"POST /api/v1/imports?kind=debtors HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: {CSV}\r\n{length}\r\n\r\n"
    )

    with socket.create_connection((host, port), timeout=PATIENCE_SECONDS) as line:
        line.sendall(start.encode() + piece % (HEADER + b"BANK,D1,Li\nBANK,D2"))
        line.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: line.recv(65_536), b""))

    assert b" 400 " in answer.split(b"\r\n")[0]
    assert b"body-incomplete" in answer
    assert the_runs() == 0

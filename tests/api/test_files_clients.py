"""Uploads from the clients that web pages use, unmodified, over a network that cuts, stalls and resets.

tus-js-client and Uppy's tus plugin run in Node.js, each upload in a process of its own, against the real
server through a proxy that breaks connections at chosen and at seeded random bytes.
"""

import hashlib
import json
import os
import random
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from server.database import db
from server.models.evidence import Evidence, Upload
from sync.protocol import uuid7
from tests.api.breaking import BreakingProxy, CutRequest, Fault, LoseAnswer, Stall, breaking_proxy
from tests.api.tus import FILES
from tests.builders import Handset, a_handset, a_visitor
from tests.node import NODE, install

HERE: Final = Path(__file__).parents[1] / "clients"
KIB: Final = 1024
CONTENT: Final = hashlib.shake_256(b"a recording").digest(1500 * KIB + 11)
CLIENTS: Final = ("tus", "uppy")


@pytest.fixture(scope="session", autouse=True)
def clients_are_here() -> None:
    install(HERE)


@pytest.fixture
def network(live_server: tuple[str, int]) -> Iterator[BreakingProxy]:
    with breaking_proxy(live_server) as proxy:
        yield proxy


@dataclass
class Browser:
    """A page with an upload client in it, behind the breaking network."""

    handset: Handset
    network: BreakingProxy
    file: Path
    evidence_id: UUID

    def send(
        self, content: bytes, *, client: str = "tus", sha256: str | None = None, **options: Any
    ) -> dict[str, Any]:
        """Let the client upload this content and return what it says at the end."""
        self.file.write_bytes(content)
        told = sha256 or hashlib.sha256(content).hexdigest()
        job = {
            "client": client,
            "endpoint": f"http://127.0.0.1:{self.network.port}{FILES}",
            "path": str(self.file),
            "metadata": {"evidence_id": str(self.evidence_id), "sha256": told},
            **options,
        }
        done = subprocess.run(
            [str(NODE), str(HERE / "upload.mjs"), json.dumps(job)],
            env={**os.environ, "TOKEN": self.handset.token},
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def browser(app: Flask, network: BreakingProxy, tmp_path: Path) -> Browser:
    return Browser(a_handset(a_visitor()), network, tmp_path / "door.jpg", uuid7())


def stored(app: Flask, browser: Browser) -> bytes | None:
    """What the store has as this evidence, or None."""
    db.session.rollback()
    key = db.session.get_one(Evidence, browser.evidence_id, populate_existing=True).storage_key
    return None if key is None else b"".join(app.extensions["media_store"].read(key))


def uploads() -> list[str]:
    db.session.rollback()
    return [*db.session.scalars(sa.select(Upload.state))]


def random_faults(seed: int) -> list[Fault]:
    """Seven ways to lose a connection, each at a random byte."""
    chance = random.Random(seed)
    made: list[Fault] = []
    for _ in range(7):
        after = int(chance.choice((300, 5_000, 200_000)) * chance.random()) + 1
        faults = (CutRequest(after, "fin"), CutRequest(after, "rst"), Stall(after), LoseAnswer())
        made.append(chance.choice(faults))
    return made


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_uploads_undisturbed(app: Flask, browser: Browser, client: str) -> None:
    ending = browser.send(CONTENT, client=client, chunkSize=400 * KIB)

    assert ending["ok"], ending
    assert stored(app, browser) == CONTENT


@pytest.mark.parametrize("client", CLIENTS)
def test_connections_lost_at_chosen_bytes_cost_retries_and_no_byte(
    app: Flask, browser: Browser, network: BreakingProxy, client: str
) -> None:
    network.faults += [CutRequest(1), LoseAnswer(), CutRequest(700), CutRequest(200_000, "rst")]
    network.faults += [Stall(300_000), CutRequest(65_536), LoseAnswer()]

    ending = browser.send(CONTENT, client=client)

    assert ending["ok"], ending
    assert network.broken >= 6
    assert stored(app, browser) == CONTENT
    assert uploads() == ["complete"]


@pytest.mark.parametrize(("seed", "client"), [(1, "tus"), (2, "uppy"), (3, "tus")])
def test_connections_lost_at_random_bytes_cost_retries_and_no_byte(
    app: Flask, browser: Browser, network: BreakingProxy, seed: int, client: str
) -> None:
    network.faults += random_faults(seed)

    ending = browser.send(CONTENT, client=client, chunkSize=300 * KIB)

    assert ending["ok"], ending
    assert network.broken
    assert stored(app, browser) == CONTENT


@pytest.mark.parametrize(
    "faults",
    [[], [CutRequest(1), CutRequest(200_000, "rst")], [LoseAnswer(), Stall(5_000)]],
    ids=["undisturbed", "cut", "answer lost"],
)
def test_a_length_that_is_told_last_is_believed(
    app: Flask, browser: Browser, network: BreakingProxy, faults: list[Fault]
) -> None:
    network.faults += faults

    ending = browser.send(CONTENT, chunkSize=400 * KIB, deferLength=True)

    assert ending["ok"], ending
    assert network.broken == len(faults)
    assert stored(app, browser) == CONTENT


@pytest.mark.parametrize("client", CLIENTS)
def test_bytes_that_come_along_with_the_creation_survive_cuts(
    app: Flask, browser: Browser, network: BreakingProxy, client: str
) -> None:
    network.faults += [CutRequest(100_000), LoseAnswer(), CutRequest(300_000, "rst"), LoseAnswer()]

    ending = browser.send(CONTENT, client=client, withCreation=True, chunkSize=700 * KIB)

    assert ending["ok"], ending
    assert network.broken == 4
    assert stored(app, browser) == CONTENT


@pytest.mark.parametrize("client", CLIENTS)
def test_a_wrong_file_ends_with_words_and_never_as_a_success(
    app: Flask, browser: Browser, client: str
) -> None:
    ending = browser.send(b"another file", client=client, sha256=hashlib.sha256(b"the file").hexdigest())

    assert not ending["ok"]
    assert "digest-mismatch" in ending["error"]
    assert stored(app, browser) is None
    assert uploads() == ["mismatched", "mismatched"]


def test_an_empty_file_is_complete_when_it_is_created(app: Flask, browser: Browser) -> None:
    assert browser.send(b"")["ok"]

    assert stored(app, browser) == b""

"""Uploads from the clients that web pages use, unmodified, over a network that cuts, stalls and resets.

tus-js-client and Uppy's tus plugin run in Node.js, each upload in a process of its own, against the real
server through a proxy that breaks connections at chosen and at seeded random bytes.
"""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from flask import Flask

from sync.protocol import uuid7
from tests.api.breaking import BreakingProxy, CutRequest, Fault, LoseAnswer, Stall
from tests.api.upload_pages import CONTENT, KIB, Page, random_faults, stored, uploads
from tests.builders import a_handset, a_visitor
from tests.node import NODE, install

HERE: Final = Path(__file__).parents[1] / "clients"
PATIENCE_SECONDS: Final = 120
CLIENTS: Final = ("tus", "uppy")


@pytest.fixture(scope="session", autouse=True)
def clients_are_here() -> None:
    install(HERE)


def in_node(job: dict[str, Any]) -> dict[str, Any]:
    """Let a client upload in a process of its own."""
    command = [str(NODE), str(HERE / "upload.mjs"), json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def page(app: Flask, network: BreakingProxy, tmp_path: Path) -> Page:
    return Page(a_handset(a_visitor()), network, tmp_path / "door.jpg", uuid7(), in_node)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_uploads_undisturbed(app: Flask, page: Page, client: str) -> None:
    ending = page.send(CONTENT, client=client, chunkSize=400 * KIB)

    assert ending["ok"], ending
    assert stored(app, page) == CONTENT


@pytest.mark.parametrize("client", CLIENTS)
def test_connections_lost_at_chosen_bytes_cost_retries_and_no_byte(
    app: Flask, page: Page, network: BreakingProxy, client: str
) -> None:
    network.faults += [CutRequest(1), LoseAnswer(), CutRequest(700), CutRequest(200_000, "rst")]
    network.faults += [Stall(300_000), CutRequest(65_536), LoseAnswer()]

    ending = page.send(CONTENT, client=client)

    assert ending["ok"], ending
    assert network.broken >= 6
    assert stored(app, page) == CONTENT
    assert uploads() == ["complete"]


@pytest.mark.parametrize(("seed", "client"), [(1, "tus"), (2, "uppy"), (3, "tus")])
def test_connections_lost_at_random_bytes_cost_retries_and_no_byte(
    app: Flask, page: Page, network: BreakingProxy, seed: int, client: str
) -> None:
    network.faults += random_faults(seed)

    ending = page.send(CONTENT, client=client, chunkSize=300 * KIB)

    assert ending["ok"], ending
    assert network.broken
    assert stored(app, page) == CONTENT


@pytest.mark.parametrize(
    "faults",
    [[], [CutRequest(1), CutRequest(200_000, "rst")], [LoseAnswer(), Stall(5_000)]],
    ids=["undisturbed", "cut", "answer lost"],
)
def test_a_length_that_is_told_last_is_believed(
    app: Flask, page: Page, network: BreakingProxy, faults: list[Fault]
) -> None:
    network.faults += faults

    ending = page.send(CONTENT, chunkSize=400 * KIB, deferLength=True)

    assert ending["ok"], ending
    assert network.broken == len(faults)
    assert stored(app, page) == CONTENT


@pytest.mark.parametrize("client", CLIENTS)
def test_bytes_that_come_along_with_the_creation_survive_cuts(
    app: Flask, page: Page, network: BreakingProxy, client: str
) -> None:
    network.faults += [CutRequest(100_000), LoseAnswer(), CutRequest(300_000, "rst"), LoseAnswer()]

    ending = page.send(CONTENT, client=client, withCreation=True, chunkSize=700 * KIB)

    assert ending["ok"], ending
    assert network.broken == 4
    assert stored(app, page) == CONTENT


@pytest.mark.parametrize("client", CLIENTS)
def test_a_wrong_file_ends_with_words_and_never_as_a_success(app: Flask, page: Page, client: str) -> None:
    ending = page.send(b"another file", client=client, sha256=hashlib.sha256(b"the file").hexdigest())

    assert not ending["ok"]
    assert "digest-mismatch" in ending["error"]
    assert stored(app, page) is None
    assert uploads() == ["mismatched", "mismatched"]


def test_an_empty_file_is_complete_when_it_is_created(app: Flask, page: Page) -> None:
    assert page.send(b"")["ok"]

    assert stored(app, page) == b""

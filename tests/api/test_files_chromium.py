"""Uploads from a page in a real Chromium, by an unmodified tus-js-client, over a network that breaks."""

import fcntl
import json
import os
import select
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

import pytest
from flask import Flask

from sync.protocol import uuid7
from tests.api.breaking import BreakingProxy, CutRequest, LoseAnswer, Stall
from tests.api.upload_pages import CONTENT, KIB, Page, Run, random_faults, stored, uploads
from tests.builders import a_handset, a_visitor
from tests.node import NODE, install

HERE: Final = Path(__file__).parents[1] / "browser"
UNPACKED: Final = HERE / "node_modules" / ".unpacked"
PATIENCE_SECONDS: Final = 180


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """One browser for all: a job a line, an ending a line."""
    install(HERE)
    log = tmp_path_factory.mktemp("chromium") / "log"
    with log.open("w") as errors, (HERE / ".unpacking").open("a") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        process = subprocess.Popen(
            [str(NODE), str(HERE / "chromium.mjs")],
            env={**os.environ, "UNPACKED": str(UNPACKED)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            bufsize=1,
        )
        assert process.stdin is not None and process.stdout is not None
        jobs, endings = process.stdin, process.stdout
        assert "Chrome" in _next(endings, log)["version"]
        fcntl.flock(guard, fcntl.LOCK_UN)

        def run(job: dict[str, Any]) -> dict[str, Any]:
            jobs.write(json.dumps(job) + "\n")
            return _next(endings, log)

        yield run
        jobs.close()
        assert process.wait(PATIENCE_SECONDS) == 0, log.read_text()


def _next(endings: IO[str], log: Path) -> dict[str, Any]:
    ready, _, _ = select.select([endings], [], [], PATIENCE_SECONDS)
    line = endings.readline() if ready else ""
    assert line, log.read_text()
    return json.loads(line)


@pytest.fixture
def page(app: Flask, network: BreakingProxy, tmp_path: Path, chromium: Run) -> Page:
    return Page(a_handset(a_visitor()), network, tmp_path / "door.jpg", uuid7(), chromium)


def test_a_page_uploads_undisturbed(app: Flask, page: Page) -> None:
    ending = page.send(CONTENT, chunkSize=400 * KIB)

    assert ending["ok"], ending
    assert stored(app, page) == CONTENT


def test_connections_lost_at_chosen_bytes_cost_retries_and_no_byte(
    app: Flask, page: Page, network: BreakingProxy
) -> None:
    network.faults += [CutRequest(1), LoseAnswer(), CutRequest(700), CutRequest(200_000, "rst")]
    network.faults += [Stall(300_000), CutRequest(65_536), LoseAnswer()]

    ending = page.send(CONTENT)

    assert ending["ok"], ending
    assert network.broken >= 6
    assert stored(app, page) == CONTENT
    assert uploads() == ["complete"]


@pytest.mark.parametrize("seed", [1, 2])
def test_connections_lost_at_random_bytes_cost_retries_and_no_byte(
    app: Flask, page: Page, network: BreakingProxy, seed: int
) -> None:
    network.faults += random_faults(seed)

    ending = page.send(CONTENT, chunkSize=300 * KIB)

    assert ending["ok"], ending
    assert network.broken
    assert stored(app, page) == CONTENT


def test_bytes_that_come_along_with_the_creation_survive_cuts(
    app: Flask, page: Page, network: BreakingProxy
) -> None:
    network.faults += [CutRequest(100_000), LoseAnswer(), CutRequest(300_000, "rst"), LoseAnswer()]

    ending = page.send(CONTENT, withCreation=True, chunkSize=700 * KIB)

    assert ending["ok"], ending
    assert stored(app, page) == CONTENT


def test_a_wrong_file_ends_with_words_and_never_as_a_success(app: Flask, page: Page) -> None:
    ending = page.send(b"another file", sha256="0" * 64)

    assert not ending["ok"]
    assert "digest-mismatch" in ending["error"]
    assert stored(app, page) is None

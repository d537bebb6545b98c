"""The Procfile as a whole: everything starts at once, serves, and stops without leaving anything behind.

`tests/journeys` starts the same processes one after the other: that they answer, tell their figures and end
is seen in `test_the_day`, that whoever is killed comes back in `test_the_plug_is_pulled`.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from server.demo.processes import Processes, ProcessFailed, free_port
from tests.ports import reserved_port

CHECKOUT = Path(__file__).parents[2]
PATIENCE_SECONDS = 600


@pytest.fixture
def var() -> Iterator[Path]:
    """A folder for everything the product keeps."""
    path = Path(tempfile.mkdtemp(prefix="fieldvisit-var-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def test_process_that_cannot_start_is_named_with_its_own_words(var: Path):
    with (
        a_product(var, FIELDVISIT_ENV="production") as product,
        pytest.raises(ProcessFailed, match=r"(?s)release ended with 1.*SIGNING_KEY.*make-secrets"),
    ):
        product.start_all()


def test_honcho_runs_the_same_procfile(var: Path):
    environ = {**clean_environ(), "FIELDVISIT_VAR": str(var), "PATH": tools()}
    command = [sys.executable, "-m", "honcho", "start", "--port"]
    with reserved_port() as port:
        with subprocess.Popen(
            [*command, str(port)],
            cwd=CHECKOUT, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as honcho:  # fmt: skip
            try:
                wait_for_answer(f"http://127.0.0.1:{port}/readyz", while_running=honcho)
            finally:
                honcho.send_signal(signal.SIGTERM)

        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0


def a_product(var: Path, **environ: str) -> Processes:
    """The product's processes with their files below `var`."""
    return Processes(
        checkout=CHECKOUT,
        environ={**clean_environ(), "FIELDVISIT_VAR": str(var), "WEB_CONCURRENCY": "1", **environ},
        logs=var / "log",
        port=free_port(0),
        say=lambda _text: None,
    )


def clean_environ() -> dict[str, str]:
    """The environment without settings of a product that may run beside us."""
    return {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "MEDIA_STORE")}


def tools() -> str:
    """A PATH on which `python` is the one that runs the tests."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def wait_for_answer(url: str, *, while_running: subprocess.Popen[bytes]) -> None:
    """Wait until a URL answers 200; fail as soon as the process is gone."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        assert while_running.poll() is None
        try:
            if httpx.get(url, trust_env=False, timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"{url} did not answer in time")

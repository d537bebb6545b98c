"""Somebody who uploads, and the real server process (gunicorn, as the Procfile starts it)."""

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from flask import Flask

from server.config import Config
from server.workflows.uploads import receiving
from tests.api.breaking import BreakingProxy, breaking_proxy
from tests.api.tus import Uploader
from tests.builders import a_handset, a_visitor
from tests.conftest import SECRETS
from tests.ports import reserved_port


@pytest.fixture
def uploader(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Uploader:
    """A qualified visitor's handset, which is not slow for the server because this machine is."""
    monkeypatch.setattr(receiving, "PATIENCE_SECONDS", math.inf)
    return Uploader(app, a_handset(a_visitor()))


@pytest.fixture(scope="session")
def live_server(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """Host and port of gunicorn on this worker's database and media folder, two processes."""
    with serving(config, tmp_path_factory.mktemp("live")) as place:
        yield place


@contextmanager
def serving(config: Config, var: Path, **settings: str) -> Iterator[tuple[str, int]]:
    """Serve as the Procfile does, with these settings; host and port."""
    environ = {
        **os.environ,
        **SECRETS,
        "DATABASE_URL": config.libpq_url,
        "MEDIA_STORE": config.media_store,
        "FIELDVISIT_VAR": str(var),
        "PROMETHEUS_MULTIPROC_DIR": str(var),
        "WEB_THREADS": "16",
        "LOG_LEVEL": "WARNING",
        **settings,
    }
    command = [sys.executable, "-m", "gunicorn", "--config", "python:server.gunicorn_conf"]
    command += ["server.wsgi:build()"]
    root = Path(__file__).parents[2]
    with reserved_port() as port, (var / "log").open("wb") as log:
        environ["PORT"] = str(port)
        process = subprocess.Popen(command, env=environ, cwd=root, stdout=log, stderr=log)
        try:
            _wait(f"http://127.0.0.1:{port}/healthz", process)
            yield "127.0.0.1", port
        finally:
            process.terminate()
            process.wait(timeout=180)


@pytest.fixture
def network(live_server: tuple[str, int]) -> Iterator[BreakingProxy]:
    """A network in front of the live server that breaks connections as told."""
    with breaking_proxy(live_server) as proxy:
        yield proxy


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    transport = httpx.HTTPTransport(retries=9)  # waits between its tries: 0, 0.5, 1, 2 ... seconds
    with httpx.Client(transport=transport, timeout=180) as client:
        assert client.get(url).status_code == 200
    assert process.poll() is None

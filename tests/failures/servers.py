"""A real server that can be killed: gunicorn as the Procfile starts it, in a process group of its own."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from server.config import Config
from tests.conftest import SECRETS

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 600


@dataclass(slots=True)
class Server:
    """The product's web processes on the test's database."""

    config: Config
    var: Path
    port: int
    processes: int = 1
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        environ = {
            **os.environ,
            **SECRETS,
            "DATABASE_URL": self.config.libpq_url,
            "MEDIA_STORE": self.config.media_store,
            "FIELDVISIT_VAR": str(self.var),
            "PROMETHEUS_MULTIPROC_DIR": str(self.var),
            "PORT": str(self.port),
            "WEB_CONCURRENCY": str(self.processes),
            "LOG_LEVEL": "WARNING",
        }
        command = [sys.executable, "-m", "gunicorn", "--config", "python:server.gunicorn_conf"]
        with (self.var / "web.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "server.wsgi:build()"],
                env=environ,
                cwd=ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + PATIENCE_SECONDS
        with httpx.Client(trust_env=False) as http:
            while time.monotonic() < deadline:
                try:
                    if http.get(f"{self.url}/healthz").status_code == 200:
                        return
                except httpx.HTTPError:
                    time.sleep(0.05)
        raise AssertionError((self.var / "web.log").read_text()[-2000:])

    def kill(self) -> None:
        """Kill −9 the master and its worker at once."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

"""`fieldvisit web`: serve HTTP, once the schema is there. Only gunicorn loads the product."""

import os
import sys
from pathlib import Path

import click

from server.commands.waiting import wait_to_serve
from server.readiness import var_folder


@click.command()
def web() -> None:
    """Serve HTTP on HOST:PORT (127.0.0.1:8000) with gunicorn, which replaces this process."""
    wait_to_serve()
    shared = var_folder(os.environ).absolute() / "metrics"
    _empty(shared)
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(shared)}
    command = [sys.executable, "-m", "gunicorn", "--config", "python:server.gunicorn_conf"]
    os.execve(sys.executable, [*command, "server.wsgi:build()"], environ)


def _empty(folder: Path) -> None:
    """Forget the counters of processes that are gone."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.db"):
        old.unlink(missing_ok=True)

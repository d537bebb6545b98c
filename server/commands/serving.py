"""`fieldvisit web` and `fieldvisit worker`: the processes that serve, once the schema is there."""

import os
import sys
from pathlib import Path

import click

from server.app import create_app
from server.config import BadConfig
from server.garbage import collect_seldom
from server.jobs import run_worker
from server.readiness import NotReady, load_config, var_folder
from server.schema import wait_for_schema

STARTUP_SECONDS = 120.0


@click.command()
def web() -> None:
    """Serve HTTP on HOST:PORT (127.0.0.1:8000) with gunicorn, which replaces this process."""
    _wait()
    shared = var_folder(os.environ).absolute() / "metrics"
    _empty(shared)
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(shared)}
    command = [sys.executable, "-m", "gunicorn", "--config", "python:server.gunicorn_conf"]
    os.execve(sys.executable, [*command, "server.wsgi:build()"], environ)


@click.command()
@click.option("--concurrency", default=4, show_default=True, help="Jobs at the same time.")
def worker(concurrency: int) -> None:
    """Run jobs until stopped; what has begun is finished first."""
    _wait()
    app = create_app(load_config(os.environ))
    collect_seldom()
    run_worker(app, concurrency=concurrency)


def _wait() -> None:
    """Wait for database and schema, and stop at once when the settings are wrong."""
    try:
        config = load_config(os.environ, timeout_seconds=STARTUP_SECONDS)
        wait_for_schema(config.libpq_url, timeout_seconds=STARTUP_SECONDS)
    except (NotReady, BadConfig) as fault:
        raise click.ClickException(str(fault)) from None


def _empty(folder: Path) -> None:
    """Forget the counters of processes that are gone."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.db"):
        old.unlink(missing_ok=True)

"""The stage of a benchmark: an app or a web server of its own, gone when the curtain falls."""

import http.client
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask

from server.app import create_app
from server.config import Config, make_secrets
from server.database import db
from server.embedded import EmbeddedPostgres
from server.garbage import collect_seldom
from server.schema import upgrade


@contextmanager
def a_product() -> Iterator[Flask]:
    """Yield the app inside its context, on empty tables; durable as in production."""
    with tempfile.TemporaryDirectory() as name, _a_cluster(Path(name) / "pg") as cluster:
        environ = {**make_secrets(), "MEDIA_STORE": f"{name}/media", "LOG_LEVEL": "WARNING"}
        app = create_app(Config.from_environ(environ, var=Path(name), default_database_url=cluster.url()))
        upgrade(app)
        with app.app_context():
            collect_seldom()
            yield app
            db.session.remove()
            db.engine.dispose()


@contextmanager
def _a_cluster(folder: Path) -> Iterator[EmbeddedPostgres]:
    """A server whose files go with it: as root they lie elsewhere, where PostgreSQL's account may enter."""
    cluster = EmbeddedPostgres(folder)
    try:
        with cluster:
            yield cluster
    finally:
        shutil.rmtree(cluster.home.path, ignore_errors=True)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_web(port: int, *, patience_seconds: float = 180) -> None:
    """Return once a web server answers; SystemExit if none does in time."""
    deadline = time.monotonic() + patience_seconds
    while time.monotonic() < deadline:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/healthz")
            connection.getresponse().read()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the web server did not start")

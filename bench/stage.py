"""The stage of a benchmark: the app on an embedded PostgreSQL of its own, gone when the curtain falls."""

import tempfile
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
    with tempfile.TemporaryDirectory() as name, EmbeddedPostgres(Path(name) / "pg") as cluster:
        environ = {**make_secrets(), "MEDIA_STORE": f"{name}/media", "LOG_LEVEL": "WARNING"}
        app = create_app(Config.from_environ(environ, var=Path(name), default_database_url=cluster.url()))
        upgrade(app)
        with app.app_context():
            collect_seldom()
            yield app
            db.session.remove()
            db.engine.dispose()

"""Is the database's schema the one this code was written for, and how does it become so?

Migrations (Alembic) are the only way a schema changes. Releases that start at the same time queue up behind
an advisory lock; whoever needs the schema waits for it and never changes it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import flask_migrate
import psycopg
from alembic.script import ScriptDirectory
from flask import Flask

from server.database import db
from server.readiness import POLL_SECONDS, NotReady, libpq_url

MIGRATIONS: Final = Path(__file__).parent / "migrations"
ONE_AT_A_TIME: Final = 0x66_76_6D_69
"""The key of the advisory lock."""


def upgrade(app: Flask, *, revision: str = "head") -> None:
    """Apply every migration that is missing from the app's database, up to a revision.

    Alembic is made known to the app only here: those who serve never load it.
    """
    flask_migrate.Migrate(app, db, directory=str(MIGRATIONS))
    with _alone(app.extensions["config"].libpq_url), app.app_context():
        flask_migrate.upgrade(revision=revision)


def wait_for_schema(url: str, *, timeout_seconds: float) -> None:
    """Wait until every migration of this code has been applied."""
    wanted = set(ScriptDirectory(str(MIGRATIONS)).get_heads())
    deadline = time.monotonic() + timeout_seconds
    while (found := _schema_version(url)) != wanted:
        if time.monotonic() > deadline:
            raise NotReady(
                f"the schema is at {sorted(found) or 'nothing'} and this code needs {sorted(wanted)}; "
                f"run the `release` process of the Procfile"
            )
        time.sleep(POLL_SECONDS)


@contextmanager
def _alone(url: str) -> Iterator[None]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [ONE_AT_A_TIME])
        yield


def _schema_version(url: str) -> set[str]:
    with psycopg.connect(libpq_url(url)) as connection:
        known = connection.execute("SELECT to_regclass('alembic_version')").fetchone()
        if known is None or known[0] is None:
            return set()
        return {row[0] for row in connection.execute("SELECT version_num FROM alembic_version")}

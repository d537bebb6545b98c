"""Where do tests get a PostgreSQL from, fresh and fast?

One embedded server per test run, owned by the process that leads the run (with xdist the controller, whose
workers are told the address through the environment). The schema is built once, as a template; a database
is a copy of the template. Nothing survives the run, so durability is switched off.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from server.app import create_app
from server.config import Config
from server.database import db
from server.embedded import EmbeddedPostgres
from server.schema import upgrade

ADDRESS = "FIELDVISIT_TEST_CLUSTER"
FOLDER = "FIELDVISIT_TEST_FOLDER"
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "300"}
EMPTY_EVERYTHING = """
    DO $$
    DECLARE one record;
    BEGIN
        SET LOCAL session_replication_role = replica;
        FOR one IN SELECT oid::regclass AS name FROM pg_class
                    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
                      AND relname <> 'alembic_version' AND pg_relation_size(oid) > 0 LOOP
            EXECUTE 'DELETE FROM ' || one.name;
        END LOOP;
        FOR one IN SELECT seqrelid, seqstart FROM pg_sequence
                    WHERE pg_sequence_last_value(seqrelid) IS NOT NULL LOOP
            PERFORM setval(one.seqrelid, one.seqstart, false);
        END LOOP;
    END $$
"""
_owned = pytest.StashKey["Cluster"]()


@dataclass(slots=True)
class Cluster:
    """A running server that tests may create databases in. `url` names its maintenance database."""

    url: str
    folder: Path
    server: EmbeddedPostgres | None = None

    def template(self, name: str, *, build: Callable[[str], None]) -> str:
        """Have a template database built once in this run, by whichever worker needs it first.

        `build` is given the URL of an empty database and must close every connection it opens.
        """
        with (self.folder / "template.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self._exists(name):
                draft = f"{name}_draft"
                self.drop(draft)
                self.create(draft)
                build(self.address_of(draft))
                self._run("ALTER DATABASE {} RENAME TO {}", draft, name)
        return name

    def create(self, name: str, *, template: str = "template0") -> str:
        """Create a database as a copy of `template` and return its URL."""
        self._run("CREATE DATABASE {} TEMPLATE {}", name, template)
        return self.address_of(name)

    def drop(self, name: str) -> None:
        """Drop a database if it exists, ending whatever is still connected to it."""
        self._run("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def address_of(self, name: str) -> str:
        """Return the URL of a database of this server."""
        return f"{self.url.rpartition('/')[0]}/{name}"

    def _exists(self, name: str) -> bool:
        with psycopg.connect(self.url, autocommit=True) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
            return found.fetchone() is not None

    def _run(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))  # pyright: ignore[reportArgumentType]


def start_cluster() -> Cluster:
    """Start a throw-away server in a folder that an unprivileged account can enter, too."""
    folder = Path(tempfile.mkdtemp(prefix="fieldvisit-tests-"))
    folder.chmod(0o711)
    server = EmbeddedPostgres(folder / "postgres", settings=FAST, log=folder / "postgres.log")
    server.start(timeout_seconds=300)  # everything stands on it, on however busy a machine
    return Cluster(url=server.url("postgres"), folder=folder, server=server)


def stop_cluster(cluster: Cluster) -> None:
    """Stop the server, if it is ours, and remove its folder."""
    if cluster.server is not None:
        cluster.server.stop()
        shutil.rmtree(cluster.folder, ignore_errors=True)  # what is left over is no fault of any test


def pytest_configure(config: pytest.Config) -> None:
    """With xdist, start the server in the controller, so that it outlives every worker."""
    is_worker = hasattr(config, "workerinput")
    if is_worker or not config.getoption("numprocesses", None) or config.getoption("collectonly"):
        return
    cluster = start_cluster()
    config.stash[_owned] = cluster
    os.environ[ADDRESS], os.environ[FOLDER] = cluster.url, str(cluster.folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the server that `pytest_configure` started."""
    cluster = config.stash.get(_owned, None)
    if cluster is not None:
        stop_cluster(cluster)


@contextmanager
def worker_database(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[str]:
    """Yield the URL of a migrated database of this worker's own."""
    secrets = tmp_path_factory.mktemp("migration")
    with running_cluster() as cluster:
        template = cluster.template("fieldvisit_template", build=lambda url: _migrate(url, var=secrets))
        yield cluster.create(f"fieldvisit_{worker_id}", template=template)


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Yield the run's server; started here when the run has no controller that did."""
    if ADDRESS in os.environ:
        yield Cluster(url=os.environ[ADDRESS], folder=Path(os.environ[FOLDER]))
        return
    own = start_cluster()
    try:
        yield own
    finally:
        stop_cluster(own)


def _migrate(url: str, *, var: Path) -> None:
    """Build the schema as an operator does: by the migrations, never by the models."""
    app = create_app(Config.from_environ({"LOG_LEVEL": "WARNING"}, var=var, default_database_url=url))
    upgrade(app)
    with app.app_context():
        db.engine.dispose()


def empty_tables(engine: sa.Engine) -> None:
    """Empty every table and begin every sequence anew, in one round trip.

    As a replica does: without triggers and foreign keys, row by row, where there may be rows. TRUNCATE makes
    a new file for every table and index it meets, which cost more than most tests.
    """
    with engine.begin() as connection:
        connection.exec_driver_sql(EMPTY_EVERYTHING)

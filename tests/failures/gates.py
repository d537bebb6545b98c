"""How does a test stop a server exactly between two statements, with nothing built into the product?

A trigger in the test's database waits for a lock that the test holds: at an insert, or (deferred) inside the
commit, after everything was written. Whoever comes to it stands there until the test opens the gate.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

import psycopg

KEY: Final = 730_211
PATIENCE_SECONDS: Final = 60
_MAKE: Final = """
    CREATE OR REPLACE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $body$
    BEGIN PERFORM pg_advisory_xact_lock(730211); RETURN NEW; END $body$;
    CREATE CONSTRAINT TRIGGER gate AFTER INSERT OR UPDATE ON {table} {when}
       FOR EACH ROW {condition} EXECUTE FUNCTION wait_at_gate();
"""
# Of this database: the run's other workers have gates of their own on the same server.
_WAITING: Final = """
    SELECT pid FROM pg_locks
     WHERE locktype = 'advisory' AND objid = %s AND NOT granted
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
     ORDER BY waitstart
"""


@dataclass(frozen=True, slots=True)
class Gate:
    """A closed gate on one table."""

    connection: psycopg.Connection[Any]

    def reached(self) -> int:
        """Wait until somebody stands at the gate; the process id of their database session."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            row = self.connection.execute(_WAITING, [KEY]).fetchone()
            if row is not None:
                return row[0]
            self.connection.execute("SELECT pg_sleep(0.005)")
        raise AssertionError("nobody came to the gate")

    def open(self) -> None:
        """Let everybody through."""
        self.connection.execute("SELECT pg_advisory_unlock_all()")

    def left(self, session: int) -> None:
        """Wait until a database session is over: what its commit had to do is done."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        still_there = "SELECT FROM pg_stat_activity WHERE pid = %s"
        while self.connection.execute(still_there, [session]).fetchone() is not None:
            assert time.monotonic() < deadline, "the session does not end"
            self.connection.execute("SELECT pg_sleep(0.005)")

    def end(self, session: int) -> None:
        """End a database session, as happens when the machine at its other end is gone."""
        self.connection.execute("SELECT pg_terminate_backend(%s, 60000)", [session])


@contextmanager
def gate(
    url: str, table: str, *, at: Literal["statement", "commit"] = "commit", only: str = ""
) -> Iterator[Gate]:
    """Close a gate for writers of a table; `only` is a condition on NEW."""
    make = _MAKE.format(
        table=table,
        when="DEFERRABLE INITIALLY DEFERRED" if at == "commit" else "NOT DEFERRABLE",
        condition=f"WHEN ({only})" if only else "",
    )
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(make.encode())
        connection.execute("SELECT pg_advisory_lock(%s)", [KEY])
        try:
            yield Gate(connection)
        finally:
            connection.execute("SELECT pg_advisory_unlock_all()")
            connection.execute(f"DROP TRIGGER IF EXISTS gate ON {table}".encode())

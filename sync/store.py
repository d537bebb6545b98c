"""Where does a phone write what must survive a dead battery?

One sqlite file in write-ahead mode with synchronous=FULL: a transaction that has returned is on the disk, one
that has not has changed nothing. Several threads and processes may each open their own; writers take turns.
"""

import errno
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

VERSION: Final = 3
PATIENCE_SECONDS: Final = 30
FULL_DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# The second is said of the index of the write-ahead log, which each first opener makes anew.
FULL_STORE: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})

TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS items (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, prev BLOB, digest BLOB NOT NULL, type TEXT NOT NULL,
    envelope TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'waiting', outcome TEXT, flags TEXT, receipt TEXT)""",
    "CREATE INDEX IF NOT EXISTS items_waiting ON items (seq) WHERE state = 'waiting'",
    """CREATE TABLE IF NOT EXISTS media (
    evidence_id TEXT PRIMARY KEY, path TEXT NOT NULL, sha256 TEXT NOT NULL, size_bytes INTEGER NOT NULL,
    mime TEXT NOT NULL, upload_url TEXT, state TEXT NOT NULL DEFAULT 'waiting', problem TEXT,
    queued INTEGER NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS entities (
    scope TEXT, kind TEXT, id TEXT, rev INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (scope, kind, id))""",
    "CREATE TABLE IF NOT EXISTS facts (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
)

ADDED: Final = (("media", "urgent"), ("entities", "generation"), ("media", "breaks"))


class PhoneFull(Exception):
    """There is no room: what was to be written was refused whole, and what waits still waits."""


def is_full_disk(error: OSError) -> bool:
    """Whether a disk error means that there is no room."""
    return error.errno in FULL_DISK


class Store:
    """The sqlite file: transactions, and small facts by key. Use from one thread.

    Opening it raises PhoneFull on a disk that has no room for sqlite itself.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        is_new = not path.exists()
        self.db = sqlite3.connect(path, isolation_level=None, timeout=PATIENCE_SECONDS)
        try:
            self.db.execute("PRAGMA journal_mode=WAL")
            self.db.execute("PRAGMA synchronous=FULL")
            if self._version() < VERSION:
                self._prepare()
        except BaseException as error:
            self.db.close()
            if _is_full_store(error):
                raise PhoneFull("the disk has no room to open the phone") from error
            raise
        if is_new:
            sync_folder(path.parent)

    def _version(self) -> int:
        return self.db.execute("PRAGMA user_version").fetchone()[0]

    def _prepare(self) -> None:
        """Make the tables, or bring those of an earlier release up to date. Columns are only ever added."""
        with self.atomically():
            for statement in TABLES:
                self.db.execute(statement)
            for table, column in ADDED:
                columns = {row[1] for row in self.db.execute(f"PRAGMA table_info({table})")}
                if column not in columns:
                    self.db.execute(f"ALTER TABLE {table} ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0")
            self.db.execute(f"PRAGMA user_version = {VERSION}")

    def close(self) -> None:
        """Close the file. Everything this class returned from is already on the disk."""
        self.db.close()

    @contextmanager
    def atomically(self) -> Iterator[None]:
        """Do everything inside or nothing. Raises PhoneFull when the disk has no room for it."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.db.execute("COMMIT")
        except BaseException as error:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            if _is_full_store(error):
                raise PhoneFull("the disk has no room for another record") from error
            raise

    def count_others(self) -> int:
        """Return a number that is another one after somebody else has written into the file."""
        return self.db.execute("PRAGMA data_version").fetchone()[0]

    def fact(self, key: str) -> Any:
        """Return a remembered value, None if there is none."""
        row = self.db.execute("SELECT value FROM facts WHERE key = ?", (key,)).fetchone()
        return None if row is None else json.loads(row[0])

    def note(self, facts: dict[str, Any]) -> None:
        """Remember values within the transaction that is open."""
        self.db.executemany(
            "INSERT INTO facts VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            [(key, json.dumps(value)) for key, value in facts.items()],
        )


def _is_full_store(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode in FULL_STORE


def sync_folder(folder: Path) -> None:
    """Make names in a folder survive a dead battery."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_durably(path: Path, content: bytes) -> None:
    """Write a file and wait until its bytes are on the disk; its name needs `sync_folder`."""
    with path.open("wb") as target:
        target.write(content)
        target.flush()
        os.fsync(target.fileno())

"""What does a phone hold that must survive a dead battery, and in what order does it leave?

One sqlite file, written with synchronous=FULL: items with their place in the chain, files waiting to
upload, the cursor of the feed with what was pulled, and the newest anchor. Appending an item and moving
the head of the chain is one transaction; so is applying a page and moving the cursor. Payloads stay
after their receipt until the server says that they are durable, so that a restored server can ask again.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sync.protocol import Change, Envelope, PushedItem
from sync.wire import Reader, parse, read_envelope, write_envelope

SCHEMA = """
CREATE TABLE IF NOT EXISTS items (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, prev BLOB, digest BLOB NOT NULL, type TEXT NOT NULL,
    envelope TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'waiting', outcome TEXT, flags TEXT, receipt TEXT);
CREATE INDEX IF NOT EXISTS items_waiting ON items (seq) WHERE state = 'waiting';
CREATE TABLE IF NOT EXISTS media (
    evidence_id TEXT PRIMARY KEY, path TEXT NOT NULL, sha256 TEXT NOT NULL, size_bytes INTEGER NOT NULL,
    mime TEXT NOT NULL, upload_url TEXT, state TEXT NOT NULL DEFAULT 'waiting', problem TEXT,
    queued INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS entities (
    scope TEXT, kind TEXT, id TEXT, rev INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (scope, kind, id));
CREATE TABLE IF NOT EXISTS facts (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A signed item ready to be kept."""

    item_id: UUID
    type: str
    digest: bytes
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class QueuedFile:
    """A file that a promise item named and that still has to reach the office."""

    evidence_id: UUID
    path: Path
    sha256: str
    size_bytes: int
    mime: str
    upload_url: str | None


class Outbox:
    """The durable memory of one phone. One process at a time; use from one thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        """Close the file. Everything acknowledged by this class is already on the disk."""
        self._db.close()

    @contextmanager
    def _atomically(self) -> Iterator[sqlite3.Connection]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # Facts: small things that must survive.

    def fact(self, key: str) -> Any:
        """Return a remembered value, None if there is none."""
        row = self._db.execute("SELECT value FROM facts WHERE key = ?", (key,)).fetchone()
        return None if row is None else json.loads(row[0])

    def remember(self, **facts: Any) -> None:
        """Remember values, all or none."""
        with self._atomically():
            self._remember(facts)

    def _remember(self, facts: dict[str, Any]) -> None:
        self._db.executemany(
            "INSERT INTO facts VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            [(key, json.dumps(value)) for key, value in facts.items()],
        )

    # Items.

    def append(
        self, seal: Callable[[int, bytes | None], Sealed], *, file: QueuedFile | None = None
    ) -> Sealed:
        """Append one item at the head of the chain.

        `seal(seq, prev)` builds and signs it. Item, head and the file it promises become durable together.
        """
        with self._atomically():
            head = self._db.execute("SELECT seq, digest FROM items ORDER BY seq DESC LIMIT 1").fetchone()
            seq, prev = (1, None) if head is None else (head[0] + 1, head[1])
            sealed = seal(seq, prev)
            self._db.execute(
                "INSERT INTO items (seq, id, prev, digest, type, envelope) VALUES (?, ?, ?, ?, ?, ?)",
                (
                    seq,
                    str(sealed.item_id),
                    prev,
                    sealed.digest,
                    sealed.type,
                    json.dumps(write_envelope(sealed.envelope)),
                ),
            )
            if file is not None:
                self._db.execute(
                    "INSERT INTO media (evidence_id, path, sha256, size_bytes, mime, queued)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    (str(file.evidence_id), str(file.path), file.sha256, file.size_bytes, file.mime, seq),
                )
        return sealed

    def next_batch(self, limit: int) -> list[PushedItem]:
        """Return the oldest items without a receipt."""
        rows = self._db.execute(
            "SELECT id, seq, prev, envelope FROM items WHERE state = 'waiting' ORDER BY seq LIMIT ?", (limit,)
        )
        return [
            PushedItem(
                id=UUID(item_id),
                seq=seq,
                prev=prev,
                envelope=read_envelope(Reader(parse(envelope.encode()))),
            )
            for item_id, seq, prev, envelope in rows
        ]

    def digest_of(self, item_id: UUID) -> bytes | None:
        """Return the digest of an item of ours."""
        row = self._db.execute("SELECT digest FROM items WHERE id = ?", (str(item_id),)).fetchone()
        return None if row is None else row[0]

    def acknowledge(self, outcomes: Iterable[dict[str, Any]]) -> None:
        """Keep the outcome and receipt of items; they will not be offered again."""
        with self._atomically():
            self._db.executemany(
                "UPDATE items SET state = 'receipted', outcome = ?, flags = ?, receipt = ? WHERE id = ?",
                [
                    (
                        one["outcome"],
                        json.dumps(one.get("flags", [])),
                        json.dumps(one.get("receipt")),
                        one["id"],
                    )
                    for one in outcomes
                ],
            )

    def offer_again(self, *, above: int = 0) -> int:
        """Offer receipted items above a number again: the server was restored from a backup."""
        with self._atomically():
            changed = self._db.execute(
                "UPDATE items SET state = 'waiting' WHERE state = 'receipted' AND seq > ?", (above,)
            )
        return changed.rowcount

    def outcomes(self) -> list[dict[str, Any]]:
        """Return what became of every item, in order; outcome None is still waiting."""
        rows = self._db.execute("SELECT id, seq, type, outcome, flags, receipt FROM items ORDER BY seq")
        return [
            {
                "id": UUID(item_id),
                "seq": seq,
                "type": type_,
                "outcome": outcome,
                "flags": json.loads(flags or "[]"),
                "receipt": json.loads(receipt or "null"),
            }
            for item_id, seq, type_, outcome, flags, receipt in rows
        ]

    def count_waiting(self) -> tuple[int, int]:
        """Return how many items and how many files have not reached the office."""
        items = self._db.execute("SELECT count(*) FROM items WHERE state = 'waiting'").fetchone()[0]
        files = self._db.execute("SELECT count(*) FROM media WHERE state = 'waiting'").fetchone()[0]
        return items, files

    # Files.

    def next_files(self) -> Sequence[QueuedFile]:
        """Return the files that still have to go: small ones first, then in the order they were taken."""
        rows = self._db.execute(
            "SELECT evidence_id, path, sha256, size_bytes, mime, upload_url FROM media"
            " WHERE state = 'waiting' ORDER BY size_bytes > 2000000, queued"
        )
        return [
            QueuedFile(UUID(evidence_id), Path(path), sha256, size, mime, url)
            for evidence_id, path, sha256, size, mime, url in rows
        ]

    def note_upload(self, evidence_id: UUID, url: str | None) -> None:
        """Remember where a file's upload goes on."""
        with self._atomically():
            self._db.execute("UPDATE media SET upload_url = ? WHERE evidence_id = ?", (url, str(evidence_id)))

    def finish_file(self, evidence_id: UUID, *, problem: str | None = None) -> None:
        """Take a file off the queue: it arrived, or (problem) it will not without a person's help."""
        with self._atomically():
            self._db.execute(
                "UPDATE media SET state = ?, problem = ? WHERE evidence_id = ?",
                ("stuck" if problem else "stored", problem, str(evidence_id)),
            )

    # What was pulled.

    def apply(self, changes: Iterable[Change], *, cursor: str, seen: dict[str, int]) -> None:
        """Apply one page and move the cursor, together. Applying a page twice changes nothing."""
        with self._atomically():
            for change in changes:
                key = (change.scope, change.kind, str(change.id))
                if change.op == "remove":
                    self._db.execute("DELETE FROM entities WHERE scope = ? AND kind = ? AND id = ?", key)
                else:
                    self._db.execute(
                        "INSERT INTO entities VALUES (?, ?, ?, ?, ?) ON CONFLICT (scope, kind, id)"
                        " DO UPDATE SET rev = excluded.rev, body = excluded.body",
                        (*key, change.rev, json.dumps(change.body, ensure_ascii=False)),
                    )
            self._remember({"cursor": cursor, "seen": seen})

    def forget_feed(self) -> None:
        """Drop cursor and pulled entities: the next pull starts from the beginning."""
        with self._atomically():
            self._db.execute("DELETE FROM entities")
            self._db.execute("DELETE FROM facts WHERE key IN ('cursor', 'seen')")

    def entities(self, kind: str) -> list[tuple[UUID, int, dict[str, Any]]]:
        """Return what the phone holds of a kind: id, revision, body."""
        rows = self._db.execute("SELECT id, rev, body FROM entities WHERE kind = ? ORDER BY id", (kind,))
        return [(UUID(entity_id), rev, json.loads(body)) for entity_id, rev, body in rows]


@dataclass(frozen=True, slots=True)
class BackOff:
    """How long to wait after failures: doubling, with jitter, bounded."""

    first: timedelta = timedelta(seconds=1)
    most: timedelta = timedelta(minutes=5)

    def wait(self, failures: int, *, jitter: float) -> timedelta:
        """Return the pause after this many failures in a row; `jitter` is a random number in [0, 1)."""
        full = min(self.most, self.first * 2 ** min(max(failures - 1, 0), 16))
        return full * (0.5 + jitter / 2)

    def next_try(self, failures: int, *, now: datetime, jitter: float, asked: timedelta | None) -> datetime:
        """Return when to try again; what the server asked for (`Retry-After`) is a lower bound."""
        return now + max(self.wait(failures, jitter=jitter), asked or timedelta(0))

"""In what order do captured files leave a phone, and when may it forget them?

What is small (256 KiB or less: photos of a form, signatures) or urgent goes first, within that in the order
it was captured, so that the office sees a visit even where a recording will take hours. After three of those
in a row a large file gets a turn of 8 MiB, so that no stream of photos holds a recording back for ever. A
file whose turn broke before any byte of it arrived goes behind the others of its kind until one of them has
gone on, and after two in a row it stands aside: somebody on the way may block it. A file's bytes are deleted
only after they arrived whole and the office calls the promise durable.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal
from uuid import UUID

from sync.store import Store

SMALL_BYTES: Final = 256 * 1024
SMALL_IN_A_ROW: Final = 3
TURN_BYTES: Final = 8 * 1024**2
ASIDE_AFTER: Final = 2
BROKE: Final = "file_broke"
"""Under this name a phone keeps that since the last break no byte of any file arrived."""
ROW: Final = "evidence_id, path, sha256, size_bytes, mime, upload_url, urgent, breaks"
GOES_FIRST: Final = f"(urgent OR size_bytes <= {SMALL_BYTES})"


@dataclass(frozen=True, slots=True)
class QueuedFile:
    """A file that a promise item named and that still has to reach the office.

    `breaks`: how many turns in a row broke before a byte of it arrived.
    """

    evidence_id: UUID
    path: Path
    sha256: str
    size_bytes: int
    mime: str
    upload_url: str | None
    is_urgent: bool = False
    breaks: int = 0

    @property
    def is_aside(self) -> bool:
        return self.breaks >= ASIDE_AFTER


@dataclass(frozen=True, slots=True)
class Turn:
    """A file that may send now, and how many bytes before the next one is chosen."""

    file: QueuedFile
    most_bytes: int


Aside = Literal["first", "last", "never"]
"""When do files have their turn that stand aside?"""


class FileQueue:
    """The files of one store; `folder` is where their paths are relative to, wherever the app was moved."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._db = store.db
        self._folder = store.path.parent

    def add(self, file: QueuedFile, *, queued: int) -> None:
        """Queue a file with the number of the item that promises it, in the item's own transaction."""
        self._db.execute(
            "INSERT INTO media (evidence_id, path, sha256, size_bytes, mime, queued, urgent)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                str(file.evidence_id),
                self._kept_path(file.path),
                file.sha256,
                file.size_bytes,
                file.mime,
                queued,
                file.is_urgent,
            ),
        )

    def _kept_path(self, path: Path) -> str:
        return str(path.relative_to(self._folder) if path.is_relative_to(self._folder) else path)

    def _file(self, row: tuple[Any, ...]) -> QueuedFile:
        evidence_id, path, sha256, size, mime, url, urgent, breaks = row
        return QueuedFile(
            UUID(evidence_id), self._folder / path, sha256, size, mime, url, bool(urgent), breaks
        )

    def waiting(self) -> Sequence[QueuedFile]:
        """Return all files that still have to go: those that go first, each in the order of capture."""
        rows = self._db.execute(
            f"SELECT {ROW} FROM media WHERE state = 'waiting' ORDER BY NOT {GOES_FIRST}, queued"
        )
        return [self._file(row) for row in rows]

    def unsent(self) -> Sequence[QueuedFile]:
        """Return all files that are not at the office, those that are stuck too, in the order of capture."""
        rows = self._db.execute(
            f"SELECT {ROW} FROM media WHERE state IN ('waiting', 'stuck') ORDER BY queued"
        )
        return [self._file(row) for row in rows]

    def next_turn(self, *, skipping: Collection[UUID] = (), aside: Aside = "last") -> Turn | None:
        """Choose who sends next, and note that it had its turn."""
        beside = None if aside == "never" else self._oldest(f"breaks >= {ASIDE_AFTER}", skipping)
        if beside is not None and aside == "first":
            return Turn(beside, most_bytes=TURN_BYTES)
        order = "breaks, queued" if self._store.fact(BROKE) else "queued"
        first = self._oldest(f"breaks < {ASIDE_AFTER} AND {GOES_FIRST}", skipping, order=order)
        large = self._oldest(f"breaks < {ASIDE_AFTER} AND NOT {GOES_FIRST}", skipping, order=order)
        in_a_row = self._store.fact("small_in_a_row") or 0
        if first is not None and (large is None or in_a_row < SMALL_IN_A_ROW):
            chosen, in_a_row = first, in_a_row + 1
        elif large is not None:
            chosen, in_a_row = large, 0
        else:
            return None if beside is None else Turn(beside, most_bytes=TURN_BYTES)
        with self._store.atomically():
            self._store.note({"small_in_a_row": in_a_row})
        return Turn(chosen, most_bytes=TURN_BYTES)

    def _oldest(
        self, which: str, skipping: Collection[UUID], *, order: str = "breaks, queued"
    ) -> QueuedFile | None:
        rows = self._db.execute(
            f"SELECT {ROW} FROM media WHERE state = 'waiting' AND {which} ORDER BY {order}"
        )
        files = (self._file(row) for row in rows)
        return next((file for file in files if file.evidence_id not in skipping), None)

    def note_break(self, evidence_id: UUID) -> None:
        """Remember that a turn broke before a byte of this file arrived."""
        with self._store.atomically():
            self._db.execute(
                "UPDATE media SET breaks = breaks + 1 WHERE evidence_id = ?", (str(evidence_id),)
            )
            self._store.note({BROKE: True})

    def note_move(self, evidence_id: UUID) -> None:
        """Remember that bytes of this file arrive, and so that files get through."""
        name = (str(evidence_id),)
        has_broken = self._db.execute("SELECT breaks > 0 FROM media WHERE evidence_id = ?", name).fetchone()
        if has_broken == (0,) and not self._store.fact(BROKE):
            return
        with self._store.atomically():
            self._db.execute("UPDATE media SET breaks = 0 WHERE evidence_id = ?", name)
            self._store.note({BROKE: False})

    def note_upload(self, evidence_id: UUID, url: str | None) -> None:
        """Remember where a file's upload goes on."""
        with self._store.atomically():
            self._db.execute("UPDATE media SET upload_url = ? WHERE evidence_id = ?", (url, str(evidence_id)))

    def finish(self, evidence_id: UUID, *, problem: str | None = None) -> bool:
        """Take a file off the queue: it arrived, or (problem) it will not without a person's help.

        False, and nothing is changed, if another session took it off before.
        """
        with self._store.atomically():
            changed = self._db.execute(
                "UPDATE media SET state = ?, problem = ?, breaks = 0"
                " WHERE evidence_id = ? AND state = 'waiting'",
                ("stuck" if problem else "stored", problem, str(evidence_id)),
            )
        return bool(changed.rowcount)

    def retry(self, evidence_id: UUID) -> None:
        """Queue a stuck file again, after a person helped."""
        with self._store.atomically():
            self._db.execute(
                "UPDATE media SET state = 'waiting', problem = NULL, upload_url = NULL"
                " WHERE evidence_id = ? AND state = 'stuck'",
                (str(evidence_id),),
            )

    def stuck(self) -> dict[UUID, str]:
        """Return the files that need a person, and why."""
        rows = self._db.execute("SELECT evidence_id, problem FROM media WHERE state = 'stuck'")
        return {UUID(evidence_id): problem for evidence_id, problem in rows}

    def count_waiting(self) -> int:
        return self._db.execute("SELECT count(*) FROM media WHERE state = 'waiting'").fetchone()[0]

    def bytes_held(self) -> int:
        """Return how many bytes of files the phone keeps."""
        held = "SELECT coalesce(sum(size_bytes), 0) FROM media WHERE state IN ('waiting', 'stuck', 'stored')"
        return self._db.execute(held).fetchone()[0]

    def known_paths(self) -> set[Path]:
        """Return every path that a promise names."""
        return {self._folder / path for (path,) in self._db.execute("SELECT path FROM media")}

    # Inside the outbox's transactions.

    def offer_again(self) -> None:
        """Send again what the phone still has: the office's memory may be older than the phone's."""
        self._db.execute("UPDATE media SET state = 'waiting', upload_url = NULL WHERE state = 'stored'")

    def mark_spent(self, durable: str, bounds: Mapping[str, Any]) -> None:
        """Mark arrived files whose promise (an item for which `durable` holds) the office keeps for good."""
        self._db.execute(f"UPDATE media SET state = 'spent' WHERE {_arrived_for_good(durable)}", bounds)

    def delete_unmarked(self, durable: str, bounds: Mapping[str, Any]) -> bool:
        """Delete the bytes of such files where there is no room to mark them first; whether there were any.

        A phone that dies before it marks them does so the next time.
        """
        rows = self._db.execute(
            f"SELECT path FROM media WHERE state = 'spent' OR {_arrived_for_good(durable)}", bounds
        )
        paths = [path for (name,) in rows if (path := self._folder / name).exists()]
        for path in paths:
            path.unlink(missing_ok=True)
        return bool(paths)

    def delete_spent(self) -> int:
        """Delete the bytes of spent files. Only after the mark is durable; cut off anywhere, done again."""
        rows = self._db.execute("SELECT evidence_id, path FROM media WHERE state = 'spent'").fetchall()
        for _, path in rows:
            (self._folder / path).unlink(missing_ok=True)
        if rows:
            with self._store.atomically():
                self._db.executemany(
                    "UPDATE media SET state = 'deleted' WHERE evidence_id = ?",
                    [(evidence_id,) for evidence_id, _ in rows],
                )
        return len(rows)


def _arrived_for_good(durable: str) -> str:
    return f"(state = 'stored' AND queued IN (SELECT seq FROM items WHERE state = 'receipted' AND {durable}))"

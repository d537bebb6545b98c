"""What does a phone hold that must survive a dead battery, and in what order does it leave?

Items with their place in the chain, files waiting to upload, the cursor of the feed with what was pulled, and
the newest anchor. Appending an item and moving the head of the chain is one transaction; so is applying a
page and moving the cursor. Payloads stay after their receipt until the office has called them durable for a
while, so that an office restored from a backup can ask again.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from sync.file_queue import FileQueue, QueuedFile
from sync.protocol import Change, Envelope, PushedItem
from sync.record import Record
from sync.store import PhoneFull, Store
from sync.wire import Reader, parse, read_envelope, write_envelope, write_instant

__all__ = ["Outbox", "Place", "QueuedFile", "Sealed"]

MOST_BATCH_BYTES: Final = 512 * 1024
# An office says what is durable for it; a backup that it is restored from may be some days older.
KEEP_DURABLE: Final = timedelta(days=7)
# Nothing with a receipt is kept longer, whatever an office says or fails to say.
KEEP_RECEIPTED: Final = timedelta(days=90)
# Receipts are the visitor's proof that he handed in.
KEEP_RECEIPTS: Final = timedelta(days=365)

DURABLE: Final = (
    "((seq <= :through AND json_extract(receipt, '$.received_at') < :kept)"
    " OR json_extract(receipt, '$.received_at') < :kept_at_most)"
)


PUT: Final = (
    "INSERT INTO entities (scope, kind, id, rev, body, generation) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (scope, kind, id) DO UPDATE"
    " SET rev = excluded.rev, body = excluded.body, generation = excluded.generation"
)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A signed item ready to be kept."""

    item_id: UUID
    type: str
    digest: bytes
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Place:
    """Where the feed stands on this phone; `generation` counts how often it was started over."""

    cursor: str | None
    generation: int


class Outbox:
    """The durable memory of one phone. Use from one thread; others open their own on the same file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = Store(path)
        self._db = self.store.db
        self.files = FileQueue(self.store)
        self.record = Record(self.store)

    def close(self) -> None:
        """Close the file. Everything acknowledged by this class is already on the disk."""
        self.store.close()

    # Facts: small things that must survive.

    def fact(self, key: str) -> Any:
        """Return a remembered value, None if there is none."""
        return self.store.fact(key)

    def remember(self, **facts: Any) -> None:
        """Remember values, all or none."""
        with self.store.atomically():
            self.store.note(facts)

    # Items.

    def append(
        self,
        seal: Callable[[int, bytes | None], Sealed],
        *,
        file: QueuedFile | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> Sealed:
        """Append one item at the head of the chain.

        `seal(seq, prev)` builds and signs it. Item, head, the file it promises and facts that go with it
        become durable together. Raises PhoneFull, and then nothing was recorded.
        """
        with self.store.atomically():
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
                self.files.add(file, queued=seq)
            self.store.note(dict(facts or {}))
        return sealed

    def next_batch(
        self,
        limit: int,
        *,
        most_bytes: int = MOST_BATCH_BYTES,
        above: int = 0,
        skipping: Collection[int] = (),
    ) -> list[PushedItem]:
        """Return the oldest items without a receipt: at least one, then as many as fit into the bytes."""
        rows = self._db.execute(
            "SELECT id, seq, prev, envelope FROM items WHERE state = 'waiting' AND seq > ?"
            " AND seq NOT IN (SELECT value FROM json_each(?)) ORDER BY seq LIMIT ?",
            (above, json.dumps(list(skipping)), limit),
        )
        batch: list[PushedItem] = []
        for row in rows:
            most_bytes -= len(row[3])
            if batch and most_bytes < 0:
                break
            batch.append(_pushed(row))
        return batch

    def item(self, seq: int) -> PushedItem | None:
        """Return the item of this number, with or without a receipt; None once its payload was dropped."""
        row = self._db.execute(
            "SELECT id, seq, prev, envelope FROM items WHERE seq = ? AND envelope != ''", (seq,)
        ).fetchone()
        return None if row is None else _pushed(row)

    def waiting_items(self) -> Iterator[tuple[PushedItem, int]]:
        """Yield every item without a receipt, in order, with the bytes its envelope takes; one in memory."""
        last = 0
        while batch := self.next_batch(1, above=last):
            (item,) = batch
            last = item.seq
            yield item, len(item.envelope.payload) * 4 // 3

    def digest_of(self, item_id: UUID) -> bytes | None:
        """Return the digest of an item of ours."""
        row = self._db.execute("SELECT digest FROM items WHERE id = ?", (str(item_id),)).fetchone()
        return None if row is None else row[0]

    def acknowledge(self, outcomes: Iterable[dict[str, Any]]) -> None:
        """Keep the outcome and receipt of items; they will not be offered again."""
        with self.store.atomically():
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

    def offer_again(self) -> int:
        """Offer receipted items that are still here again: the server was restored from a backup."""
        with self.store.atomically():
            return self._offer_again()

    def hear_record(self, held: bytes) -> bool:
        """Offer all that is still here again if this digest says that the office has not what it should."""
        with self.store.atomically():
            is_doubtful = self.record.is_doubtful(held)
            if is_doubtful:
                self._offer_again()
        return is_doubtful

    def _offer_again(self) -> int:
        changed = self._db.execute(
            "UPDATE items SET state = 'waiting' WHERE state = 'receipted' AND envelope != ''"
        )
        self.files.offer_again()
        self._db.execute("DELETE FROM facts WHERE key = 'durable_through'")  # it was said of what is lost
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
        return items, self.files.count_waiting()

    # What may be forgotten.

    def release(self, *, now: datetime, is_short: bool = False) -> int:
        """Drop payloads and files that the office keeps for good; return how many files went.

        `now` is the office's time as the newest anchor tells it. With room to spare what is durable stays
        for some days more. What has no receipt, and files that did not arrive, are never touched. Raises
        PhoneFull where not even so little can be written down.
        """
        bounds = {
            "through": self.fact("durable_through") or 0,
            "kept": write_instant(now if is_short else now - KEEP_DURABLE),
            "kept_at_most": write_instant(now - KEEP_RECEIPTED),
            "forgotten": write_instant(now - KEEP_RECEIPTS),
        }
        try:
            self._forget(bounds)
        except PhoneFull:
            if not (is_short and self.files.delete_unmarked(DURABLE, bounds)):
                raise
            self._forget(bounds)
        return self.files.delete_spent()

    def _forget(self, bounds: Mapping[str, Any]) -> None:
        with self.store.atomically():
            self.files.mark_spent(DURABLE, bounds)
            spent = f"state = 'receipted' AND envelope != '' AND {DURABLE}"
            self.record.drop(spent, bounds)
            self._db.execute(f"UPDATE items SET envelope = '' WHERE {spent}", bounds)
            self._db.execute(
                "DELETE FROM items WHERE state = 'receipted' AND envelope = ''"
                " AND json_extract(receipt, '$.received_at') < :forgotten"
                " AND seq < (SELECT max(seq) FROM items)"
                " AND seq NOT IN (SELECT queued FROM media WHERE state != 'deleted')",
                bounds,
            )
            self._db.execute(
                "DELETE FROM media WHERE state = 'deleted' AND queued NOT IN (SELECT seq FROM items)"
            )

    def make_room(self, *, now: datetime) -> bool:
        """Drop all that the office has for good; say whether there was anything."""
        before = self._db.total_changes
        self.release(now=now, is_short=True)
        return self._db.total_changes > before

    # What was pulled.

    def place(self) -> Place:
        """Return where the feed stands. One statement, for another session may move both."""
        rows = self._db.execute("SELECT key, value FROM facts WHERE key IN ('cursor', 'generation')")
        facts = {key: json.loads(value) for key, value in rows}
        return Place(facts.get("cursor"), facts.get("generation") or 0)

    def apply(
        self,
        changes: Iterable[Change],
        *,
        cursor: str,
        seen: dict[str, int],
        is_complete: bool = True,
        facts: Mapping[str, Any] | None = None,
        asked_at: Place | None = None,
    ) -> bool:
        """Apply one page and move the cursor, together. Applying a page twice changes nothing.

        `is_complete`: no page follows; after a start from the beginning, what no page named is dropped now.
        `asked_at`: where the feed stood when the page was asked for. If another session moved it since, the
        page is of the past: nothing is applied and False returned. None: whoever calls is alone.
        """
        with self.store.atomically():
            place = self.place()
            if asked_at is not None and asked_at != place:
                return False
            for change in changes:
                self._change(change, place.generation)
            if is_complete:
                self._db.execute("DELETE FROM entities WHERE generation < ?", (place.generation,))
            self.store.note({"cursor": cursor, "seen": seen, **(facts or {})})
        return True

    def _change(self, change: Change, generation: int) -> None:
        key = (change.scope, change.kind, str(change.id))
        if change.op == "remove":
            self._db.execute("DELETE FROM entities WHERE scope = ? AND kind = ? AND id = ?", key)
        else:
            body = json.dumps(change.body, ensure_ascii=False)
            self._db.execute(PUT, (*key, change.rev, body, generation))

    def learn(self, facts: Mapping[str, Any], *, asked_at: Place) -> bool:
        """Remember what a page says besides its changes; False if another session moved the feed since."""
        with self.store.atomically():
            is_true = asked_at == self.place()
            if is_true:
                self.store.note(dict(facts))
        return is_true

    def start_over(self, *, asked_at: Place | None = None, **facts: Any) -> bool:
        """Begin the feed from nothing and offer again what is still here: the office asked for a reset.

        What was pulled stays in use until the new feed is complete, so that a visitor who loses the network
        now keeps the permits he has. `asked_at` as with a page: False if another session moved the feed.
        """
        with self.store.atomically():
            place = self.place()
            if asked_at is not None and asked_at != place:
                return False
            self._db.execute("DELETE FROM facts WHERE key IN ('cursor', 'seen')")
            self._offer_again()
            self.store.note({"generation": place.generation + 1, **facts})
        return True

    def held(self, scope: str) -> Iterator[tuple[str, UUID, int]]:
        """Yield kind, id and revision of everything held of a scope."""
        rows = self._db.execute("SELECT kind, id, rev FROM entities WHERE scope = ?", (scope,))
        return ((kind, UUID(entity_id), rev) for kind, entity_id, rev in rows)

    def entities(self, kind: str) -> list[tuple[UUID, int, dict[str, Any]]]:
        """Return what the phone holds of a kind: id, revision, body."""
        rows = self._db.execute("SELECT id, rev, body FROM entities WHERE kind = ? ORDER BY id", (kind,))
        return [(UUID(entity_id), rev, json.loads(body)) for entity_id, rev, body in rows]


def _pushed(row: tuple[str, int, bytes | None, str]) -> PushedItem:
    item_id, seq, prev, envelope = row
    return PushedItem(
        id=UUID(item_id), seq=seq, prev=prev, envelope=read_envelope(Reader(parse(envelope.encode())))
    )

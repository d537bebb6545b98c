"""Does the office still hold everything that it gave this phone receipts for?

Both sides keep one digest of the phone's items (`sync.chain.record_digest`). Where they differ, the office
was restored from a backup, whether or not somebody says so, and the phone offers all that it still has. The
same difference is answered once. It stays with a phone that was copied or put back to an earlier state, and
where a backup lost what the phone has dropped: then people must be told, here and, by an item, at the office.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sync.chain import record_digest
from sync.store import Store

# What the office has as an item. Raw bytes have a receipt of their own, and what conflicts lies elsewhere.
HELD: Final = (
    "state = 'receipted' AND envelope != '' AND outcome != 'conflicting'"
    " AND json_extract(receipt, '$.item_sha256') = lower(hex(digest))"
)
NOTHING: Final = "0" * 64

IN_VAIN: Final = "record_in_vain"
"""Under this name a phone keeps the last difference that it heard of."""
TOLD: Final = "record_told"
"""Under this name it keeps which difference it told the office of, and when."""
TELL_AGAIN_AFTER: Final = timedelta(days=7)
"""Of two copies of a phone each telling is news to the other: without a pause they would go on for ever."""


@dataclass(frozen=True, slots=True)
class RecordDoubt:
    """Two digests of one phone's items: `held` of all that it has receipts for, `told` by the office."""

    held: bytes
    told: bytes

    @property
    def difference(self) -> str:
        return record_digest([self.held, self.told]).hex()


class Record:
    """What this phone may rely on the office to hold. Lives in the outbox's file, within its transactions.

    Nothing is compared while an item waits: the office may have it all the same, by an answer that was cut or
    by another way, and be right.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def is_doubtful(self, held: bytes) -> bool:
        """Note how what the office says it holds differs from what it should; True if that is news."""
        if self._is_waiting():
            return False
        difference = record_digest([held, self._dropped(), *self._digests()]).hex()
        if difference == (self._store.fact(IN_VAIN) or NOTHING):
            return False
        self._store.note({IN_VAIN: difference})
        return difference != NOTHING

    def doubt(self, told: bytes) -> RecordDoubt | None:
        """Return how the office's digest differs although everything was offered; None where it does not."""
        difference = self._store.fact(IN_VAIN) or NOTHING
        if difference == NOTHING or self._is_waiting():
            return None
        return RecordDoubt(held=record_digest([told, bytes.fromhex(difference)]), told=told)

    def may_tell(self, doubt: RecordDoubt, *, now: datetime) -> bool:
        """Whether the office is to hear of this difference: once, and of another not within a week."""
        last = self._store.fact(TOLD)
        if last is None:
            return True
        is_known = last["difference"] == doubt.difference
        return not is_known and now >= datetime.fromisoformat(last["at"]) + TELL_AGAIN_AFTER

    def _is_waiting(self) -> bool:
        (is_waiting,) = self._store.db.execute(
            "SELECT EXISTS (SELECT 1 FROM items WHERE state = 'waiting')"
        ).fetchone()
        return bool(is_waiting)

    def drop(self, spent: str, bounds: Mapping[str, Any]) -> None:
        """Remember the digests of items (an SQL condition) whose payloads are about to be dropped."""
        if dropped := self._digests(spent, bounds):
            self._store.note({"record_dropped": record_digest([self._dropped(), *dropped]).hex()})

    def _digests(self, condition: str = "true", bounds: Mapping[str, Any] | None = None) -> Iterable[bytes]:
        rows = self._store.db.execute(
            f"SELECT digest FROM items WHERE {HELD} AND {condition}", dict(bounds or {})
        )
        return [digest for (digest,) in rows]

    def _dropped(self) -> bytes:
        return bytes.fromhex(self._store.fact("record_dropped") or NOTHING)

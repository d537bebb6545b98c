"""Does the office still hold everything that it gave this phone receipts for?

Both sides keep one digest of the phone's items (`sync.chain.record_digest`). Where they differ, the office
was restored from a backup, whether or not somebody says so, and the phone offers all that it still has. The
same difference is answered once. It stays with a phone that was copied or put back to an earlier state, and
where a backup lost what the phone has dropped: then a person must be told.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sync.chain import record_digest
from sync.store import Store

# What the office has as an item. Raw bytes have a receipt of their own, and what conflicts lies elsewhere.
HELD: Final = (
    "state = 'receipted' AND envelope != '' AND outcome != 'conflicting'"
    " AND json_extract(receipt, '$.item_sha256') = lower(hex(digest))"
)
NOTHING: Final = "0" * 64


class Record:
    """What this phone may rely on the office to hold. Lives in the outbox's file, within its transactions."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def is_doubtful(self, held: bytes) -> bool:
        """Note how what the office says it holds differs from what it should; True if that is news."""
        difference = record_digest([held, self._dropped(), *self._digests()]).hex()
        if difference == (self._store.fact("record_in_vain") or NOTHING):
            return False
        self._store.note({"record_in_vain": difference})
        return difference != NOTHING

    @property
    def differs(self) -> bool:
        """Whether the office held something else when it was last heard, whatever was offered since."""
        return (self._store.fact("record_in_vain") or NOTHING) != NOTHING

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

"""Where in the change feed is a phone, may it go on from there, and does it hold what the office thinks?

A cursor is opaque to the phone: base64url of each scope's epoch, number and floor. A cursor of another epoch,
above the head, or below the kept tombstones cannot be continued: the phone starts over (410).

A scope's digest is the exclusive or of SHA-256 over "kind/id/rev" of every row that is not removed. It does
not depend on order: the office keeps it up with each change, a phone computes it over what it holds.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

DIGEST_BYTES: Final = 32


class StaleCursor(ValueError):
    """The phone must forget its cursor and pull from the beginning; the message says why."""


@dataclass(frozen=True, slots=True)
class Head:
    """The server's side of one scope: where its history is, and from where it is complete."""

    epoch: UUID
    seq: int
    oldest_tombstone: int = 0


@dataclass(frozen=True, slots=True)
class Position:
    """A phone's side of one scope.

    `floor` is where the head was when the phone began from nothing: it never held what was removed up to
    there, so those tombstones need not exist any more, however many pages its first sync takes.
    """

    epoch: UUID
    seq: int
    floor: int = 0


Cursor = Mapping[str, Position]


def write_cursor(cursor: Cursor) -> str:
    """Encode a cursor."""
    members = {scope: _members(place) for scope, place in sorted(cursor.items())}
    return base64.urlsafe_b64encode(json.dumps(members, separators=(",", ":")).encode()).decode()


def _members(place: Position) -> list[str | int]:
    known = [str(place.epoch), place.seq]
    return [*known, place.floor] if place.floor > place.seq else known


def read_cursor(text: str) -> dict[str, Position]:
    """Decode a cursor. StaleCursor if it is not one of ours: starting over is always safe."""
    try:
        members = json.loads(base64.urlsafe_b64decode(text.encode("ascii")))
        cursor = {
            str(scope): Position(UUID(epoch), int(seq), *map(int, floor))
            for scope, (epoch, seq, *floor) in members.items()
        }
    except (ValueError, TypeError, AttributeError, OverflowError, binascii.Error, RecursionError):
        raise StaleCursor("the cursor is not one of this server's") from None
    if any(place.seq < 0 or place.floor < 0 for place in cursor.values()):
        raise StaleCursor("the cursor is not one of this server's")
    return cursor


def advance(cursor: Cursor, heads: Mapping[str, Head], reached: Mapping[str, int]) -> dict[str, Position]:
    """Return the cursor of a phone that has applied each scope up to the number in `reached`."""
    return {
        scope: Position(epoch=head.epoch, seq=reached[scope], floor=_floor(cursor.get(scope), head))
        for scope, head in heads.items()
    }


def _floor(place: Position | None, head: Head) -> int:
    return head.seq if place is None or place.seq == 0 else place.floor


def continue_from(cursor: Cursor, heads: Mapping[str, Head]) -> dict[str, int]:
    """Return the number to continue after in each scope, or raise StaleCursor.

    A scope new to the phone starts at 0. A scope the phone may no longer see needs a reset too: nobody
    would tell it what to forget.
    """
    lost = [scope for scope, place in cursor.items() if scope not in heads and place.seq > 0]
    if lost:
        raise StaleCursor(f"scope {lost[0]} is no longer in this feed")
    return {scope: _after(cursor.get(scope), head) for scope, head in heads.items()}


def _after(place: Position | None, head: Head) -> int:
    if place is None or place.seq == 0:
        return 0
    if place.epoch != head.epoch:
        raise StaleCursor("the feed was replaced")
    if place.seq > head.seq:
        raise StaleCursor("the cursor is ahead of the feed: the server was restored from a backup")
    if max(place.seq, place.floor) < head.oldest_tombstone:
        raise StaleCursor("the cursor is older than the removals the server still remembers")
    return place.seq


def digest_of(rows: Iterable[tuple[str, UUID, int]]) -> str:
    """Return the digest of a scope's rows (kind, id, rev), 64 hex digits; that of no rows is all zeros."""
    total = 0
    for kind, entity_id, rev in rows:
        row = hashlib.sha256(f"{kind}/{entity_id}/{rev}".encode()).digest()
        total ^= int.from_bytes(row)
    return total.to_bytes(DIGEST_BYTES).hex()

"""Where in the change feed is a phone, and may it go on from there?

A cursor is opaque to the phone: base64url of each scope's epoch and number. A cursor of another epoch,
above the head, or below the kept tombstones cannot be continued: the phone starts over (410).
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID


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
    """A phone's side of one scope."""

    epoch: UUID
    seq: int


Cursor = Mapping[str, Position]


def write_cursor(cursor: Cursor) -> str:
    """Encode a cursor."""
    members = {scope: [str(place.epoch), place.seq] for scope, place in sorted(cursor.items())}
    return base64.urlsafe_b64encode(json.dumps(members, separators=(",", ":")).encode()).decode()


def read_cursor(text: str) -> dict[str, Position]:
    """Decode a cursor. StaleCursor if it is not one of ours: starting over is always safe."""
    try:
        members = json.loads(base64.urlsafe_b64decode(text.encode("ascii")))
        cursor = {
            str(scope): Position(epoch=UUID(epoch), seq=int(seq)) for scope, (epoch, seq) in members.items()
        }
    except (ValueError, TypeError, AttributeError, binascii.Error, RecursionError):
        raise StaleCursor("the cursor is not one of this server's") from None
    if any(place.seq < 0 for place in cursor.values()):
        raise StaleCursor("the cursor is not one of this server's")
    return cursor


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
    if place.seq < head.oldest_tombstone:
        raise StaleCursor("the cursor is older than the removals the server still remembers")
    return place.seq

"""Which words do phone and server exchange?

Frozen types of the protocol, without behaviour. `wire.py` reads and writes them as JSON; the meaning of
each field stands in ARCHITECTURE.md, "The protocol".
"""

import secrets
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

ITEM: Final = "application/vnd.fieldvisit.item+json"
RECEIPT: Final = "application/vnd.fieldvisit.receipt+json"
PERMIT: Final = "application/vnd.fieldvisit.permit+json"

ITEM_TYPES: Final = frozenset(
    {
        "assignment.acknowledged",
        "assignment.declined",
        "visit.started",
        "visit.evidence",
        "visit.ended",
        "visit.account",
        "incident.raised",
        "complaint.raised",
        "hold.requested",
        "contact.learned",
        "contact.refused",
        "equipment.taken",
        "equipment.returned",
        "gap.explained",
        "finding.replied",
        "log.doubted",
        "record.doubted",
    }
)


_made = threading.local()


def uuid7() -> UUID:
    """Make a UUID version 7 (RFC 9562 §5.7): 48 bits of milliseconds, then 74 of randomness.

    Of two that a thread makes in one millisecond the later one is greater (§6.2, method 2): whoever lists by
    id reads what one transaction wrote in the order in which it was written.
    """
    made = (time.time_ns() // 1_000_000 & (1 << 48) - 1) << 74 | secrets.randbits(74)
    last: int = getattr(_made, "last", 0)
    if made <= last and made >> 74 == last >> 74:
        made = last + 1 + secrets.randbits(48)
    _made.last = made
    value = made >> 62 << 64 | 0b10 << 62 | made & (1 << 62) - 1
    return UUID(int=value >> 76 << 80 | 7 << 76 | value & (1 << 76) - 1)


@dataclass(frozen=True, slots=True)
class Clock:
    """Raw clock readings of a phone at one moment. `monotonic_ms` counts since the boot named `boot_id`.

    `anchor` is the newest anchor token the phone held, `anchor_monotonic_ms` its monotonic clock when that
    anchor arrived (during boot `anchor_boot_id`), `rtt_ms` the round trip that brought it.
    `native` is False in a browser, whose monotonic clock may stop while the phone sleeps.
    """

    wall: datetime
    tz: str
    monotonic_ms: int
    boot_id: str
    native: bool = True
    anchor: str | None = None
    anchor_monotonic_ms: int | None = None
    anchor_boot_id: str | None = None
    rtt_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature of an envelope, raw bytes."""

    keyid: str
    sig: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """DSSE: exact payload bytes and who signed them."""

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """One append-only record of a phone. `prev` is the digest of the item before, None for the first."""

    item_id: UUID
    device_id: UUID
    staff_id: UUID
    seq: int
    prev: bytes | None
    type: str
    seen_seq: int
    clock: Clock
    body: dict[str, Any]
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PushedItem:
    """An envelope with the wrapper it travelled in: what the phone says it is, before we look inside."""

    id: UUID
    seq: int
    prev: bytes | None
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class PushBatch:
    """What one push request carries."""

    batch_id: UUID
    clock: Clock
    items: tuple[PushedItem, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One row of a pulled page."""

    scope: str
    kind: str
    id: UUID
    op: Literal["put", "remove"]
    rev: int
    body: dict[str, Any] | None

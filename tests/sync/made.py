"""Made for tests of the pure library: readings, items, files, and phones that exist only in memory."""

import errno
import hashlib
import io
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from sync.envelope import DeviceKey, digest
from sync.outbox import Outbox, QueuedFile, Sealed
from sync.protocol import ITEM, Clock, Item, PushedItem, uuid7
from sync.wire import write_item

NOON = datetime(2026, 11, 24, 4, tzinfo=UTC)
DEVICE = UUID("01890000-0000-7000-8000-000000000001")
VISITOR = UUID("01890000-0000-7000-8000-000000000002")
KEY = DeviceKey.generate()


def a_clock(**facts: Any) -> Clock:
    """Readings of a phone that never met the office."""
    return Clock(**({"wall": NOON, "tz": "+08:00", "monotonic_ms": 1000, "boot_id": "boot-1"} | facts))


def an_item(**facts: Any) -> Item:
    """The first item of a phone."""
    defaults: dict[str, Any] = {
        "item_id": uuid7(),
        "device_id": DEVICE,
        "staff_id": VISITOR,
        "seq": 1,
        "prev": None,
        "type": "incident.raised",
        "seen_seq": 0,
        "clock": a_clock(),
        "body": {"kind": "dog", "text": "狗"},
    }
    return Item(**(defaults | facts))


def pushed(item: Item, key: DeviceKey, **wrapper: Any) -> PushedItem:
    """An item sealed by this key, in a wrapper that agrees with it unless told otherwise."""
    envelope = key.seal(ITEM, write_item(item))
    facts = {"id": item.item_id, "seq": item.seq, "prev": item.prev} | wrapper
    return PushedItem(envelope=envelope, **facts)


def append(outbox: Outbox, key: DeviceKey, **facts: Any) -> Sealed:
    """Record one item at the head of the chain."""

    def seal(seq: int, prev: bytes | None) -> Sealed:
        item = an_item(seq=seq, prev=prev, **facts)
        envelope = key.seal(ITEM, write_item(item))
        return Sealed(item.item_id, item.type, digest(ITEM, envelope.payload), envelope)

    return outbox.append(seal)


def sha(text: str) -> bytes:
    """A digest that stands for something named."""
    return hashlib.sha256(text.encode()).digest()


def spoil(patch: pytest.MonkeyPatch, *paths: Path) -> None:
    """Let a part of the flash be worn out: these files can be seen and not read."""
    really = Path.open

    class Worn(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def open_(path: Path, *how: Any, **named: Any) -> Any:
        return Worn(path) if path in paths else really(path, *how, **named)

    patch.setattr(Path, "open", open_)


def a_file(outbox: Outbox, folder: Path, content: bytes, *, name: str = "photo") -> QueuedFile:
    """A captured file with its promise."""
    path = folder / name
    path.write_bytes(content)
    file = QueuedFile(uuid4(), path, hashlib.sha256(content).hexdigest(), len(content), "image/jpeg", None)
    sealed = append(outbox, KEY)
    outbox.append(
        lambda seq, prev: Sealed(uuid4(), "visit.evidence", sealed.digest, sealed.envelope), file=file
    )
    return file

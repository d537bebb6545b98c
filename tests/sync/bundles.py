"""Rescue bundles made by hand, and an office that can open them."""

import hashlib
import io
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from sync.envelope import DeviceKey, PublicKey, digest
from sync.protocol import PushedItem, uuid7
from sync.rescue import CarriedFile, CarriedItem, Manifest, write_bundle
from sync.strongbox import BoxOpener
from tests.sync.made import DEVICE, VISITOR, a_clock, an_item, pushed

OPENER = BoxOpener.from_secret(b"\x05" * 32, purpose=b"test")
KEY = DeviceKey.generate()


def key_of(device_id: Any) -> PublicKey | None:
    """The office knows one phone."""
    return PublicKey.from_spki(KEY.spki, algorithm="ed25519") if device_id == DEVICE else None


def a_chain(count: int, **facts: Any) -> list[PushedItem]:
    """Items of one phone, each naming the one before."""
    chain: list[PushedItem] = []
    prev = None
    for seq in range(1, count + 1):
        chain.append(pushed(an_item(seq=seq, prev=prev, **facts), KEY))
        prev = digest(chain[-1].envelope.payload_type, chain[-1].envelope.payload)
    return chain


def carried(item: PushedItem) -> CarriedItem:
    return CarriedItem(item.id, item.seq, digest(item.envelope.payload_type, item.envelope.payload))


def carried_file(content: bytes, *, start: int = 0, length: int | None = None) -> CarriedFile:
    part = content[start:] if length is None else content[start : start + length]
    return CarriedFile(
        evidence_id=uuid4(),
        filename="photo",
        mime="image/jpeg",
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        start=start,
        length=len(part),
        part_sha256=hashlib.sha256(part).hexdigest(),
    )


def a_manifest(items: Sequence[PushedItem] = (), files: Sequence[CarriedFile] = (), **facts: Any) -> Manifest:
    defaults: dict[str, Any] = {
        "bundle_id": uuid7(),
        "device_id": DEVICE,
        "staff_id": VISITOR,
        "clock": a_clock(),
        "volume": 1,
        "volumes": 1,
        "items": tuple(carried(item) for item in items),
        "files": tuple(files),
    }
    return Manifest(**(defaults | facts))


def a_bundle(
    items: Sequence[PushedItem] = (), contents: Sequence[bytes] = (), *, key: DeviceKey = KEY, **facts: Any
) -> bytes:
    """A whole bundle, as bytes."""
    files = [carried_file(content) for content in contents]
    by_id = {file.evidence_id: content for file, content in zip(files, contents, strict=True)}
    target = io.BytesIO()
    write_bundle(
        target,
        a_manifest(items, files, **facts),
        recipient=OPENER.public,
        sender=key,
        items=items,
        open_file=lambda file: io.BytesIO(by_id[file.evidence_id]),
    )
    return target.getvalue()

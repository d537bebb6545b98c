"""What does a rescue bundle say of itself?

The manifest stands first and is signed by the phone: which items by id and digest, which files or parts of
files, what could not be put in, and which of how many volumes this is.
"""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sync.protocol import Clock
from sync.wire import Reader, WireFault, parse, read_clock, write_clock


class RescueFault(ValueError):
    """A bundle cannot be written or read. `slug` says which way, `detail` where and what to do next."""

    def __init__(self, slug: str, detail: str) -> None:
        super().__init__(detail)
        self.slug = slug
        self.detail = detail


@dataclass(frozen=True, slots=True)
class CarriedItem:
    """An item in the bundle, by its place in the phone's chain and its digest."""

    id: UUID
    seq: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class CarriedFile:
    """A file in the bundle, or the part of it from `start` with `length` bytes.

    `sha256` and `size_bytes` are the whole file's, as its item promised; `part_sha256` is of the bytes here.
    """

    evidence_id: UUID
    filename: str
    mime: str
    sha256: str
    size_bytes: int
    start: int
    length: int
    part_sha256: str


@dataclass(frozen=True, slots=True)
class AbsentFile:
    """A file that should have travelled and could not."""

    evidence_id: UUID
    why: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything in one bundle, in the order in which it follows; `clock` is when the phone made it."""

    bundle_id: UUID
    device_id: UUID
    staff_id: UUID
    clock: Clock
    volume: int
    volumes: int
    items: tuple[CarriedItem, ...]
    files: tuple[CarriedFile, ...]
    absent: tuple[AbsentFile, ...] = ()


def write_manifest(manifest: Manifest) -> bytes:
    """Write a manifest as the bytes to be signed."""
    members: dict[str, Any] = {
        "v": 1,
        "bundle_id": str(manifest.bundle_id),
        "device_id": str(manifest.device_id),
        "staff_id": str(manifest.staff_id),
        "clock": write_clock(manifest.clock),
        "volume": manifest.volume,
        "volumes": manifest.volumes,
        "items": [{"id": str(one.id), "seq": one.seq, "sha256": one.sha256.hex()} for one in manifest.items],
        "files": [
            {
                "evidence_id": str(one.evidence_id),
                "filename": one.filename,
                "mime": one.mime,
                "sha256": one.sha256,
                "size_bytes": one.size_bytes,
                "start": one.start,
                "length": one.length,
                "part_sha256": one.part_sha256,
            }
            for one in manifest.files
        ],
        "absent": [{"evidence_id": str(one.evidence_id), "why": one.why} for one in manifest.absent],
    }
    return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()


def read_manifest(raw: bytes) -> Manifest:
    """Read the bytes that were signed. Raises WireFault."""
    told = Reader(parse(raw))
    return Manifest(
        bundle_id=told.uuid("bundle_id"),
        device_id=told.uuid("device_id"),
        staff_id=told.uuid("staff_id"),
        clock=read_clock(told.within("clock")),
        volume=told.integer("volume", least=1),
        volumes=told.integer("volumes", least=1),
        items=tuple(_read_item(reader) for reader in _each(told, "items")),
        files=tuple(_read_file(reader) for reader in _each(told, "files")),
        absent=tuple(
            AbsentFile(evidence_id=reader.uuid("evidence_id"), why=reader.text("why", most=1000))
            for reader in _each(told, "absent")
        ),
    )


def _each(told: Reader, key: str) -> list[Reader]:
    return [Reader(value, f"{told.at(key)}/{n}") for n, value in enumerate(told.array(key))]


def _read_item(reader: Reader) -> CarriedItem:
    return CarriedItem(
        id=reader.uuid("id"), seq=reader.integer("seq", least=1), sha256=reader.digest("sha256")
    )


def _read_file(reader: Reader) -> CarriedFile:
    file = CarriedFile(
        evidence_id=reader.uuid("evidence_id"),
        filename=reader.text("filename", most=255),
        mime=reader.text("mime", most=255),
        sha256=reader.digest("sha256").hex(),
        size_bytes=reader.integer("size_bytes"),
        start=reader.integer("start"),
        length=reader.integer("length"),
        part_sha256=reader.digest("part_sha256").hex(),
    )
    if file.start + file.length > file.size_bytes:
        raise WireFault(reader.at("length"), "reaches beyond the end of the file")
    return file

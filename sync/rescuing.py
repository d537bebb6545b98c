"""How does a phone put everything it could not send into rescue bundles?

First it plans: which items, which files or parts of files, in how many volumes of at most so many bytes.
Then each volume is written under a draft's name, forced to the disk and named. The outbox is only read, so an
export that is cut off anywhere costs nothing, and what was exported still goes by the network if one appears.
A session may run meanwhile. What gets its receipt after the planning travels all the same, which does no
harm; what the phone drops, because the office has it for good, is left out.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Final
from uuid import UUID

from sync.cancelling import CancelToken
from sync.envelope import DeviceKey, digest
from sync.events import Listener, RescueWritten, ignore
from sync.file_queue import QueuedFile
from sync.manifest import AbsentFile, CarriedFile, CarriedItem, Manifest, RescueFault
from sync.outbox import Outbox
from sync.protocol import Clock, PushedItem, uuid7
from sync.rescue import write_bundle
from sync.shelf import DRAFT
from sync.store import sync_folder
from sync.strongbox import PIECE, TAG, BoxKey, Source

SUFFIX: Final = ".fvrescue"
LEAST_VOLUME: Final = 1024**2
MOST_ITEMS: Final = 20_000
# What stands around contents: header, manifest, signature; an entry in the manifest, with its record's head.
FIXED_BYTES: Final = 8 * 1024
ITEM_BYTES: Final = 512
FILE_BYTES: Final = 1024


@dataclass(frozen=True, slots=True)
class Sender:
    """Who makes the bundle."""

    key: DeviceKey
    device_id: UUID
    staff_id: UUID


@dataclass(slots=True)
class _Volume:
    """A volume being planned."""

    room: float
    items: list[CarriedItem] = field(default_factory=list)
    files: list[tuple[CarriedFile, Path]] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not self.items and not self.files

    def leave_out(self, evidence_id: UUID) -> None:
        self.files = [(file, path) for file, path in self.files if file.evidence_id != evidence_id]


class _Dropped(Exception):
    """Something that was planned is no longer on the phone."""


class _Unreadable(Exception):
    """The phone has this file and cannot read it."""

    def __init__(self, evidence_id: UUID, error: OSError) -> None:
        super().__init__(evidence_id)
        why = f"the file on this phone cannot be read: {error.strerror}"
        self.absent = AbsentFile(evidence_id, why)


class _Captured:
    """A captured file whose bytes are to travel. Raises _Unreadable, which no fault of the target is."""

    def __init__(self, evidence_id: UUID, content: BinaryIO) -> None:
        self._evidence_id = evidence_id
        self._content = content
        self.seek, self.close = content.seek, content.close

    def read(self, size: int, /) -> bytes:
        try:
            return self._content.read(size)
        except OSError as error:
            raise _Unreadable(self._evidence_id, error) from error


@dataclass(frozen=True, slots=True)
class Export:
    """Writes everything unsent of one outbox. `most_bytes`: how large one volume may become."""

    outbox: Outbox
    sender: Sender
    recipient: BoxKey
    clock: Clock
    most_bytes: int | None = None
    cancel: CancelToken = field(default_factory=CancelToken)
    on_event: Listener = ignore

    def write(self, folder: Path) -> list[Path]:
        """Write all volumes into a folder; return them. Raises RescueFault, OSError or Cancelled.

        Files that are already there stay; of an export that failed nothing stays.
        """
        if self.most_bytes is not None and self.most_bytes < LEAST_VOLUME:
            raise RescueFault("volume-too-small", f"Let a volume have at least {LEAST_VOLUME} bytes.")
        volumes, absent = self._plan()
        bundle_id = uuid7()
        written: list[Path] = []
        try:
            for n, volume in enumerate(volumes, start=1):
                manifest = self._manifest(volume, bundle_id, n, len(volumes), absent)
                written.append(self._write_what_is_here(folder, manifest, dict(volume.files)))
        except BaseException:
            for path in written:
                path.unlink(missing_ok=True)
            raise
        return written

    # Planning.

    def _plan(self) -> tuple[list[_Volume], list[AbsentFile]]:
        whole, absent = self._sort_files()
        volumes = [self._new_volume()]
        volumes[0].room -= len(absent) * ITEM_BYTES
        for item, size in self.outbox.waiting_items():
            self.cancel.check()
            need = size + ITEM_BYTES
            is_full = need > volumes[-1].room or len(volumes[-1].items) == MOST_ITEMS
            if is_full and not volumes[-1].is_empty:
                volumes.append(self._new_volume())
            volumes[-1].items.append(_carried(item))
            volumes[-1].room -= need
        for file in whole:
            try:
                with suppress(_Dropped):
                    self._plan_file(file, volumes)
            except _Unreadable as fault:
                absent.append(fault.absent)
                for volume in volumes:
                    volume.leave_out(file.evidence_id)
        return [one for one in volumes if not one.is_empty] or volumes[:1], absent

    def _sort_files(self) -> tuple[list[QueuedFile], list[AbsentFile]]:
        """Say which unsent files are still here as they were promised."""
        whole, broken = [], []
        for file in self.outbox.files.unsent():
            (whole if _is_whole(file) else broken).append(file)
        why = "the file on this phone is gone or was cut"
        return whole, [AbsentFile(one.evidence_id, why) for one in broken if self._is_unsent(one.evidence_id)]

    def _is_unsent(self, evidence_id: UUID) -> bool:
        """Whether a file is not at the office, asked anew: a session may run at the same time."""
        return any(file.evidence_id == evidence_id for file in self.outbox.files.unsent())

    def _open(self, evidence_id: UUID, path: Path) -> _Captured:
        try:
            return _Captured(evidence_id, path.open("rb"))
        except FileNotFoundError as error:
            if self._is_unsent(evidence_id):
                raise _Unreadable(evidence_id, error) from error
            raise _Dropped from None
        except OSError as error:
            raise _Unreadable(evidence_id, error) from error

    def _plan_file(self, file: QueuedFile, volumes: list[_Volume]) -> None:
        """Put a file into the last volume, and what does not fit into further ones."""
        start = 0
        with closing(self._open(file.evidence_id, file.path)) as content:
            while True:
                least = min(file.size_bytes - start, LEAST_VOLUME // 4) + FILE_BYTES
                if not volumes[-1].is_empty and volumes[-1].room < least:
                    volumes.append(self._new_volume())
                volume = volumes[-1]
                length = int(min(file.size_bytes - start, volume.room - FILE_BYTES))
                part = self._hash(content, length)
                volume.files.append((_part(file, start, length, part), file.path))
                volume.room -= length + FILE_BYTES
                start += length
                if start >= file.size_bytes:
                    return

    def _new_volume(self) -> _Volume:
        if self.most_bytes is None:
            return _Volume(float("inf"))
        return _Volume(self.most_bytes * PIECE // (PIECE + TAG) - FIXED_BYTES)

    def _hash(self, content: Source, length: int) -> str:
        sha256 = hashlib.sha256()
        while length and (piece := content.read(min(length, PIECE))):
            self.cancel.check()
            sha256.update(piece)
            length -= len(piece)
        return sha256.hexdigest()

    # Writing.

    def _manifest(
        self, volume: _Volume, bundle_id: UUID, n: int, volumes: int, absent: Sequence[AbsentFile]
    ) -> Manifest:
        return Manifest(
            bundle_id=bundle_id,
            device_id=self.sender.device_id,
            staff_id=self.sender.staff_id,
            clock=self.clock,
            volume=n,
            volumes=volumes,
            items=tuple(volume.items),
            files=tuple(file for file, _ in volume.files),
            absent=tuple(absent) if n == 1 else (),
        )

    def _write_what_is_here(self, folder: Path, manifest: Manifest, paths: dict[CarriedFile, Path]) -> Path:
        """Write a volume, without what the phone drops meanwhile, for the office has that for good.

        What it cannot read any more is left out too, and named.
        """
        while True:
            try:
                return self._write_volume(folder, manifest, paths)
            except _Dropped:
                items = tuple(one for one in manifest.items if self.outbox.item(one.seq) is not None)
                files = tuple(one for one in manifest.files if paths[one].is_file())
                manifest = replace(manifest, items=items, files=files)
            except _Unreadable as fault:
                bad = fault.absent
                files = tuple(one for one in manifest.files if one.evidence_id != bad.evidence_id)
                manifest = replace(manifest, files=files, absent=(*manifest.absent, bad))

    def _write_volume(self, folder: Path, manifest: Manifest, paths: dict[CarriedFile, Path]) -> Path:
        name = f"{manifest.bundle_id}-{manifest.volume}-of-{manifest.volumes}{SUFFIX}"
        path = folder / name
        draft = folder / (name + DRAFT)
        try:
            with draft.open("wb") as target:
                write_bundle(
                    _Watched(target, self, manifest),
                    manifest,
                    recipient=self.recipient,
                    sender=self.sender.key,
                    items=self._items(manifest),
                    open_file=lambda file: self._open(file.evidence_id, paths[file]),
                )
                target.flush()
                os.fsync(target.fileno())
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        sync_folder(folder)
        return path

    def _items(self, manifest: Manifest) -> Iterator[PushedItem]:
        """Read the volume's items again, one at a time."""
        for named in manifest.items:
            item = self.outbox.item(named.seq)
            if item is None:
                raise _Dropped
            yield item


class _Watched:
    """A target that looks at the token and tells how far it is."""

    def __init__(self, target: BinaryIO, export: Export, manifest: Manifest) -> None:
        self._target, self._export, self._manifest = target, export, manifest
        self._bytes = 0

    def write(self, data: bytes, /) -> None:
        self._export.cancel.check()
        self._target.write(data)
        self._bytes += len(data)
        event = RescueWritten(self._manifest.volume, self._manifest.volumes, self._bytes)
        self._export.on_event(event)


def _is_whole(file: QueuedFile) -> bool:
    try:
        return file.path.stat().st_size == file.size_bytes
    except OSError:
        return False


def _carried(item: PushedItem) -> CarriedItem:
    return CarriedItem(item.id, item.seq, digest(item.envelope.payload_type, item.envelope.payload))


def _part(file: QueuedFile, start: int, length: int, sha256: str) -> CarriedFile:
    return CarriedFile(
        evidence_id=file.evidence_id,
        filename=file.path.name,
        mime=file.mime,
        sha256=file.sha256,
        size_bytes=file.size_bytes,
        start=start,
        length=length,
        part_sha256=sha256,
    )

"""How does a captured file get onto the phone's disk so that nothing can take it away unsent?

Bytes are written under a draft's name, forced to the disk, then named for good; only then may a promise name
them. When there is no room the phone refuses the new capture and says so: what waits is never deleted for it.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final
from uuid import UUID

from sync.file_queue import FileQueue
from sync.protocol import uuid7
from sync.store import PhoneFull, is_full_disk, sync_folder

PIECE: Final = 256 * 1024
DRAFT: Final = ".part"


@dataclass(frozen=True, slots=True)
class Shelved:
    """A file that is on the disk under its final name."""

    evidence_id: UUID
    path: Path
    sha256: str
    size_bytes: int


class Shelf:
    """The folder of captured files. `most_bytes`: how many bytes of files the phone may keep (None: any)."""

    def __init__(self, folder: Path, files: FileQueue, *, most_bytes: int | None = None) -> None:
        self.folder = folder
        self.most_bytes = most_bytes
        self._files = files
        folder.mkdir(parents=True, exist_ok=True)

    def room(self) -> int | None:
        """Return how many bytes may still be captured; None: as many as the disk holds."""
        return None if self.most_bytes is None else max(self.most_bytes - self._files.bytes_held(), 0)

    def put(self, content: bytes | BinaryIO) -> Shelved:
        """Write a capture, piece by piece. Raises PhoneFull, and then nothing of it is left."""
        evidence_id = uuid7()
        path = self.folder / str(evidence_id)
        draft = path.with_suffix(DRAFT)
        try:
            sha256, size = self._write(draft, content)
        except BaseException as error:
            draft.unlink(missing_ok=True)
            if isinstance(error, OSError) and is_full_disk(error):
                raise PhoneFull("the disk has no room for this file") from error
            raise
        draft.replace(path)
        sync_folder(self.folder)
        return Shelved(evidence_id, path, sha256, size)

    def _write(self, draft: Path, content: bytes | BinaryIO) -> tuple[str, int]:
        room, sha256, size = self.room(), hashlib.sha256(), 0
        with draft.open("wb") as target:
            for piece in _pieces(content):
                size += len(piece)
                if room is not None and size > room:
                    raise PhoneFull("the files on this phone already take as much as they may")
                sha256.update(piece)
                target.write(piece)
            target.flush()
            os.fsync(target.fileno())
        return sha256.hexdigest(), size

    def take_back(self, shelved: Shelved) -> None:
        """Delete a file whose promise was refused: whoever captured it was told that it was not kept."""
        if shelved.path not in self._files.known_paths():
            shelved.path.unlink(missing_ok=True)

    def unclaimed(self) -> list[Path]:
        """Return files here that no promise names: captures that were cut off before they were signed.

        They may be evidence: showing or deleting them is for a person, never for this library.
        """
        known = self._files.known_paths()
        return sorted(path for path in self.folder.iterdir() if path.is_file() and path not in known)


def _pieces(content: bytes | BinaryIO) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    while piece := content.read(PIECE):
        yield piece

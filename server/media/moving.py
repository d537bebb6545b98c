"""How is evidence read and taken in while it moves from one store to another?

The new store comes first and gets everything new; what it does not have yet is read from the old one. Uploads
that began in the old store go on there, and what becomes of them is carried over before anybody is told that
it is complete. Nothing is ever written over, and nothing is removed from the old store but what is deleted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Literal

from server.media.store import (
    Assembled,
    Digest,
    Listed,
    MediaStore,
    ObjectMissing,
    ObjectUnreadable,
    Segment,
    StoreUnavailable,
    digest_named,
)

Carried = Literal["carried", "there", "missing", "altered", "unreadable"]


@dataclass(frozen=True, slots=True)
class Step:
    """What became of one object."""

    key: str
    outcome: Carried
    size_bytes: int = 0
    found: Digest | None = None


def carry(key: str, *, source: MediaStore, target: MediaStore) -> Step:
    """Copy an object whose digest is known or taken first, and read the copy back. May be repeated."""
    try:
        there = target.digest(key)
    except ObjectMissing:
        there = None
    expected = digest_named(key)
    if there is not None and expected in (None, there.sha256):
        return Step(key, "there", there.size_bytes)
    try:
        found = source.digest(key)
    except ObjectMissing:
        return Step(key, "missing")
    except ObjectUnreadable:
        return Step(key, "unreadable")
    if expected not in (None, found.sha256):
        return Step(key, "altered", found.size_bytes, found)
    pieces = source.read(key)
    target.take(key, pieces, size_bytes=found.size_bytes, sha256=found.sha256)
    if target.digest(key) != found:
        raise StoreUnavailable("The new store does not give back what it was given; nothing was removed.")
    return Step(key, "carried", found.size_bytes)


class MovingStore:
    """A MediaStore made of two, until all that was in the old one is in the new one."""

    def __init__(self, *, new: MediaStore, old: MediaStore) -> None:
        self.new = new
        self.old = old

    def append_segment(
        self, upload_key: str, *, start: int, content: bytes | bytearray | memoryview, fence: int
    ) -> Segment:
        store = self.new if start == 0 else self._where(upload_key)
        return store.append_segment(upload_key, start=start, content=content, fence=fence)

    def assemble(self, upload_key: str, segments: Sequence[Segment], *, expected: bytes | None) -> Assembled:
        store = self._where(upload_key) if segments else self.new
        found = store.assemble(upload_key, segments, expected=expected)
        if store is self.old:
            carry(found.key, source=self.old, target=self.new)
        return found

    def keep(self, content: bytes | bytearray | memoryview, *, expected: bytes | None) -> bytes | None:
        return self.new.keep(content, expected=expected)

    def discard(self, upload_key: str, segments: Sequence[Segment]) -> None:
        self.new.discard(upload_key, segments)
        self.old.discard(upload_key, segments)

    def has_staged(self, upload_key: str) -> bool:
        return self.new.has_staged(upload_key) or self.old.has_staged(upload_key)

    def check(self) -> None:
        self.new.check()
        self.old.check()

    def put(self, key: str, content: bytes, *, mime: str) -> None:
        self.new.put(key, content, mime=mime)

    def take(self, key: str, pieces: Iterator[bytes], *, size_bytes: int, sha256: bytes) -> None:
        self.new.take(key, pieces, size_bytes=size_bytes, sha256=sha256)

    def size(self, key: str) -> int:
        try:
            return self.new.size(key)
        except ObjectMissing:
            return self.old.size(key)

    def read(self, key: str, *, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        try:
            return self.new.read(key, start=start, stop=stop)
        except ObjectMissing:
            return self.old.read(key, start=start, stop=stop)

    def copy_to(self, key: str, file: BinaryIO) -> None:
        file.writelines(self.read(key))

    def digest(self, key: str) -> Digest:
        try:
            return self.new.digest(key)
        except ObjectMissing:
            return self.old.digest(key)

    def remove(self, key: str) -> None:
        self.new.remove(key)
        self.old.remove(key)

    def walk(self, folder: str) -> Iterator[Listed]:
        """Yield what is in the new store: what nobody names in the old one is not carried over anyhow."""
        return self.new.walk(folder)

    def tidy(self, *, before: datetime) -> int:
        return self.new.tidy(before=before)

    def _where(self, upload_key: str) -> MediaStore:
        """Where an upload's bytes are that count: it stays in the store in which it began."""
        if self.new.has_staged(upload_key) or not self.old.has_staged(upload_key):
            return self.new
        return self.old

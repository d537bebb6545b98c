"""Where do evidence bytes live, and what does a store promise?

The port that the disk store and the S3 store implement; one contract suite (tests/media/test_store.py) runs
on both. A store never decides what an offset means, never opens a transaction, and never answers before what
it was given is durable. Memory stays flat whatever the size.

Keys are paths made of [a-z0-9-] parts: "evidence/<sha256>", "quarantine/<upload>", "thumbnails/<id>".
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO, Final, Protocol

from server.errors import Conflict, NotFound, Unavailable

LOCKED_DAYS: Final = 730

PIECE_BYTES = 256 * 1024
_KEY = re.compile(r"[a-z]+/[a-z0-9-]+")


class StoreUnavailable(Unavailable):
    """The store cannot be reached or has no room: nothing was acknowledged; the request may be repeated."""

    def __init__(self, detail: str) -> None:
        super().__init__("store-unavailable", detail, retry_after=5)


class ObjectMissing(NotFound):
    """There is no object under this key."""

    def __init__(self, key: str) -> None:
        super().__init__("object-missing", "These bytes are not in the store.", key=key)


class ObjectUnreadable(Unavailable):
    """The store answers and has this object, but cannot give its bytes: a bad sector, an archive tier."""

    def __init__(self, key: str) -> None:
        super().__init__("object-unreadable", "The store cannot give these bytes now.", key=key)


class ObjectLocked(Conflict):
    """The store keeps this object from being removed until a date."""

    def __init__(self, key: str, *, until: datetime | None) -> None:
        date = "the date it was locked to" if until is None else f"{until:%Y-%m-%d}"
        detail = f"The store keeps these bytes locked until {date}; nobody can remove them before."
        super().__init__("object-locked", detail, key=key, locked_until=until and until.isoformat())


class SegmentMissing(Conflict):
    """A stretch of bytes that was acknowledged earlier is not there any more: the upload must start over."""

    def __init__(self, upload_key: str, start: int) -> None:
        detail = "A part of this upload was lost by the store; create the upload again."
        super().__init__("segment-missing", detail, upload=upload_key, start=start)


class StaleWriter(Conflict):
    """A newer request writes to this upload: this one must stop."""

    def __init__(self, upload_key: str) -> None:
        super().__init__("stale-writer", "A newer request continues this upload.", upload=upload_key)


@dataclass(frozen=True, slots=True)
class Segment:
    """A durable stretch [start, start + size_bytes) of an upload."""

    start: int
    size_bytes: int
    key: str


@dataclass(frozen=True, slots=True)
class Assembled:
    """What an upload's bytes turned out to be. When `matches` is false, `key` names the quarantined bytes."""

    key: str
    sha256: bytes
    size_bytes: int
    matches: bool


@dataclass(frozen=True, slots=True)
class Digest:
    """What an object's bytes are now."""

    sha256: bytes
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Listed:
    """An object that lies in a store, and when it was last written."""

    key: str
    size_bytes: int
    written_at: datetime


@dataclass(frozen=True, slots=True)
class Retention:
    """How long evidence is locked from the day it is stored. With 0 days nothing is locked."""

    days: int = LOCKED_DAYS
    mode: str = "GOVERNANCE"

    def until(self, now: datetime) -> datetime:
        return now + timedelta(days=self.days)


class MediaStore(Protocol):
    """Keeps segments while an upload grows, and whole objects afterwards. Safe to share between threads."""

    def append_segment(
        self, upload_key: str, *, start: int, content: bytes | bytearray | memoryview, fence: int
    ) -> Segment:
        """Keep a stretch of an upload; durable when this returns.

        A writer whose fence is older than one that has written meanwhile gets StaleWriter or writes where
        nobody reads; it never changes bytes that a newer writer wrote.
        """
        ...

    def assemble(self, upload_key: str, segments: Sequence[Segment], *, expected: bytes | None) -> Assembled:
        """Turn contiguous segments into one object named by its SHA-256, and say if it is the expected one.

        Without an expected digest the actual one counts as a match. Bytes that differ go to "quarantine/".
        May be repeated after a crash. Raises SegmentMissing. The segments stay until `discard`.
        """
        ...

    def keep(self, content: bytes | bytearray | memoryview, *, expected: bytes | None) -> bytes | None:
        """Keep a whole file under its content address and return its SHA-256; durable when this returns.

        None, and nothing is kept, when an expected digest is not the actual one.
        """
        ...

    def discard(self, upload_key: str, segments: Sequence[Segment]) -> None:
        """Forget an upload's segments; assembled objects are not touched. May be repeated."""
        ...

    def has_staged(self, upload_key: str) -> bool:
        """Whether any bytes of an unfinished upload lie here."""
        ...

    def check(self) -> None:
        """Raise StoreUnavailable unless the store can be reached now."""
        ...

    def put(self, key: str, content: bytes, *, mime: str) -> None:
        """Keep a small derived object (a thumbnail), replacing an older one."""
        ...

    def take(self, key: str, pieces: Iterator[bytes], *, size_bytes: int, sha256: bytes) -> None:
        """Keep an object from another store if it has this digest; else raise, and keep nothing."""
        ...

    def size(self, key: str) -> int:
        """Return an object's size in bytes, or raise ObjectMissing."""
        ...

    def read(self, key: str, *, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield the bytes [start, stop) in pieces; raise ObjectMissing at once, before the first piece."""
        ...

    def copy_to(self, key: str, file: BinaryIO) -> None:
        """Write the whole object to an open file."""
        ...

    def digest(self, key: str) -> Digest:
        """Read an object back, from where it lies if possible. Raises ObjectMissing or ObjectUnreadable."""
        ...

    def remove(self, key: str) -> None:
        """Let go of an object for good, every version of it; ObjectLocked when the store must keep it.

        One that is not there is no fault: this may be repeated.
        """
        ...

    def walk(self, folder: str) -> Iterator[Listed]:
        """Yield what lies under "<folder>/", in no order. Staged bytes come as "uploads/<upload>[-...]"."""
        ...

    def tidy(self, *, before: datetime) -> int:
        """Remove what writers that died before then left half written; return how much that was."""
        ...


def evidence_key(sha256: bytes) -> str:
    """Return the content address of whole evidence."""
    return f"evidence/{sha256.hex()}"


def digest_named(key: str) -> bytes | None:
    """Return the digest that a key promises, if it is a content address."""
    folder, _, name = key.partition("/")
    return bytes.fromhex(name) if folder == "evidence" else None


def other_bytes(key: str) -> StoreUnavailable:
    """What is raised when bytes on their way from one store to another are not what was read before."""
    return StoreUnavailable(f"The bytes of {key} changed while they were read; try again.")


def checked_key(key: str) -> str:
    """Return the key if it is one of ours; ValueError otherwise (a path must never leave the store)."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"not a key: {key!r}")
    return key


def require_contiguous(upload_key: str, segments: Sequence[Segment]) -> int:
    """Return the total size of segments that follow one another from 0, or raise SegmentMissing."""
    reached = 0
    for segment in segments:
        if segment.start != reached:
            raise SegmentMissing(upload_key, reached)
        reached += segment.size_bytes
    return reached

"""What happens to the bytes of one PATCH, however it ends?

They go to the store in segments of at most 1 MiB, each durable before its offset counts. The offset moves by
a fenced compare-and-set, so an old request whose phone has vanished finds out at its next segment. A small
file that comes whole, within `PATIENCE_SECONDS`, needs none of that (`whole`).
"""

import hashlib
import hmac
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Protocol

from server.database import db
from server.driver import longs, run_alone, texts
from server.errors import ChecksumMismatch, TooLarge
from server.media.store import MediaStore, Segment, SegmentMissing
from server.workflows.uploads.finishing import TakenOver, finish, give_up, lost_here
from server.workflows.uploads.grant import MAX_BYTES, SEGMENT_BYTES, SEGMENTS_AT_ONCE, Grant
from server.workflows.uploads.whole import keep_whole

PIECE_BYTES = 32 * 1024
LARGEST_PIECE_BYTES = 256 * 1024
FAST_SECONDS = 0.02
PATIENCE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Checksum:
    """What the client says the bytes of one PATCH hash to. `algorithm` is a name of hashlib's."""

    algorithm: str
    digest: bytes


class Body(Protocol):
    """Bytes on their way: fills the room with what is here, with nothing when the client stopped sending."""

    def readinto(self, room: memoryview, /) -> int: ...


class Readable(Protocol):
    """Where bytes can only be read: fewer come than were asked for, or none, when there are no more."""

    def read(self, size: int, /) -> bytes: ...


def receive(
    grant: Grant,
    body: Body,
    *,
    announced: int | None,
    checksum: Checksum | None,
    store: MediaStore,
    now: datetime,
) -> Grant:
    """Append what arrives; finish the upload if that was the rest. Returns how far it is now.

    `announced` is the Content-Length. A body that breaks off keeps every byte that arrived, unless a checksum
    came with it: then nothing of it counts. Raises Conflict when a newer request took over or the whole
    file's digest is wrong, ChecksumMismatch, TooLarge and StoreUnavailable.
    """
    room = (MAX_BYTES if grant.length is None else grant.length) - grant.offset
    if announced is not None and announced > room:
        raise TooLarge("beyond-length", f"Only {room} more bytes belong to this upload.", expected_bytes=room)
    intake = _Intake(grant, store, counts_at_end=checksum is not None, reached=grant.offset)
    hashed = hashlib.new(checksum.algorithm, usedforsecurity=False) if checksum else None
    received = 0
    for piece in intake.take(body, room if announced is None else announced):
        received += len(piece)
        if hashed is not None:
            hashed.update(piece)
    if checksum is not None and hashed is not None:
        _verify_chunk(checksum, hashed.digest(), is_whole=announced in (None, received))
    if intake.is_whole and (kept := keep_whole(grant, intake.content, store=store, now=now)):
        return kept
    intake.close()
    reached = replace(grant, offset=intake.reached)
    if reached.offset == grant.length and not grant.is_complete:
        return finish(reached, intake.uncounted, store=store, now=now)
    return reached


class InPieces:
    """A body that can only be read, piece by piece.

    A connection that is reset loses the piece being read, so pieces are small while bytes come slowly and
    grow while they come fast: large reads are several times cheaper.
    """

    def __init__(self, body: Readable) -> None:
        self._body = body
        self._size = PIECE_BYTES

    def readinto(self, room: memoryview, /) -> int:
        """Read one piece into the room."""
        began = time.monotonic()
        piece = self._body.read(min(self._size, len(room)))
        room[: len(piece)] = piece
        is_fast = time.monotonic() - began < FAST_SECONDS
        self._size = min(self._size * 2, LARGEST_PIECE_BYTES) if is_fast else PIECE_BYTES
        return len(piece)


@dataclass(slots=True)
class _Intake:
    """Gathers bytes into segments, makes each durable, then lets it count.

    The segment that completes the file is left in `uncounted`: it counts only once the digest is right.
    """

    grant: Grant
    store: MediaStore
    counts_at_end: bool
    reached: int
    buffer: bytearray = field(default_factory=bytearray)
    filled: int = 0
    uncounted: list[Segment] = field(default_factory=list)
    kept_at: float = field(default_factory=time.monotonic)

    def take(self, body: Body, limit: int) -> Iterator[memoryview]:
        """Take what arrives, up to `limit` bytes, and show each piece; a connection that breaks just ends it.

        What came before a piece is kept when it fills a segment, or has waited long.
        """
        may_come_whole = self.reached == 0 and limit == self.grant.length
        most = SEGMENTS_AT_ONCE * SEGMENT_BYTES
        self.buffer = bytearray(limit if may_come_whole and limit <= most else min(limit, SEGMENT_BYTES))
        left, room = limit, memoryview(self.buffer)
        while left > 0:
            if self.filled == len(room):
                self._keep_and_count()
            try:
                count = body.readinto(room[self.filled : self.filled + left])
            except OSError:
                return
            if not count:
                return
            piece = room[self.filled : self.filled + count]
            left -= count
            self.filled += count
            yield piece
            if left > 0 and time.monotonic() - self.kept_at > PATIENCE_SECONDS:
                self._keep_and_count()
                room = self._no_more_than_a_segment(room)

    def _no_more_than_a_segment(self, room: memoryview) -> memoryview:
        """Hold no room for a whole file that comes slowly: many may."""
        if len(room) <= SEGMENT_BYTES:
            return room
        self.buffer = bytearray(SEGMENT_BYTES)
        return memoryview(self.buffer)

    @property
    def is_whole(self) -> bool:
        """Whether all of the file is in the buffer, and nothing of it anywhere else."""
        return self.reached == 0 and self.filled == self.grant.length

    @property
    def content(self) -> memoryview:
        return memoryview(self.buffer)[: self.filled]

    def close(self) -> None:
        self._keep()
        if self.reached != self.grant.length:
            self.counts_at_end = False
            self._count(is_last=True)

    def _keep_and_count(self) -> None:
        self._keep()
        self._count(is_last=False)

    def _keep(self) -> None:
        self.kept_at = time.monotonic()
        if not self.filled:
            return
        try:
            segment = self.store.append_segment(
                str(self.grant.id), start=self.reached, content=self.content, fence=self.grant.fence
            )
        except SegmentMissing as lost:
            give_up(self.grant)
            raise lost_here() from lost
        self.uncounted.append(segment)
        self.reached += self.filled
        self.filled = 0

    def _count(self, *, is_last: bool) -> None:
        if self.uncounted and not self.counts_at_end:
            _advance(self.grant, self.uncounted, is_durable=is_last)
            self.uncounted = []


_ADVANCE: Final = """
    WITH moved AS (
        UPDATE uploads SET upload_offset = %(reached)s
        WHERE id = %(id)s AND fence = %(fence)s AND upload_offset = %(start)s AND state = 'open'
          AND (%(is_durable)s OR set_config('synchronous_commit', 'off', true) IS NOT NULL)
        RETURNING id
    )
    INSERT INTO upload_segments (upload_id, start, size_bytes, key)
    SELECT moved.id, kept.start, kept.size_bytes, kept.key
      FROM moved, unnest(%(starts)s, %(sizes)s, %(keys)s) AS kept (start, size_bytes, key)
    RETURNING start
"""


def _advance(grant: Grant, segments: list[Segment], *, is_durable: bool) -> None:
    """Move the offset over durable segments, if this request still holds the fence.

    Only the last step before an answer waits for the database's disk: an offset that a crash of the database
    takes back costs a resend, never a byte.
    """
    last = segments[-1]
    move = {
        "id": grant.id,
        "fence": grant.fence,
        "start": segments[0].start,
        "reached": last.start + last.size_bytes,
        "is_durable": is_durable,
        "starts": longs(one.start for one in segments),
        "sizes": longs(one.size_bytes for one in segments),
        "keys": texts(one.key for one in segments),
    }
    if not run_alone(db.engine, _ADVANCE, move):
        raise TakenOver


def _verify_chunk(checksum: Checksum, actual: bytes, *, is_whole: bool) -> None:
    if not is_whole:
        raise ChecksumMismatch("chunk-cut-short", "The body broke off before its checksum was verified.")
    if not hmac.compare_digest(checksum.digest, actual):
        raise ChecksumMismatch("checksum-mismatch", "The bytes differ from Upload-Checksum; send them again.")

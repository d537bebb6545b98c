"""How are evidence bytes kept on a local disk?

One staging file per upload, written at its offset and synchronised before an acknowledgement; the whole file
then gets a second name, its SHA-256, by a hard link. A lock file per upload serialises writers and remembers
the newest fence, so a writer whose phone has vanished cannot overwrite what its successor wrote. What one
request writes from the start on is hashed on the way; any other file is read for its digest.
"""

import errno
import fcntl
import hashlib
import io
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from server.media.hashing import Runs, hashed_meanwhile
from server.media.store import (
    PIECE_BYTES,
    Assembled,
    Digest,
    Listed,
    ObjectMissing,
    ObjectUnreadable,
    Segment,
    SegmentMissing,
    StaleWriter,
    StoreUnavailable,
    checked_key,
    evidence_key,
    other_bytes,
    require_contiguous,
)

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS}


class DiskStore:
    """A MediaStore below one folder of a local file system (it needs hard links and flock)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("uploads", "evidence", "quarantine", "thumbnails", "renditions"):
            (root / name).mkdir(parents=True, exist_ok=True)
        self._runs = Runs()

    def append_segment(
        self, upload_key: str, *, start: int, content: bytes | bytearray | memoryview, fence: int
    ) -> Segment:
        with _disk_faults(), self._locked(upload_key, fence=fence):
            staging = self._staging(upload_key)
            if start == 0 and not staging.exists():
                staging.touch()
                _sync_folder(staging.parent)
            with self._runs.go_on(upload_key, start=start, content=content, fence=fence):
                self._write(upload_key, staging, start=start, content=content)
        return Segment(start=start, size_bytes=len(content), key=f"uploads/{upload_key}")

    def assemble(self, upload_key: str, segments: Sequence[Segment], *, expected: bytes | None) -> Assembled:
        total = require_contiguous(upload_key, segments)
        with _disk_faults(), self._locked(upload_key) as newest:
            staging = self._staging(upload_key)
            if total == 0:
                staging.touch()
            self._cut(upload_key, staging, total)
            sha256 = self._runs.end(upload_key, total=total, fence=newest) or _digest(staging)
            matches = expected in (None, sha256)
            key = evidence_key(sha256) if matches else f"quarantine/{upload_key}"
            self._link(staging, self._path(key), sha256)
        return Assembled(key=key, sha256=sha256, size_bytes=total, matches=matches)

    def keep(self, content: bytes | bytearray | memoryview, *, expected: bytes | None) -> bytes | None:
        digest = hashlib.sha256()
        with _disk_faults(), _fresh(self.root / "evidence") as fresh:
            with hashed_meanwhile(digest, content):
                _write_through(fresh, iter((content,)))
            sha256 = digest.digest()
            if expected not in (None, sha256):
                return None
            _name(fresh, self._path(evidence_key(sha256)))
        return sha256

    def discard(self, upload_key: str, segments: Sequence[Segment]) -> None:
        with _disk_faults():
            self._runs.forget(upload_key)
            self._staging(upload_key).unlink(missing_ok=True)
            self._lock_path(upload_key).unlink(missing_ok=True)

    def has_staged(self, upload_key: str) -> bool:
        return self._staging(upload_key).exists()

    def check(self) -> None:
        if not os.access(self.root / "uploads", os.W_OK):
            raise StoreUnavailable("The media folder is missing or cannot be written.")

    def put(self, key: str, content: bytes, *, mime: str) -> None:
        with _disk_faults():
            self._write_new(self._path(key), iter((content,)))

    def take(self, key: str, pieces: Iterator[bytes], *, size_bytes: int, sha256: bytes) -> None:
        del size_bytes
        digest = hashlib.sha256()

        def digested() -> Iterator[bytes]:
            for piece in pieces:
                digest.update(piece)
                yield piece
            if digest.digest() != sha256:
                raise other_bytes(key)

        with _disk_faults():
            self._write_new(self._path(key), digested())

    def size(self, key: str) -> int:
        try:
            return self._path(key).stat().st_size
        except FileNotFoundError:
            raise ObjectMissing(key) from None

    def read(self, key: str, *, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        size = self.size(key)
        return _pieces(self._path(key), start=start, stop=size if stop is None else min(stop, size))

    def copy_to(self, key: str, file: BinaryIO) -> None:
        file.writelines(self.read(key))

    def digest(self, key: str) -> Digest:
        path = self._path(key)
        try:
            with path.open("rb", buffering=0) as file:
                _drop_cached(file)
                sha256 = hashlib.file_digest(file, "sha256").digest()  # pyright: ignore[reportArgumentType]
                _drop_cached(file)
                return Digest(sha256=sha256, size_bytes=file.tell())
        except FileNotFoundError:
            raise ObjectMissing(key) from None
        except OSError as fault:
            raise ObjectUnreadable(key) from fault

    def remove(self, key: str) -> None:
        path = self._path(key)
        with _disk_faults():
            path.unlink(missing_ok=True)
            if path.parent.exists():
                _sync_folder(path.parent)

    def walk(self, folder: str) -> Iterator[Listed]:
        for path, status in _files(self.root / folder):
            name = path.name.partition(".")[0] if folder == "uploads" else path.name
            if "." not in name:
                written_at = datetime.fromtimestamp(status.st_mtime, UTC)
                yield Listed(f"{folder}/{name}", status.st_size, written_at)

    def tidy(self, *, before: datetime) -> int:
        """A name with a dot is that of a file which was to be renamed as soon as it was whole."""
        removed = 0
        for folder in self.root.iterdir():
            for path, status in _files(folder) if folder.name != "uploads" else ():
                if "." in path.name and status.st_mtime < before.timestamp():
                    path.unlink(missing_ok=True)
                    removed += 1
        return removed

    def _write_new(self, path: Path, pieces: Iterator[bytes | bytearray | memoryview]) -> None:
        """Write a file under a name of its own and rename it once it is whole and durable."""
        with _fresh(path.parent.parent) as fresh:
            _write_through(fresh, pieces)
            _name(fresh, path)

    def _path(self, key: str) -> Path:
        folder, name = checked_key(key).split("/")
        return self.root / folder / name[:2] / name

    def _staging(self, upload_key: str) -> Path:
        return self.root / checked_key(f"uploads/{upload_key}")

    def _lock_path(self, upload_key: str) -> Path:
        return self._staging(upload_key).with_suffix(".lock")

    @contextmanager
    def _locked(self, upload_key: str, *, fence: int | None = None) -> Iterator[int]:
        """Hold an upload's lock and tell its newest fence; an older writer is refused, a newer remembered."""
        with self._lock_path(upload_key).open("a+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            lock.seek(0)
            newest = int(lock.read() or b"0")
            if fence is not None:
                if fence < newest:
                    raise StaleWriter(upload_key)
                if fence > newest:
                    lock.truncate(0)
                    lock.write(b"%d" % fence)
                    lock.flush()
                    newest = fence
            yield newest

    def _write(
        self, upload_key: str, staging: Path, *, start: int, content: bytes | bytearray | memoryview
    ) -> None:
        try:
            status = staging.stat()
        except FileNotFoundError:
            raise SegmentMissing(upload_key, 0) from None
        if status.st_size < start:
            raise SegmentMissing(upload_key, status.st_size)
        if status.st_nlink > 1:
            _unshare(staging)
        descriptor = os.open(staging, os.O_RDWR)
        try:
            _write_fully(descriptor, memoryview(content), at=start)
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)

    def _cut(self, upload_key: str, staging: Path, total: int) -> None:
        """Cut off what an abandoned writer may have left behind the end."""
        try:
            size = staging.stat().st_size
        except FileNotFoundError:
            raise SegmentMissing(upload_key, 0) from None
        if size < total:
            raise SegmentMissing(upload_key, size)
        if size > total:
            os.truncate(staging, total)

    def _link(self, staging: Path, target: Path, sha256: bytes) -> None:
        """Give the staged bytes their final name. Bytes already there are kept if they are intact."""
        _make_folder(target.parent)
        descriptor = os.open(staging, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            os.link(staging, target)
        except FileExistsError:
            if not target.samefile(staging) and _digest(target) != sha256:
                fresh = target.with_name(f"{target.name}.{uuid4().hex}")
                os.link(staging, fresh)
                fresh.replace(target)
        _sync_folder(target.parent)


def _make_folder(folder: Path) -> None:
    """Make a folder of a store's folder, and its name durable."""
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _sync_folder(folder.parent)


@contextmanager
def _fresh(folder: Path) -> Iterator[Path]:
    """Lend a name of its own to a file that is not whole yet; gone afterwards, if it was not renamed."""
    fresh = folder / f"fresh.{uuid4().hex}"
    try:
        yield fresh
    finally:
        fresh.unlink(missing_ok=True)


def _write_through(path: Path, pieces: Iterator[bytes | bytearray | memoryview]) -> None:
    """Write a new file; its bytes are durable when this returns."""
    with path.open("xb") as file:
        file.writelines(pieces)
        file.flush()
        os.fsync(file.fileno())


def _name(fresh: Path, path: Path) -> None:
    """Give a file that is whole its name, durably."""
    _make_folder(path.parent)
    fresh.replace(path)
    _sync_folder(path.parent)


def _unshare(staging: Path) -> None:
    """Give the staging file an inode of its own: its old one has become evidence and must never change."""
    fresh = staging.with_suffix(".fresh")
    with staging.open("rb") as old, fresh.open("wb") as new:
        shutil.copyfileobj(old, new, PIECE_BYTES)
        new.flush()
        os.fsync(new.fileno())
    fresh.replace(staging)
    _sync_folder(staging.parent)


def _write_fully(descriptor: int, content: memoryview, *, at: int) -> None:
    written = 0
    while written < len(content):
        written += os.pwrite(descriptor, content[written:], at + written)


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield every file below a folder; what vanishes meanwhile is passed over."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path))
                continue
            with suppress(FileNotFoundError):
                yield Path(entry.path), entry.stat(follow_symlinks=False)


def _drop_cached(file: io.FileIO) -> None:
    """Have the next reading come from the disk, and leave the memory to what phones and auditors read."""
    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _pieces(path: Path, *, start: int, stop: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        left = stop - start
        while left > 0 and (piece := file.read(min(PIECE_BYTES, left))):
            left -= len(piece)
            yield piece


def _sync_folder(folder: Path) -> None:
    """Make a name durable: after a power cut the file would exist without it, under no name."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _disk_faults() -> Iterator[None]:
    """Say 'try again later' when the disk is full or failing; every other error is a fault of ours."""
    try:
        yield
    except OSError as fault:
        if fault.errno in _FULL:
            raise StoreUnavailable(
                f"The media disk cannot take more: {os.strerror(fault.errno or 0)}."
            ) from fault
        raise

"""How are evidence bytes kept in an S3-compatible store?

Segments are immutable objects named by upload, fence and offset, so two writers never share one. Assembly
streams them through SHA-256 into one object named by the digest: small ones in one conditional put, larger
ones as a multipart upload that is completed only if the digest is right. Digests are verified here, from the
bytes read back: stores have been seen to accept a wrong checksum header.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, BinaryIO

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from server.media.s3_locking import Locking
from server.media.store import (
    PIECE_BYTES,
    Assembled,
    Digest,
    Listed,
    ObjectLocked,
    ObjectMissing,
    ObjectUnreadable,
    Retention,
    Segment,
    SegmentMissing,
    StoreUnavailable,
    checked_key,
    evidence_key,
    other_bytes,
    require_contiguous,
)

PART_BYTES = 8 * 1024 * 1024
CONFLICT_TRIES = 4
_MISSING = {"NoSuchKey", "404", "NotFound"}
_ARCHIVED = {"InvalidObjectState"}


class S3Store:
    """A MediaStore in one bucket, below an optional prefix."""

    def __init__(
        self, client: Any, *, bucket: str, prefix: str = "", retention: Retention | None = None
    ) -> None:
        self.client = client
        self.bucket = bucket
        self.prefix = prefix
        self.locking = Locking(client, bucket, retention or Retention())

    def append_segment(
        self, upload_key: str, *, start: int, content: bytes | bytearray | memoryview, fence: int
    ) -> Segment:
        key = checked_key(f"uploads/{upload_key}-{fence}-{start}")
        with _store_faults():
            self.client.put_object(**self._at(key), Body=bytes(content))
        return Segment(start=start, size_bytes=len(content), key=key)

    def assemble(self, upload_key: str, segments: Sequence[Segment], *, expected: bytes | None) -> Assembled:
        total = require_contiguous(upload_key, segments)
        with _store_faults():
            sha256 = self._digest_segments(upload_key, segments) if expected is None else expected
            key = evidence_key(sha256)
            actual = self._write_whole(key, upload_key, segments, total=total, expected=sha256)
            if actual == sha256:
                self.locking.ensure(self._at(key))
                return Assembled(key=key, sha256=actual, size_bytes=total, matches=True)
            key = f"quarantine/{upload_key}"
            self._write_whole(key, upload_key, segments, total=total, expected=actual)
            return Assembled(key=key, sha256=actual, size_bytes=total, matches=False)

    def keep(self, content: bytes | bytearray | memoryview, *, expected: bytes | None) -> bytes | None:
        sha256 = hashlib.sha256(content).digest()
        if expected not in (None, sha256):
            return None
        key = evidence_key(sha256)
        with _store_faults():
            self._put_once(key, bytes(content))
            self.locking.ensure(self._at(key))
        return sha256

    def discard(self, upload_key: str, segments: Sequence[Segment]) -> None:
        """Also finds segments that were written but never counted (a crash before their commit)."""
        prefix = self.prefix + checked_key(f"uploads/{upload_key}-")
        with _store_faults():
            if self.locking.is_versioned:
                with suppress(ObjectLocked):  # by a default retention: they go when a later night comes
                    self.locking.remove(prefix)
                return
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
            for page in pages:
                for found in page.get("Contents", ()):
                    self.client.delete_object(Bucket=self.bucket, Key=found["Key"])

    def has_staged(self, upload_key: str) -> bool:
        prefix = self.prefix + checked_key(f"uploads/{upload_key}-")
        with _store_faults():
            found = self.client.list_objects_v2(Bucket=self.bucket, Prefix=prefix, MaxKeys=1)
        return bool(found.get("Contents"))

    def check(self) -> None:
        with _store_faults():
            try:
                self.client.head_bucket(Bucket=self.bucket)
            except ClientError as fault:
                raise StoreUnavailable(f"The bucket cannot be used: {_code(fault)}.") from fault

    def put(self, key: str, content: bytes, *, mime: str) -> None:
        with _store_faults():
            self.client.put_object(**self._at(key), Body=content, ContentType=mime)

    def take(self, key: str, pieces: Iterator[bytes], *, size_bytes: int, sha256: bytes) -> None:
        with _store_faults():
            if size_bytes > PART_BYTES:
                actual = self._write_parts(key, pieces, expected=sha256)
            else:
                content = b"".join(pieces)
                actual = hashlib.sha256(content).digest()
                if actual == sha256:
                    self.client.put_object(**self._final(key, content))
            if actual == sha256 and key.startswith("evidence/"):
                self.locking.ensure(self._at(key))
        if actual != sha256:
            raise other_bytes(key)

    def size(self, key: str) -> int:
        with _store_faults(), _missing(key):
            return int(self.client.head_object(**self._at(key))["ContentLength"])

    def read(self, key: str, *, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        size = self.size(key)
        end = size if stop is None else min(stop, size)
        if start >= end:
            return iter(())
        with _store_faults(), _missing(key):
            answer = self.client.get_object(**self._at(key), Range=f"bytes={start}-{end - 1}")
        return _pieces(answer["Body"])

    def copy_to(self, key: str, file: BinaryIO) -> None:
        file.writelines(self.read(key))

    def digest(self, key: str) -> Digest:
        digest, size = hashlib.sha256(), 0
        with _store_faults(), _missing(key):
            try:
                answer = self.client.get_object(**self._at(key))
            except ClientError as fault:
                if _code(fault) in _ARCHIVED:
                    raise ObjectUnreadable(key) from fault
                raise
        for piece in _pieces(answer["Body"]):
            digest.update(piece)
            size += len(piece)
        return Digest(sha256=digest.digest(), size_bytes=size)

    def remove(self, key: str) -> None:
        with _store_faults():
            self.locking.remove_one(self._at(key)["Key"])

    def walk(self, folder: str) -> Iterator[Listed]:
        prefix = f"{self.prefix}{folder}/"
        with _store_faults():
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
            for page in pages:
                for found in page.get("Contents", ()):
                    key = found["Key"].removeprefix(self.prefix)
                    yield Listed(key, found["Size"], found["LastModified"])

    def tidy(self, *, before: datetime) -> int:
        """Abort multipart uploads that nobody will complete: their parts are paid for and never listed."""
        aborted = 0
        with _store_faults():
            listing = self.client.get_paginator("list_multipart_uploads")
            for page in listing.paginate(Bucket=self.bucket, Prefix=self.prefix):
                for one in page.get("Uploads", ()):
                    if one["Initiated"] < before:
                        named = {"Key": one["Key"], "UploadId": one["UploadId"]}
                        self.client.abort_multipart_upload(Bucket=self.bucket, **named)
                        aborted += 1
        return aborted

    def _at(self, key: str) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self.prefix + checked_key(key)}

    def _final(self, key: str, content: bytes) -> dict[str, Any]:
        """Return the request that puts a whole object; of evidence locked, where the bucket can."""
        lock = self.locking.on_put() if key.startswith("evidence/") else {}
        return {**self._at(key), **lock, **self.locking.on_body(content), "Body": content}

    def _segment_pieces(self, upload_key: str, segments: Sequence[Segment]) -> Iterator[bytes]:
        for segment in segments:
            try:
                answer = self.client.get_object(**self._at(segment.key))
            except ClientError as fault:
                if _code(fault) in _MISSING:
                    raise SegmentMissing(upload_key, segment.start) from fault
                raise
            content = answer["Body"].read()
            if len(content) != segment.size_bytes:
                raise SegmentMissing(upload_key, segment.start)
            yield content

    def _digest_segments(self, upload_key: str, segments: Sequence[Segment]) -> bytes:
        digest = hashlib.sha256()
        for piece in self._segment_pieces(upload_key, segments):
            digest.update(piece)
        return digest.digest()

    def _write_whole(
        self, key: str, upload_key: str, segments: Sequence[Segment], *, total: int, expected: bytes
    ) -> bytes:
        """Write the segments as one object if their digest is the expected one; return the actual digest."""
        if self._is_intact(key, expected):
            return self._digest_segments(upload_key, segments)
        pieces = self._segment_pieces(upload_key, segments)
        if total > PART_BYTES:
            return self._write_parts(key, pieces, expected=expected)
        content = b"".join(pieces)
        actual = hashlib.sha256(content).digest()
        if actual == expected:
            self._put_once(key, content)
        return actual

    def _put_once(self, key: str, content: bytes) -> None:
        """Put unless it is there; after a time-out that had succeeded, or beside a twin, it is (412)."""
        target = self._final(key, content)
        if _conditionally(lambda: self.client.put_object(**target, IfNoneMatch="*")):
            return
        if not self._is_intact(key, hashlib.sha256(content).digest()):
            self.client.put_object(**target)

    def _write_parts(self, key: str, pieces: Iterator[bytes], *, expected: bytes) -> bytes:
        lock = self.locking.on_put() if key.startswith("evidence/") else {}
        upload = self.client.create_multipart_upload(**self._at(key), **lock)
        target = {**self._at(key), "UploadId": upload["UploadId"]}
        finished = False
        try:
            digest, parts = self._send_parts(target, pieces)
            if digest == expected:
                self._complete_once(key, {**target, "MultipartUpload": {"Parts": parts}}, expected)
                finished = True
            return digest
        finally:
            if not finished:
                self.client.abort_multipart_upload(**target)

    def _send_parts(
        self, target: dict[str, str], pieces: Iterator[bytes]
    ) -> tuple[bytes, list[dict[str, Any]]]:
        digest = hashlib.sha256()
        parts: list[dict[str, Any]] = []
        for number, part in enumerate(_gathered(pieces, PART_BYTES), start=1):
            digest.update(part)
            checked = self.locking.on_body(part)
            answer = self.client.upload_part(**target, PartNumber=number, Body=part, **checked)
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        return digest.digest(), parts

    def _complete_once(self, key: str, complete: dict[str, Any], sha256: bytes) -> None:
        """Complete unless the object is there: our own (a time-out that had succeeded) or a twin's."""
        if _conditionally(lambda: self.client.complete_multipart_upload(**complete, IfNoneMatch="*")):
            return
        if not self._is_intact(key, sha256):
            self.client.complete_multipart_upload(**complete)

    def _is_intact(self, key: str, sha256: bytes) -> bool:
        """Whether exactly these bytes are already there, read back and hashed."""
        digest = hashlib.sha256()
        try:
            for piece in self.read(key):
                digest.update(piece)
        except ObjectMissing:
            return False
        return digest.digest() == sha256


def connect(
    *,
    bucket: str,
    prefix: str,
    endpoint: str | None,
    access_key: str | None,
    secret_key: str | None,
    region: str,
    retention: Retention | None = None,
) -> S3Store:
    """Open the bucket; nothing is requested yet. Without keys boto3's own sources are used."""
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 3},
        connect_timeout=5,
        read_timeout=30,
        max_pool_connections=64,
        signature_version="s3v4",
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if endpoint else "auto", "payload_signing_enabled": True},
    )
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name=region,
        config=config,
    )
    return S3Store(client, bucket=bucket, prefix=prefix, retention=retention)


def _conditionally(request: Callable[[], object]) -> bool:
    """Make a request that must not overwrite; False when that is impossible because the object is there.

    A 409 is a race with a twin: try again. A 404 is a repeated completion of an upload that is complete.
    """
    for attempt in range(CONFLICT_TRIES):
        try:
            request()
        except ClientError as fault:
            status = fault.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            if status in (404, 412):
                return False
            if status != 409 or attempt == CONFLICT_TRIES - 1:
                raise
        else:
            return True
    return False


def _gathered(pieces: Iterator[bytes], size_bytes: int) -> Iterator[bytes]:
    """Yield parts of exactly `size_bytes` (the last may be shorter): S3 wants at least 5 MiB each."""
    part = bytearray()
    for piece in pieces:
        part += piece
        while len(part) >= size_bytes:
            yield bytes(part[:size_bytes])
            del part[:size_bytes]
    if part:
        yield bytes(part)


def _pieces(body: Any) -> Iterator[bytes]:
    with _store_faults():
        yield from body.iter_chunks(PIECE_BYTES)


def _code(fault: ClientError) -> str:
    return str(fault.response.get("Error", {}).get("Code", ""))


@contextmanager
def _missing(key: str) -> Iterator[None]:
    try:
        yield
    except ClientError as fault:
        if _code(fault) in _MISSING:
            raise ObjectMissing(key) from fault
        raise


@contextmanager
def _store_faults() -> Iterator[None]:
    """Say 'try again later' for what passes (network, 409, 429, 5xx); a wrong key or bucket is our fault."""
    try:
        yield
    except (BotoCoreError, HTTPClientError) as fault:
        raise StoreUnavailable("The media store cannot be reached; try again.") from fault
    except ClientError as fault:
        status = fault.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status in (409, 429) or status >= 500:
            raise StoreUnavailable("The media store is busy; try again.") from fault
        raise

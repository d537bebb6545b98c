"""Evidence that lies in a store, and what time and people do to it there."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from flask import Flask

from server.database import db
from server.media.disk import DiskStore
from server.media.s3 import S3Store
from server.media.store import MediaStore, ObjectMissing
from server.models.evidence import Evidence
from server.models.storage import Rot
from sync.protocol import uuid7
from tests.builders import a_handset, a_visitor, add, now


@dataclass
class Shelf:
    """A store under the app, with the rows that name what lies there."""

    app: Flask
    store: Any
    handset: Any = field(default_factory=lambda: a_handset(a_visitor()))

    def lay(self, content: bytes) -> str:
        """Put an object there as an upload does, without a row that names it; return its key."""
        return lay(self.store, content)

    def keep(self, content: bytes, *, days_ago: float = 0) -> str:
        """Store a piece of evidence; return its object's key."""
        key = self.lay(content)
        add(
            Evidence(
                id=uuid7(),
                device_id=self.handset.device.id,
                sha256=hashlib.sha256(content).digest(),
                size_bytes=len(content),
                state="verified",
                storage_key=key,
                stored_at=now() - timedelta(days=days_ago),
            )
        )
        return key

    def path(self, key: str) -> Path:
        assert isinstance(self.store, DiskStore)
        folder, name = key.split("/")
        return self.store.root / folder / name[:2] / name

    def flip_a_bit(self, key: str, *, at: int) -> None:
        """What a bad sector or a patient attacker does: same length, one bit."""
        content = bytearray(b"".join(self.store.read(key)))
        content[at] ^= 1
        self._overwrite(key, bytes(content))

    def cut(self, key: str, *, to: int) -> None:
        self._overwrite(key, b"".join(self.store.read(key))[:to])

    def remove(self, key: str) -> None:
        if isinstance(self.store, S3Store):
            self.store.client.delete_object(Bucket=self.store.bucket, Key=self.store.prefix + key)
        else:
            self.path(key).unlink()

    def has(self, key: str) -> bool:
        return has(self.store, key)

    def _overwrite(self, key: str, content: bytes) -> None:
        if isinstance(self.store, S3Store):
            where = {"Bucket": self.store.bucket, "Key": self.store.prefix + key}
            self.store.client.put_object(**where, Body=content)
        else:
            self.path(key).write_bytes(content)


def lay(store: MediaStore, content: bytes) -> str:
    """Put an object into a store as an upload does; return its key."""
    upload = str(uuid7())
    segments = [store.append_segment(upload, start=0, content=content, fence=1)]
    done = store.assemble(upload, segments, expected=hashlib.sha256(content).digest())
    store.discard(upload, segments)
    return done.key


def has(store: MediaStore, key: str) -> bool:
    """Whether an object lies there, whole."""
    try:
        return key == f"evidence/{store.digest(key).sha256.hex()}"
    except ObjectMissing:
        return False


def rot() -> dict[str, str]:
    """What is known as rotten now: kinds by key."""
    db.session.rollback()
    return {one.key: one.kind for one in db.session.query(Rot).filter(Rot.mended_at.is_(None))}


def some_bytes(size: int, *, seed: int = 1) -> bytes:
    return hashlib.shake_256(b"%d" % seed).digest(size)


def later(days: float) -> datetime:
    return now() + timedelta(days=days)

"""Speak tus to the app in a test: a phone's uploads, header by header."""

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from server.database import db, transaction
from server.models.evidence import Evidence
from sync.protocol import uuid7
from tests.builders import Handset

CONTENT = b"the first photo of the door " * 40
FILES = "/api/v1/files"
BYTES = "application/offset+octet-stream"


def metadata(**told: str) -> str:
    """Encode Upload-Metadata."""
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in told.items())


def checksum(content: bytes, algorithm: str = "sha1") -> str:
    """Encode Upload-Checksum."""
    return f"{algorithm} {base64.b64encode(hashlib.new(algorithm, content).digest()).decode()}"


@dataclass
class Uploader:
    """A handset that uploads through the test client."""

    app: Flask
    handset: Handset
    evidence_id: UUID = field(default_factory=uuid7)

    def call(self, method: str, path: str, **request: Any) -> TestResponse:
        headers = {**self.handset.headers, "Tus-Resumable": "1.0.0", **request.pop("headers", {})}
        kept = {name: value for name, value in headers.items() if value is not None}
        return self.app.test_client().open(path, method=method, headers=kept, **request)

    def create(
        self,
        content: bytes,
        *,
        sha256: str | None = "right",
        body: bytes | None = None,
        **headers: str | None,
    ) -> TestResponse:
        """POST an upload of this content; the digest is right unless said otherwise."""
        told = {"evidence_id": str(self.evidence_id), "filename": "door.jpg", "filetype": "image/jpeg"}
        if sha256 is not None:
            told["sha256"] = hashlib.sha256(content).hexdigest() if sha256 == "right" else sha256
        sent = {"Upload-Length": str(len(content)), "Upload-Metadata": metadata(**told)}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}  # pyright: ignore[reportAssignmentType]
        if body is None:
            return self.call("POST", FILES, headers=sent)
        return self.call("POST", FILES, headers=sent | {"Content-Type": BYTES}, data=body)

    def created(self, content: bytes, **options: Any) -> str:
        """Create an upload and return its address."""
        answer = self.create(content, **options)
        assert answer.status_code == 201, answer.text
        return answer.headers["Location"]

    def head(self, at: str) -> TestResponse:
        return self.call("HEAD", at)

    def offset(self, at: str) -> int:
        answer = self.head(at)
        assert answer.status_code == 200
        return int(answer.headers["Upload-Offset"])

    def patch(self, at: str, offset: int, content: bytes | Any, **headers: str | None) -> TestResponse:
        sent = {"Upload-Offset": str(offset), "Content-Type": BYTES}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}  # pyright: ignore[reportAssignmentType]
        if isinstance(content, bytes):
            return self.call("PATCH", at, headers=sent, data=content)
        body = {"wsgi.input": content, "CONTENT_LENGTH": str(content.announced)}
        return self.call("PATCH", at, headers=sent, environ_overrides=body)


class CutBody:
    """A request body whose sender vanishes after some bytes: by FIN (no more bytes) or by RST (an error)."""

    def __init__(self, content: bytes, *, after: int, reset: bool) -> None:
        self.announced = len(content)
        self._left = content[:after]
        self._reset = reset

    def read(self, size: int = -1) -> bytes:
        if not self._left and self._reset:
            raise ConnectionResetError(104, "Connection reset by peer")
        size = len(self._left) if size < 0 else size
        piece, self._left = self._left[:size], self._left[size:]
        return piece

    def close(self) -> None:
        self._left = b""


def evidence_of(uploader: Uploader) -> Evidence:
    db.session.rollback()
    return db.session.get_one(Evidence, uploader.evidence_id, populate_existing=True)


def stored(app: Flask, uploader: Uploader) -> bytes:
    key = evidence_of(uploader).storage_key
    assert key is not None
    return b"".join(app.extensions["media_store"].read(key))


def jobs(name: str) -> int:
    db.session.rollback()
    counted = sa.text("SELECT count(*) FROM procrastinate_jobs WHERE task_name = :name")
    return db.session.execute(counted, {"name": name}).scalar_one()


def problem_of(answer: TestResponse) -> str:
    """The slug of a problem."""
    return answer.get_json()["type"].removeprefix("/problems/")


def promise(uploader: Uploader, sha256: bytes) -> None:
    """Write the row that the promise item of this evidence makes."""
    with transaction() as session:
        session.merge(
            Evidence(
                id=uploader.evidence_id,
                device_id=uploader.handset.device.id,
                promised_item=uuid7(),
                kind="photo",
                sha256=sha256,
            )
        )

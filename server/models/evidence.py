"""Which files back a visit, and how much of each has arrived?"""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from server.database import Model, one_of
from sync.protocol import uuid7


class Evidence(Model):
    """One promised or uploaded file. Its digest was signed by the phone before the bytes came.

    `visit_id` is null while the bytes are here but the promise item is not. Which phone brought which bytes
    then is logged, and stays in `loose_from` and `loose_sha256`, filled by a trigger. `rendition_key` is a
    copy that every browser shows or plays, where the original is not one itself.
    """

    __tablename__ = "evidence"
    __table_args__ = (
        one_of("state", "expected", "uploading", "stored", "verified", "mismatched", "missing", "erased"),
        one_of("kind", "photo", "audio", "video", "signature", "scan"),
        sa.Index(
            "ix_evidence_loose",
            "device_id",
            "stored_at",
            postgresql_where=sa.text("visit_id IS NULL AND state = 'stored'"),
        ),
        sa.CheckConstraint("octet_length(sha256) = 32", name="sha256_whole"),
        sa.CheckConstraint("size_bytes >= 0", name="size_not_negative"),
        sa.Index(
            "ix_evidence_owed",
            "device_id",
            postgresql_where=sa.text("state IN ('expected', 'uploading', 'mismatched', 'missing')"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    visit_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("visits.id"), index=True)
    device_id: Mapped[UUID] = mapped_column(sa.ForeignKey("devices.id"))
    promised_item: Mapped[UUID | None]
    kind: Mapped[str | None]
    purpose: Mapped[str | None]
    sha256: Mapped[bytes | None] = mapped_column(index=True)
    size_bytes: Mapped[int | None]
    mime: Mapped[str | None]
    captured_from_earliest: Mapped[datetime | None]
    captured_from_latest: Mapped[datetime | None]
    captured_until_earliest: Mapped[datetime | None]
    captured_until_latest: Mapped[datetime | None]
    position: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    state: Mapped[str] = mapped_column(default="expected")
    stored_at: Mapped[datetime | None]
    storage_key: Mapped[str | None] = mapped_column(index=True)
    loose_from: Mapped[UUID | None]
    loose_sha256: Mapped[bytes | None]
    thumbnail_key: Mapped[str | None]
    rendition_key: Mapped[str | None]
    inspected_at: Mapped[datetime | None]
    inspection: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))


class Upload(Model):
    """A resumable upload (tus). `fence` grows with every HEAD and PATCH; only its newest holder may write."""

    __tablename__ = "uploads"
    __table_args__ = (
        one_of("state", "open", "checking", "complete", "mismatched", "terminated", "expired"),
        sa.CheckConstraint(
            "upload_offset >= 0 AND upload_offset <= coalesce(length, upload_offset)", name="offset_within"
        ),
        sa.Index(
            "uq_uploads_one_per_promise",
            "device_id",
            "evidence_id",
            sa.text("coalesce(sha256, ''::bytea)"),
            sa.text("coalesce(length, -1)"),
            unique=True,
            postgresql_where=sa.text("state IN ('open', 'checking', 'complete')"),
        ),
        sa.Index("ix_uploads_open", "expires_at", postgresql_where=sa.text("state = 'open'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    device_id: Mapped[UUID] = mapped_column(sa.ForeignKey("devices.id"))
    evidence_id: Mapped[UUID] = mapped_column(index=True)
    sha256: Mapped[bytes | None]
    length: Mapped[int | None]
    filename: Mapped[str] = mapped_column(default="")
    mime: Mapped[str] = mapped_column(default="application/octet-stream")
    raw_metadata: Mapped[str] = mapped_column(default="")
    upload_offset: Mapped[int] = mapped_column(default=0)
    fence: Mapped[int] = mapped_column(default=0)
    state: Mapped[str] = mapped_column(default="open")
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class UploadSegment(Model):
    """A durable stretch of an upload's bytes: [start, start + size)."""

    __tablename__ = "upload_segments"

    upload_id: Mapped[UUID] = mapped_column(sa.ForeignKey("uploads.id", ondelete="CASCADE"), primary_key=True)
    start: Mapped[int] = mapped_column(primary_key=True)
    size_bytes: Mapped[int]
    key: Mapped[str]

"""Who works here, with which phone, and what have they learned?"""

from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BIT
from sqlalchemy.orm import Mapped, mapped_column

from server.database import Model, one_of
from sync.protocol import uuid7


class Staff(Model):
    """A person with one permanent account (G14). `no` exists for the exclusion constraint of teams."""

    __tablename__ = "staff"
    __table_args__ = (
        sa.CheckConstraint(
            "roles <@ ARRAY['visitor','dispatcher','supervisor','auditor','admin']::text[]",
            name="roles_known",
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    no: Mapped[int] = mapped_column(sa.Identity(always=True), unique=True)
    employee_number: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    roles: Mapped[list[str]]
    branch: Mapped[str] = mapped_column(default="")
    password_hash: Mapped[str | None]
    joined_on: Mapped[date]
    left_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class Qualification(Model):
    """One line of a person's training file (G10-G23). `score` is out of 100 where there is one."""

    __tablename__ = "qualifications"
    __table_args__ = (one_of("kind", "onboarding_exam", "law_and_conduct", "internship", "nda"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    staff_id: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"), index=True)
    kind: Mapped[str]
    score: Mapped[int | None]
    attempt: Mapped[int] = mapped_column(default=1)
    obtained_on: Mapped[date]
    recorded_by: Mapped[UUID | None]


class Absence(Model):
    """A stretch of time in which a person cannot visit: leave (X3) or a training slot (G6)."""

    __tablename__ = "absences"
    __table_args__ = (
        one_of("kind", "leave", "training"),
        sa.CheckConstraint("starts_at < ends_at", name="not_empty"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    staff_id: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"), index=True)
    kind: Mapped[str]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]


class SignInCounter(Model):
    """Failed sign-ins per key ("employee:E017", "address:10.0.0.7")."""

    __tablename__ = "sign_in_counters"

    key: Mapped[str] = mapped_column(primary_key=True)
    failures: Mapped[int] = mapped_column(default=0)
    window_started_at: Mapped[datetime]
    locked_until: Mapped[datetime | None]


class Device(Model):
    """An enrolled phone. Never deleted: its signatures must stay verifiable.

    `acked_seq`: every item up to this number is stored here; `highest_seq`: none above it is.
    `durable_seq`: every item up to this number is in a completed backup (`models.backups`).
    `record_digest`: that of `sync.chain.record_digest` over all its items that are stored here.
    """

    __tablename__ = "devices"
    __table_args__ = (one_of("algorithm", "ed25519", "p256"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    staff_id: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"), index=True)
    algorithm: Mapped[str]
    public_key: Mapped[bytes] = mapped_column(unique=True)
    keyid: Mapped[str]
    enrolled_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    acked_seq: Mapped[int] = mapped_column(default=0, server_default="0")
    highest_seq: Mapped[int] = mapped_column(default=0, server_default="0")
    durable_seq: Mapped[int] = mapped_column(default=0, server_default="0")
    record_digest: Mapped[str] = mapped_column(BIT(256), server_default=sa.text("repeat('0', 256)::bit(256)"))


class Token(Model):
    """An opaque bearer token; only its SHA-256 is kept."""

    __tablename__ = "tokens"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    sha256: Mapped[bytes] = mapped_column(unique=True)
    staff_id: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"), index=True)
    device_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("devices.id"), index=True)
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class EnrolmentCode(Model):
    """A one-time code that lets one phone enrol; only its SHA-256 is kept."""

    __tablename__ = "enrolment_codes"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    sha256: Mapped[bytes] = mapped_column(unique=True)
    staff_id: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"), index=True)
    issued_by: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    device_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("devices.id"))

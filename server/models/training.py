"""Which courses are there, when are they held, and who came?"""

from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.database import Model, one_of
from sync.protocol import uuid7


class Course(Model):
    """One version of a course (G2), as the general manager approved it (G1). Kept for ever (G4)."""

    __tablename__ = "courses"
    __table_args__ = (
        sa.UniqueConstraint("reference", "version"),
        one_of("audience", "trainee", "staff", "manager"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    reference: Mapped[str]
    version: Mapped[int]
    title: Mapped[str]
    audience: Mapped[str]
    modules: Mapped[list[str]]
    approved_by: Mapped[str]
    approved_on: Mapped[date]
    entered_by: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))
    entered_at: Mapped[datetime]


class TrainingSession(Model):
    """A course held once. Everybody enrolled is away for its whole length (G6)."""

    __tablename__ = "training_sessions"
    __table_args__ = (
        sa.UniqueConstraint("course_id", "starts_at"),
        sa.CheckConstraint("starts_at < ends_at", name="not_empty"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    course_id: Mapped[UUID] = mapped_column(sa.ForeignKey("courses.id"))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    led_by: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))
    announced_at: Mapped[datetime]
    cancelled_at: Mapped[datetime | None]


class Attendance(Model):
    """One person in one session. `absence_id`: the stretch of the diary that keeps visits away (G6)."""

    __tablename__ = "attendances"
    __table_args__ = (one_of("state", "enrolled", "attended", "excused", "absent"),)

    session_id: Mapped[UUID] = mapped_column(sa.ForeignKey("training_sessions.id"), primary_key=True)
    staff_id: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"), primary_key=True, index=True)
    state: Mapped[str] = mapped_column(server_default="enrolled")
    absence_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("absences.id"))
    noted_at: Mapped[datetime | None]
    noted_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("staff.id"))

"""Which days are banned, and which years are published?"""

from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from server.database import Model, one_of
from sync.protocol import uuid7


class CalendarYear(Model):
    """A year's calendar as one notice published it. A correction in mid-year is a new version."""

    __tablename__ = "calendar_years"
    __table_args__ = (one_of("status", "published", "provisional"),)

    year: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    status: Mapped[str]
    notice: Mapped[str]
    entered_at: Mapped[datetime]


class CalendarDay(Model):
    """A day that is not what its weekday says: part of a public-holiday break, or a make-up workday."""

    __tablename__ = "calendar_days"
    __table_args__ = (
        one_of("kind", "holiday", "makeup"),
        sa.ForeignKeyConstraint(["year", "version"], ["calendar_years.year", "calendar_years.version"]),
    )

    year: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    day: Mapped[date] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str] = mapped_column(default="")


class CalendarNotice(Model):
    """A year's calendar as somebody entered it, waiting for a second person (published-instruments 4).

    `days`: [{"day", "kind", "name"}] in order. `text`: the notice as pasted, "" when entered day by day.
    """

    __tablename__ = "calendar_notices"
    __table_args__ = (
        one_of("state", "proposed", "approved", "rejected"),
        sa.CheckConstraint("(state = 'proposed') = (decided_at IS NULL)", name="decided"),
        sa.CheckConstraint("decided_by IS NULL OR decided_by <> proposed_by", name="two_people"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    year: Mapped[int]
    reference: Mapped[str]
    text: Mapped[str] = mapped_column(server_default="")
    days: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    state: Mapped[str] = mapped_column(server_default="proposed")
    proposed_by: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))
    proposed_at: Mapped[datetime]
    decided_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("staff.id"))
    decided_at: Mapped[datetime | None]
    decision_note: Mapped[str] = mapped_column(server_default="")

"""Which days are banned, and which years are published?"""

from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.database import Model, one_of


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

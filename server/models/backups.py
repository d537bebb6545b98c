"""What would survive if the database were lost now, and is it still the database it was?

The operator's backup job declares its backups. Before one begins, how far each phone's record is complete is
marked; when it is done, those marks are what `durable_through` promises. `Origin` is what PostgreSQL says of
itself: another answer than last time means that a copy of this database has taken its place.
"""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.database import Model
from sync.protocol import uuid7


class Backup(Model):
    """One declared backup. What was committed at `marked_at` is in it once it is completed."""

    __tablename__ = "backups"
    __table_args__ = (
        sa.Index(
            "ix_backups_completed", "completed_at", postgresql_where=sa.text("completed_at IS NOT NULL")
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    marked_at: Mapped[datetime]
    completed_at: Mapped[datetime | None]


class BackupMark(Model):
    """How far one phone's record was complete before a backup began."""

    __tablename__ = "backup_marks"

    backup_id: Mapped[UUID] = mapped_column(sa.ForeignKey("backups.id", ondelete="CASCADE"), primary_key=True)
    device_id: Mapped[UUID] = mapped_column(sa.ForeignKey("devices.id"), primary_key=True)
    acked_seq: Mapped[int]


class Origin(Model):
    """The one row that says where this database lived when its feed was last known to be whole."""

    __tablename__ = "origin"
    __table_args__ = (sa.CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    identity: Mapped[str]
    noticed_at: Mapped[datetime]

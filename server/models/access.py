"""Who looked at whom, or changed what protects them, when, and why?"""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.database import Model
from sync.protocol import uuid7


class AccessEntry(Model):
    """One unmasked read of personal data, one look at evidence, or one change of what protects somebody.

    Append-only.
    """

    __tablename__ = "access_log"
    __table_args__ = (sa.Index("ix_access_log_entity", "entity_kind", "entity_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    at: Mapped[datetime]
    staff_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("staff.id"))
    action: Mapped[str]
    entity_kind: Mapped[str]
    entity_id: Mapped[UUID]
    fields: Mapped[list[str]] = mapped_column(default=list)
    reason: Mapped[str] = mapped_column(default="")
    request: Mapped[dict[str, Any]] = mapped_column(default=dict)

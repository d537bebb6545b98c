"""What does not fit, and what did an auditor say of it?"""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.database import Model, one_of
from sync.protocol import uuid7


class Finding(Model):
    """One finding of one visit. `key` is stable over reruns; a decided finding is never changed again.

    `severity_rank` orders worst first: 3 severe, 2 serious, 1 minor, 0 note.
    """

    __tablename__ = "findings"
    __table_args__ = (
        sa.UniqueConstraint("visit_id", "key"),
        one_of("state", "open", "superseded", "confirmed", "dismissed"),
        sa.CheckConstraint(
            "(state IN ('confirmed', 'dismissed')) = (decided_by IS NOT NULL AND decided_at IS NOT NULL)",
            name="decided_means_by_whom",
        ),
        sa.Index("ix_findings_worst_first", sa.text("severity_rank DESC"), sa.text("confidence DESC"), "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    visit_id: Mapped[UUID] = mapped_column(sa.ForeignKey("visits.id"))
    key: Mapped[str]
    check: Mapped[str]
    rule: Mapped[str]
    severity: Mapped[str]
    severity_rank: Mapped[int]
    confidence: Mapped[float]
    claim: Mapped[str]
    observation: Mapped[dict[str, Any]]
    citation: Mapped[dict[str, Any]]
    found_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(default="open")
    decided_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("staff.id"))
    decided_at: Mapped[datetime | None]
    reason: Mapped[str] = mapped_column(default="", server_default="")

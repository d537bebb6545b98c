"""Which debtors did the office hand to the field, because they evade or act in bad faith? (D15, D17)

A record beside the case: it is the ground such a visit names, never by itself a permission. `words` are about
a person, so they are encrypted.
"""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.database import Model, one_of
from server.pii import Encrypted
from sync.protocol import uuid7

GROUNDS = ("evasive", "bad_faith")


class Escalation(Model):
    """What was seen, by whom, and since when the field knows it; one standing record a case and ground."""

    __tablename__ = "escalations"
    __table_args__ = (
        one_of("ground", *GROUNDS),
        sa.CheckConstraint("(withdrawn_at IS NULL) = (withdrawn_by IS NULL)", name="withdrawn_by_somebody"),
        sa.Index(
            "uq_escalations_one_standing",
            "case_id",
            "ground",
            unique=True,
            postgresql_where=sa.text("withdrawn_at IS NULL"),
        ),
        sa.Index("ix_escalations_standing", "id", postgresql_where=sa.text("withdrawn_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    case_id: Mapped[UUID] = mapped_column(sa.ForeignKey("cases.id"), index=True)
    client_id: Mapped[UUID] = mapped_column(sa.ForeignKey("clients.id"))
    ground: Mapped[str]
    words: Mapped[str] = mapped_column(Encrypted("escalations.words"))
    raised_at: Mapped[datetime]
    raised_by: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))
    withdrawn_at: Mapped[datetime | None]
    withdrawn_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("staff.id"))

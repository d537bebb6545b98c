"""What has the office decided about items that nobody could apply, and what does it put in their place?

Both tables only grow. An item itself is never changed; its outcome says what became of it.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from server.database import Model, one_of
from server.models.visits import index_of_named
from server.pii import Encrypted
from sync.protocol import uuid7

KINDS = ("item", "held", "fork", "doubt", "conflict", "raw")
DECISIONS = ("retry", "accept", "set_aside", "correct")


class Correction(Model):
    """A record that an office user wrote in place of one that could not be applied. Signed by the server.

    `payload` are the exact signed bytes; they name the digest of what they correct, the author, the reason.
    """

    __tablename__ = "corrections"
    __table_args__ = (
        one_of("corrects_kind", *KINDS),
        sa.UniqueConstraint("corrects_kind", "device_id", "item_id", "corrects_sha256"),
        index_of_named("corrections"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    corrects_kind: Mapped[str]
    device_id: Mapped[UUID] = mapped_column(sa.ForeignKey("devices.id"))
    item_id: Mapped[UUID]
    corrects_sha256: Mapped[bytes]
    visit_id: Mapped[UUID | None] = mapped_column(index=True)
    named: Mapped[list[UUID] | None]
    type: Mapped[str]
    author_id: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))
    written_at: Mapped[datetime]
    payload_type: Mapped[str]
    payload: Mapped[bytes]
    sha256: Mapped[bytes]
    signatures: Mapped[list[Any]]


class DeskDecision(Model):
    """One decision about one thing at the desk. `number` counts the decisions about it, from 1.

    `reason_commitment` holds the encrypted reason to the log; null once erased, and before 0020.
    """

    __tablename__ = "desk_decisions"
    __table_args__ = (
        one_of("kind", *KINDS),
        one_of("decision", *DECISIONS),
        sa.CheckConstraint(
            "(decision = 'correct') = (correction_id IS NOT NULL)", name="correction_is_there"
        ),
        sa.UniqueConstraint("kind", "device_id", "item_id", "sha256", "number"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    kind: Mapped[str]
    device_id: Mapped[UUID] = mapped_column(sa.ForeignKey("devices.id"))
    item_id: Mapped[UUID] = mapped_column(index=True)
    sha256: Mapped[bytes]
    number: Mapped[int]
    decision: Mapped[str]
    reason: Mapped[str] = mapped_column(Encrypted("desk_decisions.reason"))
    reason_commitment: Mapped[bytes | None]
    decided_by: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))
    decided_at: Mapped[datetime]
    outcome: Mapped[str]
    problem: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    correction_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("corrections.id"), unique=True)

"""Until when are people's data kept, what keeps them longer, and what was erased, when, by which rule?

An erasure is a row of the tamper-evident log. `erased_things` are the log's entries whose salt and record
went with it: the log's own check accepts a missing record only if an erasure names it. `erased_objects` are
the bytes that the store still has to let go of.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.database import Model, one_of
from server.pii import Encrypted
from sync.protocol import uuid7

HOLD_KINDS = ("litigation", "complaint", "audit")
OBJECT_STATES = ("waiting", "removed", "shared", "refused")


class RetentionHold(Model):
    """Why a debtor's data must be kept although their time is over. Set and released with a reason."""

    __tablename__ = "retention_holds"
    __table_args__ = (
        one_of("kind", *HOLD_KINDS),
        sa.CheckConstraint(
            "num_nonnulls(released_at, released_by, release_reason) IN (0, 3)", name="release_has_reason"
        ),
        sa.Index("ix_retention_holds_debtor", "debtor_id"),
        sa.Index("ix_retention_holds_open", "id", postgresql_where=sa.text("released_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    debtor_id: Mapped[UUID] = mapped_column(sa.ForeignKey("debtors.id"))
    kind: Mapped[str]
    reason: Mapped[str] = mapped_column(Encrypted("retention_holds.reason"))
    set_at: Mapped[datetime]
    set_by: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))
    released_at: Mapped[datetime | None]
    released_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("staff.id"))
    release_reason: Mapped[str | None] = mapped_column(Encrypted("retention_holds.release_reason"))


class Erasure(Model):
    """One debtor's data, erased: when, by which rule, and how many rows of what. In the log; never changed.

    What comes of them afterwards is erased too, and is an erasure of its own: it goes over all rows again.
    `things_sha256` is over the kinds and ids of the log's entries that lost their record, in their order.
    `seal` is the server's signature (`retention.sealing`).
    """

    __tablename__ = "erasures"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    debtor_id: Mapped[UUID] = mapped_column(sa.ForeignKey("debtors.id"), index=True)
    erased_at: Mapped[datetime]
    ended_at: Mapped[datetime]
    kept_days: Mapped[int]
    source: Mapped[dict[str, Any]]
    counts: Mapped[dict[str, Any]]
    things_sha256: Mapped[bytes]
    seal: Mapped[bytes]


class ErasedThing(Model):
    """An entry of the log whose salt and record an erasure took away."""

    __tablename__ = "erased_things"
    __table_args__ = (sa.Index("ix_erased_things_subject", "subject_id"),)

    erasure_id: Mapped[UUID] = mapped_column(sa.ForeignKey("erasures.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    subject_id: Mapped[UUID] = mapped_column(primary_key=True)


class ErasedObject(Model):
    """Bytes in the store that an erasure is about.

    `shared`: another debtor's evidence has the same bytes. `refused`: the store keeps them under a lock.
    """

    __tablename__ = "erased_objects"
    __table_args__ = (
        one_of("state", *OBJECT_STATES),
        sa.Index("ix_erased_objects_there", "key", postgresql_where=sa.text("state <> 'removed'")),
    )

    erasure_id: Mapped[UUID] = mapped_column(sa.ForeignKey("erasures.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(default="waiting")
    tried_at: Mapped[datetime | None]

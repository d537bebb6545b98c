"""What was promised to stay, in which order, and under which signed heads?

`log_leaves` is filled by triggers of the logged tables, in the same transaction as the row itself, so that
nothing can be stored and forgotten; the sequencer gives each leaf its place later. A leaf's entry is SHA-256
over salt and record: without the salt (erased with a person's data) it tells nothing, and proofs stay valid.
"""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.database import Model, one_of

LOGGED = (
    *("item", "conflict", "raw", "evidence", "loose", "decision", "finding", "access", "erasure"),
    *("plan", "audit", "comment", "second_look", "hearing", "reply", "breach", "breach_ending"),
    *("desk_decision", "correction", "raised", "weight", "run"),
    *("month", "proposal", "fraud", "month_reply", "report", "hand_in", "telling"),
)
"""Kinds of leaves. `loose`: a file that came before any promise of it; `raised`: what an auditor raised;
`weight`: how heavy a finding was that was decided."""


class LogLeaf(Model):
    """One entry of the log. `record` is lines of text: kind, ids, digests, time (`log_record` in SQL).

    `leaf_index` is null until it is sequenced. `salt` and `record` are null once erased.
    """

    __tablename__ = "log_leaves"
    __table_args__ = (
        one_of("kind", *LOGGED),
        sa.CheckConstraint("octet_length(entry) = 32", name="entry_is_a_digest"),
        sa.CheckConstraint("(salt IS NULL) = (record IS NULL)", name="erased_together"),
        sa.CheckConstraint("leaf_index >= 0", name="index_counts"),
        sa.Index("ix_log_leaves_subject", "subject_id"),
        sa.Index("ix_log_leaves_waiting", "id", postgresql_where=sa.text("leaf_index IS NULL")),
    )

    id: Mapped[int] = mapped_column(sa.BigInteger(), sa.Identity(always=True), primary_key=True)
    kind: Mapped[str]
    subject_id: Mapped[UUID]
    record: Mapped[str | None]
    salt: Mapped[bytes | None]
    entry: Mapped[bytes]
    leaf_index: Mapped[int | None] = mapped_column(unique=True)


class LogTile(Model):
    """Up to 256 hashes of one level of the tree (`server.ledger.tiles`)."""

    __tablename__ = "log_tiles"

    level: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    hashes: Mapped[bytes]


class LogCheckpoint(Model):
    """A head that was signed. Never changed, never removed: somebody may hold it."""

    __tablename__ = "log_checkpoints"

    size: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    root: Mapped[bytes]
    note: Mapped[str]
    signed_at: Mapped[datetime]

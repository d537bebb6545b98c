"""What did the phones send, exactly, and which visits does it tell of?

`items` is the inbox: exact bytes, never updated but for the outcome of their projection. `visits` and
`accounts` are projections of it and can be rebuilt from it.
"""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from server.database import Model, one_of
from sync import protocol
from sync.protocol import uuid7

# Word for word the predicates of indexes: whatever asks for these items must say it so.
UNSEEN_FORK: Final = "'chain_fork' = ANY (flags) AND NOT 'fork_seen' = ANY (flags)"
UNSEEN_DOUBT: Final = (
    "type IN ('log.doubted', 'record.doubted') AND outcome = 'applied' AND NOT 'doubt_seen' = ANY (flags)"
)


def index_of_named(table: str) -> sa.Index:
    """Make the index that leads from an id to the bytes that name it; no push has to tidy it up."""
    return sa.Index(
        f"ix_{table}_named",
        "named",
        postgresql_using="gin",
        postgresql_with={"fastupdate": "off"},
        postgresql_where=sa.text("named IS NOT NULL"),
    )


def visit_named_by(record: protocol.Item | None) -> UUID | None:
    """Return the visit an item names, whatever its type: `items.visit_id`."""
    value = record.body.get("visit_id") if record else None
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


class Item(Model):
    """One received item. `sha256` is the item digest (over the PAE); `visit_id` is read from its body.

    `named`: the cases, contacts, assignments, visits and findings that its bytes name, where no visit's row
    stands for them; filled by a trigger, as in every table that keeps what was said. `later_anchor`: one
    that the phone got after it wrote the item, before it was started again (`exchange.anchors`).
    """

    __tablename__ = "items"
    __table_args__ = (
        one_of("outcome", "received", "applied", "held", "quarantined", "corrected", "set_aside"),
        sa.Index("ix_items_device_seq", "device_id", "seq"),
        sa.Index("ix_items_received", "device_id", postgresql_where=sa.text("outcome = 'received'")),
        sa.Index("ix_items_not_applied", "device_id", postgresql_where=sa.text("outcome <> 'applied'")),
        sa.Index("ix_items_waiting", "visit_id", postgresql_where=sa.text("outcome IN ('received', 'held')")),
        sa.Index(
            "ix_items_desk",
            "received_at",
            "item_id",
            postgresql_where=sa.text("outcome IN ('held', 'quarantined')"),
        ),
        sa.Index(
            "ix_items_forked",
            "received_at",
            "item_id",
            postgresql_where=sa.text(UNSEEN_FORK),
        ),
        sa.Index(
            "ix_items_doubts",
            "received_at",
            "item_id",
            postgresql_where=sa.text(UNSEEN_DOUBT),
        ),
        index_of_named("items"),
    )

    device_id: Mapped[UUID] = mapped_column(sa.ForeignKey("devices.id"), primary_key=True)
    item_id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int]
    prev: Mapped[bytes | None]
    sha256: Mapped[bytes]
    type: Mapped[str]
    visit_id: Mapped[UUID | None] = mapped_column(index=True)
    named: Mapped[list[UUID] | None]
    payload_type: Mapped[str]
    payload: Mapped[bytes]
    signatures: Mapped[list[Any]]
    received_at: Mapped[datetime]
    receipt: Mapped[dict[str, Any]]
    outcome: Mapped[str] = mapped_column(default="received", server_default="received")
    flags: Mapped[list[str]] = mapped_column(default=list, server_default="{}")
    problem: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    later_anchor: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))


class ConflictingItem(Model):
    """Other bytes that came under an id that was taken: kept, never projected. `settled` by the office."""

    __tablename__ = "conflicting_items"
    __table_args__ = (
        one_of("settled", "corrected", "set_aside"),
        sa.Index("ix_conflicting_items_open", "received_at", postgresql_where=sa.text("settled IS NULL")),
        index_of_named("conflicting_items"),
    )

    device_id: Mapped[UUID] = mapped_column(primary_key=True)
    item_id: Mapped[UUID] = mapped_column(primary_key=True)
    sha256: Mapped[bytes] = mapped_column(primary_key=True)
    named: Mapped[list[UUID] | None]
    payload_type: Mapped[str]
    payload: Mapped[bytes]
    signatures: Mapped[list[Any]]
    received_at: Mapped[datetime]
    receipt: Mapped[dict[str, Any]]
    settled: Mapped[str | None]


class RawSubmission(Model):
    """Bytes that could not be read as an item at all (`/sync/quarantine`). `settled`: by the office, how.

    `seq`: the number in the phone's record at which they stand, where the phone said so.
    """

    __tablename__ = "raw_submissions"
    __table_args__ = (
        sa.UniqueConstraint("device_id", "sha256"),
        one_of("settled", "released", "corrected", "set_aside"),
        sa.Index("ix_raw_submissions_open", "received_at", postgresql_where=sa.text("settled IS NULL")),
        index_of_named("raw_submissions"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    device_id: Mapped[UUID] = mapped_column(sa.ForeignKey("devices.id"))
    seq: Mapped[int | None]
    sha256: Mapped[bytes]
    named: Mapped[list[UUID] | None]
    content: Mapped[bytes]
    received_at: Mapped[datetime]
    receipt: Mapped[dict[str, Any]]
    settled: Mapped[str | None]


def _judged_before(due_at: str) -> sa.Index:
    """Make an index of the visits that were not judged since something of them was due."""
    since = f"{due_at} IS NOT NULL AND (reconciled_at IS NULL OR reconciled_at < {due_at})"
    return sa.Index(f"ix_visits_judged_before_{due_at}", due_at, postgresql_where=sa.text(since))


class Visit(Model):
    """What happened around one assignment. Times are intervals: [earliest, latest] and how we know.

    `visited_at`: when it is taken to have been made, by every count of days and months. Of an arrival that
    only its receipt tells of the earliest time says nothing (it may be the year 2000).
    `assignment_id` is null when the phone named one that we do not know, `started_item` while the check-in is
    missing and only what was to follow it has come.
    """

    __tablename__ = "visits"
    __table_args__ = (
        one_of("state", "started", "ended", "reported", "reconciled"),
        sa.Index("ix_visits_debtor_arrived", "debtor_id", "arrived_earliest"),
        _judged_before("evidence_due_at"),
        _judged_before("account_due_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    assignment_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("assignments.id"), index=True)
    debtor_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("debtors.id"))
    device_id: Mapped[UUID] = mapped_column(sa.ForeignKey("devices.id"))
    staff_id: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"), index=True)
    team: Mapped[list[UUID]]
    checklist: Mapped[dict[str, Any]] = mapped_column(default=dict)
    seen_seq: Mapped[int]
    arrived_earliest: Mapped[datetime] = mapped_column(index=True)
    arrived_latest: Mapped[datetime]
    arrived_method: Mapped[str]
    visited_at: Mapped[datetime] = mapped_column(
        sa.Computed(
            "CASE arrived_method WHEN 'received' THEN arrived_latest ELSE arrived_earliest END",
            persisted=True,
        ),
        index=True,
    )
    arrived_at_position: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    left_earliest: Mapped[datetime | None]
    left_latest: Mapped[datetime | None]
    left_method: Mapped[str | None]
    left_at_position: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    flags: Mapped[list[str]] = mapped_column(default=list, server_default="{}")
    state: Mapped[str] = mapped_column(default="started")
    started_item: Mapped[UUID | None]
    ended_item: Mapped[UUID | None]
    first_received_at: Mapped[datetime]
    evidence_due_at: Mapped[datetime]
    account_due_at: Mapped[datetime | None]
    reconciled_at: Mapped[datetime | None]
    claim_marks: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")


class Account(Model):
    """One revision of a visitor's written account. Amendments are new rows; forks keep both.

    `missing_parent_id` is what an amendment amends as long as that has not come.
    """

    __tablename__ = "accounts"
    __table_args__ = (
        sa.CheckConstraint("parent_id <> id", name="amends_another"),
        sa.Index(
            "ix_accounts_missing_parent",
            "missing_parent_id",
            postgresql_where=sa.text("missing_parent_id IS NOT NULL"),
        ),
        sa.Index("ix_accounts_parent_id", "parent_id", postgresql_where=sa.text("parent_id IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    visit_id: Mapped[UUID] = mapped_column(sa.ForeignKey("visits.id"), index=True)
    parent_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("accounts.id"))
    missing_parent_id: Mapped[UUID | None]
    device_id: Mapped[UUID]
    item_id: Mapped[UUID]
    author_id: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))
    claims: Mapped[dict[str, Any]]
    narrative: Mapped[str]
    written_earliest: Mapped[datetime]
    written_latest: Mapped[datetime]
    received_at: Mapped[datetime]


class FieldReport(Model):
    """What a phone reported beside visits: incident, complaint, explained gap, learned contact, equipment."""

    __tablename__ = "field_reports"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    device_id: Mapped[UUID]
    item_id: Mapped[UUID] = mapped_column(index=True)
    type: Mapped[str] = mapped_column(index=True)
    visit_id: Mapped[UUID | None] = mapped_column(index=True)
    case_id: Mapped[UUID | None] = mapped_column(index=True)
    body: Mapped[dict[str, Any]]
    received_at: Mapped[datetime]

"""What does not fit, what did an auditor say of it, a second person, and the visitor?

A decision is made once and never changed; a second look and replies are rows beside it. That whoever decides
had no part in the visit is held by triggers (`part_in_visit` in SQL).
"""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.database import Model, one_of
from sync.protocol import uuid7


class Finding(Model):
    """One finding of one visit. `key` is stable over reruns; a decided finding is never changed again.

    `severity_rank` orders worst first: 3 severe, 2 serious, 1 minor, 0 note. `raised_by` is the auditor who
    saw what no check did; reconciliation leaves such findings alone. `stands` is what counts now: the
    decision, or its opposite when a second look overturned it; null while undecided.
    """

    __tablename__ = "findings"
    __table_args__ = (
        sa.UniqueConstraint("visit_id", "key"),
        one_of("state", "open", "superseded", "confirmed", "dismissed"),
        sa.CheckConstraint(
            "(state IN ('confirmed', 'dismissed')) = (decided_by IS NOT NULL AND decided_at IS NOT NULL)",
            name="decided_means_by_whom",
        ),
        sa.CheckConstraint("NOT overturned OR decided_by IS NOT NULL", name="overturned_was_decided"),
        sa.Index("ix_findings_open", "check", "visit_id", postgresql_where=sa.text("state = 'open'")),
        sa.Index("ix_findings_standing", "check", "visit_id", postgresql_where=sa.text("stands")),
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
    raised_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("staff.id"))
    overturned: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    stands: Mapped[bool | None] = mapped_column(
        sa.Computed(
            "CASE state WHEN 'confirmed' THEN NOT overturned WHEN 'dismissed' THEN overturned END",
            persisted=True,
        )
    )


class FindingComment(Model):
    """What somebody in the office notes about a finding. Append-only."""

    __tablename__ = "finding_comments"
    __table_args__ = (sa.CheckConstraint("btrim(text) <> ''", name="says_something"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    finding_id: Mapped[UUID] = mapped_column(sa.ForeignKey("findings.id"), index=True)
    author_id: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))
    written_at: Mapped[datetime]
    text: Mapped[str]


class SecondLook(Model):
    """What another person says of a decision: it is upheld or overturned. Once, and both stay on record."""

    __tablename__ = "second_looks"
    __table_args__ = (
        one_of("outcome", "upheld", "overturned"),
        sa.CheckConstraint("btrim(reason) <> ''", name="has_a_reason"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    finding_id: Mapped[UUID] = mapped_column(sa.ForeignKey("findings.id"), unique=True)
    reviewer_id: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))
    looked_at: Mapped[datetime]
    outcome: Mapped[str]
    reason: Mapped[str]


class Hearing(Model):
    """The right of reply to one finding: whose it is, and until when a reply is waited for at the latest.

    Whoever was told before that has a deadline of their own (`HearingTelling`; `reply_until` in SQL).
    """

    __tablename__ = "hearings"
    __table_args__ = (
        sa.CheckConstraint("opened_at < due_at", name="leaves_time"),
        sa.CheckConstraint("cardinality(people) > 0", name="tells_somebody"),
        sa.Index("ix_hearings_on_phones", "due_at", postgresql_where=sa.text("on_phones")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    finding_id: Mapped[UUID] = mapped_column(sa.ForeignKey("findings.id"), unique=True)
    people: Mapped[list[UUID]]
    opened_at: Mapped[datetime]
    due_at: Mapped[datetime]
    on_phones: Mapped[bool] = mapped_column(default=True, server_default=sa.true())


class HearingTelling(Model):
    """That a person's phone was given a finding, and until when they may reply since. Append-only.

    `feed_seq` is the finding's number in their feed: whether the phone got that far tells whether it arrived.
    """

    __tablename__ = "hearing_tellings"
    __table_args__ = (
        sa.CheckConstraint("told_at < due_at", name="leaves_time"),
        sa.Index("ix_hearing_tellings_finding", "finding_id", "staff_id", "told_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    finding_id: Mapped[UUID] = mapped_column(sa.ForeignKey("findings.id"))
    staff_id: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))
    device_id: Mapped[UUID] = mapped_column(sa.ForeignKey("devices.id"))
    feed_seq: Mapped[int]
    told_at: Mapped[datetime]
    due_at: Mapped[datetime]


class FindingReply(Model):
    """What a visitor answers. `in_time` counts from when it was written, where the phone's clock is known."""

    __tablename__ = "finding_replies"
    __table_args__ = (sa.UniqueConstraint("device_id", "item_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    finding_id: Mapped[UUID] = mapped_column(sa.ForeignKey("findings.id"), index=True)
    staff_id: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))
    device_id: Mapped[UUID]
    item_id: Mapped[UUID]
    text: Mapped[str]
    written_earliest: Mapped[datetime]
    written_latest: Mapped[datetime]
    received_at: Mapped[datetime]
    in_time: Mapped[bool]

"""Who failed, what followed, and what was learned from it?

A breach is opened from findings that stand, after the right of reply. It is never changed: how it ended is a
row of its own, and that row closes it only with cause, education and prevention (GOV1). Whether it is the
first of its kind or a repeat (E8) is written down with the breaches that make it one.
"""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.database import Model, one_of
from sync.protocol import uuid7

MEASURES = ("coaching", "discipline")
BREACH_STATES = ("open", "closed", "withdrawn")


class Breach(Model):
    """One person's failure. `repeats` are earlier breaches of the same person with a check in common (E8)."""

    __tablename__ = "breaches"
    __table_args__ = (
        one_of("measure", *MEASURES),
        sa.CheckConstraint("opened_by <> staff_id", name="not_opened_by_oneself"),
        sa.CheckConstraint("cardinality(finding_ids) > 0 AND cardinality(checks) > 0", name="has_findings"),
        sa.CheckConstraint(
            "(measure = 'discipline') = (cardinality(repeats) > 0)", name="discipline_means_repeat"
        ),
        sa.UniqueConstraint("id", "staff_id"),
        sa.Index("ix_breaches_staff", "staff_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    staff_id: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))
    measure: Mapped[str]
    repeats: Mapped[list[UUID]]
    checks: Mapped[list[str]]
    finding_ids: Mapped[list[UUID]]
    complaint_ids: Mapped[list[UUID]]
    summary: Mapped[str]
    opened_by: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))
    opened_at: Mapped[datetime]


class BreachFinding(Model):
    """What of a person a standing breach holds: a finding breaches a rule once for each of its people."""

    __tablename__ = "breach_findings"
    __table_args__ = (
        sa.ForeignKeyConstraint(["breach_id", "staff_id"], ["breaches.id", "breaches.staff_id"]),
        sa.Index("ix_breach_findings_breach", "breach_id"),
    )

    finding_id: Mapped[UUID] = mapped_column(sa.ForeignKey("findings.id"), primary_key=True)
    staff_id: Mapped[UUID] = mapped_column(primary_key=True)
    breach_id: Mapped[UUID]


class BreachEnding(Model):
    """How a breach ended: closed with its lessons (GOV1), or withdrawn. Never by the person it is about."""

    __tablename__ = "breach_endings"
    __table_args__ = (
        one_of("outcome", "closed", "withdrawn"),
        sa.ForeignKeyConstraint(["breach_id", "staff_id"], ["breaches.id", "breaches.staff_id"]),
        sa.CheckConstraint("ended_by <> staff_id", name="not_ended_by_oneself"),
        sa.CheckConstraint(
            "outcome <> 'closed'"
            " OR (btrim(cause) <> '' AND btrim(education) <> '' AND btrim(prevention) <> '')",
            name="closed_with_lessons",
        ),
        sa.CheckConstraint("outcome <> 'withdrawn' OR btrim(reason) <> ''", name="withdrawn_with_reason"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    breach_id: Mapped[UUID] = mapped_column(unique=True)
    staff_id: Mapped[UUID]
    outcome: Mapped[str]
    cause: Mapped[str] = mapped_column(default="")
    education: Mapped[str] = mapped_column(default="")
    prevention: Mapped[str] = mapped_column(default="")
    reason: Mapped[str] = mapped_column(default="")
    ended_by: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))
    ended_at: Mapped[datetime]

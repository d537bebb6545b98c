"""Which visits wait for an audit, which were drawn for one, and which were concluded?

`audit_queue` is a projection that reconciliation and decisions keep up to date in their own transactions: one
narrow row a visit, so that the worst of a million is one step in an index. Plans, their draws and conclusions
only grow, and each has its leaf in the log.
"""

from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.database import Model, one_of
from sync.protocol import uuid7

ARMS = ("risk", "control")
_WAITING = sa.text("state = 'waiting'")


class QueuedVisit(Model):
    """One reconciled visit with its score. `parts` says what it is made of, `checks` of which findings.

    `weights` names the table of weights it was scored with; "" until it is scored. Branch and client are
    those of the day on which it was scored.
    """

    __tablename__ = "audit_queue"
    __table_args__ = (
        one_of("state", "waiting", "audited"),
        sa.Index("ix_audit_queue_worst", "score", "visit_id", postgresql_where=_WAITING),
        sa.Index("ix_audit_queue_branch", "branch", "score", "visit_id", postgresql_where=_WAITING),
        sa.Index("ix_audit_queue_staff", "staff_id", "score", "visit_id", postgresql_where=_WAITING),
        sa.Index("ix_audit_queue_client", "client_id", "score", "visit_id", postgresql_where=_WAITING),
        sa.Index("ix_audit_queue_day", "visited_on"),
        sa.Index("ix_audit_queue_weights", "weights", postgresql_where=_WAITING),
    )

    visit_id: Mapped[UUID] = mapped_column(sa.ForeignKey("visits.id"), primary_key=True)
    score: Mapped[int]
    parts: Mapped[list[Any]]
    checks: Mapped[list[str]]
    weights: Mapped[str]
    staff_id: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))
    branch: Mapped[str]
    client_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("clients.id"))
    visited_on: Mapped[date]
    state: Mapped[str]


class QueuedCheck(Model):
    """That a waiting visit has an open finding of a check. Kept by triggers of `audit_queue`, from its rows.

    Visits without the check are not walked past: how rare or how light it is does not matter.
    """

    __tablename__ = "audit_queue_checks"

    check: Mapped[str] = mapped_column(primary_key=True)
    score: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    visit_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey("audit_queue.visit_id", ondelete="CASCADE"), primary_key=True
    )


class AuditPlan(Model):
    """One draw of visits for audit. `drawn_sha256` is over its whole population: visits, scores and arms.

    The control arm is drawn by lot from every visit of the period, whatever its score; the rest of `size` are
    the worst of those that are left.
    """

    __tablename__ = "audit_plans"
    __table_args__ = (
        sa.CheckConstraint("first_day <= last_day", name="period_not_empty"),
        sa.CheckConstraint("size BETWEEN 1 AND 10000", name="size_known"),
        sa.CheckConstraint("control_percent BETWEEN 0 AND 100", name="share_known"),
        sa.CheckConstraint("seed <> ''", name="seed_known"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    first_day: Mapped[date]
    last_day: Mapped[date]
    branch: Mapped[str | None]
    size: Mapped[int]
    control_percent: Mapped[int]
    seed: Mapped[str]
    weights: Mapped[str]
    weights_used: Mapped[dict[str, Any]]
    population: Mapped[int]
    drawn_sha256: Mapped[bytes]
    made_by: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))
    made_at: Mapped[datetime]


class PlannedVisit(Model):
    """One visit of a plan's population with its score at the draw. `arm` and `place` are null if not drawn.

    Those that were not drawn are kept too: only so can anybody draw again and see that nothing was picked.
    """

    __tablename__ = "audit_plan_visits"
    __table_args__ = (
        one_of("arm", *ARMS),
        sa.CheckConstraint("(arm IS NULL) = (place IS NULL)", name="drawn_has_a_place"),
        sa.UniqueConstraint("plan_id", "place"),
        sa.Index("ix_audit_plan_visits_visit", "visit_id", postgresql_where=sa.text("arm IS NOT NULL")),
    )

    plan_id: Mapped[UUID] = mapped_column(sa.ForeignKey("audit_plans.id"), primary_key=True)
    visit_id: Mapped[UUID] = mapped_column(sa.ForeignKey("visits.id"), primary_key=True)
    score: Mapped[int]
    arm: Mapped[str | None]
    place: Mapped[int | None]


class Audit(Model):
    """An auditor's conclusion about a whole visit, when nothing of it was left to decide."""

    __tablename__ = "audits"
    __table_args__ = (
        one_of("outcome", "sound", "not_sound"),
        sa.CheckConstraint("btrim(note) <> ''", name="says_what_was_looked_at"),
        sa.Index("ix_audits_visit", "visit_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    visit_id: Mapped[UUID] = mapped_column(sa.ForeignKey("visits.id"))
    auditor_id: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))
    concluded_at: Mapped[datetime]
    outcome: Mapped[str]
    note: Mapped[str]

"""Which days were planned, what was proposed, and what became of it?

A plan is a proposal: nothing is reserved by it. A stop that was accepted names the assignment it became,
once; a case that was left out names one reason.
"""

from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from server.database import Model, one_of
from sync.protocol import uuid7

PLAN_STATES = ("waiting", "running", "ready", "failed", "cancelled")
PLAN_PHASES = ("judging", "planning", "storing")
STOP_DUES = ("overdue", "due_today", "due_soon", "due_later", "no_due_date")
LEFT_OUT_WHYS = (
    *("blocked", "needs_approval", "no_point", "budget_used"),
    *("no_team", "team_too_large", "team_too_small", "team_barred"),
    *("no_team_free", "out_of_reach", "days_full"),
)


class Plan(Model):
    """A day that somebody asked to be planned, how far it is, and its sums when it is ready.

    `run` counts how often a worker began: whoever holds an older number writes nothing any more. `heard_at`
    is the last sign of life of whoever computes it, by the database's own clock.
    """

    __tablename__ = "plans"
    __table_args__ = (
        one_of("state", *PLAN_STATES),
        one_of("phase", *PLAN_PHASES),
        sa.CheckConstraint("(state = 'failed') = (fault <> '')", name="failed_says_why"),
        sa.CheckConstraint("done <= total", name="done_of_total"),
        sa.Index(
            "ix_plans_unfinished", "heard_at", postgresql_where=sa.text("state IN ('waiting', 'running')")
        ),
        sa.Index("ix_plans_day_id", "day", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    day: Mapped[date]
    asked: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(default="waiting", server_default="waiting")
    phase: Mapped[str] = mapped_column(default="judging", server_default="judging")
    done: Mapped[int] = mapped_column(default=0, server_default="0")
    total: Mapped[int] = mapped_column(default=0, server_default="0")
    run: Mapped[int] = mapped_column(default=0, server_default="0")
    fault: Mapped[str] = mapped_column(default="", server_default="")
    sums: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    requested_by: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))
    requested_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    heard_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())


class PlanStop(Model):
    """A proposed visit. `place` counts through the whole plan, team by team.

    `approval_rule`: the rule for which a supervisor has to accept it; empty: none. `refusal`: what was said
    the last time it could not be assigned.
    """

    __tablename__ = "plan_stops"
    __table_args__ = (
        sa.UniqueConstraint("plan_id", "place"),
        sa.UniqueConstraint("plan_id", "case_id"),
        sa.Index("ix_plan_stops_case_id", "case_id"),
        one_of("due", *STOP_DUES),
        sa.CheckConstraint("arrives_at < leaves_at", name="not_empty"),
        sa.CheckConstraint(
            "(assignment_id IS NULL) = (accepted_at IS NULL) AND (refused_at IS NULL) = (refusal IS NULL)",
            name="answers_are_whole",
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    plan_id: Mapped[UUID] = mapped_column(sa.ForeignKey("plans.id"))
    place: Mapped[int]
    team_no: Mapped[int]
    case_id: Mapped[UUID] = mapped_column(sa.ForeignKey("cases.id"))
    address_id: Mapped[UUID] = mapped_column(sa.ForeignKey("addresses.id"))
    evidence_entry_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("ledger_entries.id"))
    arrives_at: Mapped[datetime]
    leaves_at: Mapped[datetime]
    metres: Mapped[int]
    travel_minutes: Mapped[int]
    waits_minutes: Mapped[int]
    due: Mapped[str]
    due_at: Mapped[datetime | None]
    approval_rule: Mapped[str] = mapped_column(default="", server_default="")
    assignment_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("assignments.id"), unique=True)
    accepted_at: Mapped[datetime | None]
    accepted_by: Mapped[UUID | None]
    refused_at: Mapped[datetime | None]
    refusal: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))


class PlanLeftOut(Model):
    """A candidate that is no stop. `rule`, `slug`: the rule that speaks, where one does."""

    __tablename__ = "plan_left_out"
    __table_args__ = (
        one_of("why", *LEFT_OUT_WHYS),
        sa.Index("ix_plan_left_out_why", "plan_id", "why", "case_id"),
        sa.Index("ix_plan_left_out_case_id", "case_id"),
    )

    plan_id: Mapped[UUID] = mapped_column(sa.ForeignKey("plans.id"), primary_key=True)
    case_id: Mapped[UUID] = mapped_column(sa.ForeignKey("cases.id"), primary_key=True)
    why: Mapped[str]
    rule: Mapped[str] = mapped_column(default="", server_default="")
    slug: Mapped[str] = mapped_column(default="", server_default="")
    allowed_from: Mapped[datetime | None]

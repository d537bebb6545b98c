"""Which visits were asked for, granted, and reserved?

The database itself holds three promises: a debtor's day has at most three slots and the third names
its evidence (A3); nobody stands in two active teams at one time (X2); a team has at most one lead (X1).
"""

from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TSTZRANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from server.database import Model, one_of
from sync.protocol import uuid7

OPEN_STATES = ("issued", "acknowledged", "started")
ENDED_EARLY = ("cancelled", "declined", "expired")


class Decision(Model):
    """A verdict with everything needed to replay it; kept for refusals as well."""

    __tablename__ = "decisions"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    case_id: Mapped[UUID] = mapped_column(sa.ForeignKey("cases.id"), index=True)
    judged_at: Mapped[datetime]
    judged_for: Mapped[UUID | None] = mapped_column(sa.ForeignKey("staff.id"))
    allowed: Mapped[bool]
    pack: Mapped[str]
    wanted: Mapped[dict[str, Any]]
    facts: Mapped[dict[str, Any]]
    verdict: Mapped[dict[str, Any]]
    approved_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("staff.id"))
    approval_reason: Mapped[str] = mapped_column(default="", server_default="")


class Assignment(Model):
    """Permission to make one visit. `permit` is the exact DSSE envelope the phone carries.

    `evidence_entry_id` is the debtor's wish without which the visit would not be granted. It stays when the
    visit is taken back: its team may go all the same, and then it has served the wish.
    """

    __tablename__ = "assignments"
    __table_args__ = (
        one_of(
            "state", "issued", "acknowledged", "started", "reported", "reconciled", "closed", *ENDED_EARLY
        ),
        sa.CheckConstraint("window_start < window_end", name="window_not_empty"),
        sa.Index("ix_assignments_debtor_start", "debtor_id", "window_start"),
        sa.Index("ix_assignments_case_id_id", "case_id", "id"),
        sa.Index(
            "uq_assignments_one_visit_a_wish",
            "evidence_entry_id",
            unique=True,
            postgresql_where=sa.text(
                "evidence_entry_id IS NOT NULL AND state NOT IN ('cancelled', 'declined', 'expired')"
            ),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    case_id: Mapped[UUID] = mapped_column(sa.ForeignKey("cases.id"))
    debtor_id: Mapped[UUID] = mapped_column(sa.ForeignKey("debtors.id"))
    address_id: Mapped[UUID] = mapped_column(sa.ForeignKey("addresses.id"))
    window_start: Mapped[datetime]
    window_end: Mapped[datetime]
    lead_id: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))
    ground: Mapped[str] = mapped_column(default="", server_default="")
    state: Mapped[str] = mapped_column(default="issued", index=True)
    decision_id: Mapped[UUID] = mapped_column(sa.ForeignKey("decisions.id"))
    permit_id: Mapped[UUID] = mapped_column(unique=True)
    permit: Mapped[dict[str, Any]]
    issued_by: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))
    issued_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[UUID | None]
    ended_reason: Mapped[str] = mapped_column(default="", server_default="")
    replaces_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("assignments.id"))
    evidence_entry_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("ledger_entries.id"))


class AssignmentMember(Model):
    """One person in one team. `active` is false once the assignment ended early."""

    __tablename__ = "assignment_members"
    __table_args__ = (
        ExcludeConstraint(
            (sa.text("int8range(staff_no, staff_no, '[]')"), "&&"),
            (sa.column("period"), "&&"),
            name="ex_assignment_members_nobody_twice",
            using="gist",
            where=sa.text("active"),
        ),
        sa.Index(
            "uq_assignment_members_one_lead",
            "assignment_id",
            unique=True,
            postgresql_where=sa.text("is_lead"),
        ),
    )

    assignment_id: Mapped[UUID] = mapped_column(sa.ForeignKey("assignments.id"), primary_key=True)
    staff_id: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"), primary_key=True)
    staff_no: Mapped[int]
    period: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)
    is_lead: Mapped[bool]
    active: Mapped[bool] = mapped_column(default=True, server_default=sa.true())


class BudgetSlot(Model):
    """One reserved arrival of a debtor's day (China time). Deleted when the assignment ends early.

    Its evidence is that of the assignment, which keeps it.
    """

    __tablename__ = "budget_slots"
    __table_args__ = (
        sa.CheckConstraint("slot BETWEEN 1 AND 3", name="never_a_fourth"),
        sa.CheckConstraint("slot < 3 OR evidence_entry_id IS NOT NULL", name="third_needs_evidence"),
    )

    debtor_id: Mapped[UUID] = mapped_column(sa.ForeignKey("debtors.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    slot: Mapped[int] = mapped_column(primary_key=True)
    assignment_id: Mapped[UUID] = mapped_column(sa.ForeignKey("assignments.id"), unique=True)
    evidence_entry_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("ledger_entries.id"), unique=True)

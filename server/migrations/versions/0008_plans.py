"""Day plans and their stops."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    _plans()
    _stops()
    _left_out()


def _plans() -> None:
    op.create_table(
        "plans",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("asked", postgresql.JSONB(), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("phase", sa.Text(), server_default="judging", nullable=False),
        sa.Column("done", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("run", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("fault", sa.Text(), server_default="", nullable=False),
        sa.Column("sums", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("requested_by", sa.Uuid(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("heard_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint(
            "state IN ('waiting', 'running', 'ready', 'failed', 'cancelled')",
            name=op.f("ck_plans_state_known"),
        ),
        sa.CheckConstraint(
            "phase IN ('judging', 'planning', 'storing')", name=op.f("ck_plans_phase_known")
        ),
        sa.CheckConstraint("(state = 'failed') = (fault <> '')", name=op.f("ck_plans_failed_says_why")),
        sa.CheckConstraint("done <= total", name=op.f("ck_plans_done_of_total")),
        sa.ForeignKeyConstraint(["requested_by"], ["staff.id"], name=op.f("fk_plans_requested_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plans")),
    )
    op.create_index(
        "ix_plans_unfinished",
        "plans",
        ["heard_at"],
        postgresql_where=sa.text("state IN ('waiting', 'running')"),
    )
    op.create_index("ix_plans_day_id", "plans", ["day", "id"])


def _stops() -> None:
    op.create_table(
        "plan_stops",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("plan_id", sa.Uuid(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("team_no", sa.BigInteger(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("address_id", sa.Uuid(), nullable=False),
        sa.Column("evidence_entry_id", sa.Uuid(), nullable=True),
        sa.Column("arrives_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("leaves_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("metres", sa.BigInteger(), nullable=False),
        sa.Column("travel_minutes", sa.BigInteger(), nullable=False),
        sa.Column("waits_minutes", sa.BigInteger(), nullable=False),
        sa.Column("due", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("approval_rule", sa.Text(), server_default="", nullable=False),
        sa.Column("assignment_id", sa.Uuid(), nullable=True),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted_by", sa.Uuid(), nullable=True),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refusal", postgresql.JSONB(), nullable=True),
        sa.CheckConstraint(
            "due IN ('overdue', 'due_today', 'due_soon', 'due_later', 'no_due_date')",
            name=op.f("ck_plan_stops_due_known"),
        ),
        sa.CheckConstraint("arrives_at < leaves_at", name=op.f("ck_plan_stops_not_empty")),
        sa.CheckConstraint(
            "(assignment_id IS NULL) = (accepted_at IS NULL) AND (refused_at IS NULL) = (refusal IS NULL)",
            name=op.f("ck_plan_stops_answers_are_whole"),
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plans.id"], name=op.f("fk_plan_stops_plan_id")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_plan_stops_case_id")),
        sa.ForeignKeyConstraint(["address_id"], ["addresses.id"], name=op.f("fk_plan_stops_address_id")),
        sa.ForeignKeyConstraint(
            ["evidence_entry_id"], ["ledger_entries.id"], name=op.f("fk_plan_stops_evidence_entry_id")
        ),
        sa.ForeignKeyConstraint(
            ["assignment_id"], ["assignments.id"], name=op.f("fk_plan_stops_assignment_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan_stops")),
        sa.UniqueConstraint("plan_id", "place", name=op.f("uq_plan_stops_plan_id_place")),
        sa.UniqueConstraint("plan_id", "case_id", name=op.f("uq_plan_stops_plan_id_case_id")),
        sa.UniqueConstraint("assignment_id", name=op.f("uq_plan_stops_assignment_id")),
    )


def _left_out() -> None:
    op.create_table(
        "plan_left_out",
        sa.Column("plan_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), server_default="", nullable=False),
        sa.Column("slug", sa.Text(), server_default="", nullable=False),
        sa.Column("allowed_from", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "why IN ('blocked', 'needs_approval', 'no_point', 'budget_used', 'no_team', 'team_too_large', "
            "'team_too_small', 'team_barred', 'no_team_free', 'out_of_reach', 'days_full')",
            name=op.f("ck_plan_left_out_why_known"),
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plans.id"], name=op.f("fk_plan_left_out_plan_id")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_plan_left_out_case_id")),
        sa.PrimaryKeyConstraint("plan_id", "case_id", name=op.f("pk_plan_left_out")),
    )
    op.create_index("ix_plan_left_out_why", "plan_left_out", ["plan_id", "why", "case_id"])

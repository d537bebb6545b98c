"""What a month costs whom: wages, and reports as they were handed in."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_table(
        "missed_clocks",
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("opened_on", sa.Date(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("because", sa.Text(), server_default="", nullable=False),
        sa.Column("recorded_on", sa.Date(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=True),
        sa.Column("attributed_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "(staff_id IS NULL) = (attributed_by IS NULL)",
            name=op.f("ck_missed_clocks_attributed_by_somebody"),
        ),
        sa.ForeignKeyConstraint(["attributed_by"], ["staff.id"], name=op.f("fk_missed_clocks_attributed_by")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_missed_clocks_case_id")),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_missed_clocks_client_id")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_missed_clocks_staff_id")),
        sa.PrimaryKeyConstraint("case_id", "rule", "opened_on", name=op.f("pk_missed_clocks")),
    )
    op.create_index("ix_missed_clocks_due", "missed_clocks", ["due_on", "case_id", "rule"], unique=False)
    op.create_table(
        "clock_records",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_clock_records")),
    )
    op.create_table(
        "wages",
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("wage_fen", sa.BigInteger(), nullable=False),
        sa.Column("minimum_fen", sa.BigInteger(), nullable=False),
        sa.Column("recorded_by", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("EXTRACT(day FROM month) = 1", name=op.f("ck_wages_month_by_its_first_day")),
        sa.CheckConstraint("wage_fen >= 0 AND minimum_fen > 0", name=op.f("ck_wages_amounts_make_sense")),
        sa.ForeignKeyConstraint(["recorded_by"], ["staff.id"], name=op.f("fk_wages_recorded_by")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_wages_staff_id")),
        sa.PrimaryKeyConstraint("staff_id", "month", name=op.f("pk_wages")),
    )
    op.create_table(
        "proven_frauds",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("committed_on", sa.Date(), nullable=False),
        sa.Column("finding_ids", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("words", postgresql.BYTEA(), nullable=False),
        sa.Column("recorded_by", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("cardinality(finding_ids) > 0", name=op.f("ck_proven_frauds_proven_by_something")),
        sa.CheckConstraint(
            "recorded_by <> staff_id", name=op.f("ck_proven_frauds_nobody_convicts_themselves")
        ),
        sa.ForeignKeyConstraint(["recorded_by"], ["staff.id"], name=op.f("fk_proven_frauds_recorded_by")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_proven_frauds_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proven_frauds")),
    )
    op.create_index("ix_proven_frauds_month", "proven_frauds", ["committed_on", "staff_id"], unique=False)
    op.create_table(
        "closed_months",
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_by", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("tariff", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("sha256", postgresql.BYTEA(), nullable=False),
        sa.Column("people", sa.BigInteger(), nullable=False),
        sa.Column("unattributed", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("days_looked", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("revision = 1 OR reason <> ''", name=op.f("ck_closed_months_again_has_reason")),
        sa.CheckConstraint(
            "EXTRACT(day FROM month) = 1", name=op.f("ck_closed_months_month_by_its_first_day")
        ),
        sa.ForeignKeyConstraint(["closed_by"], ["staff.id"], name=op.f("fk_closed_months_closed_by")),
        sa.PrimaryKeyConstraint("month", "revision", name=op.f("pk_closed_months")),
    )
    op.create_table(
        "month_inputs",
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("branch", sa.Text(), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["month", "revision"],
            ["closed_months.month", "closed_months.revision"],
            name="fk_month_inputs_month",
        ),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_month_inputs_staff_id")),
        sa.PrimaryKeyConstraint("month", "revision", "staff_id", name=op.f("pk_month_inputs")),
    )
    op.create_index(
        "ix_month_inputs_branch", "month_inputs", ["month", "revision", "branch", "staff_id"], unique=False
    )
    op.create_table(
        "month_replies",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("text", postgresql.BYTEA(), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_month_replies_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_month_replies")),
    )
    op.create_index("ix_month_replies_person", "month_replies", ["month", "staff_id", "at"], unique=False)
    op.create_table(
        "proposal_decisions",
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "decision = 'upheld' OR amount_fen IS NULL",
            name=op.f("ck_proposal_decisions_dropped_costs_nothing"),
        ),
        sa.CheckConstraint(
            "decision IN ('upheld', 'dropped')", name=op.f("ck_proposal_decisions_decision_known")
        ),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_proposal_decisions_says_why")),
        sa.CheckConstraint(
            "decided_by <> staff_id", name=op.f("ck_proposal_decisions_nobody_decides_their_own")
        ),
        sa.ForeignKeyConstraint(["decided_by"], ["staff.id"], name=op.f("fk_proposal_decisions_decided_by")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_proposal_decisions_staff_id")),
        sa.PrimaryKeyConstraint("month", "staff_id", "key", name=op.f("pk_proposal_decisions")),
    )
    op.create_table(
        "report_files",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("first", sa.Date(), nullable=False),
        sa.Column("last", sa.Date(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=True),
        sa.Column("sha256", postgresql.BYTEA(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "format IN ('html', 'xlsx', 'pdf', 'csv')", name=op.f("ck_report_files_format_known")
        ),
        sa.CheckConstraint(
            "kind IN ('friday', 'client', 'assessment')", name=op.f("ck_report_files_kind_known")
        ),
        sa.CheckConstraint("first <= last", name=op.f("ck_report_files_days_in_order")),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_report_files_client_id")),
        sa.ForeignKeyConstraint(["made_by"], ["staff.id"], name=op.f("fk_report_files_made_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_files")),
    )
    op.create_index("ix_report_files_sha256", "report_files", ["sha256"], unique=False)
    op.create_table(
        "report_hand_ins",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("handed_in_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("handed_in_by", sa.Uuid(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["file_id"], ["report_files.id"], name=op.f("fk_report_hand_ins_file_id")),
        sa.ForeignKeyConstraint(["handed_in_by"], ["staff.id"], name=op.f("fk_report_hand_ins_handed_in_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_hand_ins")),
        sa.UniqueConstraint("file_id", "recipient", name=op.f("uq_report_hand_ins_file_id_recipient")),
    )


def downgrade() -> None:
    op.drop_table("report_hand_ins")
    op.drop_table("report_files")
    op.drop_table("proposal_decisions")
    op.drop_table("month_replies")
    op.drop_table("month_inputs")
    op.drop_table("closed_months")
    op.drop_table("proven_frauds")
    op.drop_table("wages")
    op.drop_table("clock_records")
    op.drop_table("missed_clocks")

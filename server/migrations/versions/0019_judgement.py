"""What changed between runs, months judged again, lexicons of clients."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0019"
down_revision = "0018"

APPEND_ONLY = (
    """
    CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
    END $$
    """,
    """
    CREATE TRIGGER append_only BEFORE UPDATE ON reconciliation_runs
    FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
)
CAUSES = "'arrived', 'evidence', 'overdue', 'neighbour', 'later_evidence', 'payment', 'month'"


def upgrade() -> None:
    op.create_index(
        "ix_evidence_loose",
        "evidence",
        ["device_id", "stored_at"],
        postgresql_where=sa.text("visit_id IS NULL AND state = 'stored'"),
    )
    op.create_table(
        "reconciliation_runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("visit_id", sa.Uuid(), nullable=False),
        sa.Column("ran_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("because", sa.Text(), nullable=False),
        sa.Column("since", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("pack", sa.Text(), nullable=False),
        sa.Column("changes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("marks", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint(f"because IN ({CAUSES})", name=op.f("ck_reconciliation_runs_because_known")),
        sa.ForeignKeyConstraint(
            ["visit_id"],
            ["visits.id"],
            name=op.f("fk_reconciliation_runs_visit_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconciliation_runs")),
    )
    op.create_index(
        op.f("ix_reconciliation_runs_visit_id"), "reconciliation_runs", ["visit_id"], unique=False
    )
    op.create_table(
        "months_again",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("after", sa.Uuid(), nullable=True),
        sa.Column("visits", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("changed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("extract(day FROM month) = 1", name=op.f("ck_months_again_is_a_month")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_months_again")),
    )
    op.create_index(
        "uq_months_again_one_at_a_time",
        "months_again",
        ["month"],
        unique=True,
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    for statement in APPEND_ONLY:
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("months_again")
    op.drop_table("reconciliation_runs")
    op.execute("DROP FUNCTION refuse_change()")
    op.drop_index("ix_evidence_loose", table_name="evidence")

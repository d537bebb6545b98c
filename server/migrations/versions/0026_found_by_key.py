"""Which look-ups of every day read whole tables? Indexes for them, found by running with sequential scans off."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"

BY_KEY = (
    ("holds", "debtor_id"),
    ("incidents", "debtor_id"),
    ("incidents", "visit_id"),
    ("complaints", "debtor_id"),
    ("field_reports", "item_id"),
    ("field_reports", "case_id"),
    ("letters", "debtor_id"),
    ("escalations", "case_id"),
)
DUE = ("evidence_due_at", "account_due_at")


def upgrade() -> None:
    op.drop_index("ix_holds_open_debtor", table_name="holds")
    for table, column in BY_KEY:
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column])
    amends = sa.text("parent_id IS NOT NULL")
    op.create_index("ix_accounts_parent_id", "accounts", ["parent_id"], postgresql_where=amends)
    for due_at in DUE:
        since = sa.text(f"{due_at} IS NOT NULL AND (reconciled_at IS NULL OR reconciled_at < {due_at})")
        op.create_index(f"ix_visits_judged_before_{due_at}", "visits", [due_at], postgresql_where=since)


def downgrade() -> None:
    for due_at in DUE:
        op.drop_index(f"ix_visits_judged_before_{due_at}", table_name="visits")
    op.drop_index("ix_accounts_parent_id", table_name="accounts")
    for table, column in BY_KEY:
        op.drop_index(op.f(f"ix_{table}_{column}"), table_name=table)
    standing = sa.text("released_at IS NULL")
    op.create_index("ix_holds_open_debtor", "holds", ["debtor_id"], postgresql_where=standing)

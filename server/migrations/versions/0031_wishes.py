"""Which visit does a debtor's wish serve? The assignment keeps it, also once its place in the budget is gone."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0028"

STANDING = "evidence_entry_id IS NOT NULL AND state NOT IN ('cancelled', 'declined', 'expired')"


def upgrade() -> None:
    op.add_column("assignments", sa.Column("evidence_entry_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_assignments_evidence_entry_id"),
        "assignments",
        "ledger_entries",
        ["evidence_entry_id"],
        ["id"],
    )
    op.execute(
        "UPDATE assignments SET evidence_entry_id = slot.evidence_entry_id FROM budget_slots slot"
        " WHERE slot.assignment_id = assignments.id AND slot.evidence_entry_id IS NOT NULL"
    )
    op.create_index(
        "uq_assignments_one_visit_a_wish",
        "assignments",
        ["evidence_entry_id"],
        unique=True,
        postgresql_where=sa.text(STANDING),
    )


def downgrade() -> None:
    op.drop_index("uq_assignments_one_visit_a_wish", table_name="assignments")
    op.drop_constraint(op.f("fk_assignments_evidence_entry_id"), "assignments", type_="foreignkey")
    op.drop_column("assignments", "evidence_entry_id")

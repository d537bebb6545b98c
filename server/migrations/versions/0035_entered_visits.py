"""Which entry at the desk is about which visit? A visit is entered once, however many hear of it."""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    op.create_index(
        "uq_ledger_entries_one_a_visit",
        "ledger_entries",
        ["visit_id"],
        unique=True,
        postgresql_where=sa.text("channel = 'visit' AND visit_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("uq_ledger_entries_one_a_visit", table_name="ledger_entries")

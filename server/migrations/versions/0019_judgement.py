"""What changed between runs, months judged again, lexicons of clients."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.create_index(
        "ix_evidence_loose",
        "evidence",
        ["device_id", "stored_at"],
        postgresql_where=sa.text("visit_id IS NULL AND state = 'stored'"),
    )


def downgrade() -> None:
    op.drop_index("ix_evidence_loose", table_name="evidence")

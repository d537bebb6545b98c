"""Which uploads are unfinished? Every hour asks, and read all there ever were."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0031"


def upgrade() -> None:
    op.create_index(
        "ix_uploads_open", "uploads", ["expires_at"], postgresql_where=sa.text("state = 'open'")
    )


def downgrade() -> None:
    op.drop_index("ix_uploads_open", table_name="uploads")

"""At which number of its phone's record do raw bytes stand? They fill the gap that they would leave there."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.add_column("raw_submissions", sa.Column("seq", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("raw_submissions", "seq")

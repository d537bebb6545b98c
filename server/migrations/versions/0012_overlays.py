"""What entered rule packs need: by whose instruction they were entered, and why they were withdrawn."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    for name in ("note", "withdrawn_because"):
        op.add_column("rule_packs", sa.Column(name, sa.Text(), server_default="", nullable=False))

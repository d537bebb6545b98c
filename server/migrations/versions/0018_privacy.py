"""Retention, erasure and blind indexes."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    _blind_indexes()


def _blind_indexes() -> None:
    """`fieldvisit migrate` fills them afterwards: the database has no key."""
    for column in ("id_number", "phone"):
        op.add_column("debtors", sa.Column(f"{column}_index", sa.LargeBinary(), nullable=True))
        op.create_index(f"ix_debtors_{column}_index", "debtors", [f"{column}_index"])
        op.create_check_constraint(
            op.f(f"ck_debtors_{column}_index_of_one"),
            "debtors",
            f"{column} IS NOT NULL OR {column}_index IS NULL",
        )


def downgrade() -> None:
    for column in ("id_number", "phone"):
        op.drop_column("debtors", f"{column}_index")

"""Rule packs that an administrator entered, beside those that ship."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "rule_packs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("layer", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=True),
        sa.Column("toml", sa.Text(), nullable=False),
        sa.Column("entered_by", sa.Uuid(), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_by", sa.Uuid(), nullable=True),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("layer IN ('client')", name=op.f("ck_rule_packs_layer_known")),
        sa.CheckConstraint("version >= 0", name=op.f("ck_rule_packs_version_counts")),
        sa.CheckConstraint(
            "(withdrawn_at IS NULL) = (withdrawn_by IS NULL)",
            name=op.f("ck_rule_packs_withdrawn_by_somebody"),
        ),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_rule_packs_client_id")),
        sa.ForeignKeyConstraint(["entered_by"], ["staff.id"], name=op.f("fk_rule_packs_entered_by")),
        sa.ForeignKeyConstraint(["withdrawn_by"], ["staff.id"], name=op.f("fk_rule_packs_withdrawn_by")),
        sa.PrimaryKeyConstraint("id", "version", name=op.f("pk_rule_packs")),
    )
    op.create_index(op.f("ix_rule_packs_client_id"), "rule_packs", ["client_id"])
    op.create_index(op.f("ix_visits_arrived_earliest"), "visits", ["arrived_earliest"])

"""What the change feed needs: digests of scopes, collected tombstones."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    _digests()
    _tombstones()


def _digests() -> None:
    nothing = sa.text("repeat('0', 256)::bit(256)")
    op.add_column(
        "feed_heads", sa.Column("digest", postgresql.BIT(256), server_default=nothing, nullable=False)
    )
    op.execute(
        """
        UPDATE feed_heads SET digest = rolled.bits
        FROM (SELECT scope, bit_xor(
                  ('x' || encode(sha256(convert_to(kind || '/' || entity_id || '/' || rev, 'UTF8')), 'hex'))
                  ::bit(256)) AS bits
              FROM feed WHERE op = 'put' GROUP BY scope) AS rolled
        WHERE rolled.scope = feed_heads.scope
        """
    )


def _tombstones() -> None:
    op.add_column(
        "feed",
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    )
    op.create_index("ix_feed_tombstones", "feed", ["changed_at"], postgresql_where=sa.text("op = 'remove'"))

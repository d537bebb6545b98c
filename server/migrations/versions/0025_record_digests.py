"""What does the office hold of each phone's record? One digest, to be held against what the phone handed in."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    nothing = sa.text("repeat('0', 256)::bit(256)")
    op.add_column(
        "devices", sa.Column("record_digest", postgresql.BIT(256), server_default=nothing, nullable=False)
    )
    op.execute(
        """
        UPDATE devices SET record_digest = held.bits
        FROM (SELECT device_id, bit_xor(('x' || encode(sha256, 'hex'))::bit(256)) AS bits
              FROM items GROUP BY device_id) AS held
        WHERE held.device_id = devices.id
        """
    )


def downgrade() -> None:
    op.drop_column("devices", "record_digest")

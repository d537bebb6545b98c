"""What a phone had counted when it pushed an item: the time of what it wrote after a restart without a network."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

# `concat_ws` leaves out what is null: the records of items that came before stay what was logged.
RECORD = """
    CREATE OR REPLACE FUNCTION log_record(one items) RETURNS text LANGUAGE sql STABLE RETURN concat_ws(E'\\n',
        'item', one.device_id, one.item_id, encode(one.sha256, 'hex'), log_stamp(one.received_at){more})
"""


def upgrade() -> None:
    op.add_column("items", sa.Column("pushed_ms", sa.BigInteger(), nullable=True))
    op.execute(RECORD.format(more=", one.pushed_ms"))


def downgrade() -> None:
    op.execute(RECORD.format(more=""))
    op.drop_column("items", "pushed_ms")

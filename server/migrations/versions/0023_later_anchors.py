"""Which anchor a phone got after it wrote an item: tells the time of what it wrote after a restart offline."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0023"
down_revision = "0022"

# `concat_ws` leaves out what is null: the records of items that came before stay what was logged.
RECORD = """
    CREATE OR REPLACE FUNCTION log_record(one items) RETURNS text LANGUAGE sql STABLE RETURN concat_ws(E'\\n',
        'item', one.device_id, one.item_id, encode(one.sha256, 'hex'), log_stamp(one.received_at),
        one.later_anchor)
"""


def upgrade() -> None:
    op.add_column("items", sa.Column("later_anchor", JSONB(none_as_null=True), nullable=True))
    op.execute(RECORD)

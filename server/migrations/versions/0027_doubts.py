"""What do phones say of the office itself? Their doubts lie at the desk until a supervisor has looked."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"

CHECKS = (("corrections", "corrects_kind"), ("desk_decisions", "kind"))
BEFORE = "'item', 'held', 'fork', 'conflict', 'raw'"
SINCE = "'item', 'held', 'fork', 'doubt', 'conflict', 'raw'"
UNSEEN = (
    "type IN ('log.doubted', 'record.doubted') AND outcome = 'applied' AND NOT 'doubt_seen' = ANY (flags)"
)


def upgrade() -> None:
    _let_kinds_be(SINCE)
    op.create_index("ix_items_doubts", "items", ["received_at", "item_id"], postgresql_where=sa.text(UNSEEN))


def downgrade() -> None:
    op.drop_index("ix_items_doubts", table_name="items")
    _let_kinds_be(BEFORE)


def _let_kinds_be(kinds: str) -> None:
    for table, column in CHECKS:
        name = op.f(f"ck_{table}_{column}_known")
        op.drop_constraint(name, table, type_="check")
        op.create_check_constraint(name, table, f"{column} IN ({kinds})")

"""How do a million recordings fit into the index of their keys? Keys of 26 bits, of which many share an entry.

A folded key is what stood there, shorter: recordings of before and after share as many. Keys lie beside their
row, as landmarks do: a look-up reads thousands of these rows and none of their keys.
"""

from alembic import op

revision = "0040"
down_revision = "0038"

UNFOLDED = 31
FOLDED = 26


def upgrade() -> None:
    op.drop_index("ix_sound_prints_keys", table_name="sound_prints")
    op.execute("ALTER TABLE sound_prints SET (toast_tuple_target = 128)")
    op.execute(
        "UPDATE sound_prints SET keys ="
        f" ARRAY(SELECT DISTINCT key >> {UNFOLDED - FOLDED} FROM unnest(keys) AS key ORDER BY 1)"
    )
    _create_index()


def downgrade() -> None:
    """Lengthen the keys again. What was cut off is lost: recordings of before are found by those of after only."""
    op.drop_index("ix_sound_prints_keys", table_name="sound_prints")
    op.execute("ALTER TABLE sound_prints RESET (toast_tuple_target)")
    op.execute(
        "UPDATE sound_prints SET keys ="
        f" ARRAY(SELECT key << {UNFOLDED - FOLDED} FROM unnest(keys) AS key ORDER BY 1)"
    )
    _create_index()


def _create_index() -> None:
    """Build it in memory enough: in the usual 64 MB each few thousand recordings write it through once more."""
    op.execute("SET LOCAL maintenance_work_mem = '512MB'")
    op.create_index(
        "ix_sound_prints_keys", "sound_prints", ["keys"],
        postgresql_using="gin", postgresql_with={"fastupdate": "off"},
    )  # fmt: skip

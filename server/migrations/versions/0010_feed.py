"""What the change feed needs: digests of scopes, collected tombstones."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    _digests()
    _tombstones()
    _inbox()
    _backups()


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


def _inbox() -> None:
    op.create_index(
        "ix_items_received", "items", ["device_id"], postgresql_where=sa.text("outcome = 'received'")
    )
    op.add_column("devices", sa.Column("highest_seq", sa.BigInteger(), server_default="0", nullable=False))
    op.execute(
        """
        UPDATE devices SET highest_seq = highest.seq
        FROM (SELECT device_id, max(seq) AS seq FROM items GROUP BY device_id) AS highest
        WHERE highest.device_id = devices.id
        """
    )


def _backups() -> None:
    op.add_column("devices", sa.Column("durable_seq", sa.BigInteger(), server_default="0", nullable=False))
    op.create_table(
        "backups",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("marked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backups")),
    )
    op.create_index(
        "ix_backups_completed",
        "backups",
        ["completed_at"],
        postgresql_where=sa.text("completed_at IS NOT NULL"),
    )
    op.create_table(
        "backup_marks",
        sa.Column("backup_id", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("acked_seq", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["backup_id"],
            ["backups.id"],
            name=op.f("fk_backup_marks_backup_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=op.f("fk_backup_marks_device_id")
        ),
        sa.PrimaryKeyConstraint("backup_id", "device_id", name=op.f("pk_backup_marks")),
    )
    op.create_table(
        "origin",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("noticed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_origin_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_origin")),
    )

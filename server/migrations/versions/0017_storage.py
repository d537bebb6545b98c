"""Evidence that is kept: what the scrubber saw, what is collected, how far a move between stores has come."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

KINDS = "'altered', 'missing', 'unreadable'"

KEEP = """
CREATE FUNCTION keep_object() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO kept_objects (key, size_bytes, checked_at)
    VALUES (NEW.storage_key, coalesce(NEW.size_bytes, 0), coalesce(NEW.stored_at, now()))
    ON CONFLICT (key) DO NOTHING;
    RETURN NULL;
END $$
"""
TRIGGER = """
CREATE TRIGGER keep_object AFTER INSERT OR UPDATE OF storage_key ON evidence
FOR EACH ROW WHEN (NEW.storage_key IS NOT NULL) EXECUTE FUNCTION keep_object()
"""
WHAT_IS_THERE = """
INSERT INTO kept_objects (key, size_bytes, checked_at)
SELECT storage_key, max(coalesce(size_bytes, 0)), min(coalesce(stored_at, now()))
  FROM evidence WHERE storage_key IS NOT NULL GROUP BY storage_key
"""


def upgrade() -> None:
    op.create_index("ix_evidence_storage_key", "evidence", ["storage_key"])
    op.create_table(
        "kept_objects",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.Text(), server_default="sound", nullable=False),
        sa.CheckConstraint(f"outcome IN ('sound', {KINDS})", name=op.f("ck_kept_objects_outcome_known")),
        sa.CheckConstraint("size_bytes >= 0", name=op.f("ck_kept_objects_size_not_negative")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_kept_objects")),
    )
    op.create_index("ix_kept_objects_checked", "kept_objects", ["checked_at"])
    op.create_table(
        "rot",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("found_sha256", sa.LargeBinary(), nullable=True),
        sa.Column("found_bytes", sa.BigInteger(), nullable=True),
        sa.Column("mended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(f"kind IN ({KINDS})", name=op.f("ck_rot_kind_known")),
        sa.CheckConstraint("found_at <= seen_at", name=op.f("ck_rot_seen_after_found")),
        sa.CheckConstraint(
            "(kind = 'altered') = (found_sha256 IS NOT NULL)", name=op.f("ck_rot_altered_into_something")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rot")),
    )
    op.create_index("uq_rot_open", "rot", ["key"], unique=True, postgresql_where=sa.text("mended_at IS NULL"))
    op.create_table(
        "doomed_objects",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("doomed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_doomed_objects")),
    )
    op.create_table(
        "collections",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("objects", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_collections")),
    )
    op.create_table(
        "store_moves",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("reached", sa.Text(), nullable=False),
        sa.Column("objects", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_store_moves")),
    )
    op.create_index(
        "uq_store_moves_running", "store_moves", ["source", "target"], unique=True,
        postgresql_where=sa.text("finished_at IS NULL"),
    )  # fmt: skip
    for statement in (KEEP, TRIGGER, WHAT_IS_THERE):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER keep_object ON evidence")
    op.execute("DROP FUNCTION keep_object")
    for table in ("store_moves", "collections", "doomed_objects", "rot", "kept_objects"):
        op.drop_table(table)
    op.drop_index("ix_evidence_storage_key", "evidence")

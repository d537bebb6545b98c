"""What inspected media sound and look like: hashes and fingerprints to be searched, transcripts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, BIT, BYTEA

revision = "0016"
down_revision = "0015"

# Sixteen bands of sixteen bits; each number of a band stands above its bits.
BANDS = ", ".join(f"{band << 16} + substring(bits, {band * 16 + 1}, 16)::integer" for band in range(16))


def upgrade() -> None:
    op.add_column("evidence", sa.Column("rendition_key", sa.Text(), nullable=True))
    op.create_table(
        "picture_prints",
        sa.Column("evidence_id", sa.Uuid(), nullable=False),
        sa.Column("bits", BIT(256), nullable=False),
        sa.Column("bands", ARRAY(sa.Integer()), sa.Computed(f"ARRAY[{BANDS}]", persisted=True), nullable=False),
        sa.ForeignKeyConstraint(["evidence_id"], ["evidence.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("evidence_id"),
    )
    op.execute(
        "INSERT INTO picture_prints (evidence_id, bits)"
        " SELECT id, perceptual_hash FROM evidence WHERE perceptual_hash IS NOT NULL"
    )
    op.create_index(
        "ix_picture_prints_bands", "picture_prints", ["bands"],
        postgresql_using="gin", postgresql_with={"fastupdate": "off"},
    )  # fmt: skip
    op.drop_column("evidence", "perceptual_hash")
    op.create_table(
        "sound_prints",
        sa.Column("evidence_id", sa.Uuid(), nullable=False),
        sa.Column("keys", ARRAY(sa.Integer()), nullable=False),
        sa.Column("landmarks", BYTEA(), nullable=False),
        sa.ForeignKeyConstraint(["evidence_id"], ["evidence.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("evidence_id"),
    )
    op.create_index(
        "ix_sound_prints_keys", "sound_prints", ["keys"],
        postgresql_using="gin", postgresql_with={"fastupdate": "off"},
    )  # fmt: skip
    op.create_table(
        "transcripts",
        sa.Column("evidence_id", sa.Uuid(), nullable=False),
        sa.Column("engine", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failed", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["evidence_id"], ["evidence.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("evidence_id"),
    )
    op.create_table(
        "transcript_segments",
        sa.Column("evidence_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("start_seconds", sa.Double(), nullable=False),
        sa.Column("end_seconds", sa.Double(), nullable=False),
        sa.Column("text", BYTEA(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=True),
        sa.CheckConstraint("0 <= start_seconds AND start_seconds <= end_seconds", name="runs_forward"),
        sa.CheckConstraint("confidence BETWEEN 0 AND 1", name="confidence_is_a_share"),
        sa.ForeignKeyConstraint(["evidence_id"], ["transcripts.evidence_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("evidence_id", "number"),
    )


def downgrade() -> None:
    op.drop_table("transcript_segments")
    op.drop_table("transcripts")
    op.drop_table("sound_prints")
    op.add_column("evidence", sa.Column("perceptual_hash", BIT(256), nullable=True))
    op.execute(
        "UPDATE evidence SET perceptual_hash = p.bits FROM picture_prints p WHERE p.evidence_id = evidence.id"
    )
    op.drop_table("picture_prints")
    op.drop_column("evidence", "rendition_key")

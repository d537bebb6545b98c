"""What the office does with items nobody could apply; rescue bundles."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"

KINDS = "'item', 'held', 'fork', 'conflict', 'raw'"


def upgrade() -> None:
    _let_the_office_settle_items()
    _let_children_come_without_parents()
    _find_owed_files_fast()
    op.create_table(
        "corrections",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("corrects_kind", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("item_id", sa.Uuid(), nullable=False),
        sa.Column("corrects_sha256", postgresql.BYTEA(), nullable=False),
        sa.Column("visit_id", sa.Uuid(), nullable=True),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("payload_type", sa.Text(), nullable=False),
        sa.Column("payload", postgresql.BYTEA(), nullable=False),
        sa.Column("sha256", postgresql.BYTEA(), nullable=False),
        sa.Column("signatures", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint(f"corrects_kind IN ({KINDS})", name=op.f("ck_corrections_corrects_kind_known")),
        sa.ForeignKeyConstraint(["author_id"], ["staff.id"], name=op.f("fk_corrections_author_id")),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name=op.f("fk_corrections_device_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_corrections")),
        sa.UniqueConstraint(
            "corrects_kind",
            "device_id",
            "item_id",
            "corrects_sha256",
            name=op.f("uq_corrections_corrects_kind_device_id_item_id_corrects_sha256"),
        ),
    )
    op.create_index(op.f("ix_corrections_visit_id"), "corrections", ["visit_id"])
    op.create_table(
        "desk_decisions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("item_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", postgresql.BYTEA(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("reason", postgresql.BYTEA(), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("problem", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("correction_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint(f"kind IN ({KINDS})", name=op.f("ck_desk_decisions_kind_known")),
        sa.CheckConstraint(
            "decision IN ('retry', 'accept', 'set_aside', 'correct')",
            name=op.f("ck_desk_decisions_decision_known"),
        ),
        sa.CheckConstraint(
            "(decision = 'correct') = (correction_id IS NOT NULL)",
            name=op.f("ck_desk_decisions_correction_is_there"),
        ),
        sa.ForeignKeyConstraint(
            ["correction_id"], ["corrections.id"], name=op.f("fk_desk_decisions_correction_id")
        ),
        sa.ForeignKeyConstraint(["decided_by"], ["staff.id"], name=op.f("fk_desk_decisions_decided_by")),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name=op.f("fk_desk_decisions_device_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_desk_decisions")),
        sa.UniqueConstraint("correction_id", name=op.f("uq_desk_decisions_correction_id")),
        sa.UniqueConstraint(
            "kind",
            "device_id",
            "item_id",
            "sha256",
            "number",
            name=op.f("uq_desk_decisions_kind_device_id_item_id_sha256_number"),
        ),
    )


def _let_the_office_settle_items() -> None:
    op.drop_constraint(op.f("ck_items_outcome_known"), "items", type_="check")
    op.create_check_constraint(
        op.f("ck_items_outcome_known"),
        "items",
        "outcome IN ('received', 'applied', 'held', 'quarantined', 'corrected', 'set_aside')",
    )
    op.create_index(
        "ix_items_desk",
        "items",
        ["received_at", "item_id"],
        postgresql_where=sa.text("outcome IN ('held', 'quarantined')"),
    )
    op.create_index(
        "ix_items_forked",
        "items",
        ["received_at", "item_id"],
        postgresql_where=sa.text("'chain_fork' = ANY (flags) AND NOT 'fork_seen' = ANY (flags)"),
    )
    settled = {"conflicting_items": "'corrected', 'set_aside'", "raw_submissions": "'released', 'corrected', 'set_aside'"}
    for table, ways in settled.items():
        op.add_column(table, sa.Column("settled", sa.Text(), nullable=True))
        op.create_check_constraint(op.f(f"ck_{table}_settled_known"), table, f"settled IN ({ways})")
        op.create_index(
            f"ix_{table}_open", table, ["received_at"], postgresql_where=sa.text("settled IS NULL")
        )


def _find_owed_files_fast() -> None:
    op.create_index(
        "ix_evidence_owed",
        "evidence",
        ["device_id"],
        postgresql_where=sa.text("state IN ('expected', 'uploading', 'mismatched', 'missing')"),
    )


def _let_children_come_without_parents() -> None:
    op.alter_column("visits", "started_item", nullable=True)
    op.add_column("accounts", sa.Column("missing_parent_id", sa.Uuid(), nullable=True))
    op.create_check_constraint(op.f("ck_accounts_amends_another"), "accounts", "parent_id <> id")
    op.create_index(
        "ix_accounts_missing_parent",
        "accounts",
        ["missing_parent_id"],
        postgresql_where=sa.text("missing_parent_id IS NOT NULL"),
    )

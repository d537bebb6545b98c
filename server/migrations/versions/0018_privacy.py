"""Retention, erasure and blind indexes."""

import sqlalchemy as sa
from alembic import op

from sqlalchemy.dialects import postgresql

revision = "0018"
down_revision = "0017"


# What is logged of an erasure, as 0013 does it for everything else.
LOGGED = (
    """
    CREATE FUNCTION log_text(one erasures) RETURNS text LANGUAGE sql STABLE RETURN jsonb_build_object(
        'counts', one.counts, 'debtor_id', one.debtor_id, 'ended_at', log_stamp(one.ended_at),
        'erased_at', log_stamp(one.erased_at), 'kept_days', one.kept_days, 'source', one.source,
        'things_sha256', encode(one.things_sha256, 'hex'))::text
    """,
    """
    CREATE FUNCTION log_record(one erasures) RETURNS text LANGUAGE sql STABLE RETURN concat_ws(E'\\n',
        'erasure', one.id, encode(sha256(convert_to(log_text(one), 'UTF8')), 'hex'))
    """,
    """
    CREATE FUNCTION log_new_erasures() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO log_leaves (kind, subject_id, record, salt, entry)
        SELECT 'erasure', id, record, salt, sha256(salt || convert_to(record, 'UTF8'))
          FROM (SELECT one.id, log_record(one::erasures) AS record, uuid_send(gen_random_uuid()) AS salt
                  FROM added_rows AS one) AS added;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER log_new AFTER INSERT ON erasures REFERENCING NEW TABLE AS added_rows
    FOR EACH STATEMENT EXECUTE FUNCTION log_new_erasures()
    """,
)
EVIDENCE_STATES = "'expected', 'uploading', 'stored', 'verified', 'mismatched', 'missing'"


def upgrade() -> None:
    _blind_indexes()
    _retention()
    _erasures()
    for statement in LOGGED:
        op.execute(statement)


def _blind_indexes() -> None:
    """`fieldvisit migrate` fills them afterwards: the database has no key."""
    for column in ("id_number", "phone"):
        op.add_column("debtors", sa.Column(f"{column}_index", sa.LargeBinary(), nullable=True))
        op.create_index(f"ix_debtors_{column}_index", "debtors", [f"{column}_index"])
        op.create_check_constraint(
            op.f(f"ck_debtors_{column}_index_of_one"),
            "debtors",
            f"{column} IS NOT NULL OR {column}_index IS NULL",
        )


def _retention() -> None:
    """The time of cases that were closed before this begins now: nobody knows when they were."""
    op.add_column("debtors", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("cases", sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE cases SET closed_at = now() WHERE state = 'closed'")
    op.create_check_constraint(
        op.f("ck_cases_closed_at_a_time"), "cases", "closed_at IS NULL OR state = 'closed'"
    )
    op.drop_constraint(op.f("ck_evidence_state_known"), "evidence")
    op.create_check_constraint(
        op.f("ck_evidence_state_known"), "evidence", f"state IN ({EVIDENCE_STATES}, 'erased')"
    )
    op.create_table(
        "retention_holds",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("debtor_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reason", sa.LargeBinary(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("set_by", sa.Uuid(), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("released_by", sa.Uuid(), nullable=True),
        sa.Column("release_reason", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('litigation', 'complaint', 'audit')", name=op.f("ck_retention_holds_kind_known")
        ),
        sa.CheckConstraint(
            "num_nonnulls(released_at, released_by, release_reason) IN (0, 3)",
            name=op.f("ck_retention_holds_release_has_reason"),
        ),
        sa.ForeignKeyConstraint(
            ["debtor_id"], ["debtors.id"], name=op.f("fk_retention_holds_debtor_id")
        ),
        sa.ForeignKeyConstraint(["set_by"], ["staff.id"], name=op.f("fk_retention_holds_set_by")),
        sa.ForeignKeyConstraint(["released_by"], ["staff.id"], name=op.f("fk_retention_holds_released_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retention_holds")),
    )
    op.create_index("ix_retention_holds_debtor", "retention_holds", ["debtor_id"])
    op.create_index(
        "ix_retention_holds_open", "retention_holds", ["id"], postgresql_where=sa.text("released_at IS NULL")
    )


def _erasures() -> None:
    op.create_table(
        "erasures",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("debtor_id", sa.Uuid(), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kept_days", sa.BigInteger(), nullable=False),
        sa.Column("source", postgresql.JSONB(), nullable=False),
        sa.Column("counts", postgresql.JSONB(), nullable=False),
        sa.Column("things_sha256", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["debtor_id"], ["debtors.id"], name=op.f("fk_erasures_debtor_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasures")),
        sa.UniqueConstraint("debtor_id", name=op.f("uq_erasures_debtor_id")),
    )
    op.create_table(
        "erased_things",
        sa.Column("erasure_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["erasure_id"], ["erasures.id"], name=op.f("fk_erased_things_erasure_id")),
        sa.PrimaryKeyConstraint("erasure_id", "kind", "subject_id", name=op.f("pk_erased_things")),
    )
    op.create_index("ix_erased_things_subject", "erased_things", ["subject_id"])
    op.create_table(
        "erased_objects",
        sa.Column("erasure_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("tried_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'removed', 'shared', 'refused')", name=op.f("ck_erased_objects_state_known")
        ),
        sa.ForeignKeyConstraint(["erasure_id"], ["erasures.id"], name=op.f("fk_erased_objects_erasure_id")),
        sa.PrimaryKeyConstraint("erasure_id", "key", name=op.f("pk_erased_objects")),
    )
    op.create_index(
        "ix_erased_objects_there", "erased_objects", ["key"], postgresql_where=sa.text("state <> 'removed'")
    )


def downgrade() -> None:
    for table in ("erased_objects", "erased_things", "erasures", "retention_holds"):
        op.drop_table(table)
    op.execute("DROP FUNCTION IF EXISTS log_new_erasures()")
    op.drop_column("cases", "closed_at")
    op.drop_column("debtors", "erased_at")
    for column in ("id_number", "phone"):
        op.drop_column("debtors", f"{column}_index")

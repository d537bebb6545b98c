"""The tamper-evident log: leaves written by triggers of what is logged, tiles, signed heads."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

KINDS = "'item', 'conflict', 'raw', 'evidence', 'decision', 'finding', 'access', 'erasure'"

# One instant, written the same on every server and in every session.
STAMP = """
CREATE FUNCTION log_stamp(at timestamptz) RETURNS text LANGUAGE sql IMMUTABLE RETURN
    to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
"""

# What is logged of a row. Triggers write it, checks compute it again from the row as it stands now.
RECORDS = (
    """
    CREATE FUNCTION log_text(one decisions) RETURNS text LANGUAGE sql STABLE RETURN jsonb_build_object(
        'allowed', one.allowed, 'approval_reason', one.approval_reason, 'approved_by', one.approved_by,
        'facts', one.facts, 'judged_at', log_stamp(one.judged_at), 'judged_for', one.judged_for,
        'pack', one.pack, 'verdict', one.verdict, 'wanted', one.wanted)::text
    """,
    """
    CREATE FUNCTION log_text(one findings) RETURNS text LANGUAGE sql STABLE RETURN jsonb_build_object(
        'check', one."check", 'citation', one.citation, 'claim', one.claim,
        'decided_at', log_stamp(one.decided_at), 'decided_by', one.decided_by,
        'observation', one.observation, 'reason', one.reason, 'rule', one.rule, 'state', one.state)::text
    """,
    """
    CREATE FUNCTION log_text(one access_log) RETURNS text LANGUAGE sql STABLE RETURN jsonb_build_object(
        'action', one.action, 'entity_id', one.entity_id, 'entity_kind', one.entity_kind,
        'fields', one.fields, 'reason', one.reason, 'request', one.request, 'staff_id', one.staff_id)::text
    """,
    """
    CREATE FUNCTION log_record(one items) RETURNS text LANGUAGE sql STABLE RETURN concat_ws(E'\\n',
        'item', one.device_id, one.item_id, encode(one.sha256, 'hex'), log_stamp(one.received_at))
    """,
    """
    CREATE FUNCTION log_record(one conflicting_items) RETURNS text LANGUAGE sql STABLE RETURN concat_ws(E'\\n',
        'conflict', one.device_id, one.item_id, encode(one.sha256, 'hex'), log_stamp(one.received_at))
    """,
    """
    CREATE FUNCTION log_record(one raw_submissions) RETURNS text LANGUAGE sql STABLE RETURN concat_ws(E'\\n',
        'raw', one.device_id, one.id, encode(one.sha256, 'hex'), log_stamp(one.received_at))
    """,
    """
    CREATE FUNCTION log_record(one evidence) RETURNS text LANGUAGE sql STABLE RETURN concat_ws(E'\\n',
        'evidence', one.device_id, one.id, encode(one.sha256, 'hex'), one.size_bytes)
    """,
    """
    CREATE FUNCTION log_record(one decisions) RETURNS text LANGUAGE sql STABLE RETURN concat_ws(E'\\n',
        'decision', one.id, encode(sha256(convert_to(log_text(one), 'UTF8')), 'hex'))
    """,
    """
    CREATE FUNCTION log_record(one findings) RETURNS text LANGUAGE sql STABLE RETURN concat_ws(E'\\n',
        'finding', one.visit_id, one.id, encode(sha256(convert_to(log_text(one), 'UTF8')), 'hex'))
    """,
    """
    CREATE FUNCTION log_record(one access_log) RETURNS text LANGUAGE sql STABLE RETURN concat_ws(E'\\n',
        'access', one.id, encode(sha256(convert_to(log_text(one), 'UTF8')), 'hex'), log_stamp(one.at))
    """,
)

# Salts are 122 random bits each: what gen_random_uuid() gives without any extension.
ADD = """
    INSERT INTO log_leaves (kind, subject_id, record, salt, entry)
    SELECT kind, subject_id, record, salt, sha256(salt || convert_to(record, 'UTF8'))
      FROM (SELECT '{kind}' AS kind, {subject} AS subject_id, log_record({row}) AS record,
                   uuid_send(gen_random_uuid()) AS salt {source}) AS added
"""


def _on_insert(table: str, *, kind: str, subject: str = "id") -> tuple[str, str]:
    """One statement for all rows of an INSERT, however many."""
    add = ADD.format(kind=kind, subject=f"one.{subject}", row=f"one::{table}", source="FROM added_rows AS one")
    return (
        f"""
        CREATE FUNCTION log_new_{table}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN {add}; RETURN NULL; END $$
        """,
        f"""
        CREATE TRIGGER log_new AFTER INSERT ON {table} REFERENCING NEW TABLE AS added_rows
        FOR EACH STATEMENT EXECUTE FUNCTION log_new_{table}()
        """,
    )


def _on_reaching(table: str, *, kind: str, states: str) -> tuple[str, ...]:
    """Once a row reaches one of the states."""
    add = ADD.format(kind=kind, subject="NEW.id", row="NEW", source="")
    reached = f"NEW.state IN ({states})"
    execute = f"FOR EACH ROW WHEN ({{when}}) EXECUTE FUNCTION log_reached_{table}()"
    return (
        f"""
        CREATE FUNCTION log_reached_{table}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN {add}; RETURN NULL; END $$
        """,
        f"CREATE TRIGGER log_reached_at_once AFTER INSERT ON {table} " + execute.format(when=reached),
        f"CREATE TRIGGER log_reached AFTER UPDATE OF state ON {table} "
        + execute.format(when=f"{reached} AND OLD.state IS DISTINCT FROM NEW.state"),
    )


TRIGGERS = (
    *_on_insert("items", kind="item", subject="item_id"),
    *_on_insert("conflicting_items", kind="conflict", subject="item_id"),
    *_on_insert("raw_submissions", kind="raw"),
    *_on_insert("decisions", kind="decision"),
    *_on_insert("access_log", kind="access"),
    *_on_reaching("evidence", kind="evidence", states="'verified'"),
    *_on_reaching("findings", kind="finding", states="'confirmed', 'dismissed'"),
)


def upgrade() -> None:
    op.create_table(
        "log_leaves",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("record", sa.Text(), nullable=True),
        sa.Column("salt", sa.LargeBinary(), nullable=True),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.Column("leaf_index", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(f"kind IN ({KINDS})", name=op.f("ck_log_leaves_kind_known")),
        sa.CheckConstraint("octet_length(entry) = 32", name=op.f("ck_log_leaves_entry_is_a_digest")),
        sa.CheckConstraint("(salt IS NULL) = (record IS NULL)", name=op.f("ck_log_leaves_erased_together")),
        sa.CheckConstraint("leaf_index >= 0", name=op.f("ck_log_leaves_index_counts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_leaves")),
        sa.UniqueConstraint("leaf_index", name=op.f("uq_log_leaves_leaf_index")),
    )
    op.create_index("ix_log_leaves_subject", "log_leaves", ["subject_id"])
    op.create_index(
        "ix_log_leaves_waiting", "log_leaves", ["id"], postgresql_where=sa.text("leaf_index IS NULL")
    )
    op.create_table(
        "log_tiles",
        sa.Column("level", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("number", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "number", name=op.f("pk_log_tiles")),
    )
    op.create_table(
        "log_checkpoints",
        sa.Column("size", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_log_checkpoints")),
    )
    for statement in (STAMP, *RECORDS, *TRIGGERS):
        op.execute(statement)
    _log_what_is_there()


def _log_what_is_there() -> None:
    """What was stored before there was a log begins it."""
    for table, kind, subject, where in (
        ("items", "item", "item_id", ""),
        ("conflicting_items", "conflict", "item_id", ""),
        ("raw_submissions", "raw", "id", ""),
        ("decisions", "decision", "id", ""),
        ("access_log", "access", "id", ""),
        ("evidence", "evidence", "id", "WHERE state = 'verified'"),
        ("findings", "finding", "id", "WHERE state IN ('confirmed', 'dismissed')"),
    ):
        source = f"FROM {table} AS one {where}"
        op.execute(ADD.format(kind=kind, subject=f"one.{subject}", row="one", source=source))

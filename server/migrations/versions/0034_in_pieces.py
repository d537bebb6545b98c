"""What may a phone's request cost, however large it is and however old its phone? And: loose files are logged."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0034"
down_revision = "0033"

# A piece is read with what follows it for some way: a name may stand across its end.
PIECE = 1024 * 1024
BEYOND = 1024
NAMES = """
            '"(?\\:case_id|contact_id|assignment_id|visit_id|finding_id)"\\s*:\\s*'
            '"\\{?([0-9a-fA-F]{8}-?(?\\:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12})\\}?"'
"""
IN_PIECES = (
    f"""
    CREATE OR REPLACE FUNCTION ids_named(said bytea) RETURNS uuid[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT array_agg(DISTINCT CAST(found[1] AS uuid))
          FROM generate_series(1, octet_length(said), {PIECE}) AS place,
               regexp_matches(encode(substr(said, place, {PIECE + BEYOND}), 'escape'),
               {NAMES}, 'g') AS found $$
    """,
    f"""
    CREATE OR REPLACE FUNCTION sealed_in(said bytea) RETURNS bytea
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
    DECLARE place int; before text; run text; sealed bytea \\:= '';
    BEGIN
        FOR place IN SELECT generate_series(1, octet_length(said), {PIECE}) LOOP
            before \\:= substring(encode(substr(said, place, {PIECE + BEYOND}), 'escape')
                                FROM '^(.*?"payload"\\s*:\\s*")[A-Za-z0-9+/]');
            CONTINUE WHEN before IS NULL;
            place \\:= place + octet_length(decode(before, 'escape'));
            LOOP
                run \\:= substring(encode(substr(said, place, {PIECE}), 'escape') FROM '^[A-Za-z0-9+/]*');
                sealed \\:= sealed || decode(left(run, length(run) / 4 * 4), 'base64');
                EXIT WHEN length(run) < {PIECE};
                place \\:= place + {PIECE};
            END LOOP;
            RETURN sealed;
        END LOOP;
        RETURN NULL;
    END $$
    """,
)
AT_ONCE = (
    f"""
    CREATE OR REPLACE FUNCTION ids_named(said bytea) RETURNS uuid[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT array_agg(DISTINCT CAST(found[1] AS uuid)) FROM regexp_matches(encode(said, 'escape'),
               {NAMES}, 'g') AS found $$
    """,
    """
    CREATE OR REPLACE FUNCTION sealed_in(said bytea) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT decode(left(sealed, length(sealed) / 4 * 4), 'base64')
          FROM substring(encode(said, 'escape') FROM '"payload"\\s*:\\s*"([A-Za-z0-9+/]+)') AS sealed $$
    """,
)
"""A text of characters takes sixteen times the bytes it was made of: more than PostgreSQL gives at once."""

KINDS = (
    *("item", "conflict", "raw", "evidence", "loose", "decision", "finding", "access", "erasure"),
    *("plan", "audit", "comment", "second_look", "hearing", "reply", "breach", "breach_ending"),
    *("desk_decision", "correction", "raised", "weight", "run"),
    *("month", "proposal", "fraud", "month_reply", "report", "hand_in", "telling"),
)
WAS_LOOSE = "state = 'stored' AND storage_key ~ '^evidence/[0-9a-f]{64}$'"
DIGEST = "decode(substr({row}storage_key, 10), 'hex')"
LOG = """
    INSERT INTO log_leaves (kind, subject_id, record, salt, entry)
    SELECT 'loose', id, record, salt, sha256(salt || convert_to(record, 'UTF8'))
      FROM (SELECT {row}.id, log_loose({row}) AS record, uuid_send(gen_random_uuid()) AS salt {source}) AS added
"""
# What was logged of a file that came before its promise is noted beside it: the promise changes the rest.
LOOSE = (
    """
    CREATE FUNCTION log_loose(one evidence) RETURNS text LANGUAGE sql STABLE RETURN concat_ws(E'\\n',
        'loose', one.loose_from, one.id, encode(one.loose_sha256, 'hex'))
    """,
    f"""
    CREATE FUNCTION note_loose_evidence() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.loose_from \\:= NEW.device_id;
        NEW.loose_sha256 \\:= {DIGEST.format(row="NEW.")};
        RETURN NEW;
    END $$
    """,
    f"""
    CREATE FUNCTION log_loose_evidence() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN {LOG.format(row="NEW", source="")}; RETURN NULL; END $$
    """,
    f"""
    CREATE TRIGGER note_loose BEFORE UPDATE OF state ON evidence FOR EACH ROW
    WHEN (OLD.loose_sha256 IS NULL AND NEW.{WAS_LOOSE.replace("storage_key", "NEW.storage_key")})
    EXECUTE FUNCTION note_loose_evidence()
    """,
    """
    CREATE TRIGGER log_loose AFTER UPDATE OF state ON evidence FOR EACH ROW
    WHEN (OLD.loose_sha256 IS NULL AND NEW.loose_sha256 IS NOT NULL) EXECUTE FUNCTION log_loose_evidence()
    """,
)


def upgrade() -> None:
    for statement in IN_PIECES:
        op.execute(statement)
    unapplied = sa.text("outcome <> 'applied'")
    op.create_index("ix_items_not_applied", "items", ["device_id"], postgresql_where=unapplied)
    op.add_column("evidence", sa.Column("loose_sha256", postgresql.BYTEA(), nullable=True))
    op.add_column("evidence", sa.Column("loose_from", sa.Uuid(), nullable=True))
    _let_kinds_be(KINDS)
    for statement in LOOSE:
        op.execute(statement)
    op.execute(
        f"UPDATE evidence SET loose_from = device_id, loose_sha256 = {DIGEST.format(row='')} WHERE {WAS_LOOSE}"
    )
    op.execute(LOG.format(row="one", source="FROM evidence AS one WHERE one.loose_sha256 IS NOT NULL"))


def downgrade() -> None:
    op.execute("DROP TRIGGER log_loose ON evidence")
    op.execute("DROP TRIGGER note_loose ON evidence")
    for function in ("log_loose_evidence()", "note_loose_evidence()", "log_loose(evidence)"):
        op.execute(f"DROP FUNCTION {function}")
    op.execute("DELETE FROM log_leaves WHERE kind = 'loose'")
    _let_kinds_be(tuple(kind for kind in KINDS if kind != "loose"))
    op.drop_column("evidence", "loose_from")
    op.drop_column("evidence", "loose_sha256")
    op.drop_index("ix_items_not_applied", table_name="items")
    for statement in AT_ONCE:
        op.execute(statement)


def _let_kinds_be(kinds: tuple[str, ...]) -> None:
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    op.drop_constraint(op.f("ck_log_leaves_kind_known"), "log_leaves")
    op.create_check_constraint(op.f("ck_log_leaves_kind_known"), "log_leaves", f"kind IN ({listed})")

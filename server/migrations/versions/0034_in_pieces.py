"""What may a phone's request cost, however large it is and however long the phone has been one of ours?"""

import sqlalchemy as sa
from alembic import op

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


def upgrade() -> None:
    for statement in IN_PIECES:
        op.execute(statement)
    unapplied = sa.text("outcome <> 'applied'")
    op.create_index("ix_items_not_applied", "items", ["device_id"], postgresql_where=unapplied)


def downgrade() -> None:
    op.drop_index("ix_items_not_applied", table_name="items")
    for statement in AT_ONCE:
        op.execute(statement)

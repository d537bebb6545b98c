"""When a visitor's phone was given a finding: from then on they may reply for so long."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"

KINDS = (
    *("item", "conflict", "raw", "evidence", "decision", "finding", "access", "erasure"),
    *("plan", "audit", "comment", "second_look", "hearing", "reply", "breach", "breach_ending"),
    *("desk_decision", "correction", "raised", "weight", "run"),
    *("month", "proposal", "fraud", "month_reply", "report", "hand_in", "telling"),
)

# Until when one person may reply: from their last telling on, or, never told, until the hearing ends.
REPLY_UNTIL = """
    CREATE FUNCTION reply_until(finding uuid, latest timestamptz, person uuid) RETURNS timestamptz LANGUAGE sql STABLE
    RETURN coalesce((
        SELECT due_at FROM hearing_tellings
         WHERE finding_id = finding AND staff_id = person AND told_at <= latest ORDER BY told_at DESC LIMIT 1), latest)
"""
# What is logged of a telling, as in 0014.
LOGGED = (
    """
    CREATE FUNCTION log_text(one hearing_tellings) RETURNS text LANGUAGE sql STABLE RETURN jsonb_build_object(
        'device_id', one.device_id, 'due_at', log_stamp(one.due_at), 'feed_seq', one.feed_seq,
        'finding_id', one.finding_id, 'staff_id', one.staff_id, 'told_at', log_stamp(one.told_at))::text
    """,
    """
    CREATE FUNCTION log_record(one hearing_tellings) RETURNS text LANGUAGE sql STABLE RETURN concat_ws(E'\\n',
        'telling', one.id, encode(sha256(convert_to(log_text(one), 'UTF8')), 'hex'))
    """,
    """
    CREATE FUNCTION log_new_hearing_tellings() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO log_leaves (kind, subject_id, record, salt, entry)
        SELECT 'telling', id, record, salt, sha256(salt || convert_to(record, 'UTF8'))
          FROM (SELECT one.id, log_record(one::hearing_tellings) AS record, uuid_send(gen_random_uuid()) AS salt
                  FROM added_rows AS one) AS added;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER log_new AFTER INSERT ON hearing_tellings REFERENCING NEW TABLE AS added_rows
    FOR EACH STATEMENT EXECUTE FUNCTION log_new_hearing_tellings()
    """,
)


def upgrade() -> None:
    op.create_table(
        "hearing_tellings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("finding_id", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("feed_seq", sa.BigInteger(), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("told_at < due_at", name=op.f("ck_hearing_tellings_leaves_time")),
        sa.ForeignKeyConstraint(["finding_id"], ["findings.id"], name=op.f("fk_hearing_tellings_finding_id")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_hearing_tellings_staff_id")),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name=op.f("fk_hearing_tellings_device_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hearing_tellings")),
    )
    op.create_index("ix_hearing_tellings_finding", "hearing_tellings", ["finding_id", "staff_id", "told_at"])
    listed = ", ".join(f"'{kind}'" for kind in KINDS)
    op.drop_constraint(op.f("ck_log_leaves_kind_known"), "log_leaves")
    op.create_check_constraint(op.f("ck_log_leaves_kind_known"), "log_leaves", f"kind IN ({listed})")
    for statement in (REPLY_UNTIL, *LOGGED):
        op.execute(statement)

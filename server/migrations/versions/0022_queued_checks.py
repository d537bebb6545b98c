"""Which waiting visits have an open finding of a check, the worst first: one step in an index for every check."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"

# The queue's rows say it; their triggers keep it, so that nobody can write one and forget the other.
KEPT = (
    """
    CREATE FUNCTION queue_new_checks() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO audit_queue_checks ("check", score, visit_id)
        SELECT unnest(checks), score, visit_id FROM new_rows WHERE state = 'waiting';
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION queue_changed_checks() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        DELETE FROM audit_queue_checks AS kept USING old_rows AS gone
         WHERE kept."check" = ANY (gone.checks) AND kept.score = gone.score AND kept.visit_id = gone.visit_id;
        INSERT INTO audit_queue_checks ("check", score, visit_id)
        SELECT unnest(checks), score, visit_id FROM new_rows WHERE state = 'waiting';
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER queue_new_checks AFTER INSERT ON audit_queue REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION queue_new_checks()
    """,
    """
    CREATE TRIGGER queue_changed_checks AFTER UPDATE ON audit_queue
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION queue_changed_checks()
    """,
    """
    INSERT INTO audit_queue_checks ("check", score, visit_id)
    SELECT unnest(checks), score, visit_id FROM audit_queue WHERE state = 'waiting'
    """,
)


def upgrade() -> None:
    op.create_table(
        "audit_queue_checks",
        sa.Column("check", sa.Text(), nullable=False),
        sa.Column("score", sa.BigInteger(), nullable=False),
        sa.Column("visit_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["visit_id"],
            ["audit_queue.visit_id"],
            name=op.f("fk_audit_queue_checks_visit_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("check", "score", "visit_id", name=op.f("pk_audit_queue_checks")),
    )
    for statement in KEPT:
        op.execute(statement)

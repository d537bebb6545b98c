"""When is a visit taken to have been made, and who may not decide about money?

One answer to the first for the queue, months and reports: they asked for the earliest time of the arrival, which of
a visit whose check-in never came, or whose phone's clock says nothing, is the year 2000: in no month, in no report,
and nobody's fraud. And frauds, breaches, proposals and rulings on complaints are refused by triggers to whoever had a
part in what they are about, as decisions on findings are.
"""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0035"

VISITED_AT = "CASE arrived_method WHEN 'received' THEN arrived_latest ELSE arrived_earliest END"

# Read whole before: by each bundle and erasure, and every ten minutes.
LOOK_UPS = (
    ("desk_decisions", "ix_desk_decisions_item_id", ["item_id"], {}),
    ("proven_frauds", "ix_proven_frauds_finding_ids", ["finding_ids"], {"postgresql_using": "gin"}),
    ("proposal_decisions", "ix_proposal_decisions_key", ["key"], {}),
    ("audit_queue", "ix_audit_queue_weights", ["weights"], {"postgresql_where": sa.text("state = 'waiting'")}),
)

# Who had a part in what a decision is about, beyond the visit itself (0014).
PARTS = (
    """
    CREATE FUNCTION part_in_findings(ids uuid[], person uuid) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT max(part_in_visit(one.visit_id, person)) FROM findings AS one WHERE one.id = ANY (ids) $$
    """,
    """
    CREATE FUNCTION part_in_complaint(complaint uuid, person uuid) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN person = ANY (one.about_staff) THEN 'are named in the complaint'
                ELSE part_in_visit(one.visit_id, person) END
      FROM complaints AS one WHERE one.id = complaint $$
    """,
    # By its key: E2 and E3 name a visit (or a case, of a clock), E4 a complaint, E6 a fraud. E5 is about every amount
    # of the month that was not the client's.
    """
    CREATE FUNCTION part_in_proposal(month date, staff uuid, key text, person uuid) RETURNS text
    LANGUAGE sql STABLE AS $$
    SELECT CASE split_part(key, ':', 1)
        WHEN 'E4' THEN part_in_complaint(split_part(key, ':', 2)::uuid, person)
        WHEN 'E5' THEN (
            SELECT max(part_in_visit((breach->>'visit_id')::uuid, person))
              FROM (SELECT * FROM closed_months AS one WHERE one.month = part_in_proposal.month
                     ORDER BY revision DESC LIMIT 1) AS closed
              JOIN month_inputs AS kept
                ON (kept.month, kept.revision, kept.staff_id) = (closed.month, closed.revision, staff)
             CROSS JOIN jsonb_array_elements(kept.facts->'breaches') AS breach
             WHERE closed.tariff->'balance_rules' ? (breach->>'rule'))
        WHEN 'E6' THEN (
            SELECT part_in_findings(one.finding_ids, person) FROM proven_frauds AS one
             WHERE one.id = split_part(key, ':', 2)::uuid)
        ELSE part_in_visit(split_part(key, ':', 2)::uuid, person)
    END $$
    """,
    """
    CREATE FUNCTION refuse_part() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE part text;
    BEGIN
        IF TG_TABLE_NAME = 'proven_frauds' THEN
            part := part_in_findings(NEW.finding_ids, NEW.recorded_by);
        ELSIF TG_TABLE_NAME = 'proposal_decisions' THEN
            part := part_in_proposal(NEW.month, NEW.staff_id, NEW.key, NEW.decided_by);
        ELSIF TG_TABLE_NAME = 'breaches' THEN
            part := part_in_findings(NEW.finding_ids, NEW.opened_by);
        ELSIF TG_TABLE_NAME = 'breach_endings' THEN
            SELECT part_in_findings(one.finding_ids, NEW.ended_by) INTO part
              FROM breaches AS one WHERE one.id = NEW.breach_id;
        ELSIF NEW.ruled_by IS NULL THEN
            part := 'are nobody';
        ELSE
            part := part_in_complaint(NEW.id, NEW.ruled_by);
        END IF;
        IF part IS NOT NULL THEN
            RAISE EXCEPTION 'whoever decides must have no part in what is decided'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'separation_of_duties';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER separation_of_duties BEFORE INSERT OR UPDATE OF finding_ids, recorded_by ON proven_frauds
    FOR EACH ROW EXECUTE FUNCTION refuse_part()
    """,
    """
    CREATE TRIGGER separation_of_duties BEFORE INSERT OR UPDATE OF key, decided_by, decision, amount_fen
    ON proposal_decisions FOR EACH ROW EXECUTE FUNCTION refuse_part()
    """,
    """
    CREATE TRIGGER separation_of_duties BEFORE INSERT OR UPDATE OF finding_ids, opened_by ON breaches
    FOR EACH ROW EXECUTE FUNCTION refuse_part()
    """,
    # Whoever teaches the team what it closes with may be its dispatcher; whoever takes it back decides.
    """
    CREATE TRIGGER separation_of_duties BEFORE INSERT OR UPDATE OF outcome, ended_by ON breach_endings
    FOR EACH ROW WHEN (NEW.outcome = 'withdrawn') EXECUTE FUNCTION refuse_part()
    """,
    """
    CREATE TRIGGER separation_of_duties BEFORE UPDATE OF level, merits, state, ruled_by ON complaints FOR EACH ROW
    WHEN (NEW.level <> OLD.level OR NEW.merits <> OLD.merits OR NEW.ruled_by IS DISTINCT FROM OLD.ruled_by
          OR NEW.state <> OLD.state AND NEW.state IN ('resolved', 'closed'))
    EXECUTE FUNCTION refuse_part()
    """,
)


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.add_column(
        "visits",
        sa.Column("visited_at", moment, sa.Computed(VISITED_AT, persisted=True), nullable=False),
    )
    op.create_index(op.f("ix_visits_visited_at"), "visits", ["visited_at"])
    for table, name, columns, more in LOOK_UPS:
        op.create_index(name, table, columns, **more)
    op.add_column("complaints", sa.Column("ruled_by", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f("fk_complaints_ruled_by"), "complaints", "staff", ["ruled_by"], ["id"])
    for statement in PARTS:
        op.execute(statement)


def downgrade() -> None:
    for table in ("complaints", "breach_endings", "breaches", "proposal_decisions", "proven_frauds"):
        op.execute(f"DROP TRIGGER separation_of_duties ON {table}")
    op.execute("DROP FUNCTION refuse_part()")
    op.execute("DROP FUNCTION part_in_proposal(date, uuid, text, uuid)")
    op.execute("DROP FUNCTION part_in_complaint(uuid, uuid)")
    op.execute("DROP FUNCTION part_in_findings(uuid[], uuid)")
    op.drop_column("complaints", "ruled_by")
    for table, name, _, _ in LOOK_UPS:
        op.drop_index(name, table_name=table)
    op.drop_index(op.f("ix_visits_visited_at"), table_name="visits")
    op.drop_column("visits", "visited_at")

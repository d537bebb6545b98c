"""Whose is what was said, so that an erasure finds all of it; and it meets no rule that was made for deciding."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0028"
down_revision = "0027"

# 0014 asked at every UPDATE, also when an erasure blanked words that were written long ago.
DECIDING = {"audits": "visit_id, auditor_id", "second_looks": "finding_id, reviewer_id"}

# What stands for itself in a visit's row is found by its visit, and most of what phones send is that.
OF_A_VISIT = "'visit.started', 'visit.evidence', 'visit.ended', 'visit.account'"
IS_FOUND_BY_VISIT = f"{{row}}outcome = 'applied' AND {{row}}type IN ({OF_A_VISIT})"
SAID_IN = {
    "items": "ids_named({row}payload)",
    "conflicting_items": "ids_named({row}payload)",
    "corrections": "ids_named({row}payload)",
    "raw_submissions": "ids_named({row}content || coalesce(sealed_in({row}content), ''))",
}
"""Table -> the ids that the bytes of a row name."""
BYTES = {"raw_submissions": "content"}
FUNCTIONS = (
    # Bytes of any kind are read, also such as are no JSON: hence no parser.
    """
    CREATE FUNCTION ids_named(said bytea) RETURNS uuid[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT array_agg(DISTINCT CAST(found[1] AS uuid)) FROM regexp_matches(encode(said, 'escape'),
            '"(?\\:case_id|contact_id|assignment_id|visit_id|finding_id)"\\s*:\\s*'
            '"\\{?([0-9a-fA-F]{8}-?(?\\:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12})\\}?"', 'g') AS found $$
    """,
    # An item as it is pushed has what it says in base64, possibly cut off.
    """
    CREATE FUNCTION sealed_in(said bytea) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT decode(left(sealed, length(sealed) / 4 * 4), 'base64')
          FROM substring(encode(said, 'escape') FROM '"payload"\\s*:\\s*"([A-Za-z0-9+/]+)') AS sealed $$
    """,
    """
    CREATE FUNCTION ids_about(debtor uuid) RETURNS uuid[] LANGUAGE sql STABLE AS $$
        SELECT array_agg(id) FROM (
            SELECT id FROM cases WHERE debtor_id = debtor
             UNION SELECT contacts.id FROM contacts JOIN cases ON cases.id = case_id WHERE cases.debtor_id = debtor
             UNION SELECT id FROM assignments WHERE debtor_id = debtor
             UNION SELECT id FROM visits WHERE debtor_id = debtor
             UNION SELECT visits.id FROM visits JOIN assignments ON assignments.id = assignment_id
                    WHERE assignments.debtor_id = debtor
             -- A visit whose check-in could not be applied is nobody's, but it says whose it is.
             UNION SELECT visit_id FROM items LEFT JOIN visits ON visits.id = visit_id
                    WHERE named && ARRAY(SELECT id FROM assignments WHERE debtor_id = debtor)
                      AND visit_id IS NOT NULL AND visits.debtor_id IS NULL
             UNION SELECT findings.id FROM findings JOIN visits ON visits.id = visit_id
                    WHERE visits.debtor_id = debtor
        ) AS theirs $$
    """,
)

STAYS_ERASED = (
    """
    CREATE FUNCTION refuse_return() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'what was erased does not come back'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'erased_stays_erased';
    END $$
    """,
    """
    CREATE TRIGGER erased_stays_erased BEFORE UPDATE OF state, storage_key ON evidence FOR EACH ROW
    WHEN (OLD.state = 'erased' AND (NEW.state <> 'erased' OR NEW.storage_key IS NOT NULL))
    EXECUTE FUNCTION refuse_return()
    """,
)


def upgrade() -> None:
    for table, columns in DECIDING.items():
        _separate(table, on=f"INSERT OR UPDATE OF {columns}")
    for table in SAID_IN:
        op.add_column(table, sa.Column("named", postgresql.ARRAY(sa.Uuid()), nullable=True))
    for statement in FUNCTIONS:
        op.execute(statement)
    for table in SAID_IN:
        _name(table)
    for statement in STAYS_ERASED:
        op.execute(statement)
    # What comes after an erasure is an erasure of its own.
    op.drop_constraint(op.f("uq_erasures_debtor_id"), "erasures")
    op.create_index(op.f("ix_erasures_debtor_id"), "erasures", ["debtor_id"])
    op.create_index("ix_plan_stops_case_id", "plan_stops", ["case_id"])
    op.create_index("ix_plan_left_out_case_id", "plan_left_out", ["case_id"])


def downgrade() -> None:
    op.drop_index(op.f("ix_erasures_debtor_id"), table_name="erasures")
    op.create_unique_constraint(op.f("uq_erasures_debtor_id"), "erasures", ["debtor_id"])
    op.execute("DROP TRIGGER erased_stays_erased ON evidence")
    op.execute("DROP FUNCTION refuse_return()")
    op.drop_index("ix_plan_left_out_case_id", table_name="plan_left_out")
    op.drop_index("ix_plan_stops_case_id", table_name="plan_stops")
    op.execute("DROP FUNCTION ids_about(uuid)")
    for table in SAID_IN:
        op.execute(f"DROP TRIGGER name_ids ON {table}")
        op.execute(f"DROP FUNCTION name_ids_in_{table}()")
        op.drop_index(f"ix_{table}_named", table_name=table)
        op.drop_column(table, "named")
    op.execute("DROP FUNCTION sealed_in(bytea)")
    op.execute("DROP FUNCTION ids_named(bytea)")
    for table in DECIDING:
        _separate(table, on="INSERT OR UPDATE")


def _separate(table: str, *, on: str) -> None:
    op.execute(f"DROP TRIGGER separation_of_duties ON {table}")
    op.execute(
        f"CREATE TRIGGER separation_of_duties BEFORE {on} ON {table}"
        " FOR EACH ROW EXECUTE FUNCTION refuse_involved()"
    )


def _name(table: str) -> None:
    """Keep beside a row's bytes whose ids they name, by a trigger, and write it down of what is there."""
    needs_none = IS_FOUND_BY_VISIT if table == "items" else "false"
    named = f"CASE WHEN NOT ({needs_none}) THEN {SAID_IN[table]} END"
    op.execute(f"UPDATE {table} SET named = {named.format(row='')}")
    op.execute(
        f"""
        CREATE FUNCTION name_ids_in_{table}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN NEW.named := {named.format(row="NEW.")}; RETURN NEW; END $$
        """
    )
    columns = "payload, outcome, type" if table == "items" else BYTES.get(table, "payload")
    op.execute(
        f"CREATE TRIGGER name_ids BEFORE INSERT OR UPDATE OF {columns} ON {table}"
        f" FOR EACH ROW EXECUTE FUNCTION name_ids_in_{table}()"
    )
    op.create_index(
        f"ix_{table}_named",
        table,
        ["named"],
        postgresql_using="gin",
        postgresql_with={"fastupdate": "off"},
        postgresql_where=sa.text("named IS NOT NULL"),
    )

"""Every act of an auditor and of a supervisor at the desk gets its leaf, and so does what was judged before them.

Words that stand encrypted are logged by a commitment (`server.ledger.commitment`): the database has no key. What
was written before this has none; its leaf says so.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

KINDS = (
    *("item", "conflict", "raw", "evidence", "decision", "finding", "access", "erasure"),
    *("plan", "audit", "comment", "second_look", "hearing", "reply", "breach", "breach_ending"),
    *("desk_decision", "correction", "raised", "weight", "run"),
    *("month", "proposal", "fraud", "month_reply", "report", "hand_in"),
)
COMMITTED = {"desk_decisions": "reason", "proven_frauds": "words", "month_replies": "text"}

# What is logged of a row, as in 0013 and 0014: table -> kind, and the members of its text.
LOGGED = {
    "desk_decisions": (
        "desk_decision",
        """'correction_id', one.correction_id, 'decided_at', log_stamp(one.decided_at),
        'decided_by', one.decided_by, 'decision', one.decision, 'device_id', one.device_id,
        'item_id', one.item_id, 'kind', one.kind, 'number', one.number, 'outcome', one.outcome,
        'problem', one.problem, 'reason_commitment', encode(one.reason_commitment, 'hex'),
        'sha256', encode(one.sha256, 'hex')""",
    ),
    "corrections": (
        "correction",
        """'author_id', one.author_id, 'corrects_kind', one.corrects_kind,
        'corrects_sha256', encode(one.corrects_sha256, 'hex'), 'device_id', one.device_id,
        'item_id', one.item_id, 'sha256', encode(one.sha256, 'hex'), 'type', one.type,
        'visit_id', one.visit_id, 'written_at', log_stamp(one.written_at)""",
    ),
    "reconciliation_runs": (
        "run",
        """'because', one.because, 'changes', one.changes, 'marks', one.marks, 'pack', one.pack,
        'ran_at', log_stamp(one.ran_at), 'since', one.since, 'visit_id', one.visit_id""",
    ),
    "proposal_decisions": (
        "proposal",
        """'amount_fen', one.amount_fen, 'decided_at', log_stamp(one.decided_at), 'decided_by', one.decided_by,
        'decision', one.decision, 'key', one.key, 'month', to_char(one.month, 'YYYY-MM'),
        'reason', one.reason, 'staff_id', one.staff_id""",
    ),
    "proven_frauds": (
        "fraud",
        """'committed_on', to_char(one.committed_on, 'YYYY-MM-DD'), 'finding_ids', one.finding_ids,
        'recorded_at', log_stamp(one.recorded_at), 'recorded_by', one.recorded_by, 'staff_id', one.staff_id,
        'words_commitment', encode(one.words_commitment, 'hex')""",
    ),
    "month_replies": (
        "month_reply",
        """'at', log_stamp(one.at), 'month', to_char(one.month, 'YYYY-MM'), 'staff_id', one.staff_id,
        'text_commitment', encode(one.text_commitment, 'hex')""",
    ),
    "report_files": (
        "report",
        """'client_id', one.client_id, 'first', to_char(one.first, 'YYYY-MM-DD'), 'format', one.format,
        'kind', one.kind, 'last', to_char(one.last, 'YYYY-MM-DD'), 'made_at', log_stamp(one.made_at),
        'made_by', one.made_by, 'rows', one.rows, 'sha256', encode(one.sha256, 'hex'),
        'size_bytes', one.size_bytes""",
    ),
    "report_hand_ins": (
        "hand_in",
        """'due_at', log_stamp(one.due_at), 'file_id', one.file_id,
        'handed_in_at', log_stamp(one.handed_in_at), 'handed_in_by', one.handed_in_by,
        'recipient', one.recipient""",
    ),
}
# A closed month gets its digest after its row: it is logged when it has it.
MONTH = """'closed_at', log_stamp(one.closed_at), 'closed_by', one.closed_by, 'days_looked', one.days_looked,
    'month', to_char(one.month, 'YYYY-MM'), 'people', one.people, 'reason', one.reason,
    'revision', one.revision, 'sha256', encode(one.sha256, 'hex'), 'tariff', one.tariff,
    'unattributed', one.unattributed"""
# What an auditor raised, before anybody decides about it; and how heavy it was, once it was decided.
RAISED = """'check', one."check", 'citation', one.citation, 'found_at', log_stamp(one.found_at),
    'observation', one.observation, 'raised_by', one.raised_by, 'rule', one.rule, 'severity', one.severity,
    'visit_id', one.visit_id"""
WEIGHT = """'confidence', one.confidence, 'found_at', log_stamp(one.found_at), 'key', one.key,
    'raised_by', one.raised_by, 'severity', one.severity, 'severity_rank', one.severity_rank,
    'visit_id', one.visit_id"""

ADD = """
    INSERT INTO log_leaves (kind, subject_id, record, salt, entry)
    SELECT '{kind}', subject_id, record, salt, sha256(salt || convert_to(record, 'UTF8'))
      FROM (SELECT {row}.id AS subject_id, {record} AS record, uuid_send(gen_random_uuid()) AS salt {source}) AS added
"""


def upgrade() -> None:
    for table, name in COMMITTED.items():
        op.add_column(table, sa.Column(f"{name}_commitment", sa.LargeBinary()))
    for table in ("closed_months", "proposal_decisions"):
        op.add_column(
            table, sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False)
        )
        op.create_unique_constraint(op.f(f"uq_{table}_id"), table, ["id"])
    listed = ", ".join(f"'{kind}'" for kind in KINDS)
    op.drop_constraint(op.f("ck_log_leaves_kind_known"), "log_leaves")
    op.create_check_constraint(op.f("ck_log_leaves_kind_known"), "log_leaves", f"kind IN ({listed})")
    for table, (kind, members) in LOGGED.items():
        _describe(table, kind=kind, members=members, name="log_record", text="log_text")
        _on_insert(table, kind=kind)
        _log_what_is_there(table, kind=kind, record="log_record", where="true")
    _months()
    _findings()


def _months() -> None:
    _describe("closed_months", kind="month", members=MONTH, name="log_record", text="log_text")
    _on_row(
        "closed_months",
        kind="month",
        record="log_record",
        name="log_closed",
        when="AFTER UPDATE OF sha256",
        only="OLD.sha256 IS DISTINCT FROM NEW.sha256",
    )
    _log_what_is_there("closed_months", kind="month", record="log_record", where="sha256 <> ''")


def _findings() -> None:
    decided = "state IN ('confirmed', 'dismissed')"
    raised = "raised_by IS NOT NULL"
    _describe("findings", kind="raised", members=RAISED, name="log_raised", text="log_raised_text")
    _on_row(
        "findings", kind="raised", record="log_raised", name="log_raised", when="AFTER INSERT", only=f"NEW.{raised}"
    )
    _log_what_is_there("findings", kind="raised", record="log_raised", where=raised)
    _describe("findings", kind="weight", members=WEIGHT, name="log_weight", text="log_weight_text")
    _on_row(
        "findings",
        kind="weight",
        record="log_weight",
        name="log_weight",
        when="AFTER UPDATE OF state",
        only=f"NEW.{decided} AND OLD.state IS DISTINCT FROM NEW.state",
    )
    op.execute(
        f"""
        CREATE TRIGGER log_weight_at_once AFTER INSERT ON findings FOR EACH ROW WHEN (NEW.{decided})
        EXECUTE FUNCTION log_weight_of_findings()
        """
    )
    _log_what_is_there("findings", kind="weight", record="log_weight", where=decided)


def _describe(table: str, *, kind: str, members: str, name: str, text: str) -> None:
    """Write the functions that say what is logged of a row."""
    op.execute(
        f"""
        CREATE FUNCTION {text}(one {table}) RETURNS text LANGUAGE sql STABLE RETURN
            jsonb_build_object({members})::text
        """
    )
    op.execute(
        f"""
        CREATE FUNCTION {name}(one {table}) RETURNS text LANGUAGE sql STABLE RETURN concat_ws(E'\\n',
            '{kind}', one.id, encode(sha256(convert_to({text}(one), 'UTF8')), 'hex'))
        """
    )


def _on_insert(table: str, *, kind: str) -> None:
    """Give every new row its leaf, one statement for all rows of an INSERT."""
    add = ADD.format(kind=kind, row="one", record=f"log_record(one::{table})", source="FROM added_rows AS one")
    op.execute(
        f"""
        CREATE FUNCTION log_new_{table}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN {add}; RETURN NULL; END $$
        """
    )
    op.execute(
        f"""
        CREATE TRIGGER log_new AFTER INSERT ON {table} REFERENCING NEW TABLE AS added_rows
        FOR EACH STATEMENT EXECUTE FUNCTION log_new_{table}()
        """
    )


def _on_row(table: str, *, kind: str, record: str, name: str, when: str, only: str) -> None:
    """Give a row its leaf when something happens to it."""
    add = ADD.format(kind=kind, row="NEW", record=f"{record}(NEW)", source="")
    op.execute(
        f"""
        CREATE FUNCTION {name}_of_{table}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN {add}; RETURN NULL; END $$
        """
    )
    op.execute(
        f"CREATE TRIGGER {name} {when} ON {table} FOR EACH ROW WHEN ({only}) EXECUTE FUNCTION {name}_of_{table}()"
    )


def _log_what_is_there(table: str, *, kind: str, record: str, where: str) -> None:
    source = f"FROM {table} AS one WHERE {where} ORDER BY one.id"
    op.execute(ADD.format(kind=kind, row="one", record=f"{record}(one)", source=source))

"""What auditors decide, ask and close: queue, plans, conclusions, comments, second looks, replies, breaches.

Every one of them has its leaf in the tamper-evident log, written as in 0013. Who had a part in a visit is said
by one function in SQL; triggers refuse decisions of such people.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"

TEXT, UUID, BIGINT, WHEN, DAY = sa.Text(), sa.Uuid(), sa.BigInteger(), sa.DateTime(timezone=True), sa.Date()
TEXTS, UUIDS, JSONB = postgresql.ARRAY(sa.Text()), postgresql.ARRAY(sa.Uuid()), postgresql.JSONB()

KINDS = (
    *("item", "conflict", "raw", "evidence", "decision", "finding", "access", "erasure"),
    *("plan", "audit", "comment", "second_look", "hearing", "reply", "breach", "breach_ending"),
)

PART_IN_VISIT = """
    CREATE FUNCTION part_in_visit(visit uuid, person uuid) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN person = v.staff_id OR person = ANY (v.team) OR EXISTS (
            SELECT FROM assignment_members AS m WHERE m.assignment_id = v.assignment_id AND m.staff_id = person)
        THEN 'were in the visit''s team'
        WHEN person = a.issued_by THEN 'assigned the visit'
        WHEN person = d.approved_by THEN 'approved the visit'
        WHEN EXISTS (SELECT FROM corrections AS c WHERE c.visit_id = v.id AND c.author_id = person)
        THEN 'corrected a record of the visit'
    END
    FROM visits AS v
    LEFT JOIN assignments AS a ON a.id = v.assignment_id
    LEFT JOIN decisions AS d ON d.id = a.decision_id
    WHERE v.id = visit $$
"""
REFUSE_INVOLVED = """
    CREATE FUNCTION refuse_involved() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE visit uuid; person uuid; decider uuid;
    BEGIN
        IF TG_TABLE_NAME = 'findings' THEN
            visit := NEW.visit_id; person := NEW.decided_by;
        ELSIF TG_TABLE_NAME = 'audits' THEN
            visit := NEW.visit_id; person := NEW.auditor_id;
        ELSE
            SELECT one.visit_id, one.decided_by INTO visit, decider FROM findings AS one WHERE one.id = NEW.finding_id;
            person := NEW.reviewer_id;
        END IF;
        IF person = decider OR part_in_visit(visit, person) IS NOT NULL THEN
            RAISE EXCEPTION 'whoever decides must have no part in what is decided'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'separation_of_duties';
        END IF;
        RETURN NEW;
    END $$
"""
SEPARATED = (
    """
    CREATE TRIGGER separation_of_duties BEFORE INSERT OR UPDATE OF decided_by ON findings
    FOR EACH ROW WHEN (NEW.decided_by IS NOT NULL) EXECUTE FUNCTION refuse_involved()
    """,
    """
    CREATE TRIGGER separation_of_duties BEFORE INSERT OR UPDATE ON audits
    FOR EACH ROW EXECUTE FUNCTION refuse_involved()
    """,
    """
    CREATE TRIGGER separation_of_duties BEFORE INSERT OR UPDATE ON second_looks
    FOR EACH ROW EXECUTE FUNCTION refuse_involved()
    """,
)

# What is logged of a row, as in 0013: table -> kind, and the members of its text.
LOGGED = {
    "audit_plans": (
        "plan",
        """'branch', one.branch, 'control_percent', one.control_percent,
        'drawn_sha256', encode(one.drawn_sha256, 'hex'), 'first_day', to_char(one.first_day, 'YYYY-MM-DD'),
        'last_day', to_char(one.last_day, 'YYYY-MM-DD'), 'made_at', log_stamp(one.made_at),
        'made_by', one.made_by, 'population', one.population, 'seed', one.seed, 'size', one.size,
        'weights', one.weights, 'weights_used', one.weights_used""",
    ),
    "audits": (
        "audit",
        """'auditor_id', one.auditor_id, 'concluded_at', log_stamp(one.concluded_at), 'note', one.note,
        'outcome', one.outcome, 'visit_id', one.visit_id""",
    ),
    "finding_comments": (
        "comment",
        """'author_id', one.author_id, 'finding_id', one.finding_id, 'text', one.text,
        'written_at', log_stamp(one.written_at)""",
    ),
    "second_looks": (
        "second_look",
        """'finding_id', one.finding_id, 'looked_at', log_stamp(one.looked_at), 'outcome', one.outcome,
        'reason', one.reason, 'reviewer_id', one.reviewer_id""",
    ),
    "hearings": (
        "hearing",
        """'due_at', log_stamp(one.due_at), 'finding_id', one.finding_id,
        'opened_at', log_stamp(one.opened_at), 'people', one.people""",
    ),
    "finding_replies": (
        "reply",
        """'device_id', one.device_id, 'finding_id', one.finding_id, 'in_time', one.in_time,
        'item_id', one.item_id, 'received_at', log_stamp(one.received_at), 'staff_id', one.staff_id,
        'text', one.text, 'written_earliest', log_stamp(one.written_earliest),
        'written_latest', log_stamp(one.written_latest)""",
    ),
    "breaches": (
        "breach",
        """'checks', one.checks, 'complaint_ids', one.complaint_ids, 'finding_ids', one.finding_ids,
        'measure', one.measure, 'opened_at', log_stamp(one.opened_at), 'opened_by', one.opened_by,
        'repeats', one.repeats, 'staff_id', one.staff_id, 'summary', one.summary""",
    ),
    "breach_endings": (
        "breach_ending",
        """'breach_id', one.breach_id, 'cause', one.cause, 'education', one.education,
        'ended_at', log_stamp(one.ended_at), 'ended_by', one.ended_by, 'outcome', one.outcome,
        'prevention', one.prevention, 'reason', one.reason, 'staff_id', one.staff_id""",
    ),
}


def _log(table: str, kind: str, members: str) -> tuple[str, ...]:
    """Return the statements that give every new row of a table its leaf."""
    return (
        f"""
        CREATE FUNCTION log_text(one {table}) RETURNS text LANGUAGE sql STABLE RETURN
            jsonb_build_object({members})::text
        """,
        f"""
        CREATE FUNCTION log_record(one {table}) RETURNS text LANGUAGE sql STABLE RETURN concat_ws(E'\\n',
            '{kind}', one.id, encode(sha256(convert_to(log_text(one), 'UTF8')), 'hex'))
        """,
        f"""
        CREATE FUNCTION log_new_{table}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO log_leaves (kind, subject_id, record, salt, entry)
            SELECT '{kind}', subject_id, record, salt, sha256(salt || convert_to(record, 'UTF8'))
              FROM (SELECT one.id AS subject_id, log_record(one::{table}) AS record,
                           uuid_send(gen_random_uuid()) AS salt FROM added_rows AS one) AS added;
            RETURN NULL;
        END $$
        """,
        f"""
        CREATE TRIGGER log_new AFTER INSERT ON {table} REFERENCING NEW TABLE AS added_rows
        FOR EACH STATEMENT EXECUTE FUNCTION log_new_{table}()
        """,
    )


def upgrade() -> None:
    _findings()
    _queue()
    _plans()
    _hearings()
    _breaches()
    listed = ", ".join(f"'{kind}'" for kind in KINDS)
    op.drop_constraint(op.f("ck_log_leaves_kind_known"), "log_leaves")
    op.create_check_constraint(op.f("ck_log_leaves_kind_known"), "log_leaves", f"kind IN ({listed})")
    for statement in (PART_IN_VISIT, REFUSE_INVOLVED, *SEPARATED):
        op.execute(statement)
    for table, (kind, members) in LOGGED.items():
        for statement in _log(table, kind, members):
            op.execute(statement)
    _queue_what_is_there()


def _findings() -> None:
    op.add_column("findings", sa.Column("raised_by", UUID))
    op.create_foreign_key(op.f("fk_findings_raised_by"), "findings", "staff", ["raised_by"], ["id"])
    op.add_column("findings", sa.Column("overturned", sa.Boolean(), server_default=sa.false(), nullable=False))
    stands = "CASE state WHEN 'confirmed' THEN NOT overturned WHEN 'dismissed' THEN overturned END"
    op.add_column("findings", sa.Column("stands", sa.Boolean(), sa.Computed(stands, persisted=True)))
    op.create_check_constraint(
        op.f("ck_findings_overturned_was_decided"), "findings", "NOT overturned OR decided_by IS NOT NULL"
    )
    op.create_index(
        "ix_findings_open", "findings", ["check", "visit_id"], postgresql_where=sa.text("state = 'open'")
    )
    op.create_index(
        "ix_findings_standing", "findings", ["check", "visit_id"], postgresql_where=sa.text("stands")
    )
    op.create_table(
        "finding_comments",
        _id(),
        _column("finding_id", UUID, of="findings.id"),
        _column("author_id", UUID, of="staff.id"),
        _column("written_at", WHEN),
        _column("text", TEXT),
        sa.CheckConstraint("btrim(text) <> ''", name=op.f("ck_finding_comments_says_something")),
    )
    op.create_index(op.f("ix_finding_comments_finding_id"), "finding_comments", ["finding_id"])
    op.create_table(
        "second_looks",
        _id(),
        _column("finding_id", UUID, of="findings.id", unique=True),
        _column("reviewer_id", UUID, of="staff.id"),
        _column("looked_at", WHEN),
        _column("outcome", TEXT),
        _column("reason", TEXT),
        _known("second_looks", "outcome", "upheld", "overturned"),
        sa.CheckConstraint("btrim(reason) <> ''", name=op.f("ck_second_looks_has_a_reason")),
    )


def _queue() -> None:
    op.create_table(
        "audit_queue",
        sa.Column("visit_id", UUID, sa.ForeignKey("visits.id"), primary_key=True),
        _column("score", BIGINT),
        _column("parts", JSONB),
        _column("checks", TEXTS),
        _column("weights", TEXT),
        _column("staff_id", UUID, of="staff.id"),
        _column("branch", TEXT),
        sa.Column("client_id", UUID, sa.ForeignKey("clients.id")),
        _column("visited_on", DAY),
        _column("state", TEXT),
        _known("audit_queue", "state", "waiting", "audited"),
    )
    waiting = sa.text("state = 'waiting'")
    for name, columns in (
        ("worst", ["score", "visit_id"]),
        ("branch", ["branch", "score", "visit_id"]),
        ("staff", ["staff_id", "score", "visit_id"]),
        ("client", ["client_id", "score", "visit_id"]),
    ):
        op.create_index(f"ix_audit_queue_{name}", "audit_queue", columns, postgresql_where=waiting)
    op.create_index("ix_audit_queue_day", "audit_queue", ["visited_on"])
    op.create_table(
        "audits",
        _id(),
        _column("visit_id", UUID, of="visits.id"),
        _column("auditor_id", UUID, of="staff.id"),
        _column("concluded_at", WHEN),
        _column("outcome", TEXT),
        _column("note", TEXT),
        _known("audits", "outcome", "sound", "not_sound"),
        sa.CheckConstraint("btrim(note) <> ''", name=op.f("ck_audits_says_what_was_looked_at")),
    )
    op.create_index("ix_audits_visit", "audits", ["visit_id", "id"])


def _plans() -> None:
    op.create_table(
        "audit_plans",
        _id(),
        _column("first_day", DAY),
        _column("last_day", DAY),
        sa.Column("branch", TEXT),
        _column("size", BIGINT),
        _column("control_percent", BIGINT),
        _column("seed", TEXT),
        _column("weights", TEXT),
        _column("weights_used", JSONB),
        _column("population", BIGINT),
        _column("drawn_sha256", postgresql.BYTEA()),
        _column("made_by", UUID, of="staff.id"),
        _column("made_at", WHEN),
        sa.CheckConstraint("first_day <= last_day", name=op.f("ck_audit_plans_period_not_empty")),
        sa.CheckConstraint("size BETWEEN 1 AND 10000", name=op.f("ck_audit_plans_size_known")),
        sa.CheckConstraint("control_percent BETWEEN 0 AND 100", name=op.f("ck_audit_plans_share_known")),
        sa.CheckConstraint("seed <> ''", name=op.f("ck_audit_plans_seed_known")),
    )
    op.create_table(
        "audit_plan_visits",
        sa.Column("plan_id", UUID, sa.ForeignKey("audit_plans.id"), primary_key=True),
        sa.Column("visit_id", UUID, sa.ForeignKey("visits.id"), primary_key=True),
        _column("score", BIGINT),
        sa.Column("arm", TEXT),
        sa.Column("place", BIGINT),
        _known("audit_plan_visits", "arm", "risk", "control"),
        sa.CheckConstraint(
            "(arm IS NULL) = (place IS NULL)", name=op.f("ck_audit_plan_visits_drawn_has_a_place")
        ),
        sa.UniqueConstraint("plan_id", "place", name=op.f("uq_audit_plan_visits_plan_id_place")),
    )
    op.create_index(
        "ix_audit_plan_visits_visit",
        "audit_plan_visits",
        ["visit_id"],
        postgresql_where=sa.text("arm IS NOT NULL"),
    )


def _hearings() -> None:
    op.create_table(
        "hearings",
        _id(),
        _column("finding_id", UUID, of="findings.id", unique=True),
        _column("people", UUIDS),
        _column("opened_at", WHEN),
        _column("due_at", WHEN),
        sa.Column("on_phones", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.CheckConstraint("opened_at < due_at", name=op.f("ck_hearings_leaves_time")),
        sa.CheckConstraint("cardinality(people) > 0", name=op.f("ck_hearings_tells_somebody")),
    )
    op.create_index("ix_hearings_on_phones", "hearings", ["due_at"], postgresql_where=sa.text("on_phones"))
    op.create_table(
        "finding_replies",
        _id(),
        _column("finding_id", UUID, of="findings.id"),
        _column("staff_id", UUID, of="staff.id"),
        _column("device_id", UUID),
        _column("item_id", UUID),
        _column("text", TEXT),
        _column("written_earliest", WHEN),
        _column("written_latest", WHEN),
        _column("received_at", WHEN),
        _column("in_time", sa.Boolean()),
        sa.UniqueConstraint("device_id", "item_id", name=op.f("uq_finding_replies_device_id_item_id")),
    )
    op.create_index(op.f("ix_finding_replies_finding_id"), "finding_replies", ["finding_id"])


def _breaches() -> None:
    op.create_table(
        "breaches",
        _id(),
        _column("staff_id", UUID, of="staff.id"),
        _column("measure", TEXT),
        _column("repeats", UUIDS),
        _column("checks", TEXTS),
        _column("finding_ids", UUIDS),
        _column("complaint_ids", UUIDS),
        _column("summary", TEXT),
        _column("opened_by", UUID, of="staff.id"),
        _column("opened_at", WHEN),
        _known("breaches", "measure", "coaching", "discipline"),
        sa.CheckConstraint("opened_by <> staff_id", name=op.f("ck_breaches_not_opened_by_oneself")),
        sa.CheckConstraint(
            "cardinality(finding_ids) > 0 AND cardinality(checks) > 0",
            name=op.f("ck_breaches_has_findings"),
        ),
        sa.CheckConstraint(
            "(measure = 'discipline') = (cardinality(repeats) > 0)",
            name=op.f("ck_breaches_discipline_means_repeat"),
        ),
        sa.UniqueConstraint("id", "staff_id", name=op.f("uq_breaches_id_staff_id")),
    )
    op.create_index("ix_breaches_staff", "breaches", ["staff_id", "id"])
    op.create_table(
        "breach_findings",
        sa.Column("finding_id", UUID, sa.ForeignKey("findings.id"), primary_key=True),
        sa.Column("staff_id", UUID, primary_key=True),
        _column("breach_id", UUID),
        sa.ForeignKeyConstraint(
            ["breach_id", "staff_id"],
            ["breaches.id", "breaches.staff_id"],
            name=op.f("fk_breach_findings_breach_id"),
        ),
    )
    op.create_index("ix_breach_findings_breach", "breach_findings", ["breach_id"])
    op.create_table(
        "breach_endings",
        _id(),
        _column("breach_id", UUID, unique=True),
        _column("staff_id", UUID),
        _column("outcome", TEXT),
        _column("cause", TEXT),
        _column("education", TEXT),
        _column("prevention", TEXT),
        _column("reason", TEXT),
        _column("ended_by", UUID, of="staff.id"),
        _column("ended_at", WHEN),
        sa.ForeignKeyConstraint(
            ["breach_id", "staff_id"],
            ["breaches.id", "breaches.staff_id"],
            name=op.f("fk_breach_endings_breach_id"),
        ),
        _known("breach_endings", "outcome", "closed", "withdrawn"),
        sa.CheckConstraint("ended_by <> staff_id", name=op.f("ck_breach_endings_not_ended_by_oneself")),
        sa.CheckConstraint(
            "outcome <> 'closed' OR (btrim(cause) <> '' AND btrim(education) <> '' AND btrim(prevention) <> '')",
            name=op.f("ck_breach_endings_closed_with_lessons"),
        ),
        sa.CheckConstraint(
            "outcome <> 'withdrawn' OR btrim(reason) <> ''",
            name=op.f("ck_breach_endings_withdrawn_with_reason"),
        ),
    )


def _id() -> sa.Column[object]:
    return sa.Column("id", UUID, primary_key=True)


def _column(name: str, type_: object, *, of: str | None = None, unique: bool = False) -> sa.Column[object]:
    """Return a column that is never null; `of`: what it refers to."""
    keys = () if of is None else (sa.ForeignKey(of),)
    return sa.Column(name, type_, *keys, nullable=False, unique=unique)  # pyright: ignore[reportCallIssue, reportArgumentType]


def _known(table: str, column: str, *values: str) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=op.f(f"ck_{table}_{column}_known"))


def _queue_what_is_there() -> None:
    """What was reconciled before there was a queue waits in it; a job gives it its score."""
    op.execute(
        """
        INSERT INTO audit_queue (visit_id, score, parts, checks, weights, staff_id, branch, client_id,
                                 visited_on, state)
        SELECT visits.id, 0, '[]', '{}', '', visits.staff_id, staff.branch, debtors.client_id,
               (arrived_latest AT TIME ZONE 'Asia/Shanghai')::date, 'waiting'
          FROM visits JOIN staff ON staff.id = visits.staff_id
          LEFT JOIN debtors ON debtors.id = visits.debtor_id
         WHERE visits.reconciled_at IS NOT NULL
        """
    )

"""What the work lists need: whose clocks they are and what started them, promises, payments, escalations."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import BYTEA

revision = "0009"
down_revision = "0008"

PUSHING = "state IN ('running', 'missed') AND NOT is_provisional"


def upgrade() -> None:
    _promises()
    _promise_events()
    _payments()
    _status_codes()
    _connected_calls()
    _clocks()
    _escalations()
    op.create_index(
        "ix_ledger_entries_effective", "ledger_entries", ["case_id"], postgresql_where=sa.text("effective")
    )
    op.create_index("ix_cases_client_allocated", "cases", ["client_id", "allocated_on"])


def _promises() -> None:
    for column, table in (("visit_id", "visits"), ("account_id", "accounts")):
        op.add_column("promises", sa.Column(column, sa.Uuid(), nullable=True))
        op.create_foreign_key(op.f(f"fk_promises_{column}"), "promises", table, [column], ["id"])
    op.create_check_constraint(
        op.f("ck_promises_phones_name_the_account"),
        "promises",
        "source <> 'phone' OR num_nonnulls(visit_id, account_id) = 2",
    )
    op.create_index(
        "ix_promises_broken", "promises", ["due_on", "id"], postgresql_where=sa.text("state = 'broken'")
    )
    op.create_index(
        "uq_promises_one_of_visit",
        "promises",
        ["visit_id"],
        unique=True,
        postgresql_where=sa.text("source = 'phone' AND state <> 'withdrawn'"),
    )
    op.create_index(
        "ix_promises_visit_id", "promises", ["visit_id"], postgresql_where=sa.text("visit_id IS NOT NULL")
    )


def _promise_events() -> None:
    op.create_table(
        "promise_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("promise_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("by", sa.Uuid(), nullable=True),
        sa.Column("reason", BYTEA(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('accepted', 'kept', 'broken', 'reopened', 'withdrawn')",
            name=op.f("ck_promise_events_kind_known"),
        ),
        sa.ForeignKeyConstraint(["promise_id"], ["promises.id"], name=op.f("fk_promise_events_promise_id")),
        sa.ForeignKeyConstraint(["by"], ["staff.id"], name=op.f("fk_promise_events_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promise_events")),
    )
    op.create_index(op.f("ix_promise_events_promise_id"), "promise_events", ["promise_id"])
    op.create_index(
        "ix_promise_events_broken", "promise_events", ["at", "id"], postgresql_where=sa.text("kind = 'broken'")
    )


def _payments() -> None:
    op.add_column("payments", sa.Column("confirmed_by", sa.Uuid(), nullable=True))
    op.add_column("payments", sa.Column("voided_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("payments", sa.Column("voided_by", sa.Uuid(), nullable=True))
    op.add_column("payments", sa.Column("void_reason", BYTEA(), nullable=True))
    for column, table in (("confirmed_by", "payments"), ("voided_by", "staff")):
        op.create_foreign_key(op.f(f"fk_payments_{column}"), "payments", table, [column], ["id"])
    op.create_unique_constraint(op.f("uq_payments_confirmed_by"), "payments", ["confirmed_by"])
    for name, condition in (
        ("statement_stands", "num_nonnulls(confirmed_by, voided_at) = 0 OR source = 'office'"),
        ("void_confirms_nothing", "confirmed_by IS NULL OR voided_at IS NULL"),
        ("void_has_reason", "num_nonnulls(voided_at, voided_by, void_reason) IN (0, 3)"),
    ):
        op.create_check_constraint(op.f(f"ck_payments_{name}"), "payments", condition)
    op.create_index(
        "ix_payments_unconfirmed",
        "payments",
        ["recorded_at", "id"],
        postgresql_where=sa.text("source = 'office' AND confirmed_by IS NULL AND voided_at IS NULL"),
    )


def _status_codes() -> None:
    """Codes that cases carry already came from their client's files: they stay known."""
    op.create_table(
        "status_codes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), server_default="", nullable=False),
        sa.Column("meaning", sa.Text(), server_default="other", nullable=False),
        sa.CheckConstraint(
            "meaning IN ('promise', 'tracing', 'other')", name=op.f("ck_status_codes_meaning_known")
        ),
        sa.CheckConstraint("reference <> ''", name=op.f("ck_status_codes_names_a_code")),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_status_codes_client_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_status_codes")),
        sa.UniqueConstraint("client_id", "reference", name=op.f("uq_status_codes_client_id_reference")),
    )
    op.execute(
        "INSERT INTO status_codes (id, client_id, reference)"
        " SELECT gen_random_uuid(), client_id, status_code FROM cases"
        " WHERE status_code NOT IN ('', 'PTP', 'PTP2', 'FOUND1') GROUP BY client_id, status_code"
    )


def _connected_calls() -> None:
    op.add_column("ledger_entries", sa.Column("connected", sa.Boolean(), nullable=True))
    op.create_check_constraint(
        op.f("ck_ledger_entries_effective_is_connected"), "ledger_entries", "connected OR NOT effective"
    )


def _clocks() -> None:
    op.execute("DELETE FROM case_clocks")  # a projection: counted again by the next night's job
    op.add_column("case_clocks", sa.Column("client_id", sa.Uuid(), nullable=False))
    op.add_column("case_clocks", sa.Column("opened_by", sa.Text(), nullable=False))
    op.create_foreign_key("fk_case_clocks_client_id", "case_clocks", "clients", ["client_id"], ["id"])
    op.create_check_constraint(
        op.f("ck_case_clocks_opened_by_known"),
        "case_clocks",
        "opened_by IN ('allocation', 'month', 'contact', 'promise', 'letter')",
    )
    op.drop_index("ix_case_clocks_pushing", table_name="case_clocks")
    for name, columns in (
        ("pushing", ["due_at", "case_id", "rule"]),
        ("pushing_client", ["client_id", "due_at", "case_id", "rule"]),
        ("pushing_rule", ["rule", "due_at", "case_id"]),
    ):
        op.create_index(
            f"ix_case_clocks_{name}", "case_clocks", columns, postgresql_where=sa.text(PUSHING)
        )
    op.create_index(
        "ix_case_clocks_provisional",
        "case_clocks",
        ["due_at", "case_id", "rule"],
        postgresql_where=sa.text("state IN ('running', 'missed') AND is_provisional"),
    )


def _escalations() -> None:
    op.create_table(
        "escalations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("ground", sa.Text(), nullable=False),
        sa.Column("words", sa.LargeBinary(), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("raised_by", sa.Uuid(), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint("ground IN ('evasive', 'bad_faith')", name=op.f("ck_escalations_ground_known")),
        sa.CheckConstraint(
            "(withdrawn_at IS NULL) = (withdrawn_by IS NULL)",
            name=op.f("ck_escalations_withdrawn_by_somebody"),
        ),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_escalations_case_id")),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_escalations_client_id")),
        sa.ForeignKeyConstraint(["raised_by"], ["staff.id"], name=op.f("fk_escalations_raised_by")),
        sa.ForeignKeyConstraint(["withdrawn_by"], ["staff.id"], name=op.f("fk_escalations_withdrawn_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_escalations")),
    )
    op.create_index(
        "uq_escalations_one_standing",
        "escalations",
        ["case_id", "ground"],
        unique=True,
        postgresql_where=sa.text("withdrawn_at IS NULL"),
    )
    op.create_index(
        "ix_escalations_standing",
        "escalations",
        ["id"],
        postgresql_where=sa.text("withdrawn_at IS NULL"),
    )

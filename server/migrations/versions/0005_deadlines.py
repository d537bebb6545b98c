"""Promises, payments and the clocks of cases."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    _clocks()
    _promises()
    _payments()


def _clocks() -> None:
    op.create_table(
        "case_clocks",
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("opened_on", sa.Date(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("because", sa.Text(), server_default="", nullable=False),
        sa.Column("is_provisional", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('running', 'met', 'capped', 'suspended', 'missed')",
            name=op.f("ck_case_clocks_state_known"),
        ),
        sa.CheckConstraint(
            "state NOT IN ('capped', 'suspended') OR because <> ''",
            name=op.f("ck_case_clocks_stopped_has_reason"),
        ),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_case_clocks_case_id")),
        sa.PrimaryKeyConstraint("case_id", "rule", name=op.f("pk_case_clocks")),
    )
    op.create_index(
        "ix_case_clocks_pushing",
        "case_clocks",
        ["due_at", "case_id", "rule"],
        postgresql_where=sa.text("state IN ('running', 'missed')"),
    )
    op.create_index(
        "ix_case_clocks_stopped",
        "case_clocks",
        ["state", "due_at", "case_id", "rule"],
        postgresql_where=sa.text("state IN ('capped', 'suspended')"),
    )


def _promises() -> None:
    op.create_table(
        "promises",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("debtor_id", sa.Uuid(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("follow_up_on", sa.Date(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("recorded_by", sa.Uuid(), nullable=True),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paid_fen", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("accepted_by_client_authorisation", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("source IN ('office', 'phone', 'import')", name=op.f("ck_promises_source_known")),
        sa.CheckConstraint(
            "state IN ('open', 'kept', 'broken', 'withdrawn')", name=op.f("ck_promises_state_known")
        ),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_promises_promises_something")),
        sa.CheckConstraint("paid_fen >= 0", name=op.f("ck_promises_paid_not_negative")),
        sa.CheckConstraint(
            "(state = 'open') = (settled_at IS NULL)", name=op.f("ck_promises_settled_has_time")
        ),
        sa.CheckConstraint(
            "state <> 'kept' OR paid_fen >= amount_fen", name=op.f("ck_promises_kept_is_paid")
        ),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_promises_client_id")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_promises_case_id")),
        sa.ForeignKeyConstraint(["debtor_id"], ["debtors.id"], name=op.f("fk_promises_debtor_id")),
        sa.ForeignKeyConstraint(["recorded_by"], ["staff.id"], name=op.f("fk_promises_recorded_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promises")),
        sa.UniqueConstraint("client_id", "reference", name=op.f("uq_promises_client_id_reference")),
    )
    op.create_index(op.f("ix_promises_case_id"), "promises", ["case_id"])
    op.create_index(
        "ix_promises_open", "promises", ["due_on", "case_id"], postgresql_where=sa.text("state = 'open'")
    )


def _payments() -> None:
    op.create_table(
        "payments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("paid_on", sa.Date(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("recorded_by", sa.Uuid(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("source IN ('office', 'import')", name=op.f("ck_payments_source_known")),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_payments_pays_something")),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_payments_client_id")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_payments_case_id")),
        sa.ForeignKeyConstraint(["recorded_by"], ["staff.id"], name=op.f("fk_payments_recorded_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payments")),
        sa.UniqueConstraint("client_id", "reference", name=op.f("uq_payments_client_id_reference")),
    )
    op.create_index("ix_payments_case_day", "payments", ["case_id", "paid_on"])

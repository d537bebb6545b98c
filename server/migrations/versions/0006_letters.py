"""Letter templates, issued letters and their deliveries."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "letter_templates",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("parts", postgresql.JSONB(), nullable=False),
        sa.Column("agency_name", sa.Text(), nullable=False),
        sa.Column("agency_phone", sa.Text(), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=False),
        sa.Column("approval_reference", sa.Text(), nullable=False),
        sa.Column("approved_on", sa.Date(), nullable=False),
        sa.Column("entered_by", sa.Uuid(), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "approved_by <> '' AND approval_reference <> ''",
            name=op.f("ck_letter_templates_approved_by_client"),
        ),
        sa.CheckConstraint(
            "kind IN ('notice', 'callback_slip', 'field_letter')", name=op.f("ck_letter_templates_kind_known")
        ),
        sa.CheckConstraint("version >= 1", name=op.f("ck_letter_templates_version_counts")),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_letter_templates_client_id")),
        sa.ForeignKeyConstraint(["entered_by"], ["staff.id"], name=op.f("fk_letter_templates_entered_by")),
        sa.ForeignKeyConstraint(
            ["withdrawn_by"], ["staff.id"], name=op.f("fk_letter_templates_withdrawn_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_letter_templates")),
        sa.UniqueConstraint(
            "client_id", "reference", "version", name=op.f("uq_letter_templates_client_id_reference_version")
        ),
    )
    op.create_index(
        "uq_letter_templates_standing",
        "letter_templates",
        ["client_id", "reference"],
        unique=True,
        postgresql_where=sa.text("withdrawn_at IS NULL"),
    )
    op.create_table(
        "letters",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("debtor_id", sa.Uuid(), nullable=False),
        sa.Column("template_id", sa.Uuid(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=True),
        sa.Column("assignment_id", sa.Uuid(), nullable=True),
        sa.Column("content", postgresql.BYTEA(), nullable=False),
        sa.Column("sha256", postgresql.BYTEA(), nullable=False),
        sa.Column("outstanding_fen", sa.BigInteger(), nullable=False),
        sa.Column("balance_as_of", sa.Date(), nullable=False),
        sa.Column("pay_by", sa.Date(), nullable=True),
        sa.Column("pairing_code", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("issued_by", sa.Uuid(), nullable=True),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sealed_by", sa.Uuid(), nullable=True),
        sa.Column("void_reason", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint(
            "(recipient = 'liable_person') = (contact_id IS NOT NULL)",
            name=op.f("ck_letters_liable_person_named"),
        ),
        sa.CheckConstraint(
            "recipient IN ('debtor', 'liable_person')", name=op.f("ck_letters_recipient_known")
        ),
        sa.CheckConstraint("state <> 'void' OR void_reason <> ''", name=op.f("ck_letters_void_has_reason")),
        sa.CheckConstraint(
            "state IN ('issued', 'handed_over', 'delivered', 'returned', 'void')",
            name=op.f("ck_letters_state_known"),
        ),
        sa.CheckConstraint(
            "sealed_at IS NULL OR sealed_by IS NOT NULL", name=op.f("ck_letters_sealed_by_somebody")
        ),
        sa.ForeignKeyConstraint(["assignment_id"], ["assignments.id"], name=op.f("fk_letters_assignment_id")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_letters_case_id")),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name=op.f("fk_letters_contact_id")),
        sa.ForeignKeyConstraint(["debtor_id"], ["debtors.id"], name=op.f("fk_letters_debtor_id")),
        sa.ForeignKeyConstraint(["issued_by"], ["staff.id"], name=op.f("fk_letters_issued_by")),
        sa.ForeignKeyConstraint(["sealed_by"], ["staff.id"], name=op.f("fk_letters_sealed_by")),
        sa.ForeignKeyConstraint(
            ["template_id"], ["letter_templates.id"], name=op.f("fk_letters_template_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_letters")),
        sa.UniqueConstraint("pairing_code", name=op.f("uq_letters_pairing_code")),
    )
    op.create_index("ix_letters_assignment_id", "letters", ["assignment_id"], unique=False)
    op.create_index("ix_letters_case_id_id", "letters", ["case_id", "id"], unique=False)
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("letter_id", sa.Uuid(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("visit_id", sa.Uuid(), nullable=True),
        sa.Column("recipient", postgresql.BYTEA(), nullable=True),
        sa.Column("relation", sa.Text(), server_default="", nullable=False),
        sa.Column("signed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("evidence_id", sa.Uuid(), nullable=True),
        sa.Column("posted_on", sa.Date(), nullable=True),
        sa.Column("received_on", sa.Date(), nullable=True),
        sa.Column("returned_on", sa.Date(), nullable=True),
        sa.Column("proof", sa.Text(), server_default="", nullable=False),
        sa.Column("ledger_entry_id", sa.Uuid(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "(method = 'post') = (posted_on IS NOT NULL)", name=op.f("ck_deliveries_post_has_day")
        ),
        sa.CheckConstraint(
            "(method = 'post') = (visit_id IS NULL)", name=op.f("ck_deliveries_door_has_visit")
        ),
        sa.CheckConstraint(
            "method IN ('handed_to_debtor', 'handed_to_liable_person', 'sealed_to_adult_co_resident', 'mailbox', 'under_door', 'callback_slip', 'refused', 'post')",
            name=op.f("ck_deliveries_method_known"),
        ),
        sa.CheckConstraint("returned_on IS NULL OR proof <> ''", name=op.f("ck_deliveries_return_has_proof")),
        sa.CheckConstraint(
            "received_on IS NULL OR returned_on IS NULL", name=op.f("ck_deliveries_received_or_returned")
        ),
        sa.ForeignKeyConstraint(
            ["ledger_entry_id"], ["ledger_entries.id"], name=op.f("fk_deliveries_ledger_entry_id")
        ),
        sa.ForeignKeyConstraint(["letter_id"], ["letters.id"], name=op.f("fk_deliveries_letter_id")),
        sa.ForeignKeyConstraint(["recorded_by"], ["staff.id"], name=op.f("fk_deliveries_recorded_by")),
        sa.ForeignKeyConstraint(["visit_id"], ["visits.id"], name=op.f("fk_deliveries_visit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("visit_id", "letter_id", name=op.f("uq_deliveries_visit_id_letter_id")),
    )
    op.create_index("ix_deliveries_letter_id", "deliveries", ["letter_id"], unique=False)
    op.create_index(
        "uq_deliveries_one_posting",
        "deliveries",
        ["letter_id"],
        unique=True,
        postgresql_where=sa.text("method = 'post'"),
    )

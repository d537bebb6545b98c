"""Complaints, incidents and notices to clients."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from server.pii import encrypt

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "complaints",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("debtor_id", sa.Uuid(), nullable=False),
        sa.Column("hold_id", sa.Uuid(), nullable=False),
        sa.Column("visit_id", sa.Uuid(), nullable=True),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("raised_by", sa.Uuid(), nullable=True),
        sa.Column("raised_by_device", sa.Uuid(), nullable=True),
        sa.Column("raised_by_item", sa.Uuid(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("client_pursues", sa.Boolean(), nullable=False),
        sa.Column("text", postgresql.BYTEA(), nullable=False),
        sa.Column("about_staff", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("threatens_to_escalate", sa.Boolean(), nullable=False),
        sa.Column("publicity_risk", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("take_over_due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("supervisor_id", sa.Uuid(), nullable=True),
        sa.Column("taken_over_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_calmed", sa.Boolean(), nullable=True),
        sa.Column("merits", sa.Text(), nullable=False),
        sa.Column("escalated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolution", postgresql.BYTEA(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cause", postgresql.BYTEA(), nullable=True),
        sa.Column("education", postgresql.BYTEA(), nullable=True),
        sa.Column("prevention", postgresql.BYTEA(), nullable=True),
        sa.CheckConstraint(
            "(state IN ('resolved', 'closed')) = (resolved_at IS NOT NULL AND resolution IS NOT NULL)",
            name=op.f("ck_complaints_resolved_with_words"),
        ),
        sa.CheckConstraint(
            "channel IN ('call', 'letter', 'visit', 'online', 'client', 'other')",
            name=op.f("ck_complaints_channel_known"),
        ),
        sa.CheckConstraint(
            "level <> 'serious' OR client_pursues", name=op.f("ck_complaints_serious_is_pursued")
        ),
        sa.CheckConstraint(
            "level IN ('minor', 'general', 'serious')", name=op.f("ck_complaints_level_known")
        ),
        sa.CheckConstraint(
            "merits IN ('undecided', 'upheld', 'not_upheld')", name=op.f("ck_complaints_merits_known")
        ),
        sa.CheckConstraint(
            "state <> 'closed' OR merits = 'not_upheld' OR (merits = 'upheld' AND (cause IS NOT NULL AND education IS NOT NULL AND prevention IS NOT NULL))",
            name=op.f("ck_complaints_closed_with_lessons"),
        ),
        sa.CheckConstraint(
            "state <> 'escalated' OR escalated_at IS NOT NULL", name=op.f("ck_complaints_escalated_at_a_time")
        ),
        sa.CheckConstraint(
            "state <> 'taken_over' OR supervisor_id IS NOT NULL", name=op.f("ck_complaints_taken_over_by_one")
        ),
        sa.CheckConstraint(
            "state IN ('open', 'taken_over', 'escalated', 'resolved', 'closed')",
            name=op.f("ck_complaints_state_known"),
        ),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_complaints_case_id")),
        sa.ForeignKeyConstraint(["debtor_id"], ["debtors.id"], name=op.f("fk_complaints_debtor_id")),
        sa.ForeignKeyConstraint(["hold_id"], ["holds.id"], name=op.f("fk_complaints_hold_id")),
        sa.ForeignKeyConstraint(["raised_by"], ["staff.id"], name=op.f("fk_complaints_raised_by")),
        sa.ForeignKeyConstraint(["supervisor_id"], ["staff.id"], name=op.f("fk_complaints_supervisor_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_complaints")),
        sa.UniqueConstraint(
            "raised_by_device", "raised_by_item", name=op.f("uq_complaints_raised_by_device_raised_by_item")
        ),
    )
    op.create_index(op.f("ix_complaints_case_id"), "complaints", ["case_id"], unique=False)
    op.create_index(op.f("ix_complaints_hold_id"), "complaints", ["hold_id"], unique=False)
    op.create_index(
        "ix_complaints_unresolved",
        "complaints",
        ["id"],
        unique=False,
        postgresql_where=sa.text("resolved_at IS NULL"),
    )
    op.create_table(
        "incidents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=True),
        sa.Column("debtor_id", sa.Uuid(), nullable=True),
        sa.Column("hold_id", sa.Uuid(), nullable=True),
        sa.Column("visit_id", sa.Uuid(), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("raised_by", sa.Uuid(), nullable=True),
        sa.Column("raised_by_device", sa.Uuid(), nullable=True),
        sa.Column("raised_by_item", sa.Uuid(), nullable=True),
        sa.Column("text", postgresql.BYTEA(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("leadership_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("leadership_told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("leadership_told_by", sa.Uuid(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cause", postgresql.BYTEA(), nullable=True),
        sa.Column("education", postgresql.BYTEA(), nullable=True),
        sa.Column("prevention", postgresql.BYTEA(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('self_defence', 'violence', 'threat', 'injury', 'property', 'accident', 'recorder_failure', 'other')",
            name=op.f("ck_incidents_kind_known"),
        ),
        sa.CheckConstraint(
            "state <> 'closed' OR (cause IS NOT NULL AND education IS NOT NULL AND prevention IS NOT NULL)",
            name=op.f("ck_incidents_closed_with_lessons"),
        ),
        sa.CheckConstraint(
            "state = 'open' OR leadership_due_at IS NULL OR leadership_told_at IS NOT NULL",
            name=op.f("ck_incidents_leadership_was_told"),
        ),
        sa.CheckConstraint("state IN ('open', 'reported', 'closed')", name=op.f("ck_incidents_state_known")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_incidents_case_id")),
        sa.ForeignKeyConstraint(["debtor_id"], ["debtors.id"], name=op.f("fk_incidents_debtor_id")),
        sa.ForeignKeyConstraint(["hold_id"], ["holds.id"], name=op.f("fk_incidents_hold_id")),
        sa.ForeignKeyConstraint(
            ["leadership_told_by"], ["staff.id"], name=op.f("fk_incidents_leadership_told_by")
        ),
        sa.ForeignKeyConstraint(["raised_by"], ["staff.id"], name=op.f("fk_incidents_raised_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incidents")),
        sa.UniqueConstraint(
            "raised_by_device", "raised_by_item", name=op.f("uq_incidents_raised_by_device_raised_by_item")
        ),
    )
    op.create_index(op.f("ix_incidents_case_id"), "incidents", ["case_id"], unique=False)
    op.create_index(op.f("ix_incidents_hold_id"), "incidents", ["hold_id"], unique=False)
    op.create_index(
        "ix_incidents_unclosed",
        "incidents",
        ["id"],
        unique=False,
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_table(
        "instructions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("hold_id", sa.Uuid(), nullable=False),
        sa.Column("given_by", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("received_on", sa.Date(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "given_by <> 'client' OR (reference <> '' AND received_on IS NOT NULL)",
            name=op.f("ck_instructions_client_in_writing"),
        ),
        sa.CheckConstraint(
            "given_by IN ('client', 'supervisor', 'debtor')", name=op.f("ck_instructions_given_by_known")
        ),
        sa.ForeignKeyConstraint(["hold_id"], ["holds.id"], name=op.f("fk_instructions_hold_id")),
        sa.ForeignKeyConstraint(["recorded_by"], ["staff.id"], name=op.f("fk_instructions_recorded_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instructions")),
        sa.UniqueConstraint("hold_id", name=op.f("uq_instructions_hold_id")),
    )
    op.create_table(
        "casework_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("complaint_id", sa.Uuid(), nullable=True),
        sa.Column("incident_id", sa.Uuid(), nullable=True),
        sa.Column("contact_id", sa.Uuid(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("text", postgresql.BYTEA(), nullable=True),
        sa.CheckConstraint(
            "num_nonnulls(complaint_id, incident_id, contact_id) = 1",
            name=op.f("ck_casework_events_about_one_thing"),
        ),
        sa.ForeignKeyConstraint(["by"], ["staff.id"], name=op.f("fk_casework_events_by")),
        sa.ForeignKeyConstraint(
            ["complaint_id"], ["complaints.id"], name=op.f("fk_casework_events_complaint_id")
        ),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name=op.f("fk_casework_events_contact_id")),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.id"], name=op.f("fk_casework_events_incident_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_casework_events")),
    )
    op.create_index(
        op.f("ix_casework_events_complaint_id"), "casework_events", ["complaint_id"], unique=False
    )
    op.create_index(op.f("ix_casework_events_contact_id"), "casework_events", ["contact_id"], unique=False)
    op.create_index(op.f("ix_casework_events_incident_id"), "casework_events", ["incident_id"], unique=False)
    op.create_table(
        "client_notices",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("hold_id", sa.Uuid(), nullable=True),
        sa.Column("complaint_id", sa.Uuid(), nullable=True),
        sa.Column("incident_id", sa.Uuid(), nullable=True),
        sa.Column("is_urgent", sa.Boolean(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", postgresql.BYTEA(), nullable=False),
        sa.Column("drafted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("oral_report_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("oral_reported_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("oral_reported_by", sa.Uuid(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_by", sa.Uuid(), nullable=True),
        sa.Column("sent_how", sa.Text(), nullable=False),
        sa.Column("sent_reference", sa.Text(), nullable=False),
        sa.Column("cancel_reason", postgresql.BYTEA(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('identity_disputed', 'transaction_denied', 'activation_denied', 'amount_disputed', 'complaint_escalated', 'publicity_risk', 'incident')",
            name=op.f("ck_client_notices_kind_known"),
        ),
        sa.CheckConstraint(
            "sent_how IN ('', 'email', 'letter', 'portal')", name=op.f("ck_client_notices_sent_how_known")
        ),
        sa.CheckConstraint(
            "state <> 'cancelled' OR cancel_reason IS NOT NULL",
            name=op.f("ck_client_notices_cancelled_has_reason"),
        ),
        sa.CheckConstraint(
            "state <> 'sent' OR (sent_at IS NOT NULL AND sent_by IS NOT NULL AND sent_how <> '' AND sent_reference <> '')",
            name=op.f("ck_client_notices_sent_has_evidence"),
        ),
        sa.CheckConstraint(
            "state <> 'sent' OR oral_report_due_at IS NULL OR oral_reported_at IS NOT NULL",
            name=op.f("ck_client_notices_said_before_sent"),
        ),
        sa.CheckConstraint(
            "state IN ('drafted', 'sent', 'cancelled')", name=op.f("ck_client_notices_state_known")
        ),
        sa.CheckConstraint(
            "num_nonnulls(hold_id, complaint_id, incident_id) = 1",
            name=op.f("ck_client_notices_about_one_thing"),
        ),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_client_notices_case_id")),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_client_notices_client_id")),
        sa.ForeignKeyConstraint(
            ["complaint_id"], ["complaints.id"], name=op.f("fk_client_notices_complaint_id")
        ),
        sa.ForeignKeyConstraint(["hold_id"], ["holds.id"], name=op.f("fk_client_notices_hold_id")),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.id"], name=op.f("fk_client_notices_incident_id")
        ),
        sa.ForeignKeyConstraint(
            ["oral_reported_by"], ["staff.id"], name=op.f("fk_client_notices_oral_reported_by")
        ),
        sa.ForeignKeyConstraint(["sent_by"], ["staff.id"], name=op.f("fk_client_notices_sent_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_client_notices")),
        sa.UniqueConstraint("complaint_id", "kind", name=op.f("uq_client_notices_complaint_id_kind")),
        sa.UniqueConstraint("hold_id", name=op.f("uq_client_notices_hold_id")),
        sa.UniqueConstraint("incident_id", name=op.f("uq_client_notices_incident_id")),
    )
    op.create_index(op.f("ix_client_notices_case_id"), "client_notices", ["case_id"], unique=False)
    op.create_index("ix_client_notices_state_due", "client_notices", ["state", "due_at", "id"], unique=False)
    op.create_table(
        "learned_contacts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("learned_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("learned_by", sa.Uuid(), nullable=False),
        sa.Column("raised_by_device", sa.Uuid(), nullable=False),
        sa.Column("raised_by_item", sa.Uuid(), nullable=False),
        sa.Column("name", postgresql.BYTEA(), nullable=True),
        sa.Column("phone", postgresql.BYTEA(), nullable=True),
        sa.Column("relation", postgresql.BYTEA(), nullable=True),
        sa.Column("address", postgresql.BYTEA(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("judged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("judged_by", sa.Uuid(), nullable=True),
        sa.Column("contact_id", sa.Uuid(), nullable=True),
        sa.Column("address_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "state = 'open' OR (judged_at IS NOT NULL AND judged_by IS NOT NULL)",
            name=op.f("ck_learned_contacts_judged_by_somebody"),
        ),
        sa.CheckConstraint(
            "state IN ('open', 'accepted', 'rejected')", name=op.f("ck_learned_contacts_state_known")
        ),
        sa.CheckConstraint(
            "num_nonnulls(name, phone, address) > 0", name=op.f("ck_learned_contacts_says_something")
        ),
        sa.ForeignKeyConstraint(
            ["address_id"], ["addresses.id"], name=op.f("fk_learned_contacts_address_id")
        ),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_learned_contacts_case_id")),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name=op.f("fk_learned_contacts_contact_id")),
        sa.ForeignKeyConstraint(["judged_by"], ["staff.id"], name=op.f("fk_learned_contacts_judged_by")),
        sa.ForeignKeyConstraint(["learned_by"], ["staff.id"], name=op.f("fk_learned_contacts_learned_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_learned_contacts")),
        sa.UniqueConstraint(
            "raised_by_device",
            "raised_by_item",
            name=op.f("uq_learned_contacts_raised_by_device_raised_by_item"),
        ),
    )
    op.create_index(op.f("ix_learned_contacts_case_id"), "learned_contacts", ["case_id"], unique=False)
    op.create_index(
        "ix_learned_contacts_open",
        "learned_contacts",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state = 'open'"),
    )
    op.add_column("contacts", sa.Column("refused_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_holds_open", "holds", ["id"], unique=False, postgresql_where=sa.text("released_at IS NULL")
    )
    op.create_index(
        "uq_holds_one_open",
        "holds",
        ["case_id", "reason"],
        unique=True,
        postgresql_where=sa.text("released_at IS NULL"),
    )
    _encrypt_what_people_said()


def _encrypt_what_people_said() -> None:
    """Turn the words on holds into ciphertext: they say things about people."""
    op.drop_constraint(op.f("ck_holds_release_is_instructed"), "holds", type_="check")
    for name in ("note", "release_instruction"):
        op.alter_column("holds", name, new_column_name=f"{name}_in_clear")
        op.add_column("holds", sa.Column(name, postgresql.BYTEA(), nullable=True))
    connection = op.get_bind()
    rows = connection.execute(sa.text("SELECT id, note_in_clear, release_instruction_in_clear FROM holds"))
    words = [
        {
            "id": row.id,
            "note": encrypt("holds.note", row.note_in_clear),
            "instruction": encrypt("holds.release_instruction", row.release_instruction_in_clear)
            if row.release_instruction_in_clear
            else None,
        }
        for row in rows
    ]
    if words:
        update = "UPDATE holds SET note = :note, release_instruction = :instruction WHERE id = :id"
        connection.execute(sa.text(update), words)
    op.alter_column("holds", "note", nullable=False)
    for name in ("note", "release_instruction"):
        op.drop_column("holds", f"{name}_in_clear")
    op.create_check_constraint(
        op.f("ck_holds_release_is_instructed"),
        "holds",
        "released_at IS NULL OR (released_by IS NOT NULL AND release_instruction IS NOT NULL)",
    )

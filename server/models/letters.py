"""Which letters may be written, which were, and where did each go?

The words are the client's (`letter_templates`); a letter is a frozen copy with its digest; a delivery says
how it arrived or why not. There is no method "posted in public" (H9).
"""

from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.database import Model, one_of
from server.pii import Encrypted
from sync.bodies import DELIVERIES
from sync.protocol import uuid7

KINDS = ("notice", "callback_slip", "field_letter")
LETTER_RECIPIENTS = ("debtor", "liable_person")
LETTER_STATES = ("issued", "handed_over", "delivered", "returned", "void")
UNDELIVERED = ("issued", "handed_over")
METHODS = (*DELIVERIES, "post")


class LetterTemplate(Model):
    """Words the client approved (H2). At most one version of a reference stands; old ones are kept."""

    __tablename__ = "letter_templates"
    __table_args__ = (
        sa.UniqueConstraint("client_id", "reference", "version"),
        one_of("kind", *KINDS),
        sa.CheckConstraint("version >= 1", name="version_counts"),
        sa.CheckConstraint("approved_by <> '' AND approval_reference <> ''", name="approved_by_client"),
        sa.Index(
            "uq_letter_templates_standing",
            "client_id",
            "reference",
            unique=True,
            postgresql_where=sa.text("withdrawn_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    client_id: Mapped[UUID] = mapped_column(sa.ForeignKey("clients.id"))
    reference: Mapped[str]
    version: Mapped[int]
    kind: Mapped[str]
    title: Mapped[str]
    body: Mapped[str]
    parts: Mapped[dict[str, Any]]
    agency_name: Mapped[str]
    agency_phone: Mapped[str]
    approved_by: Mapped[str]
    approval_reference: Mapped[str]
    approved_on: Mapped[date]
    entered_by: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))
    entered_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]
    withdrawn_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("staff.id"))


class Letter(Model):
    """A letter as it was written: text, digest and the numbers it names never change (C10, H4, H20).

    `pairing_code` stands on letter and envelope; `sealed_at` says that somebody held both side by side.
    """

    __tablename__ = "letters"
    __table_args__ = (
        one_of("recipient", *LETTER_RECIPIENTS),
        one_of("state", *LETTER_STATES),
        sa.CheckConstraint(
            "(recipient = 'liable_person') = (contact_id IS NOT NULL)", name="liable_person_named"
        ),
        sa.CheckConstraint("sealed_at IS NULL OR sealed_by IS NOT NULL", name="sealed_by_somebody"),
        sa.CheckConstraint("state <> 'void' OR void_reason <> ''", name="void_has_reason"),
        sa.Index("ix_letters_case_id_id", "case_id", "id"),
        sa.Index("ix_letters_assignment_id", "assignment_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    case_id: Mapped[UUID] = mapped_column(sa.ForeignKey("cases.id"))
    debtor_id: Mapped[UUID] = mapped_column(sa.ForeignKey("debtors.id"), index=True)
    template_id: Mapped[UUID] = mapped_column(sa.ForeignKey("letter_templates.id"))
    recipient: Mapped[str]
    contact_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("contacts.id"))
    assignment_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("assignments.id"))
    content: Mapped[str] = mapped_column(Encrypted("letters.content"))
    sha256: Mapped[bytes]
    outstanding_fen: Mapped[int]
    balance_as_of: Mapped[date]
    pay_by: Mapped[date | None]
    pairing_code: Mapped[str] = mapped_column(unique=True)
    state: Mapped[str] = mapped_column(default="issued")
    issued_at: Mapped[datetime]
    issued_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("staff.id"))
    sealed_at: Mapped[datetime | None]
    sealed_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("staff.id"))
    void_reason: Mapped[str] = mapped_column(default="", server_default="")


class Delivery(Model):
    """What became of one letter: at the door (one a visit) or by post. Its ledger entry starts A15's days.

    The methods are a closed list without "posted in public" (H9).
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        sa.UniqueConstraint("visit_id", "letter_id"),
        one_of("method", *METHODS),
        sa.CheckConstraint("(method = 'post') = (posted_on IS NOT NULL)", name="post_has_day"),
        sa.CheckConstraint("(method = 'post') = (visit_id IS NULL)", name="door_has_visit"),
        sa.CheckConstraint("received_on IS NULL OR returned_on IS NULL", name="received_or_returned"),
        sa.CheckConstraint("returned_on IS NULL OR proof <> ''", name="return_has_proof"),
        sa.Index(
            "uq_deliveries_one_posting",
            "letter_id",
            unique=True,
            postgresql_where=sa.text("method = 'post'"),
        ),
        sa.Index("ix_deliveries_letter_id", "letter_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    letter_id: Mapped[UUID] = mapped_column(sa.ForeignKey("letters.id"))
    method: Mapped[str]
    at: Mapped[datetime]
    visit_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("visits.id"))
    recipient: Mapped[str | None] = mapped_column(Encrypted("deliveries.recipient"))
    relation: Mapped[str] = mapped_column(default="", server_default="")
    signed: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    evidence_id: Mapped[UUID | None]
    posted_on: Mapped[date | None]
    received_on: Mapped[date | None]
    returned_on: Mapped[date | None]
    proof: Mapped[str] = mapped_column(default="", server_default="")
    ledger_entry_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("ledger_entries.id"))
    recorded_at: Mapped[datetime]
    recorded_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("staff.id"))

"""What did people object to, what went wrong at the door, and whom must the agency tell?

Complaints, incidents, notices to clients, the instructions that release holds, and what phones learned about
third parties. Everything somebody wrote about a person is `Encrypted`. The tables themselves promise: a
notice counts as sent only with evidence, and after the oral report where one is due (D11); a complaint or
incident closes only with cause, education and prevention (GOV1); a serious complaint is one that the client
pursues (E4).
"""

from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.database import Model, one_of
from server.pii import Encrypted
from sync.protocol import uuid7

GIVERS = ("client", "supervisor", "debtor")
NOTICE_KINDS = (
    "identity_disputed",
    "transaction_denied",
    "activation_denied",
    "amount_disputed",
    "complaint_escalated",
    "publicity_risk",
    "incident",
)
NOTICE_STATES = ("drafted", "sent", "cancelled")
WAYS_OF_SENDING = ("email", "letter", "portal")
COMPLAINT_CHANNELS = ("call", "letter", "visit", "online", "client", "other")
COMPLAINT_LEVELS = ("minor", "general", "serious")
COMPLAINT_STATES = ("open", "taken_over", "escalated", "resolved", "closed")
MERITS = ("undecided", "upheld", "not_upheld")
INCIDENT_KINDS = (
    "self_defence",
    "violence",
    "threat",
    "injury",
    "property",
    "accident",
    "recorder_failure",
    "other",
)
INCIDENT_STATES = ("open", "reported", "closed")
REFUSALS = ("refused", "uninformed", "angry")
LEARNED_STATES = ("open", "accepted", "rejected")

_LESSONS = "(cause IS NOT NULL AND education IS NOT NULL AND prevention IS NOT NULL)"


class Instruction(Model):
    """By whose word a hold was released. What it says stands in `holds.release_instruction`.

    `reference` and `received_on` are those of the letter or e-mail it came with.
    """

    __tablename__ = "instructions"
    __table_args__ = (
        one_of("given_by", *GIVERS),
        sa.CheckConstraint(
            "given_by <> 'client' OR (reference <> '' AND received_on IS NOT NULL)", name="client_in_writing"
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    hold_id: Mapped[UUID] = mapped_column(sa.ForeignKey("holds.id"), unique=True)
    given_by: Mapped[str]
    reference: Mapped[str] = mapped_column(default="")
    received_on: Mapped[date | None]
    recorded_at: Mapped[datetime]
    recorded_by: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))


class ClientNotice(Model):
    """Something the client must be told, drafted in the moment that made it necessary.

    `due_at`: when it must have been sent. `oral_report_due_at`: it must be said first, and by when (D11).
    """

    __tablename__ = "client_notices"
    __table_args__ = (
        one_of("kind", *NOTICE_KINDS),
        one_of("state", *NOTICE_STATES),
        one_of("sent_how", "", *WAYS_OF_SENDING),
        sa.CheckConstraint("num_nonnulls(hold_id, complaint_id, incident_id) = 1", name="about_one_thing"),
        sa.CheckConstraint(
            "state <> 'sent' OR (sent_at IS NOT NULL AND sent_by IS NOT NULL"
            " AND sent_how <> '' AND sent_reference <> '')",
            name="sent_has_evidence",
        ),
        sa.CheckConstraint(
            "state <> 'sent' OR oral_report_due_at IS NULL OR oral_reported_at IS NOT NULL",
            name="said_before_sent",
        ),
        sa.CheckConstraint("state <> 'cancelled' OR cancel_reason IS NOT NULL", name="cancelled_has_reason"),
        sa.UniqueConstraint("complaint_id", "kind"),
        sa.Index("ix_client_notices_state_due", "state", "due_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    kind: Mapped[str]
    case_id: Mapped[UUID] = mapped_column(sa.ForeignKey("cases.id"), index=True)
    client_id: Mapped[UUID] = mapped_column(sa.ForeignKey("clients.id"))
    hold_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("holds.id"), unique=True)
    complaint_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("complaints.id"))
    incident_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("incidents.id"), unique=True)
    is_urgent: Mapped[bool]
    subject: Mapped[str]
    body: Mapped[str] = mapped_column(Encrypted("client_notices.body"))
    drafted_at: Mapped[datetime]
    due_at: Mapped[datetime]
    oral_report_due_at: Mapped[datetime | None]
    oral_reported_at: Mapped[datetime | None]
    oral_reported_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("staff.id"))
    state: Mapped[str] = mapped_column(default="drafted")
    sent_at: Mapped[datetime | None]
    sent_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("staff.id"))
    sent_how: Mapped[str] = mapped_column(default="")
    sent_reference: Mapped[str] = mapped_column(default="")
    cancel_reason: Mapped[str | None] = mapped_column(Encrypted("client_notices.cancel_reason"))


class Complaint(Model):
    """Somebody complains, or is about to. Whether they were calmed (D3) is not whether they were right.

    `supervisor_id`: who took it over; one at a time (D6, D25). `ruled_by`: who last said what it is worth or
    that it is over; a trigger refuses whom it names and whoever had a part in its visit.
    """

    __tablename__ = "complaints"
    __table_args__ = (
        one_of("channel", *COMPLAINT_CHANNELS),
        one_of("level", *COMPLAINT_LEVELS),
        one_of("state", *COMPLAINT_STATES),
        one_of("merits", *MERITS),
        sa.CheckConstraint("level <> 'serious' OR client_pursues", name="serious_is_pursued"),
        sa.CheckConstraint("state <> 'taken_over' OR supervisor_id IS NOT NULL", name="taken_over_by_one"),
        sa.CheckConstraint("state <> 'escalated' OR escalated_at IS NOT NULL", name="escalated_at_a_time"),
        sa.CheckConstraint(
            "(state IN ('resolved', 'closed')) = (resolved_at IS NOT NULL AND resolution IS NOT NULL)",
            name="resolved_with_words",
        ),
        sa.CheckConstraint(
            f"state <> 'closed' OR merits = 'not_upheld' OR (merits = 'upheld' AND {_LESSONS})",
            name="closed_with_lessons",
        ),
        sa.UniqueConstraint("raised_by_device", "raised_by_item"),
        sa.Index("ix_complaints_unresolved", "id", postgresql_where=sa.text("resolved_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    case_id: Mapped[UUID] = mapped_column(sa.ForeignKey("cases.id"), index=True)
    debtor_id: Mapped[UUID] = mapped_column(sa.ForeignKey("debtors.id"), index=True)
    hold_id: Mapped[UUID] = mapped_column(sa.ForeignKey("holds.id"), index=True)
    visit_id: Mapped[UUID | None]
    raised_at: Mapped[datetime]
    raised_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("staff.id"))
    raised_by_device: Mapped[UUID | None]
    raised_by_item: Mapped[UUID | None]
    channel: Mapped[str]
    level: Mapped[str]
    client_pursues: Mapped[bool]
    text: Mapped[str] = mapped_column(Encrypted("complaints.text"))
    about_staff: Mapped[list[UUID]] = mapped_column(default=list)
    threatens_to_escalate: Mapped[bool]
    publicity_risk: Mapped[bool]
    state: Mapped[str] = mapped_column(default="open")
    take_over_due_at: Mapped[datetime]
    supervisor_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("staff.id"))
    taken_over_at: Mapped[datetime | None]
    is_calmed: Mapped[bool | None]
    merits: Mapped[str] = mapped_column(default="undecided")
    ruled_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("staff.id"))
    escalated_at: Mapped[datetime | None]
    resolved_at: Mapped[datetime | None]
    resolution: Mapped[str | None] = mapped_column(Encrypted("complaints.resolution"))
    closed_at: Mapped[datetime | None]
    cause: Mapped[str | None] = mapped_column(Encrypted("complaints.cause"))
    education: Mapped[str | None] = mapped_column(Encrypted("complaints.education"))
    prevention: Mapped[str | None] = mapped_column(Encrypted("complaints.prevention"))


class Incident(Model):
    """Something that happened to people or things on a visit (B5, B6, D10), or to the recorder (J13).

    `leadership_due_at`: the agency's leadership must have been told by then; none: it need not be.
    """

    __tablename__ = "incidents"
    __table_args__ = (
        one_of("kind", *INCIDENT_KINDS),
        one_of("state", *INCIDENT_STATES),
        sa.CheckConstraint(
            "state = 'open' OR leadership_due_at IS NULL OR leadership_told_at IS NOT NULL",
            name="leadership_was_told",
        ),
        sa.CheckConstraint(f"state <> 'closed' OR {_LESSONS}", name="closed_with_lessons"),
        sa.UniqueConstraint("raised_by_device", "raised_by_item"),
        sa.Index("ix_incidents_unclosed", "id", postgresql_where=sa.text("closed_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    kind: Mapped[str]
    case_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("cases.id"), index=True)
    debtor_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("debtors.id"), index=True)
    hold_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("holds.id"), index=True)
    visit_id: Mapped[UUID | None] = mapped_column(index=True)
    occurred_at: Mapped[datetime]
    raised_at: Mapped[datetime]
    raised_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("staff.id"))
    raised_by_device: Mapped[UUID | None]
    raised_by_item: Mapped[UUID | None]
    text: Mapped[str] = mapped_column(Encrypted("incidents.text"))
    state: Mapped[str] = mapped_column(default="open")
    leadership_due_at: Mapped[datetime | None]
    leadership_told_at: Mapped[datetime | None]
    leadership_told_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("staff.id"))
    closed_at: Mapped[datetime | None]
    cause: Mapped[str | None] = mapped_column(Encrypted("incidents.cause"))
    education: Mapped[str | None] = mapped_column(Encrypted("incidents.education"))
    prevention: Mapped[str | None] = mapped_column(Encrypted("incidents.prevention"))


class CaseworkEvent(Model):
    """One line in the history of a complaint, an incident or a contact's refusal. Append-only."""

    __tablename__ = "casework_events"
    __table_args__ = (
        sa.CheckConstraint("num_nonnulls(complaint_id, incident_id, contact_id) = 1", name="about_one_thing"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    complaint_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("complaints.id"), index=True)
    incident_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("incidents.id"), index=True)
    contact_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("contacts.id"), index=True)
    at: Mapped[datetime]
    by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("staff.id"))
    kind: Mapped[str]
    text: Mapped[str | None] = mapped_column(Encrypted("casework_events.text"))


class LearnedContact(Model):
    """What a visitor heard about a person or an address: unverified until the office judges it (A5)."""

    __tablename__ = "learned_contacts"
    __table_args__ = (
        one_of("state", *LEARNED_STATES),
        sa.CheckConstraint("num_nonnulls(name, phone, address) > 0", name="says_something"),
        sa.CheckConstraint(
            "state = 'open' OR (judged_at IS NOT NULL AND judged_by IS NOT NULL)", name="judged_by_somebody"
        ),
        sa.UniqueConstraint("raised_by_device", "raised_by_item"),
        sa.Index("ix_learned_contacts_open", "id", postgresql_where=sa.text("state = 'open'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    case_id: Mapped[UUID] = mapped_column(sa.ForeignKey("cases.id"), index=True)
    learned_at: Mapped[datetime]
    learned_by: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))
    raised_by_device: Mapped[UUID]
    raised_by_item: Mapped[UUID]
    name: Mapped[str | None] = mapped_column(Encrypted("learned_contacts.name"))
    phone: Mapped[str | None] = mapped_column(Encrypted("learned_contacts.phone"))
    relation: Mapped[str | None] = mapped_column(Encrypted("learned_contacts.relation"))
    address: Mapped[str | None] = mapped_column(Encrypted("learned_contacts.address"))
    state: Mapped[str] = mapped_column(default="open")
    judged_at: Mapped[datetime | None]
    judged_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("staff.id"))
    contact_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("contacts.id"))
    address_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("addresses.id"))

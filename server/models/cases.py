"""Which debts were entrusted to the agency, who owes them, and what happened on them so far?

Identity fields are `Encrypted`; nothing but `server.pii` can read them. `reference` is always the
client's own, unique per client, and makes imports idempotent.
"""

from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, validates

from server.blind import BlindIndex, normal_id_number, normal_phone
from server.database import Model, one_of
from server.pii import Encrypted
from sync.protocol import uuid7

HOLD_SCOPE_OF_REASON = {
    "do_not_collect": "debtor",
    "deceased": "debtor",
    "imprisoned": "debtor",
    "identity_disputed": "debtor",
    "complaint": "debtor",
    "stop_requested": "debtor",
    "transaction_denied": "case",
    "activation_denied": "case",
    "amount_disputed": "case",
    "paid": "case",
    "other": "case",
}

STATUS_MEANINGS = ("promise", "tracing", "other")


class Client(Model):
    """The bank that entrusted cases."""

    __tablename__ = "clients"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    reference: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    instructions: Mapped[str] = mapped_column(default="")


class Debtor(Model):
    """A cardholder. The row is locked while a visit is reserved in the debtor's budget.

    `id_number_index` and `phone_index` follow their columns by themselves, and are what look-ups search. Of
    an erased debtor only the reference is left; `erasures` says by which rule.
    """

    __tablename__ = "debtors"
    __table_args__ = (
        sa.UniqueConstraint("client_id", "reference"),
        sa.CheckConstraint("id_number IS NOT NULL OR id_number_index IS NULL", name="id_number_index_of_one"),
        sa.CheckConstraint("phone IS NOT NULL OR phone_index IS NULL", name="phone_index_of_one"),
        sa.Index("ix_debtors_id_number_index", "id_number_index"),
        sa.Index("ix_debtors_phone_index", "phone_index"),
        sa.CheckConstraint(
            "hardship <@ ARRAY['serious_illness','financial_hardship','pregnancy']::text[]",
            name="hardship_known",
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    client_id: Mapped[UUID] = mapped_column(sa.ForeignKey("clients.id"))
    reference: Mapped[str]
    name: Mapped[str | None] = mapped_column(Encrypted("debtors.name"))
    id_number: Mapped[str | None] = mapped_column(Encrypted("debtors.id_number"))
    phone: Mapped[str | None] = mapped_column(Encrypted("debtors.phone"))
    id_number_index: Mapped[bytes | None] = mapped_column(BlindIndex("debtors.id_number", normal_id_number))
    phone_index: Mapped[bytes | None] = mapped_column(BlindIndex("debtors.phone", normal_phone))
    hardship: Mapped[list[str]] = mapped_column(server_default="{}", default=list)
    erased_at: Mapped[datetime | None]

    @validates("id_number", "phone")
    def _index(self, name: str, value: str | None) -> str | None:
        index = self.__table__.c[f"{name}_index"].type
        assert isinstance(index, BlindIndex)
        setattr(self, f"{name}_index", index.digest(value))
        return value


class Case(Model):
    """One overdue account. Amounts are fen. With `closed_at` the time begins for which it is kept."""

    __tablename__ = "cases"
    __table_args__ = (
        sa.UniqueConstraint("client_id", "reference"),
        one_of("state", "open", "closed"),
        one_of("hand", "first", "second", "third"),
        sa.CheckConstraint("daily_visit_cap BETWEEN 0 AND 2", name="daily_visit_cap_tightens"),
        sa.CheckConstraint("closed_at IS NULL OR state = 'closed'", name="closed_at_a_time"),
        # Whether a client allocated new cases in a month (F3).
        sa.Index("ix_cases_client_allocated", "client_id", "allocated_on"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    client_id: Mapped[UUID] = mapped_column(sa.ForeignKey("clients.id"))
    reference: Mapped[str]
    debtor_id: Mapped[UUID] = mapped_column(sa.ForeignKey("debtors.id"), index=True)
    account_number: Mapped[str | None] = mapped_column(Encrypted("cases.account_number"))
    principal_fen: Mapped[int] = mapped_column(default=0)
    outstanding_fen: Mapped[int] = mapped_column(default=0)
    balance_as_of: Mapped[date | None]
    overdue_since: Mapped[date | None]
    hand: Mapped[str] = mapped_column(default="first", server_default="first")
    status_code: Mapped[str] = mapped_column(default="", server_default="")
    allocated_on: Mapped[date | None]
    daily_visit_cap: Mapped[int | None]
    special_flags: Mapped[list[str]] = mapped_column(server_default="{}", default=list)
    reviewed_at: Mapped[datetime | None]
    reviewed_by: Mapped[UUID | None]
    special_note: Mapped[str] = mapped_column(default="", server_default="")
    note_acknowledged_at: Mapped[datetime | None]
    note_acknowledged_by: Mapped[UUID | None]
    state: Mapped[str] = mapped_column(default="open", server_default="open")
    closed_at: Mapped[datetime | None]


class StatusCode(Model):
    """One code that cases of a client may carry (D1, AMB16); those of the house rules need no row."""

    __tablename__ = "status_codes"
    __table_args__ = (
        sa.UniqueConstraint("client_id", "reference"),
        one_of("meaning", *STATUS_MEANINGS),
        sa.CheckConstraint("reference <> ''", name="names_a_code"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    client_id: Mapped[UUID] = mapped_column(sa.ForeignKey("clients.id"))
    reference: Mapped[str]
    title: Mapped[str] = mapped_column(default="", server_default="")
    meaning: Mapped[str] = mapped_column(default="other", server_default="other")


class Contact(Model):
    """A third party around a case. Only `liable` ones (guarantors) may be visited or written to.

    `refused_at`: since when they said themselves that they want no contact (D24); never taken back by a file.
    """

    __tablename__ = "contacts"
    __table_args__ = (sa.UniqueConstraint("client_id", "reference"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    client_id: Mapped[UUID] = mapped_column(sa.ForeignKey("clients.id"))
    reference: Mapped[str]
    case_id: Mapped[UUID] = mapped_column(sa.ForeignKey("cases.id"), index=True)
    name: Mapped[str | None] = mapped_column(Encrypted("contacts.name"))
    phone: Mapped[str | None] = mapped_column(Encrypted("contacts.phone"))
    relation: Mapped[str] = mapped_column(default="", server_default="")
    liable: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    sensitive_occupation: Mapped[str] = mapped_column(default="", server_default="")
    stop_contact: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    stop_reason: Mapped[str] = mapped_column(default="", server_default="")
    refused_at: Mapped[datetime | None]


class Address(Model):
    """Where a debtor or liable person may be found. `contact_id` says whose it is; none: the debtor's."""

    __tablename__ = "addresses"
    __table_args__ = (
        sa.UniqueConstraint("client_id", "reference"),
        one_of("status", "unverified", "verified", "invalid"),
        one_of("datum", "WGS-84", "GCJ-02"),
        sa.CheckConstraint("latitude BETWEEN -90 AND 90 AND longitude BETWEEN -180 AND 180", name="on_earth"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    client_id: Mapped[UUID] = mapped_column(sa.ForeignKey("clients.id"))
    reference: Mapped[str]
    case_id: Mapped[UUID] = mapped_column(sa.ForeignKey("cases.id"), index=True)
    contact_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("contacts.id"))
    kind: Mapped[str] = mapped_column(default="home", server_default="home")
    text: Mapped[str | None] = mapped_column(Encrypted("addresses.text"))
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    datum: Mapped[str] = mapped_column(default="WGS-84", server_default="WGS-84")
    status: Mapped[str] = mapped_column(default="unverified", server_default="unverified")
    source: Mapped[str] = mapped_column(default="", server_default="")
    verified_at: Mapped[datetime | None]
    verified_by: Mapped[UUID | None]


class Hold(Model):
    """A reason why nothing may be done until released.

    Scope `debtor` stops all the debtor's cases; `case_id` then only says where it was learned. `note` and
    `release_instruction` are people's words about people, so they are encrypted.
    """

    __tablename__ = "holds"
    __table_args__ = (
        one_of("reason", *HOLD_SCOPE_OF_REASON),
        one_of("scope", "debtor", "case"),
        sa.CheckConstraint(
            "released_at IS NULL OR (released_by IS NOT NULL AND release_instruction IS NOT NULL)",
            name="release_is_instructed",
        ),
        sa.Index("ix_holds_open", "id", postgresql_where=sa.text("released_at IS NULL")),
        sa.Index(
            "uq_holds_one_open",
            "case_id",
            "reason",
            unique=True,
            postgresql_where=sa.text("released_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    scope: Mapped[str]
    debtor_id: Mapped[UUID] = mapped_column(sa.ForeignKey("debtors.id"), index=True)
    case_id: Mapped[UUID] = mapped_column(sa.ForeignKey("cases.id"), index=True)
    reason: Mapped[str]
    note: Mapped[str] = mapped_column(Encrypted("holds.note"), default="")
    raised_at: Mapped[datetime]
    raised_by: Mapped[UUID | None]
    raised_by_item: Mapped[UUID | None]
    client_notified_at: Mapped[datetime | None]
    released_at: Mapped[datetime | None]
    released_by: Mapped[UUID | None]
    release_instruction: Mapped[str | None] = mapped_column(Encrypted("holds.release_instruction"))


def _partial(name: str, *columns: str, where: str) -> sa.Index:
    """Index the ledger entries that one question of the rules is about."""
    return sa.Index(f"ix_ledger_entries_{name}", *columns, postgresql_where=sa.text(where))


class LedgerEntry(Model):
    """One contact on a case: call, letter, visit or inbound.

    `asks_for_visit`: the debtor asked for a visit, or agreed a return visit (on `visit_on` if a day was
    named). A letter's `received_on` (or proof of non-delivery) starts the seven working days of A15. Of a
    call, `connected` says whether anybody answered; None: only an effective one certainly was (J18, AMB3).
    `visit_id`: the phones' own visit that the entry is about; one of a visit then counts as no other visit.
    """

    __tablename__ = "ledger_entries"
    __table_args__ = (
        sa.UniqueConstraint("client_id", "reference"),
        one_of("channel", "call", "letter", "visit", "inbound"),
        sa.CheckConstraint("connected OR NOT effective", name="effective_is_connected"),
        sa.Index("ix_ledger_entries_case_at", "case_id", "at"),
        sa.Index("ix_ledger_entries_debtor_at", "debtor_id", "at"),
        # What the rules ask for, in constant time however long the ledger is.
        _partial("calls", "case_id", "at", where="channel = 'call'"),
        _partial("letters", "case_id", "received_on", where="channel = 'letter'"),
        _partial("visits", "debtor_id", "at", where="channel = 'visit'"),
        _partial("requests", "debtor_id", "at", where="asks_for_visit"),
        _partial("effective", "case_id", where="effective"),
        sa.Index(
            "uq_ledger_entries_one_a_visit",
            "visit_id",
            unique=True,
            postgresql_where=sa.text("channel = 'visit' AND visit_id IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    client_id: Mapped[UUID] = mapped_column(sa.ForeignKey("clients.id"))
    reference: Mapped[str]
    case_id: Mapped[UUID] = mapped_column(sa.ForeignKey("cases.id"))
    debtor_id: Mapped[UUID] = mapped_column(sa.ForeignKey("debtors.id"))
    channel: Mapped[str]
    at: Mapped[datetime]
    effective: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    connected: Mapped[bool | None]
    counterpart: Mapped[str] = mapped_column(default="", server_default="")
    result: Mapped[str] = mapped_column(default="", server_default="")
    received_on: Mapped[date | None]
    asks_for_visit: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    visit_on: Mapped[date | None]
    visit_id: Mapped[UUID | None]
    recorded_by: Mapped[UUID | None]


class ImportRun(Model):
    """What one import did, and who ran it."""

    __tablename__ = "import_runs"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    by: Mapped[UUID]
    report: Mapped[dict[str, Any]] = mapped_column(default=dict)

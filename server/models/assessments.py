"""What is a month assessed by, what was decided of it, and which reports were handed in?

A closed month keeps its facts and the tariff of that day; proposals are computed from them and never stored.
The tables promise: a month's inputs never change (another closing is another revision), a fraud names what
proved it, a chosen amount names who chose it, and a hand-in is of a file that was made here.
"""

from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from server.database import Model, one_of
from server.pii import Encrypted
from sync.protocol import uuid7

REPORT_KINDS = ("friday", "client", "assessment")
REPORT_FORMATS = ("html", "xlsx", "pdf", "csv")


def _named_in_the_log() -> Mapped[UUID]:
    """An id beside a key of several columns: leaves are about one."""
    return mapped_column(default=uuid7, server_default=sa.func.gen_random_uuid(), unique=True)


def _by_its_first_day() -> sa.CheckConstraint:
    return sa.CheckConstraint("EXTRACT(day FROM month) = 1", name="month_by_its_first_day")


class MissedClock(Model):
    """A deadline of F1-F4 that had passed when the evening's job looked; clocks themselves vanish (D18, F3).

    `because` is `late` when it was met after its deadline. `staff_id`: whom a supervisor put it down to.
    """

    __tablename__ = "missed_clocks"
    __table_args__ = (
        sa.CheckConstraint("(staff_id IS NULL) = (attributed_by IS NULL)", name="attributed_by_somebody"),
        sa.Index("ix_missed_clocks_due", "due_on", "case_id", "rule"),
    )

    case_id: Mapped[UUID] = mapped_column(sa.ForeignKey("cases.id"), primary_key=True)
    rule: Mapped[str] = mapped_column(primary_key=True)
    opened_on: Mapped[date] = mapped_column(primary_key=True)
    client_id: Mapped[UUID] = mapped_column(sa.ForeignKey("clients.id"))
    due_on: Mapped[date]
    because: Mapped[str] = mapped_column(server_default="")
    recorded_on: Mapped[date]
    staff_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("staff.id"))
    attributed_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("staff.id"))


class ClockRecord(Model):
    """A day on which missed clocks were written down: a month tells on how many of its days nobody looked."""

    __tablename__ = "clock_records"

    day: Mapped[date] = mapped_column(primary_key=True)
    recorded_at: Mapped[datetime]


class Wage(Model):
    """A person's wage of a month and the local minimum wage: only for the limit of wage law (AMB8)."""

    __tablename__ = "wages"
    __table_args__ = (
        _by_its_first_day(),
        sa.CheckConstraint("wage_fen >= 0 AND minimum_fen > 0", name="amounts_make_sense"),
    )

    staff_id: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"), primary_key=True)
    month: Mapped[date] = mapped_column(primary_key=True)
    wage_fen: Mapped[int]
    minimum_fen: Mapped[int]
    recorded_by: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))
    recorded_at: Mapped[datetime]


class ProvenFraud(Model):
    """A fraud that an investigation proved against a person (E6). `words` say how.

    It is charged while every finding stands that proved it; the record stays whatever becomes of them.
    """

    __tablename__ = "proven_frauds"
    __table_args__ = (
        sa.CheckConstraint("cardinality(finding_ids) > 0", name="proven_by_something"),
        sa.CheckConstraint("recorded_by <> staff_id", name="nobody_convicts_themselves"),
        sa.Index("ix_proven_frauds_month", "committed_on", "staff_id"),
        sa.Index("ix_proven_frauds_finding_ids", "finding_ids", postgresql_using="gin"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    staff_id: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))
    committed_on: Mapped[date]
    finding_ids: Mapped[list[UUID]]
    words: Mapped[str] = mapped_column(Encrypted("proven_frauds.words"))
    words_commitment: Mapped[bytes | None]
    recorded_by: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))
    recorded_at: Mapped[datetime]


class ClosedMonth(Model):
    """One closing of a month. Another one is another revision and says why; the last one stands.

    `sha256` is over the inputs and the tariff: the same digest means the same proposals. `days_looked`: on
    how many days of the month missed clocks were written down.
    """

    __tablename__ = "closed_months"
    __table_args__ = (
        _by_its_first_day(),
        sa.CheckConstraint("revision = 1 OR reason <> ''", name="again_has_reason"),
    )

    month: Mapped[date] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[UUID] = _named_in_the_log()
    closed_at: Mapped[datetime]
    closed_by: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))
    reason: Mapped[str] = mapped_column(server_default="")
    tariff: Mapped[dict[str, Any]]
    sha256: Mapped[bytes]
    people: Mapped[int]
    unattributed: Mapped[list[Any]]
    days_looked: Mapped[int]


class MonthInput(Model):
    """What a closed month is assessed by, of one person."""

    __tablename__ = "month_inputs"
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["month", "revision"],
            ["closed_months.month", "closed_months.revision"],
            name="fk_month_inputs_month",
        ),
        sa.Index("ix_month_inputs_branch", "month", "revision", "branch", "staff_id"),
    )

    month: Mapped[date] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    staff_id: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"), primary_key=True)
    branch: Mapped[str]
    facts: Mapped[dict[str, Any]]


class MonthReply(Model):
    """What a person says of the proposals of their month, before anything is decided."""

    __tablename__ = "month_replies"
    __table_args__ = (sa.Index("ix_month_replies_person", "month", "staff_id", "at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    month: Mapped[date]
    staff_id: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))
    at: Mapped[datetime]
    text: Mapped[str] = mapped_column(Encrypted("month_replies.text"))
    text_commitment: Mapped[bytes | None]


class ProposalDecision(Model):
    """What a supervisor made of one proposal: upheld, with the amount chosen, or dropped. Decided once."""

    __tablename__ = "proposal_decisions"
    __table_args__ = (
        one_of("decision", "upheld", "dropped"),
        sa.CheckConstraint("decision = 'upheld' OR amount_fen IS NULL", name="dropped_costs_nothing"),
        sa.CheckConstraint("reason <> ''", name="says_why"),
        sa.CheckConstraint("decided_by <> staff_id", name="nobody_decides_their_own"),
        sa.Index("ix_proposal_decisions_key", "key"),
    )

    month: Mapped[date] = mapped_column(primary_key=True)
    staff_id: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[UUID] = _named_in_the_log()
    decision: Mapped[str]
    amount_fen: Mapped[int | None]
    reason: Mapped[str]
    decided_by: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))
    decided_at: Mapped[datetime]


def close_alone(session: Session) -> None:
    """Let nobody else close, decide or put down anything, and read everything from now on as of one instant.

    The first statement of its transaction: the lock is had before the instant is chosen.
    """
    session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    session.execute(sa.text("LOCK TABLE closed_months IN EXCLUSIVE MODE"))


def hold_closings(session: Session) -> None:
    """Let no month be closed until this transaction ends: what it decides is of the closing that stands."""
    session.execute(sa.text("LOCK TABLE closed_months IN ROW SHARE MODE"))


class ReportFile(Model):
    """A report as it left the house: what of which days, for whom, and the digest of its bytes."""

    __tablename__ = "report_files"
    __table_args__ = (
        one_of("kind", *REPORT_KINDS),
        one_of("format", *REPORT_FORMATS),
        sa.CheckConstraint("first <= last", name="days_in_order"),
        sa.Index("ix_report_files_sha256", "sha256"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    kind: Mapped[str]
    format: Mapped[str]
    first: Mapped[date]
    last: Mapped[date]
    client_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("clients.id"))
    sha256: Mapped[bytes]
    size_bytes: Mapped[int]
    rows: Mapped[int]
    made_at: Mapped[datetime]
    made_by: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))


class ReportHandIn(Model):
    """Who handed in which file, when, and to whom (F12)."""

    __tablename__ = "report_hand_ins"
    __table_args__ = (sa.UniqueConstraint("file_id", "recipient"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    file_id: Mapped[UUID] = mapped_column(sa.ForeignKey("report_files.id"))
    handed_in_at: Mapped[datetime]
    handed_in_by: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))
    recipient: Mapped[str]
    due_at: Mapped[datetime | None]

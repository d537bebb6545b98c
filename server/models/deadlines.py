"""Until when must something be done on a case, what did the debtor promise, and what was paid?

`case_clocks` is a projection: it is computed from the case, its ledger, holds and promises, and may be
computed again at any time. Promises and payments are records; what became of a promise is computed from
the payments that count, and every change of it is an event. Amounts are fen; neither ever changes a debt,
which is the client's number and comes with imports (C4).
"""

from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.database import Model, one_of
from server.pii import Encrypted
from sync.protocol import uuid7

CLOCK_STATES = ("running", "met", "capped", "suspended", "missed")
OPENERS = ("allocation", "month", "contact", "promise", "letter")
PUSHING = "state IN ('running', 'missed') AND NOT is_provisional"
"""Which clocks ask for something: what is due, or overdue. The others are met, or wait for something else."""
PROMISE_SOURCES = ("office", "phone", "import")
PROMISE_STATES = ("open", "kept", "broken", "withdrawn")
PROMISE_EVENTS = ("accepted", "kept", "broken", "reopened", "withdrawn")
PAYMENT_SOURCES = ("office", "import")


def _pushing(name: str, *of: str) -> sa.Index:
    """Index the clocks that push, in the order of their deadlines, of everybody or of one value."""
    order = [column for column in ("due_at", "case_id", "rule") if column not in of]
    return sa.Index(f"ix_case_clocks_{name}", *of, *order, postgresql_where=sa.text(PUSHING))


class CaseClock(Model):
    """One deadline of one case: which rule set it, until when, and what became of it.

    `opened_by`: what started it; `month` are old cases in a month without a new batch (F3). `because`: why it
    no longer pushes (capped, suspended), or `late` when it was met after its deadline. `is_provisional`: no
    calendar was published for a day on the way, so it pushes nobody and is counted again when there is one.
    """

    __tablename__ = "case_clocks"
    __table_args__ = (
        one_of("state", *CLOCK_STATES),
        sa.CheckConstraint(
            "state NOT IN ('capped', 'suspended') OR because <> ''", name="stopped_has_reason"
        ),
        one_of("opened_by", *OPENERS),
        _pushing("pushing"),
        _pushing("pushing_client", "client_id"),
        _pushing("pushing_rule", "rule"),
        sa.Index(
            "ix_case_clocks_provisional",
            "due_at",
            "case_id",
            "rule",
            postgresql_where=sa.text("state IN ('running', 'missed') AND is_provisional"),
        ),
        sa.Index(
            "ix_case_clocks_stopped",
            "state",
            "due_at",
            "case_id",
            "rule",
            postgresql_where=sa.text("state IN ('capped', 'suspended')"),
        ),
    )

    case_id: Mapped[UUID] = mapped_column(sa.ForeignKey("cases.id"), primary_key=True)
    rule: Mapped[str] = mapped_column(primary_key=True)
    client_id: Mapped[UUID] = mapped_column(sa.ForeignKey("clients.id"))
    opened_on: Mapped[date]
    opened_by: Mapped[str]
    due_at: Mapped[datetime]
    state: Mapped[str]
    because: Mapped[str] = mapped_column(default="", server_default="")
    is_provisional: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    updated_at: Mapped[datetime]


class Promise(Model):
    """What the debtor said they would pay, and by when (F13). A record of their proposal, never an agreement.

    `accepted_by_client_authorisation` names the client's letter that accepts instalments (D28, AMB20); empty:
    nobody accepted anything. `paid_fen`: how much of it arrived in time. `visit_id` and `account_id`: the
    visit and the revision of its account that a phone's promise stands in; of one visit at most one stands.
    """

    __tablename__ = "promises"
    __table_args__ = (
        sa.UniqueConstraint("client_id", "reference"),
        one_of("source", *PROMISE_SOURCES),
        one_of("state", *PROMISE_STATES),
        sa.CheckConstraint("amount_fen > 0", name="promises_something"),
        sa.CheckConstraint("paid_fen >= 0", name="paid_not_negative"),
        sa.CheckConstraint("(state = 'open') = (settled_at IS NULL)", name="settled_has_time"),
        sa.CheckConstraint("state <> 'kept' OR paid_fen >= amount_fen", name="kept_is_paid"),
        sa.CheckConstraint(
            "source <> 'phone' OR num_nonnulls(visit_id, account_id) = 2", name="phones_name_the_account"
        ),
        sa.Index("ix_promises_open", "due_on", "case_id", postgresql_where=sa.text("state = 'open'")),
        sa.Index("ix_promises_broken", "due_on", "id", postgresql_where=sa.text("state = 'broken'")),
        sa.Index(
            "uq_promises_one_of_visit",
            "visit_id",
            unique=True,
            postgresql_where=sa.text("source = 'phone' AND state <> 'withdrawn'"),
        ),
        sa.Index("ix_promises_visit_id", "visit_id", postgresql_where=sa.text("visit_id IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    client_id: Mapped[UUID] = mapped_column(sa.ForeignKey("clients.id"))
    reference: Mapped[str]
    case_id: Mapped[UUID] = mapped_column(sa.ForeignKey("cases.id"), index=True)
    debtor_id: Mapped[UUID] = mapped_column(sa.ForeignKey("debtors.id"))
    amount_fen: Mapped[int]
    due_on: Mapped[date]
    follow_up_on: Mapped[date | None]
    made_at: Mapped[datetime]
    source: Mapped[str]
    recorded_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("staff.id"))
    state: Mapped[str] = mapped_column(default="open", server_default="open")
    settled_at: Mapped[datetime | None]
    paid_fen: Mapped[int] = mapped_column(default=0, server_default="0")
    accepted_by_client_authorisation: Mapped[str] = mapped_column(default="", server_default="")
    visit_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("visits.id"))
    account_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("accounts.id"))


class PromiseEvent(Model):
    """One change of what became of a promise (F16 reads the broken ones). `by` None: it was computed.

    So a withdrawal by somebody takes back what was never promised: the office's mistake, or what an account
    now says otherwise. One without says that the case was closed before the day came (D18).
    """

    __tablename__ = "promise_events"
    __table_args__ = (
        one_of("kind", *PROMISE_EVENTS),
        sa.Index("ix_promise_events_broken", "at", "id", postgresql_where=sa.text("kind = 'broken'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    promise_id: Mapped[UUID] = mapped_column(sa.ForeignKey("promises.id"), index=True)
    at: Mapped[datetime]
    kind: Mapped[str]
    by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("staff.id"))
    reason: Mapped[str | None] = mapped_column(Encrypted("promise_events.reason"))


class Payment(Model):
    """Money that the client or the office says has arrived. It does not change the debt by itself.

    `confirmed_by`: the line of the client's statement that an office entry was found to be (C3); then only
    that line counts. A void entry was a mistake and counts nowhere.
    """

    __tablename__ = "payments"
    __table_args__ = (
        sa.UniqueConstraint("client_id", "reference"),
        one_of("source", *PAYMENT_SOURCES),
        sa.CheckConstraint("amount_fen > 0", name="pays_something"),
        sa.CheckConstraint(
            "num_nonnulls(confirmed_by, voided_at) = 0 OR source = 'office'", name="statement_stands"
        ),
        sa.CheckConstraint("confirmed_by IS NULL OR voided_at IS NULL", name="void_confirms_nothing"),
        sa.CheckConstraint(
            "num_nonnulls(voided_at, voided_by, void_reason) IN (0, 3)", name="void_has_reason"
        ),
        sa.Index("ix_payments_case_day", "case_id", "paid_on"),
        sa.Index(
            "ix_payments_unconfirmed",
            "recorded_at",
            "id",
            postgresql_where=sa.text("source = 'office' AND confirmed_by IS NULL AND voided_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    client_id: Mapped[UUID] = mapped_column(sa.ForeignKey("clients.id"))
    reference: Mapped[str]
    case_id: Mapped[UUID] = mapped_column(sa.ForeignKey("cases.id"))
    amount_fen: Mapped[int]
    paid_on: Mapped[date]
    source: Mapped[str]
    recorded_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("staff.id"))
    recorded_at: Mapped[datetime]
    confirmed_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("payments.id"), unique=True)
    voided_at: Mapped[datetime | None]
    voided_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("staff.id"))
    void_reason: Mapped[str | None] = mapped_column(Encrypted("payments.void_reason"))

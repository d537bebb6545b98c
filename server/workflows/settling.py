"""What became of every promise, now that money or a day has come? (F13, F16, C3)

Computed anew from promises and payments (`deadlines.keeping`), for many cases in a fixed number of
statements. The cases are locked in the order of their ids, so that whoever settles the same case at the same
time follows. What changed becomes an event; a rerun changes nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.bulk import any_of
from server.database import transaction
from server.deadlines import keeping
from server.deadlines.keeping import Paid, Promised, Settlement
from server.deadlines.ledger_values import statement_limits
from server.jobs import enqueue, task
from server.models.cases import Case
from server.models.deadlines import Payment, Promise, PromiseEvent
from server.rules.local_time import at_local, local_day
from server.workflows.recounting import recount_later
from server.workflows.standing_packs import local_zone

CASES_AT_ONCE: Final = 500
EVENT_OF: Final = {"kept": "kept", "broken": "broken", "open": "reopened", "withdrawn": "withdrawn"}
CASE_CLOSED: Final = "the case was closed before the day was over"


@dataclass(slots=True)
class _OfCase:
    """Everything of one case that settling looks at."""

    is_closed: bool
    promises: list[Promise]
    payments: list[Payment]


def settle_later(case_ids: Iterable[UUID]) -> None:
    """Have the promises of these cases settled after the caller's commit."""
    ids = sorted({str(case_id) for case_id in case_ids})
    for first in range(0, len(ids), CASES_AT_ONCE):
        enqueue("promises.settle", case_ids=ids[first : first + CASES_AT_ONCE])


@task("promises.settle")
def settle_cases(*, now: datetime, case_ids: Sequence[str]) -> None:
    """Settle the promises of these cases; never more of them than `settle_later` puts into a job."""
    with transaction() as session:
        settle(session, [UUID(one) for one in case_ids], now=now)


@task("promises.settle_due", every="20 * * * *")
def settle_due(*, now: datetime) -> None:
    """Break what was not paid by the end of its day, and drop entries no statement showed (C3).

    Runs every hour: the local day ends at another hour in every place, and a missed run is made up for.
    """
    after: UUID | None = None
    while case_ids := _next_due(after, now=now):
        settle_cases(now=now, case_ids=[str(one) for one in case_ids])
        after = case_ids[-1]


def _next_due(after: UUID | None, *, now: datetime) -> Sequence[UUID]:
    """Return the next cases in which a day is over, in the order of ids."""
    today = local_day(now, local_zone())
    overdue = sa.select(Promise.case_id).where(Promise.state == "open", Promise.due_on < today)
    unconfirmed = (
        sa.select(Payment.case_id)
        .join(Promise, Promise.case_id == Payment.case_id)
        .where(
            Payment.source == "office",
            Payment.confirmed_by.is_(None),
            Payment.voided_at.is_(None),
            Payment.recorded_at < lapses_before(now),
            Promise.paid_fen > 0,
            Promise.state.in_(("open", "kept")),
        )
    )
    due = sa.union(overdue, unconfirmed).subquery()
    query = sa.select(due.c.case_id).order_by(due.c.case_id).limit(CASES_AT_ONCE)
    with transaction() as session:
        return session.scalars(query.where(due.c.case_id > after) if after else query).all()


def lapses_before(now: datetime) -> datetime:
    """Return the instant before which an entry that no statement shows was made too long ago (C3)."""
    zone = local_zone()
    first_day = local_day(now, zone) - timedelta(days=statement_limits().within_days)
    return at_local(first_day, time.min, zone)


def settle(session: Session, case_ids: Sequence[UUID], *, now: datetime) -> None:
    """Settle the promises of some cases in the caller's transaction, and have their clocks counted again."""
    zone = local_zone()
    today, limits = local_day(now, zone), statement_limits()
    confirmed: dict[UUID, UUID | None] = {}
    changed: list[tuple[Promise, Settlement]] = []
    for case in _load(session, case_ids):
        paid = [_paid(one, zone) for one in case.payments]
        lines = keeping.confirm(paid, limits=limits)
        confirmed |= {
            one.id: lines.get(one.id) for one in case.payments if one.confirmed_by != lines.get(one.id)
        }
        counted = keeping.counting(paid, lines, today=today, limits=limits)
        promised = [_promised(one, zone) for one in case.promises]
        fates = keeping.settle(promised, counted, today=today, is_closed=case.is_closed)
        changed += [(one, fates[one.id]) for one in case.promises if _differs(one, fates[one.id])]
    _write_confirmations(session, confirmed)
    _write_fates(session, changed, now=now)
    recount_later(cases=case_ids)


def _load(session: Session, case_ids: Sequence[UUID]) -> Iterator[_OfCase]:
    """Lock the cases and load what stands on them, in three statements."""
    wanted = {"ids": list(case_ids)}
    cases = sa.select(Case.id, Case.state).where(any_of(Case.id, "ids")).order_by(Case.id)
    states = session.execute(cases.with_for_update(key_share=True), wanted).all()
    promises: dict[UUID, list[Promise]] = defaultdict(list)
    standing = sa.select(Promise).where(any_of(Promise.case_id, "ids"), Promise.state != "withdrawn")
    fresh = {"populate_existing": True}
    for promise in session.scalars(standing.order_by(Promise.id), wanted, execution_options=fresh):
        promises[promise.case_id].append(promise)
    payments: dict[UUID, list[Payment]] = defaultdict(list)
    valid = sa.select(Payment).where(any_of(Payment.case_id, "ids"), Payment.voided_at.is_(None))
    for payment in session.scalars(valid.order_by(Payment.id), wanted, execution_options=fresh):
        payments[payment.case_id].append(payment)
    for row in states:
        yield _OfCase(row.state == "closed", promises[row.id], payments[row.id])


def _promised(promise: Promise, zone: Any) -> Promised:
    return Promised(
        id=promise.id,
        reference=promise.reference,
        amount_fen=promise.amount_fen,
        made_on=local_day(promise.made_at, zone),
        due_on=promise.due_on,
    )


def _paid(payment: Payment, zone: Any) -> Paid:
    return Paid(
        id=payment.id,
        reference=payment.reference,
        amount_fen=payment.amount_fen,
        paid_on=payment.paid_on,
        entered_on=local_day(payment.recorded_at, zone),
        is_statement=payment.source == "import",
    )


def _differs(promise: Promise, settlement: Settlement) -> bool:
    return (promise.state, promise.paid_fen) != (settlement.fate, settlement.paid_fen)


def _write_confirmations(session: Session, confirmed: dict[UUID, UUID | None]) -> None:
    """Point entries to their lines; what is taken back is taken back first, for a line serves one entry."""
    if not confirmed:
        return
    changed = {"ids": list(confirmed)}
    session.execute(_UNCONFIRM, changed)
    lines = {entry: line for entry, line in confirmed.items() if line is not None}
    if lines:
        session.execute(_CONFIRM, {"ids": list(lines), "lines": list(lines.values())})


_UNCONFIRM: Final = sa.text("UPDATE payments SET confirmed_by = NULL WHERE id = ANY(CAST(:ids AS uuid[]))")
_CONFIRM: Final = sa.text(
    """
    UPDATE payments SET confirmed_by = found.line
    FROM unnest(CAST(:ids AS uuid[]), CAST(:lines AS uuid[])) AS found (entry, line)
    WHERE payments.id = found.entry
    """
)


def _write_fates(session: Session, changed: Sequence[tuple[Promise, Settlement]], *, now: datetime) -> None:
    """Write what became of the promises, and an event for each that changed its state."""
    if not changed:
        return
    session.execute(
        _SETTLE,
        {
            "ids": [promise.id for promise, _ in changed],
            "states": [settlement.fate for _, settlement in changed],
            "paid": [settlement.paid_fen for _, settlement in changed],
            "now": now,
        },
    )
    moved = [
        (promise, settlement.fate) for promise, settlement in changed if promise.state != settlement.fate
    ]
    if moved:
        session.execute(
            sa.insert(PromiseEvent),
            [
                {
                    "promise_id": promise.id,
                    "at": now,
                    "kind": EVENT_OF[fate],
                    "reason": CASE_CLOSED if fate == "withdrawn" else None,
                }
                for promise, fate in moved
            ],
        )
    for promise, _ in changed:
        session.expire(promise)


_SETTLE: Final = sa.text(
    """
    UPDATE promises SET state = told.state, paid_fen = told.paid,
           settled_at = CASE WHEN told.state = 'open' THEN NULL
                             WHEN told.state = promises.state THEN promises.settled_at
                             ELSE CAST(:now AS timestamptz) END
    FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[]), CAST(:paid AS bigint[]))
         AS told (id, state, paid)
    WHERE promises.id = told.id
    """
)

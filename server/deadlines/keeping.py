"""Which money keeps which promise? (F13, F16, F20, C3, AMB22)

Pure and total: the same promises and payments give the same answer, in whatever order they became known.
The day that the debtor named is theirs to the end, also when it is a holiday; only our own duty before it
(the confirmation) moves off banned days.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal
from uuid import UUID

from server.deadlines.ledger_values import StatementLimits
from server.rules.calendar import Calendar

Fate = Literal["open", "kept", "broken", "withdrawn"]
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Promised:
    """One promise that somebody did not withdraw."""

    id: UUID
    reference: str
    amount_fen: int
    made_on: date
    due_on: date


@dataclass(frozen=True, slots=True)
class Paid:
    """One payment that is not void. `is_statement`: the client itself says so."""

    id: UUID
    reference: str
    amount_fen: int
    paid_on: date
    entered_on: date
    is_statement: bool


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of a promise, and how much of it arrived in time."""

    fate: Fate
    paid_fen: int


def confirm(paid: Iterable[Paid], *, limits: StatementLimits) -> dict[UUID, UUID]:
    """Find the statement line of each office entry, each line for one entry only (C3).

    The same reference is the same payment, whatever else differs; otherwise the amounts must agree and the
    days lie close together.
    """
    ordered = sorted(paid, key=lambda one: (one.paid_on, one.reference))
    entries = [one for one in ordered if not one.is_statement]
    free = {one.reference: one for one in ordered if one.is_statement}
    found: dict[UUID, UUID] = {}
    for entry in entries:
        line = free.pop(named_line(entry.reference), None)
        if line is not None:
            found[entry.id] = line.id
    for entry in entries:
        near = [line for line in free.values() if entry.id not in found and _agree(entry, line, limits)]
        if near:
            line = min(near, key=lambda one: (abs(one.paid_on - entry.paid_on), one.paid_on, one.reference))
            found[entry.id] = free.pop(line.reference).id
    return found


OFFICE_PREFIX = "office:"


def named_line(reference: str) -> str:
    """Return the statement's reference that an office entry was given, if any."""
    return reference.removeprefix(OFFICE_PREFIX)


def _agree(entry: Paid, line: Paid, limits: StatementLimits) -> bool:
    apart = abs((entry.paid_on - line.paid_on).days)
    return entry.amount_fen == line.amount_fen and apart <= limits.posting_days


def counting(
    paid: Iterable[Paid], confirmed: Collection[UUID], *, today: date, limits: StatementLimits
) -> list[Paid]:
    """Return the payments that count: the client's statement, and entries that may still appear in it."""
    return [
        one for one in paid if one.is_statement or (one.id not in confirmed and _waits(one, today, limits))
    ]


def _waits(entry: Paid, today: date, limits: StatementLimits) -> bool:
    return today <= entry.entered_on + timedelta(days=limits.within_days)


def allocate(promised: Sequence[Promised], paid: Iterable[Paid]) -> dict[UUID, int]:
    """Give every payment to the promises it arrived in time for, the earliest due first; each fen once."""
    ordered = sorted(promised, key=lambda one: (one.due_on, one.made_on, one.reference))
    arrived = {one.id: 0 for one in ordered}
    for payment in sorted(paid, key=lambda one: (one.paid_on, one.reference)):
        left = payment.amount_fen
        for promise in ordered:
            if promise.made_on <= payment.paid_on <= promise.due_on:
                taken = min(left, promise.amount_fen - arrived[promise.id])
                arrived[promise.id] += taken
                left -= taken
    return arrived


def settle(
    promised: Sequence[Promised], paid: Iterable[Paid], *, today: date, is_closed: bool
) -> Mapping[UUID, Settlement]:
    """Say what became of each promise of a case.

    Kept once the amount arrived in time, broken once its day is over; nobody breaks a promise on a case that
    was closed before (D18): that one ends as withdrawn.
    """
    arrived = allocate(promised, paid)
    return {
        one.id: Settlement(_fate(one, arrived[one.id], today, is_closed), arrived[one.id]) for one in promised
    }


def _fate(promise: Promised, paid_fen: int, today: date, is_closed: bool) -> Fate:
    if paid_fen >= promise.amount_fen:
        return "kept"
    if today <= promise.due_on:
        return "open"
    return "withdrawn" if is_closed else "broken"


def confirmation_day(made_on: date, due_on: date, calendar: Calendar) -> date:
    """Return the day on which the debtor is reminded: the last permitted one before the due day (F20, AMB22).

    Never before the promise was made; where no calendar tells, the day before.
    """
    before = due_on - ONE_DAY
    permitted = calendar.permitted_on_or_before(before) if calendar.is_published(before) else None
    return max(made_on, permitted or before)

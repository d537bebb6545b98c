"""Which rows do the clocks need, for a few thousand cases at once?

A loader, like `case_facts`: a fixed number of statements whatever the number of cases, each bounded by an
index. Reads only. Nothing that identifies a person is loaded.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.deadlines.days import Days
from server.deadlines.facts import LOOK_BACK, NO_CALLS, Calls, CaseSituation, Held, Promised, Touch
from server.deadlines.timetable import Timetable
from server.rules.local_time import ONE_DAY


class LoadedCase(NamedTuple):
    """One open case with the ids its clocks are stored under."""

    id: UUID
    client_id: UUID
    situation: CaseSituation


@dataclass(slots=True)
class _Around:
    """What stands around the cases of one chunk, by case or debtor."""

    touches: dict[UUID, list[Touch]] = field(default_factory=lambda: defaultdict(list))
    received: dict[UUID, list[date]] = field(default_factory=lambda: defaultdict(list))
    paid: dict[UUID, list[date]] = field(default_factory=lambda: defaultdict(list))
    promises: dict[UUID, list[Promised]] = field(default_factory=lambda: defaultdict(list))
    of_case: dict[UUID, list[Held]] = field(default_factory=lambda: defaultdict(list))
    of_debtor: dict[UUID, list[Held]] = field(default_factory=lambda: defaultdict(list))
    calls: dict[UUID, Calls] = field(default_factory=dict)


def load_situations(
    session: Session, case_ids: Sequence[UUID], *, days: Days, table: Timetable, batches: frozenset[UUID]
) -> Iterator[LoadedCase]:
    """Return the open ones of these cases. `batches`: clients that allocated new cases this month."""
    first = days.today - LOOK_BACK * ONE_DAY
    about = {"ids": _array(case_ids), "since": days.end_of(first, time.min), "first": first}
    rows = session.execute(_CASES, about).all()
    debtors = {"debtors": _array({row.debtor_id for row in rows}), **about}
    around = _Around()
    _load_touches(session, around, about, days=days, table=table)
    _load_money(session, around, about, days=days)
    _load_holds(session, around, debtors, days=days)
    _load_calls(session, around, debtors, days=days, table=table)
    for row in rows:
        yield LoadedCase(row.id, row.client_id, _situation(row, around, has_batch=row.client_id in batches))


def _array(ids: Iterable[UUID]) -> str:
    """Write ids as PostgreSQL writes an array: once for all statements, and not element by element."""
    return f"{{{','.join(map(str, ids))}}}"


def clients_with_batch(session: Session, today: date) -> frozenset[UUID]:
    """Return the clients that allocated new cases in this month so far (F3)."""
    return frozenset(session.scalars(_BATCHES, {"first": today.replace(day=1), "today": today}))


_BATCHES: Final = sa.text(
    """
    SELECT id FROM clients WHERE EXISTS (
        SELECT FROM cases WHERE client_id = clients.id AND allocated_on BETWEEN :first AND :today
    )
    """
)
_CASES: Final = sa.text(
    """
    SELECT c.id, c.client_id, c.debtor_id, c.hand, c.status_code, coalesce(k.meaning, '') AS code_meaning,
           c.special_flags, c.outstanding_fen,
           c.allocated_on, d.hardship <> '{}' AS is_hardship, followed.at AS last_follow_up_at,
           visited.at AS last_visit_at, spoken.at IS NOT NULL OR visited.met AS is_reachable
    FROM cases c
    JOIN debtors d ON d.id = c.debtor_id
    LEFT JOIN status_codes k ON k.client_id = c.client_id AND k.reference = c.status_code
    LEFT JOIN LATERAL (
        SELECT at FROM ledger_entries WHERE case_id = c.id AND channel <> 'letter' ORDER BY at DESC LIMIT 1
    ) followed ON true
    LEFT JOIN LATERAL (
        SELECT at FROM ledger_entries WHERE case_id = c.id AND effective AND channel <> 'letter' LIMIT 1
    ) spoken ON true
    LEFT JOIN LATERAL (
        SELECT max(v.arrived_latest) AS at, bool_or(EXISTS (
                   SELECT FROM accounts a WHERE a.visit_id = v.id
                   AND a.claims ->> 'met' IN ('debtor', 'liable_person')
                   AND NOT EXISTS (SELECT FROM accounts later WHERE later.parent_id = a.id)
               )) AS met
        FROM assignments s JOIN visits v ON v.assignment_id = s.id WHERE s.case_id = c.id
    ) visited ON true
    WHERE c.id = ANY(CAST(:ids AS uuid[])) AND c.state = 'open'
    ORDER BY c.id
    """
)
_ENTRIES: Final = sa.text(
    """
    SELECT case_id, at, channel, effective, CASE WHEN length(result) <= 60 THEN result ELSE '' END AS result
    FROM ledger_entries WHERE case_id = ANY(CAST(:ids AS uuid[])) AND at >= :since
      AND (channel <> 'visit' OR visit_id IS NULL)
    UNION ALL
    SELECT s.case_id, v.arrived_latest, 'visit', coalesce(told.effective, false) OR EXISTS (
               SELECT FROM accounts a WHERE a.visit_id = v.id
               AND a.claims ->> 'met' IN ('debtor', 'liable_person')
               AND NOT EXISTS (SELECT FROM accounts later WHERE later.parent_id = a.id)
           ), CASE WHEN length(told.result) <= 60 THEN told.result ELSE '' END
    FROM assignments s JOIN visits v ON v.assignment_id = s.id
    LEFT JOIN ledger_entries told ON told.visit_id = v.id AND told.channel = 'visit'
    WHERE s.case_id = ANY(CAST(:ids AS uuid[])) AND v.arrived_latest >= :since
    ORDER BY 2
    """
)
_RECEIVED: Final = sa.text(
    """
    SELECT case_id, received_on FROM ledger_entries
    WHERE channel = 'letter' AND case_id = ANY(CAST(:ids AS uuid[])) AND received_on >= :first
    """
)


def _load_touches(
    session: Session, around: _Around, about: Mapping[str, Any], *, days: Days, table: Timetable
) -> None:
    """Load what was done on the cases, ledger and visits together, in the order of time."""
    for case_id, at, channel, is_effective, result in session.execute(_ENTRIES, about).all():
        touch = Touch(at, days.day_of(at), channel, is_effective, table.meaning_of(result))
        around.touches[case_id].append(touch)
    for case_id, received_on in session.execute(_RECEIVED, about).all():
        around.received[case_id].append(received_on)


_PROMISES: Final = sa.text(
    """
    SELECT case_id, made_at, due_on, follow_up_on, state FROM promises
    WHERE case_id = ANY(CAST(:ids AS uuid[]))
      AND (state = 'open' OR (state = 'broken' AND due_on >= :first))
    ORDER BY due_on, id
    """
)
_PAYMENTS: Final = sa.text(
    """
    SELECT case_id, paid_on FROM payments
    WHERE case_id = ANY(CAST(:ids AS uuid[])) AND paid_on >= :first
      AND confirmed_by IS NULL AND voided_at IS NULL
    """
)


def _load_money(session: Session, around: _Around, about: Mapping[str, Any], *, days: Days) -> None:
    for case_id, made_at, due_on, follow_up_on, state in session.execute(_PROMISES, about).all():
        promised = Promised(made_at, days.day_of(made_at), due_on, follow_up_on, state == "open")
        around.promises[case_id].append(promised)
    for case_id, paid_on in session.execute(_PAYMENTS, about).all():
        around.paid[case_id].append(paid_on)


_HOLDS: Final = sa.text(
    """
    SELECT scope, debtor_id, case_id, reason, raised_at, released_at FROM holds
    WHERE debtor_id = ANY(CAST(:debtors AS uuid[])) AND (released_at IS NULL OR released_at >= :since)
    ORDER BY raised_at, id
    """
)


def _load_holds(session: Session, around: _Around, about: Mapping[str, Any], *, days: Days) -> None:
    for scope, debtor_id, case_id, reason, raised_at, released_at in session.execute(_HOLDS, about).all():
        last = None if released_at is None else days.day_of(released_at)
        held = Held(reason, days.day_of(raised_at), last)
        if scope == "debtor":
            around.of_debtor[debtor_id].append(held)
        else:
            around.of_case[case_id].append(held)


_CALLS: Final = sa.text(
    """
    SELECT debtor_id, count(*) FILTER (WHERE at >= :today AND (effective OR connected)),
           count(*) FILTER (WHERE at >= :today AND NOT (effective OR coalesce(connected, false))), max(at)
    FROM ledger_entries
    WHERE debtor_id = ANY(CAST(:debtors AS uuid[])) AND channel = 'call' AND at >= :recently
    GROUP BY debtor_id
    """
)


def _load_calls(
    session: Session, around: _Around, about: Mapping[str, Any], *, days: Days, table: Timetable
) -> None:
    """Count the calls that the caps are about: of the debtor, on whichever case (AMB3)."""
    today = days.end_of(days.today, time.min)
    recently = today - timedelta(days=table.hardship_call_days)
    counted = session.execute(_CALLS, {**about, "today": today, "recently": recently}).all()
    for debtor_id, answered, unanswered, last in counted:
        around.calls[debtor_id] = Calls(answered, unanswered, days.day_of(last))


def _situation(row: Any, around: _Around, *, has_batch: bool) -> CaseSituation:
    followed = [at for at in (row.last_follow_up_at, row.last_visit_at) if at is not None]
    return CaseSituation(
        hand=row.hand,
        status_code=row.status_code,
        code_meaning=row.code_meaning,
        flags=tuple(row.special_flags),
        outstanding_fen=row.outstanding_fen,
        allocated_on=row.allocated_on,
        is_hardship=row.is_hardship,
        client_has_batch=has_batch,
        last_follow_up_at=max(followed, default=None),
        is_reachable=bool(row.is_reachable),
        touches=tuple(around.touches.get(row.id, ())),
        received_on=tuple(around.received.get(row.id, ())),
        paid_on=tuple(around.paid.get(row.id, ())),
        holds=_holds(row, around),
        promises=tuple(around.promises.get(row.id, ())),
        calls=around.calls.get(row.debtor_id, NO_CALLS),
    )


def _holds(row: Any, around: _Around) -> tuple[Held, ...]:
    return (*around.of_debtor.get(row.debtor_id, ()), *around.of_case.get(row.id, ()))

"""What did debtors repay this week, and what was done for it? (F12)

Due every Friday. Totals per client and team (the branch of who wrote the money or the promise down; imports
have none), and one line a case in which something moved: amount, days overdue, measures, promises. Identities
stay masked: whoever needs them unmasks the case. Read from payments that count, promises and the ledger.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from server.database import db
from server.deadlines.days import Days
from server.deadlines.report import Week, week_of
from server.deadlines.timetable import timetable
from server.models.cases import Debtor
from server.rules.local_time import ONE_DAY, at_local, local_day
from server.workflows.case_facts import load_calendar
from server.workflows.standing_packs import active_pack


@dataclass(frozen=True, slots=True)
class Report:
    """A week's totals and one page of its lines."""

    week: Week
    due_at: datetime
    totals: Sequence[Any]
    lines: Sequence[Any]
    next: UUID | None


def due_this_week(now: datetime) -> tuple[Week, datetime]:
    """Return this week and the instant its report is due (F12)."""
    return _week(local_day(now, active_pack(now).zone), now=now)


def _week(day: date, *, now: datetime) -> tuple[Week, datetime]:
    pack = active_pack(now)
    days = Days(load_calendar(day.year - 1, day.year + 1), now=now, zone=pack.zone, closes=pack.window_closes)
    week = week_of(day, days, timetable())
    return week, days.end_of(week.due_on)


def friday_report(
    day: date | None, *, client_id: UUID | None, after: UUID | None, limit: int, now: datetime
) -> Report:
    """Return the report of the week that holds `day` (today's when none is named)."""
    zone = active_pack(now).zone
    week, due_at = _week(day or local_day(now, zone), now=now)
    about = {
        "first": week.first,
        "last": week.last,
        "since": at_local(week.first, time.min, zone),
        "until": at_local(week.last + ONE_DAY, time.min, zone),
        "today": min(week.last, local_day(now, zone)),
        "client": client_id,
    }
    totals = db.session.execute(_TOTALS, about).all()
    lines = db.session.execute(_LINES, about | {"after": after, "limit": limit}).all()
    return Report(week, due_at, totals, lines, lines[-1].case_id if len(lines) == limit else None)


_TOTALS: Final = sa.text(
    """
    SELECT clients.reference AS client, moved.team, sum(moved.paid)::bigint AS payments,
           sum(moved.paid_fen)::bigint AS paid_fen, sum(moved.promised)::bigint AS promises_made,
           sum(moved.promised_fen)::bigint AS promised_fen, sum(moved.kept)::bigint AS promises_kept,
           sum(moved.broken)::bigint AS promises_broken
    FROM (
        SELECT p.client_id, coalesce(s.branch, '') AS team, 1 AS paid, p.amount_fen AS paid_fen,
               0 AS promised, 0 AS promised_fen, 0 AS kept, 0 AS broken
        FROM payments p LEFT JOIN staff s ON s.id = p.recorded_by
        WHERE p.paid_on BETWEEN :first AND :last AND p.confirmed_by IS NULL AND p.voided_at IS NULL
        UNION ALL
        SELECT p.client_id, coalesce(s.branch, ''), 0, 0, 1, p.amount_fen, 0, 0
        FROM promises p LEFT JOIN staff s ON s.id = p.recorded_by
        WHERE p.made_at >= :since AND p.made_at < :until
        UNION ALL
        SELECT p.client_id, coalesce(s.branch, ''), 0, 0, 0, 0, (p.state = 'kept')::int,
               (p.state = 'broken')::int
        FROM promises p LEFT JOIN staff s ON s.id = p.recorded_by WHERE p.due_on BETWEEN :first AND :last
    ) moved
    JOIN clients ON clients.id = moved.client_id
    WHERE CAST(:client AS uuid) IS NULL OR moved.client_id = CAST(:client AS uuid)
    GROUP BY clients.reference, moved.team ORDER BY clients.reference, moved.team
    """
)
_LINES: Final = sa.text(
    """
    SELECT c.id AS case_id, c.reference AS case_reference, clients.reference AS client, d.name AS debtor_name,
           c.outstanding_fen, greatest(0, CAST(:today AS date) - c.overdue_since) AS days_overdue,
           (SELECT coalesce(sum(amount_fen), 0)::bigint FROM payments
             WHERE case_id = c.id AND paid_on BETWEEN :first AND :last
               AND confirmed_by IS NULL AND voided_at IS NULL) AS paid_fen,
           (SELECT coalesce(sum(amount_fen), 0)::bigint FROM promises
             WHERE case_id = c.id AND made_at >= :since AND made_at < :until) AS promised_fen,
           (SELECT min(due_on) FROM promises WHERE case_id = c.id AND state = 'open') AS next_promised_on,
           did.calls, did.letters, did.visits, did.inbound
    FROM cases c
    JOIN clients ON clients.id = c.client_id
    JOIN debtors d ON d.id = c.debtor_id
    JOIN LATERAL (
        SELECT count(*) FILTER (WHERE channel = 'call') AS calls,
               count(*) FILTER (WHERE channel = 'letter') AS letters,
               count(*) FILTER (WHERE channel = 'visit') AS visits,
               count(*) FILTER (WHERE channel = 'inbound') AS inbound
        FROM ledger_entries WHERE case_id = c.id AND at >= :since AND at < :until
    ) did ON true
    WHERE c.id IN (
        SELECT case_id FROM payments
        WHERE paid_on BETWEEN :first AND :last AND confirmed_by IS NULL AND voided_at IS NULL
        UNION SELECT case_id FROM promises WHERE made_at >= :since AND made_at < :until
        UNION SELECT case_id FROM promises WHERE due_on BETWEEN :first AND :last
    )
      AND (CAST(:client AS uuid) IS NULL OR c.client_id = CAST(:client AS uuid))
      AND (CAST(:after AS uuid) IS NULL OR c.id > CAST(:after AS uuid))
    ORDER BY c.id LIMIT :limit
    """
).columns(case_id=sa.Uuid(), debtor_name=Debtor.name.type)

"""What did debtors repay this week, and what was done for it? (F12)

Due every Friday. Totals per client and team (the branch of who wrote the money or the promise down; imports
have none), and one line a case in which something moved: amount, days overdue, measures, promises. Identities
stay masked: whoever needs them unmasks the case. Read from payments that count, promises and the ledger.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from server.database import db
from server.deadlines.days import Days
from server.deadlines.report import Week, week_of
from server.deadlines.timetable import timetable
from server.rules.local_time import local_day
from server.workflows.case_facts import load_calendar
from server.workflows.moved import LINES, TOTALS, Span
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
    return week_and_due(local_day(now, active_pack(now).zone), now=now)


def week_and_due(day: date, *, now: datetime) -> tuple[Week, datetime]:
    """Return the week that holds a day and the instant its report is due (F12)."""
    pack = active_pack(now)
    days = Days(load_calendar(day.year - 1, day.year + 1), now=now, zone=pack.zone, closes=pack.window_closes)
    week = week_of(day, days, timetable())
    return week, days.end_of(week.due_on)


def friday_report(
    day: date | None, *, client_id: UUID | None, after: UUID | None, limit: int, now: datetime
) -> Report:
    """Return the report of the week that holds `day` (today's when none is named)."""
    zone = active_pack(now).zone
    week, due_at = week_and_due(day or local_day(now, zone), now=now)
    about = Span(week.first, week.last, client_id, zone).about(now)
    totals = db.session.execute(TOTALS, about).all()
    lines = db.session.execute(LINES, about | {"after": after, "limit": limit}).all()
    return Report(week, due_at, totals, lines, lines[-1].case_id if len(lines) == limit else None)

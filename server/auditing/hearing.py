"""Until when may a visitor reply to a finding, and when does it count?"""

import tomllib
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from server.rules.calendar import Calendar
from server.rules.local_time import at_local, local_day


@dataclass(frozen=True, slots=True)
class Terms:
    """The values of `terms.toml`."""

    working_days: int
    calendar_days: int
    never_told: timedelta
    on_phone_after_due: timedelta


@cache
def current_terms() -> Terms:
    """Return the terms this program gives."""
    told = tomllib.loads((Path(__file__).parent / "terms.toml").read_text("utf-8"))
    return Terms(
        working_days=told["reply"]["working_days"],
        calendar_days=told["reply"]["calendar_days"],
        never_told=timedelta(days=told["never_told"]["calendar_days"]),
        on_phone_after_due=timedelta(days=told["phone"]["days_after_due"]),
    )


def reply_due(told_at: datetime, *, calendar: Calendar, zone: ZoneInfo, terms: Terms) -> datetime:
    """Return the end of the last day of the right of reply, the day on which it was told not counted."""
    today = local_day(told_at, zone)
    last = calendar.working_day_after(today, terms.working_days)
    if last is None:
        last = today + timedelta(days=terms.calendar_days)
    return at_local(last + timedelta(days=1), time.min, zone)


def hearing_ends(opened_at: datetime, *, zone: ZoneInfo, terms: Terms) -> datetime:
    """Return the end of the last day on which somebody who was never told is waited for."""
    last = local_day(opened_at, zone) + terms.never_told
    return at_local(last + timedelta(days=1), time.min, zone)


def was_heard(*, has_reply: bool, due_at: datetime, now: datetime) -> bool:
    """Whether a finding counts against a person: they replied, or their time has run out."""
    return has_reply or due_at <= now

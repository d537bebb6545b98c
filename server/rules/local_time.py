"""What day and hour is it where the debtor lives? Conversions between instants and the pack's local time.

Whoever judges very many visits asks for the same instants again and again: what was converted is remembered.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

ONE_DAY = timedelta(days=1)
REMEMBERED: Final = 1 << 15


@lru_cache(maxsize=REMEMBERED)
def local_day(at: datetime, zone: ZoneInfo) -> date:
    """Return the calendar day of an instant."""
    try:
        return at.astimezone(zone).date()
    except OverflowError:  # nothing lies beyond the first and the last day there are
        return at.date()


@lru_cache(maxsize=REMEMBERED)
def at_local(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """Return the instant of a local time of day."""
    return datetime.combine(day, clock, zone).astimezone(UTC)


@lru_cache(maxsize=REMEMBERED)
def next_midnight(at: datetime, zone: ZoneInfo) -> datetime:
    """Return the beginning of the following local day."""
    return at_local(local_day(at, zone) + ONE_DAY, time.min, zone)


def months_later(day: date, months: int) -> date:
    """Return the first day of the month so many months later."""
    years, month = divmod(day.month - 1 + months, 12)
    return date(day.year + years, month + 1, 1)


def days_touched(start: datetime, end: datetime, zone: ZoneInfo) -> tuple[date, ...]:
    """Return every local day that [start, end] touches, at most eight of them."""
    first, last = local_day(start, zone), local_day(end, zone)
    return tuple(first + step * ONE_DAY for step in range(min((last - first).days, 7) + 1))

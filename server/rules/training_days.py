"""On which days does the agency train? (G6)"""

from collections.abc import Iterator
from datetime import date, timedelta

from server.rules.calendar import Calendar

FRIDAY = 4
ONE_DAY = timedelta(days=1)


def training_days(year: int, month: int, *, of_managers: bool, calendar: Calendar) -> list[date]:
    """Return a month's training days: every Friday for staff, the last working day for managers (G6).

    A Friday in a break moves to the first working day after it, also into the next month; two Fridays of one
    break meet on one day. Days of a year nobody published are left out.
    """
    first = date(year, month, 1)
    after = date(year + month // 12, month % 12 + 1, 1)
    if of_managers:
        working = [day for day in _days(first, after) if calendar.is_working_day(day)]
        return working[-1:]
    moved = (_moved(day, calendar) for day in _days(first, after) if day.weekday() == FRIDAY)
    return sorted({day for day in moved if day is not None})


def _days(first: date, after: date) -> Iterator[date]:
    return (first + ONE_DAY * number for number in range((after - first).days))


def _moved(friday: date, calendar: Calendar) -> date | None:
    if not calendar.is_published(friday) or not calendar.is_holiday(friday):
        return friday if calendar.is_published(friday) else None
    return calendar.working_day_after(friday, 1)

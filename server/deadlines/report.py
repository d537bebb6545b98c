"""When is the week's report due? (F12)

Every Friday the supervisor hands in the week's repayments of the team: names, amounts, days overdue, measures
taken. A Friday that a holiday bans is a calendar day: the report is due the permitted day before (AMB22), or
after, where the holiday took the whole week.
"""

from datetime import date, timedelta
from typing import NamedTuple

from server.deadlines.days import Days
from server.deadlines.timetable import Timetable


class Week(NamedTuple):
    """A reported week, Monday to Sunday, and the day its report is due."""

    first: date
    last: date
    due_on: date
    is_provisional: bool


def week_of(day: date, days: Days, table: Timetable) -> Week:
    """Return the week that holds a day, with the day its report is due (F12)."""
    monday = day - timedelta(days=day.weekday())
    due = days.on(monday + timedelta(days=table.report_weekday - 1), not_before=monday)
    return Week(monday, monday + timedelta(days=6), due.day, due.is_provisional)

"""What may be a holiday in a year that nobody published yet?

The statutory days can be computed, the State Council's breaks around them cannot. An envelope around every
festival covers where breaks have lain since 2010 (published-instruments, section 4); its days ban and never
permit (X6), and give way to the notice once there is one.
"""

from datetime import date, datetime, timedelta
from typing import Final, Literal

import holidays
import sqlalchemy as sa
import structlog

from server.database import db
from server.jobs import task
from server.models.calendar import CalendarYear
from server.workflows.calendar import Kind, publish_year

log = structlog.get_logger()
YEARS_AHEAD: Final = 2
NEW_YEAR: Final = "Chinese New Year (Spring Festival)"
AROUND_NEW_YEAR: Final = (-3, 7)
NEAR: Final = (-2, 2)
MOVABLE: Final = ("Tomb-Sweeping Day", "Dragon Boat Festival", "Mid-Autumn Festival")
FIXED: Final = (((1, 1), (1, 3)), ((4, 29), (5, 5)), ((9, 29), (10, 8)), ((12, 30), (12, 31)))
NOTICE: Final = "Computed: statutory days and the envelope around them, until the notice of the year"

Alarm = Literal["none", "notice", "urgent", "blocking"]


def statutory_days(year: int) -> dict[date, str]:
    """Return the legal holidays of a year, without the working days swapped for them."""
    days = holidays.country_holidays("CN", years=[year], language="en_US")
    return {
        day: name
        for day, name in days.items()
        if day.year == year and "observed" not in name and "substituted" not in name
    }


def envelope(year: int) -> dict[date, str]:
    """Return every day of a year that its notice may declare off, with the festival's name."""
    statutory = statutory_days(year)
    days: dict[date, str] = {}
    for first, last in FIXED:
        _span(days, date(year, *first), date(year, *last), "around a public holiday")
    new_year = min(day for day, name in statutory.items() if NEW_YEAR in name)
    _around(days, new_year, AROUND_NEW_YEAR, NEW_YEAR)
    for day, name in statutory.items():
        for festival in MOVABLE:
            if festival in name:
                _around(days, day, NEAR, festival)
    return {day: name for day, name in (days | statutory).items() if day.year == year}


def _around(days: dict[date, str], day: date, reach: tuple[int, int], name: str) -> None:
    _span(days, day + timedelta(days=reach[0]), day + timedelta(days=reach[1]), name)


def _span(days: dict[date, str], first: date, last: date, name: str) -> None:
    for number in range((last - first).days + 1):
        days.setdefault(first + timedelta(days=number), name)


def foresee(*, now: datetime) -> list[int]:
    """Write a provisional calendar for every coming year that has none; return those years."""
    known = set(db.session.scalars(sa.select(CalendarYear.year)))
    missing = [year for year in range(now.year, now.year + YEARS_AHEAD + 1) if year not in known]
    for year in missing:
        days: dict[date, tuple[Kind, str]] = {day: ("holiday", name) for day, name in envelope(year).items()}
        publish_year(year, days=days, notice=NOTICE, status="provisional", now=now)
    return missing


def calendar_alarm(today: date, *, published: frozenset[int]) -> Alarm:
    """Say how urgent it is that a notice is entered: next year's is expected in November."""
    if today.year not in published:
        return "blocking"
    if today.year + 1 in published or today < date(today.year, 11, 1):
        return "none"
    if today < date(today.year, 12, 1):
        return "notice"
    return "urgent" if today < date(today.year, 12, 25) else "blocking"


@task("calendar.foresee", every="20 19 * * *")
def watch_calendar(*, now: datetime) -> None:
    """Keep the coming years provisional, and say loudly when a notice is missing."""
    foresee(now=now)
    alarm = calendar_alarm(now.date(), published=published_years())
    if alarm != "none":
        log.warning("calendar.notice_missing", alarm=alarm, year=now.year + 1)


def published_years() -> frozenset[int]:
    """Return the years whose notice is in force."""
    query = sa.select(CalendarYear.year).where(CalendarYear.status == "published").distinct()
    return frozenset(db.session.scalars(query))

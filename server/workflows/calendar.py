"""Where does the calendar come from?

Years that the State Council published are seeded from the `chinesecalendar` package; a later notice, or a
correction in mid-year, becomes a new version of its year (old decisions keep the days they were judged with).
Never guesses: a year that nobody published stays unpublished.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import holidays
import sqlalchemy as sa
from chinese_calendar import constants
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased

from server.database import db, transaction
from server.errors import Fault, Invalid
from server.models.calendar import CalendarDay, CalendarYear
from server.models.feed import EVERYONE, publish
from server.rules.calendar import SATURDAY
from server.workflows.recounting import recount_everything_later

Kind = Literal["holiday", "makeup"]
Days = Mapping[date, tuple[Kind, str]]
ONE_DAY: Final = timedelta(days=1)
NOTICE: Final = "State Council notice, as shipped by the package chinesecalendar"


def entity_of(year: int) -> UUID:
    """Return the id under which a year's calendar travels in the feed; its integer is the year."""
    return UUID(int=year)


def seed_calendar(*, now: datetime, region: str = "CN") -> list[int]:
    """Write every shipped year that the table does not have; return those years. Safe to repeat.

    `region` is the rule pack's calendar: one deployment judges by one country's holidays.
    """
    shipped = list(published_days() if region == "CN" else _public_holidays(region, now=now))
    notice = NOTICE if region == "CN" else f"Public holidays of {region}, as computed by the package holidays"
    years = sorted({day.year for day, _, _ in shipped})
    with transaction() as session:
        added = session.scalars(
            insert(CalendarYear)
            .values(
                [
                    {"year": year, "version": 1, "status": "published", "notice": notice, "entered_at": now}
                    for year in years
                ]
            )
            .on_conflict_do_nothing()
            .returning(CalendarYear.year)
        ).all()
        days = [
            {"year": day.year, "version": 1, "day": day, "kind": kind, "name": name}
            for day, kind, name in shipped
            if day.year in set(added)
        ]
        if days:
            session.execute(sa.insert(CalendarDay), days)
        for year in added:
            if year >= now.year:
                publish(EVERYONE, kind="calendar", entity_id=entity_of(year), op="put")
    return sorted(added)


def published_days() -> Iterable[tuple[date, Kind, str]]:
    """Give out the days of every shipped notice, each break with the weekends it is joined to.

    The package knows which days are off in lieu and which are worked, and leaves weekends out that a notice
    joins to a break (与周末连休), even between two of its days. The whole break is banned (AMB2).
    """
    known = {day: str(name) for day, name in constants.holidays.items()}
    joined = {
        weekend: name
        for day, name in known.items()
        for step in (-ONE_DAY, ONE_DAY)
        for weekend in _weekend_beside(day, step)
        if weekend not in known
    }
    for day, name in (known | joined).items():
        yield day, "holiday", name
    for day, name in constants.workdays.items():
        yield day, "makeup", str(name)


def _weekend_beside(day: date, step: timedelta) -> Iterable[date]:
    day += step
    while day.weekday() >= SATURDAY and day not in constants.workdays:
        yield day
        day += step


def _public_holidays(region: str, *, now: datetime) -> Iterable[tuple[date, Kind, str]]:
    """Give out a country's public holidays of last year, this one and the next: laws set them in advance."""
    years = range(now.year - 1, now.year + 2)
    for day, name in holidays.country_holidays(region, years=years).items():
        if day.year in years:
            yield day, "holiday", name


def publish_year(
    year: int,
    *,
    days: Days,
    notice: str,
    status: Literal["published", "provisional"] = "published",
    now: datetime,
) -> int:
    """Write a notice as the next version of its year and return that version."""
    foreign = [day for day in days if day.year != year]
    if foreign:
        faults = [Fault(f"/days/{day}", f"Is not in {year}.") for day in foreign]
        raise Invalid("calendar-faulty", "Every day must lie in the year of the notice.", faults=faults)
    with transaction() as session:
        return write_year(session, year, days=days, notice=notice, status=status, now=now)


def write_year(
    session: Session, year: int, *, days: Days, notice: str, status: str = "published", now: datetime
) -> int:
    """Write the next version of a year in the caller's transaction, and send it to the phones."""
    session.execute(sa.text("SELECT pg_advisory_xact_lock(1129072961, :year)"), {"year": year})
    newest = session.scalar(sa.select(sa.func.max(CalendarYear.version)).where(CalendarYear.year == year))
    version = (newest or 0) + 1
    session.add(CalendarYear(year=year, version=version, status=status, notice=notice, entered_at=now))
    session.flush()
    for day, (kind, name) in sorted(days.items()):
        session.add(CalendarDay(year=year, version=version, day=day, kind=kind, name=name))
    publish(EVERYONE, kind="calendar", entity_id=entity_of(year), op="put")
    recount_everything_later()
    return version


def list_years(*, year: int | None = None) -> list[tuple[CalendarYear, list[CalendarDay]]]:
    """Return the newest version of every year, or of one, with its days in order."""
    other = aliased(CalendarYear)
    is_newer = sa.and_(other.year == CalendarYear.year, other.version > CalendarYear.version)
    newest = sa.select(CalendarYear).where(~sa.exists().where(is_newer)).order_by(CalendarYear.year)
    if year is not None:
        newest = newest.where(CalendarYear.year == year)
    years = db.session.scalars(newest).all()
    wanted = [(row.year, row.version) for row in years]
    of_them = sa.tuple_(CalendarDay.year, CalendarDay.version).in_(wanted)
    days = db.session.scalars(sa.select(CalendarDay).where(of_them).order_by(CalendarDay.day)).all()
    return [(row, [day for day in days if day.year == row.year]) for row in years]


def list_versions(year: int) -> list[tuple[CalendarYear, list[CalendarDay]]]:
    """Return every version of a year, the oldest first, with its days: old decisions keep theirs."""
    rows = db.session.scalars(
        sa.select(CalendarYear).where(CalendarYear.year == year).order_by(CalendarYear.version)
    ).all()
    days = db.session.scalars(
        sa.select(CalendarDay).where(CalendarDay.year == year).order_by(CalendarDay.day)
    ).all()
    return [(row, [day for day in days if day.version == row.version]) for row in rows]

"""The calendar's table: seeded once, corrected by new versions, cross-checked with a second library."""

from datetime import date, timedelta
from itertools import pairwise

import holidays
import pytest
import sqlalchemy as sa
from flask import Flask

from server.database import db
from server.errors import Invalid
from server.intake.holiday_notice import read_notice
from server.models.feed import EVERYONE, FeedRow
from server.rules.calendar import Calendar
from server.workflows.calendar import entity_of, list_years, publish_year, published_days, seed_calendar
from server.workflows.case_facts import load_calendar
from tests.intake.test_holiday_notice import OF_2024, OF_2025, OF_2026
from tests.office import NOW, Office


def test_seeding_twice_changes_nothing(office: Office):
    first = seed_calendar(now=NOW)
    again = seed_calendar(now=NOW)

    assert first[0] == 2004
    assert 2026 not in first  # the office published its own
    assert again == []


def test_a_correction_in_mid_year_is_a_new_version_and_reaches_the_phones(office: Office):
    extra = date(2026, 12, 7)

    version = publish_year(2026, days={extra: ("holiday", "a day of mourning")}, notice="2nd", now=NOW)

    assert version == 2
    assert load_calendar(2026, 2026).holidays == {extra: "a day of mourning"}
    assert [(row.version, len(days)) for row, days in list_years(year=2026)] == [(2, 1)]
    row = db.session.scalars(sa.select(FeedRow).where(FeedRow.scope == EVERYONE)).one()
    assert (row.kind, row.entity_id, row.rev) == ("calendar", entity_of(2026), 2)


def test_a_provisional_year_is_not_published(office: Office):
    spring = date(2027, 2, 6)
    publish_year(2027, days={spring: ("holiday", "?")}, notice="guess", status="provisional", now=NOW)

    calendar = load_calendar(2026, 2027)

    assert calendar.published == {2026}
    assert calendar.is_holiday(spring)


def test_a_day_of_another_year_is_refused(office: Office):
    with pytest.raises(Invalid, match="year"):
        publish_year(2027, days={date(2026, 12, 31): ("holiday", "")}, notice="x", now=NOW)


def shipped() -> Calendar:
    """The calendar as it ships: what seeding writes."""
    days = list(published_days())
    return Calendar(
        published=frozenset(day.year for day, _, _ in days),
        holidays={day: name for day, kind, name in days if kind == "holiday"},
        makeup=frozenset(day for day, kind, _ in days if kind == "makeup"),
    )


def test_what_is_seeded_is_what_ships(app: Flask):
    seed_calendar(now=NOW)

    assert load_calendar(2000, 2030) == shipped()
    assert shipped().published == frozenset(range(2004, 2027))


@pytest.mark.parametrize("year", range(2004, 2027))
def test_every_shipped_year_agrees_with_a_second_library(year: int):
    """`holidays` knows the statutory days, those in lieu, and which weekends are worked.

    One day in 23 years is told differently: the Saturday before New Year 2006 was worked, says the first.
    """
    ours, theirs = shipped(), holidays.country_holidays("CN", years=year)
    days = [date(year, 1, 1) + timedelta(days=n) for n in range(366 if year % 4 == 0 else 365)]

    differing = {day for day in days if ours.is_working_day(day) != theirs.is_working_day(day)}

    assert differing == ({date(2005, 12, 31)} if year == 2005 else set())
    assert {day for day in theirs if day.year == year} <= set(ours.holidays)
    assert not ours.makeup & set(theirs)


@pytest.mark.parametrize("year", range(2004, 2027))
def test_no_break_has_a_hole_and_no_day_is_both_banned_and_worked(year: int):
    ours = shipped()
    banned = sorted(day for day in ours.holidays if day.year == year)

    holes = [
        (one, other)
        for one, other in pairwise(banned)
        if timedelta(days=1) < other - one <= timedelta(days=3) and ours.holidays[one] == ours.holidays[other]
    ]

    assert holes == []
    assert not ours.makeup & set(ours.holidays)
    assert all(day.weekday() >= 5 for day in ours.makeup)
    beside = {day + step * timedelta(days=1) for day in banned for step in (-1, 1)}
    assert {day for day in beside if day.weekday() >= 5} <= set(ours.holidays) | ours.makeup
    assert 10 <= len(banned) <= 40


@pytest.mark.parametrize(("year", "text"), [(2024, OF_2024), (2025, OF_2025), (2026, OF_2026)])
def test_shipped_years_are_those_of_the_notices(year: int, text: str):
    """The words of the notice and the table agree day by day."""
    read = read_notice(text, year=year)
    ours = shipped()

    assert {one.day for one in read if one.kind == "makeup"} == {d for d in ours.makeup if d.year == year}
    assert {one.day for one in read if one.kind == "holiday"} - set(ours.holidays) == set()
    weekends = {d for d in ours.holidays if d.year == year} - {one.day for one in read}
    assert all(day.weekday() >= 5 for day in weekends)


def test_working_days_skip_breaks_and_count_make_up_days(office: Office):
    calendar = load_calendar(2026, 2026)

    assert calendar.working_day_after(date(2026, 9, 30), 1) == date(2026, 10, 8)
    assert calendar.working_day_after(date(2026, 9, 30), 3) == date(2026, 10, 10)
    assert calendar.working_day_after(date(2026, 12, 31), 1) is None
    assert not calendar.is_working_day(date(2027, 1, 4))
    assert calendar.is_working_day(date(2026, 11, 23) + timedelta(days=1))

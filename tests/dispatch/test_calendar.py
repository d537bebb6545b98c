"""The calendar's table: seeded once, corrected by new versions, cross-checked with a second library."""

from datetime import date, timedelta

import holidays
import pytest
import sqlalchemy as sa

from server.database import db
from server.errors import Invalid
from server.models.feed import EVERYONE, FeedRow
from server.workflows.calendar import entity_of, list_years, publish_year, seed_calendar
from server.workflows.case_facts import load_calendar
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


def test_the_seed_agrees_with_a_second_library_on_the_last_years(office: Office):
    """`holidays` knows the statutory days and those in lieu: all must be banned, none a make-up day."""
    seed_calendar(now=NOW)
    calendar = load_calendar(2020, 2025)
    other = holidays.country_holidays("CN", years=range(2020, 2026))

    banned_there = {day for day in other if day.year in calendar.published}

    assert banned_there - set(calendar.holidays) == set()
    assert banned_there & calendar.makeup == set()


def test_working_days_skip_breaks_and_count_make_up_days(office: Office):
    calendar = load_calendar(2026, 2026)

    assert calendar.working_day_after(date(2026, 9, 30), 1) == date(2026, 10, 8)
    assert calendar.working_day_after(date(2026, 9, 30), 3) == date(2026, 10, 10)
    assert calendar.working_day_after(date(2026, 12, 31), 1) is None
    assert not calendar.is_working_day(date(2027, 1, 4))
    assert calendar.is_working_day(date(2026, 11, 23) + timedelta(days=1))

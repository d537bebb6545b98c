"""Counting days: what is banned, what works, and where a deadline on a banned day goes (AMB2, AMB22)."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.rules.calendar import Calendar

# October 2026 as published: off 1-7, work on Saturday 10; 2027 is not published, its New Year provisional.
CALENDAR = Calendar(
    published=frozenset({2026}),
    holidays={date(2026, 10, n): "National Day" for n in range(1, 8)} | {date(2027, 1, 1): "New Year"},
    makeup=frozenset({date(2026, 10, 10)}),
)
days = st.dates(date(2025, 11, 1), date(2027, 2, 28))


@pytest.mark.parametrize(
    ("day", "after", "before"),
    [
        ("2026-09-30", "2026-09-30", "2026-09-30"),
        ("2026-10-01", "2026-10-08", "2026-09-30"),
        ("2026-10-07", "2026-10-08", "2026-09-30"),
        ("2026-10-10", "2026-10-10", "2026-10-10"),
        ("2026-12-31", "2026-12-31", "2026-12-31"),
        ("2027-01-01", None, "2026-12-31"),
        ("2025-12-31", "2026-01-01", None),
    ],
)
def test_a_deadline_on_a_banned_day_moves(day: str, after: str | None, before: str | None):
    on = date.fromisoformat(day)

    moved = CALENDAR.permitted_on_or_after(on), CALENDAR.permitted_on_or_before(on)

    assert moved == (after and date.fromisoformat(after), before and date.fromisoformat(before))


def test_without_any_published_year_no_deadline_can_be_told():
    nothing = Calendar(frozenset(), {}, frozenset())

    assert nothing.permitted_on_or_after(date(2026, 5, 1)) is None
    assert nothing.permitted_on_or_before(date(2026, 5, 1)) is None
    assert nothing.working_day_after(date(2026, 5, 1), 1) is None


def walked(after: date, until: date) -> int:
    """Count the working days after a day up to and with another, one by one."""
    count, day = 0, after
    while day < until:
        day += timedelta(days=1)
        is_off = day.year != 2026 or date(2026, 10, 1) <= day <= date(2026, 10, 7)
        is_weekend = day.weekday() >= 5 and day != date(2026, 10, 10)
        count += not is_off and not is_weekend
    return count


@given(day=days, count=st.integers(1, 30))
def test_the_nth_working_day_after_a_day_has_n_working_days_behind_it(day: date, count: int):
    due = CALENDAR.working_day_after(day, count)

    if due is not None:
        assert walked(day, due) == count
        assert CALENDAR.is_working_day(due)
    else:
        assert walked(day, date(2026, 12, 31)) < count


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        ("2026-01-01", "2026-12-31", False),
        ("2026-12-31", "2027-01-01", True),
        ("2025-12-31", "2026-01-01", True),
    ],
)
def test_a_count_that_touches_an_unpublished_year_is_provisional(since: str, until: str, expected: bool):
    assert CALENDAR.is_provisional(date.fromisoformat(since), date.fromisoformat(until)) is expected

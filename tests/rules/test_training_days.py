"""Training days: Fridays for staff, the month's last working day for managers (G6)."""

from datetime import date

import pytest

from server.rules.calendar import Calendar
from server.rules.training_days import training_days

# National Day takes Friday 2 October, the Dragon Boat break Friday 19 June; Saturday 10 October is worked.
CALENDAR = Calendar(
    published=frozenset({2026}),
    holidays={date(2026, 10, n): "National Day" for n in range(1, 8)}
    | {date(2026, 6, n): "Dragon Boat Festival" for n in (19, 20, 21)},
    makeup=frozenset({date(2026, 10, 10)}),
)


@pytest.mark.parametrize(
    ("year", "month", "of_managers", "days"),
    [
        (2026, 11, False, ["2026-11-06", "2026-11-13", "2026-11-20", "2026-11-27"]),
        (2026, 6, False, ["2026-06-05", "2026-06-12", "2026-06-22", "2026-06-26"]),
        (2026, 10, False, ["2026-10-08", "2026-10-09", "2026-10-16", "2026-10-23", "2026-10-30"]),
        (2026, 10, True, ["2026-10-30"]),
        (2026, 11, True, ["2026-11-30"]),
        (2026, 12, True, ["2026-12-31"]),
        (2027, 1, False, []),
        (2027, 1, True, []),
    ],
)
def test_the_days_of_a_month(year: int, month: int, of_managers: bool, days: list[str]):
    found = training_days(year, month, of_managers=of_managers, calendar=CALENDAR)

    assert [day.isoformat() for day in found] == days

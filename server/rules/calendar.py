"""Which days are banned, and which are working days?

One immutable value made of published (and provisional) years. It never guesses: a year nobody published is
unknown, and unknown days are neither permitted nor counted as working days.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

ONE_DAY = timedelta(days=1)
SATURDAY = 5
HORIZON_DAYS = 3660


@dataclass(frozen=True, slots=True)
class Calendar:
    """Published years, the days of their public-holiday breaks (with names), and make-up workdays.

    Days of years outside `published` are provisional: they may ban, never permit.
    """

    published: frozenset[int]
    holidays: Mapping[date, str]
    makeup: frozenset[date]

    def is_published(self, day: date) -> bool:
        """Whether the notice of this day's year is known."""
        return day.year in self.published

    def is_holiday(self, day: date) -> bool:
        """Whether the day lies in a public-holiday break."""
        return day in self.holidays

    def is_working_day(self, day: date) -> bool:
        """Whether the day is certainly a working day: make-up Saturdays and Sundays are."""
        if not self.is_published(day) or self.is_holiday(day):
            return False
        return day.weekday() < SATURDAY or day in self.makeup

    def working_day_after(self, day: date, count: int) -> date | None:
        """Return the `count`-th working day after `day` (not counting it), None where no calendar tells."""
        for step in range(1, HORIZON_DAYS):
            candidate = day + step * ONE_DAY
            if not self.is_published(candidate) and not any(year > candidate.year for year in self.published):
                return None
            count -= self.is_working_day(candidate)
            if count == 0:
                return candidate
        return None

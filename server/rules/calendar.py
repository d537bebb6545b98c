"""Which days are banned, and which are working days?

One immutable value made of published (and provisional) years. It never guesses: a year nobody published is
unknown, and unknown days are neither permitted nor counted as working days.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

ONE_DAY = timedelta(days=1)
SATURDAY = 5


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
        """Return the `count`-th working day after `day` (not counting it), None where no calendar tells.

        Days of unknown years are not counted, so the answer is never too early.
        """
        candidate = day + ONE_DAY
        while candidate.year <= max(self.published, default=0):
            if not self.is_published(candidate):
                candidate = date(min(year for year in self.published if year > candidate.year), 1, 1)
                continue
            count -= self.is_working_day(candidate)
            if count <= 0:
                return candidate
            candidate += ONE_DAY
        return None

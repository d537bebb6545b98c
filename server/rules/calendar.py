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

    def is_provisional(self, since: date, until: date) -> bool:
        """Whether a day of [since, until] lies in a year nobody published: to be counted again then."""
        return any(year not in self.published for year in range(since.year, until.year + 1))

    def is_permitted(self, day: date) -> bool:
        """Whether anything may be done with debtors on a day; unknown days permit nothing (AMB2, X6)."""
        return self.is_published(day) and not self.is_holiday(day)

    def permitted_on_or_after(self, day: date) -> date | None:
        """Move a working-day deadline off a banned day; None where no calendar tells (AMB22)."""
        while day.year <= max(self.published, default=0):
            if self.is_permitted(day):
                return day
            day += ONE_DAY
        return None

    def permitted_on_or_before(self, day: date) -> date | None:
        """Move a calendar-day deadline off a banned day; None where no calendar tells (AMB22)."""
        while day.year >= min(self.published, default=day.year + 1):
            if self.is_permitted(day):
                return day
            day -= ONE_DAY
        return None

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

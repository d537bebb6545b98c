"""On which day does a deadline fall, and may anybody be called until then?

Counting over one calendar, at one moment. Days on which a hold stood do not count, banned days neither. A
year that nobody published is counted by its weekdays and what is foreseen of its holidays, and the result is
marked provisional: such a deadline pushes nobody, and is counted again when there is a notice.
"""

from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from server.deadlines.facts import Held
from server.rules.calendar import ONE_DAY, SATURDAY, Calendar
from server.rules.local_time import at_local, local_day

NOT_HELD: Final[tuple[Held, ...]] = ()
FARTHEST: Final = 500


class Due(NamedTuple):
    """The day a deadline falls on, and whether a calendar for the way there is still missing."""

    day: date
    is_provisional: bool


class Days:
    """Counts days at one moment; `closes` is when the working hours of a day end (T1, AMB1).

    What was counted once is remembered: a hundred thousand cases ask about a few hundred days.
    """

    def __init__(self, calendar: Calendar, *, now: datetime, zone: ZoneInfo, closes: time) -> None:
        self.now = now
        self.today = local_day(now, zone)
        self._calendar = calendar
        self._zone = zone
        self._closes = closes
        self._counted: dict[tuple[date, int], Due] = {}
        self._ends: dict[tuple[date, time], datetime] = {}
        self._permitted: dict[tuple[date, date], int] = {}

    def day_of(self, at: datetime) -> date:
        """Return the local day of an instant."""
        return local_day(at, self._zone)

    def end_of(self, day: date, at: time | None = None) -> datetime:
        """Return the instant a deadline of this day passes."""
        key = day, at or self._closes
        found = self._ends.get(key)
        if found is None:
            found = self._ends[key] = at_local(*key, self._zone)
        return found

    def may_act(self, day: date) -> bool:
        """Whether debtors may be contacted on a day, as far as is known (A12, AMB2)."""
        return not self._calendar.is_holiday(day)

    def _works(self, day: date) -> bool:
        if self._calendar.is_published(day):
            return self._calendar.is_working_day(day)
        return day.weekday() < SATURDAY and not self._calendar.is_holiday(day)

    def working(self, start: date, count: int, holds: Sequence[Held] = NOT_HELD) -> Due:
        """Return the `count`-th working day after `start`; one on a banned day cannot come out (AMB22)."""
        if holds:
            return self._walk(start, count, holds)
        found = self._counted.get((start, count))
        if found is None:
            found = self._counted[start, count] = self._walk(start, count, NOT_HELD)
        return found

    def _walk(self, start: date, count: int, holds: Sequence[Held]) -> Due:
        day, left = start, count
        while left > 0 and (day - start).days < FARTHEST:
            day += ONE_DAY
            left -= self._works(day) and not was_held(day, holds)
        if not self._calendar.is_provisional(start, day):
            return Due(day, False)
        certain = self._calendar.working_day_after(start, count)  # counts known days only: never too early
        if certain is not None and certain <= self.today and not holds:
            return Due(certain, False)
        return Due(day, True)

    def calendar(self, start: date, count: int, holds: Sequence[Held] = NOT_HELD) -> Due:
        """Return the `count`-th day after `start`, moved to the permitted day before it (AMB22)."""
        day = start
        while count > 0 and (day - start).days < FARTHEST:
            day += ONE_DAY
            count -= not was_held(day, holds)
        return self.on(day, not_before=start + ONE_DAY)

    def on(self, day: date, *, not_before: date) -> Due:
        """Move a calendar-day deadline off a banned day: to the day before, after where that is too early."""
        moved = day
        while not self.may_act(moved):
            moved -= ONE_DAY
            if moved < not_before:
                return self.from_day(day)
        return Due(moved, self._calendar.is_provisional(moved, day))

    def from_day(self, day: date, holds: Sequence[Held] = NOT_HELD) -> Due:
        """Return the first day from `day` on that neither a holiday bans nor a hold stopped."""
        moved = self.next_permitted(day)
        while was_held(moved, holds):
            moved = self.next_permitted(moved + ONE_DAY)
        return Due(moved, self._calendar.is_provisional(day, moved))

    def next_permitted(self, day: date) -> date:
        """Return the first day from `day` on that no holiday bans."""
        while not self.may_act(day):
            day += ONE_DAY
        return day

    def permitted_between(self, first: date, last: date) -> int:
        """Count the days of [first, last] on which debtors may be contacted."""
        found = self._permitted.get((first, last))
        if found is None:
            days = (first + ONE_DAY * number for number in range((last - first).days + 1))
            found = self._permitted[first, last] = sum(map(self.may_act, days))
        return found


def was_held(day: date, holds: Sequence[Held]) -> bool:
    """Whether a hold that has ended stood on a day; one that still stands suspends, it does not pause."""
    return any(held.last is not None and held.first <= day <= held.last for held in holds)


def month_of(day: date) -> tuple[int, int]:
    """Return year and month, to be compared."""
    return day.year, day.month

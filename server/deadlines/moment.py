"""What became of one deadline of one case, at one moment?

Done, then it was met (or met late). Otherwise a hold or a stop suspends it, a cap closes it, and only what is
left is running or missed: a quota never pushes past a cap or a hold (AMB17).
"""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, time
from typing import Final

from server.deadlines.caps import why_capped
from server.deadlines.days import Days, Due
from server.deadlines.facts import CaseSituation, Clock, Held, Touch
from server.deadlines.timetable import Timetable

KIND_OF_MEANING: Final = {"promise": "promised", "tracing": "lost"}
"""What a client's own status code means (D1, AMB16), in the words of the timetable."""


class Moment:
    """One case, looked at with one timetable on one day."""

    __slots__ = ("case", "days", "ended_holds", "kind", "suspended", "table")

    def __init__(self, case: CaseSituation, days: Days, table: Timetable) -> None:
        self.case = case
        self.days = days
        self.table = table
        self.kind = table.kind_of_code(case.status_code) or KIND_OF_MEANING.get(case.code_meaning)
        self.suspended = _why_suspended(case, table)
        self.ended_holds: tuple[Held, ...] = tuple(held for held in case.holds if held.last is not None)

    def working(self, start: date, count: int) -> Due:
        """Return the `count`-th working day after `start` on which no hold stood."""
        return self.days.working(start, count, self.ended_holds)

    def follow_ups(self, *, since: date) -> Iterator[Touch]:
        """Return the attempts to speak to the debtor from a day on, the earliest first."""
        return (touch for touch in self.case.touches if touch.day >= since and touch.is_follow_up)

    def effective(self, *, after: date) -> Iterator[Touch]:
        """Return those follow-ups after a day in which somebody was spoken to."""
        return (
            touch
            for touch in self.case.touches
            if touch.day > after and touch.is_effective and touch.is_follow_up
        )

    def first_paid(self, *, since: date) -> date | None:
        """Return the first day from `since` on which money came in."""
        return min((day for day in self.case.paid_on if day >= since), default=None)

    def close(
        self,
        rule: str,
        due: Due,
        *,
        opened_on: date,
        opened_by: str,
        done_on: date | None = None,
        needed: int = 1,
        at: time | None = None,
    ) -> Clock:
        """Say what became of a deadline. `needed`: contacts it still asks for; 0: the debtor has to act."""
        due_at = self.days.end_of(due.day, at)
        state, because = self._state(due, due_at, done_on=done_on, needed=needed)
        return Clock(rule, opened_on, opened_by, due_at, state, because, due.is_provisional)

    def _state(self, due: Due, due_at: datetime, *, done_on: date | None, needed: int) -> tuple[str, str]:
        if done_on is not None:
            return "met", "late" if done_on > due.day else ""
        if self.suspended:
            return "suspended", self.suspended
        if needed:
            cap = why_capped(self.case, self.days, self.table, needed=needed, until=due.day)
            if cap:
                return "capped", cap
        return ("missed" if self.days.now > due_at else "running"), ""


def _why_suspended(case: CaseSituation, table: Timetable) -> str:
    """Name the hold that stands, or the client's code that stops the case (F6)."""
    for held in case.holds:
        if held.last is None:
            return f"hold: {held.reason}"
    if table.kind_of_code(case.status_code) == "stopped":
        return f"stopped: {case.status_code.strip()}"
    return ""


def earliest(days: Iterable[date | None]) -> date | None:
    """Return the earliest of the days that are known."""
    return min((day for day in days if day is not None), default=None)

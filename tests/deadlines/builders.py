"""Facts of one case for the clocks: say the fact that matters, get an ordinary old case around it.

The calendar is that of autumn 2026: off from Thursday 1 to Wednesday 7 October, work on Saturday 10 October.
2027 is not published; what is foreseen of its New Year is in it, as the office's table has it.
"""

from dataclasses import replace
from datetime import date, datetime, time
from typing import Any

from server.deadlines.days import Days
from server.deadlines.engine import clocks_of
from server.deadlines.facts import CaseSituation, Clock, Held, Promised, Touch
from server.deadlines.timetable import timetable
from server.rules.calendar import Calendar
from tests.office import CHINA, china

CALENDAR = Calendar(
    published=frozenset({2026}),
    holidays={date(2026, 10, day): "National Day" for day in range(1, 8)}
    | {date(2027, 1, day): "New Year" for day in range(1, 4)},
    makeup=frozenset({date(2026, 10, 10)}),
)
OLD = CaseSituation(
    hand="first",
    status_code="",
    code_meaning="",
    flags=(),
    outstanding_fen=1_234_500,
    allocated_on=date(2026, 1, 15),
    is_hardship=False,
    client_has_batch=True,
)


def day(text: str) -> date:
    """Read "10-08" as a day of 2026, "2027-01-04" as itself."""
    return date.fromisoformat(text if len(text) > 5 else f"2026-{text}")


def at(text: str) -> datetime:
    """Read "10-08 09:00" as China time of 2026."""
    return china(text if len(text) > 11 else f"2026-{text}")


def a_case(**facts: Any) -> CaseSituation:
    """An old case of which these facts are known; follow-ups and who was spoken to come from its touches."""
    case = replace(OLD, **facts)
    followed = [touch for touch in case.touches if touch.is_follow_up]
    if followed and "last_follow_up_at" not in facts:
        case = replace(case, last_follow_up_at=followed[-1].at)
    return (
        case
        if "is_reachable" in facts
        else replace(case, is_reachable=any(touch.is_effective for touch in followed))
    )


def touches(*lines: str) -> tuple[Touch, ...]:
    """Read "10-08 09:00 call + reminded": when, channel, + for effective, what the result means."""
    found = []
    for line in lines:
        on, clock, channel, *more = line.split()
        when = at(f"{on} {clock}")
        meaning = next((word for word in more if word != "+"), None)
        found.append(Touch(when, when.astimezone(CHINA).date(), channel, "+" in more, meaning))
    return tuple(found)


def a_promise(made: str, due: str, *, follow_up: str | None = None, is_open: bool = True) -> Promised:
    """A promise made at a time, due on a day."""
    made_at = at(made)
    return Promised(
        made_at,
        made_at.astimezone(CHINA).date(),
        day(due),
        None if follow_up is None else day(follow_up),
        is_open,
    )


def a_hold(first: str, last: str | None = None, reason: str = "complaint") -> Held:
    """A hold from a day on, standing unless a last day is named."""
    return Held(reason, day(first), None if last is None else day(last))


def days_at(now: str, calendar: Calendar = CALENDAR) -> Days:
    """A counter of days at this moment."""
    return Days(calendar, now=at(now), zone=CHINA, closes=time(21))


def all_clocks(case: CaseSituation, now: str, calendar: Calendar = CALENDAR) -> dict[str, Clock]:
    """Every clock of the case at this moment, by rule; no rule twice."""
    clocks = clocks_of(case, days_at(now, calendar), timetable())
    found = {clock.rule: clock for clock in clocks}
    assert len(found) == len(clocks)
    return found


def due_of(clock: Clock) -> str:
    """A deadline as China time, without its year when it is 2026."""
    return clock.due_at.astimezone(CHINA).strftime("%Y-%m-%d %H:%M").removeprefix("2026-")


def said(clock: Clock | None) -> tuple[str, str] | None:
    """Deadline and state, None: there is no such clock."""
    return None if clock is None else (due_of(clock), clock.state)

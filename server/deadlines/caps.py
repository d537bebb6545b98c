"""How often may the debtor still be called until a day? (J5, J6, J8, J18, AMB3)

A clock asks for contacts; it closes as `capped` where the caps leave fewer than it asks for (AMB17). Inbound
calls are not counted. The calls of all cases of the debtor count, as somebody's phone rings for each.
"""

from datetime import date, timedelta

from server.deadlines.days import Days
from server.deadlines.facts import CaseSituation
from server.deadlines.timetable import Timetable
from server.rules.calendar import ONE_DAY


def why_capped(case: CaseSituation, days: Days, table: Timetable, *, needed: int, until: date) -> str:
    """Name the cap that leaves fewer than `needed` calls until a day, or return "" when enough are left.

    On a banned day, and of a deadline that has passed, what counts is the next day on which anybody may call.
    """
    last = max(until, days.next_permitted(days.today))
    if case.is_hardship:
        left = _in_hardship(case, days, every=table.hardship_call_days, last=last, enough=needed)
        return "" if left >= needed else f"J8: {left} of {needed} calls left"
    left, rule = _today(case, days, table)
    if left < needed and last > days.today:
        left += table.answered_a_day * days.permitted_between(days.today + ONE_DAY, last)
    return "" if left >= needed else f"{rule}: {left} of {needed} calls left"


def _today(case: CaseSituation, days: Days, table: Timetable) -> tuple[int, str]:
    """Count the calls that today still allows, and name the cap that is nearest."""
    calls = case.calls
    if not days.may_act(days.today):
        return 0, "J5"
    if calls.unanswered >= table.unanswered_a_day:
        return 0, "J18"
    answers = max(0, table.answered_a_day - calls.answered)
    dials = max(0, table.dialled_a_day - calls.answered - calls.unanswered)
    return (answers, "J5") if answers <= dials else (dials, "J6")


def _in_hardship(case: CaseSituation, days: Days, *, every: int, last: date, enough: int) -> int:
    """Count one call in `every` days, today's included, until there are enough."""
    day, left = days.today, 0
    if case.calls.last_on is not None:
        day = max(day, case.calls.last_on + timedelta(days=every))
    while day <= last and left < enough:
        if days.may_act(day):
            left += 1
            day += timedelta(days=every)
        else:
            day += ONE_DAY
    return left

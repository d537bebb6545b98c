"""When must the case be followed up next? (F5, F6, F7, F11, F19, AMB6)

Exactly one of these clocks runs on a case, in this precedence: stopped > suspended > promised > small balance
> lost > cash flow > reachable > other. A stop or a hold suspends the one that would run. Each starts again
with every follow-up; calls, visits and inbound contacts follow up, letters do not.
"""

from datetime import date, datetime, time

from server.deadlines.days import Due
from server.deadlines.facts import Clock, Promised
from server.deadlines.moment import Moment
from server.rules.calendar import ONE_DAY


def recurring_clock(moment: Moment) -> Clock:
    """The one clock that asks for the next follow-up."""
    case, table = moment.case, moment.table
    kind = moment.kind
    is_open = any(promised.is_open for promised in case.promises)
    if kind == "promised" or is_open:
        return _promised(moment)
    start, opened_by = _last_follow_up(moment)
    if case.outstanding_fen < table.small_below_fen:
        due = moment.days.calendar(start, table.small_calendar_days, moment.ended_holds)
        return moment.close("F7", due, opened_on=start, opened_by=opened_by)
    if kind == "lost":
        return moment.close(
            "F11", moment.working(start, table.lost_days), opened_on=start, opened_by=opened_by
        )
    if kind == "cash_flow" or any(table.kind_of_code(flag) == "cash_flow" for flag in case.flags):
        return _twice_a_day(moment)
    rule, within = ("F11", table.reachable_days) if case.is_reachable else ("F6", table.other_days)
    return moment.close(rule, moment.working(start, within), opened_on=start, opened_by=opened_by)


def _last_follow_up(moment: Moment) -> tuple[date, str]:
    """Say on which day the clock started: the last follow-up since the allocation, else the allocation."""
    last = moment.case.last_follow_up_at
    day = None if last is None else moment.days.day_of(last)
    allocated = moment.case.allocated_on
    if day is not None and (allocated is None or day >= allocated):
        return day, "contact"
    if allocated is not None:
        return allocated, "allocation"
    return moment.days.today.replace(day=1) - ONE_DAY, "month"


def _promised(moment: Moment) -> Clock:
    """F5: followed up on the agreed day, or every day when no day was agreed."""
    waiting = [
        (due, promised.made_on)
        for promised in moment.case.promises
        if promised.is_open
        for agreed in (promised.follow_up_on, promised.due_on)
        if agreed is not None and (due := _waits_until(moment, promised, agreed)) is not None
    ]
    if waiting:
        due, made_on = min(waiting)
        return moment.close("F5", due, opened_on=made_on, opened_by="promise")
    start, opened_by = _last_follow_up(moment)
    due = moment.days.from_day(start + ONE_DAY * moment.table.promised_calendar_days, moment.ended_holds)
    return moment.close("F5", due, opened_on=start, opened_by=opened_by)


def _waits_until(moment: Moment, promised: Promised, agreed: date) -> Due | None:
    """Say until when an agreed day must be followed up, or None where it was: on the day, or where a holiday
    moved it forward from there (AMB22), and any day later."""
    due = moment.days.on(agreed, not_before=promised.made_on)
    last = moment.case.last_follow_up_at
    is_done = (
        last is not None and last > promised.made_at and moment.days.day_of(last) >= min(agreed, due.day)
    )
    return None if is_done else due


def _twice_a_day(moment: Moment) -> Clock:
    """F19: by ten and by four, on every permitted day; the caps still hold (AMB3)."""
    times = moment.table.cash_flow_times
    last = moment.case.last_follow_up_at
    start, opened_by = _last_follow_up(moment)
    due, at = _next_slot(moment, start, last if opened_by == "contact" else None, times)
    return moment.close("F19", due, opened_on=start, opened_by=opened_by, at=at)


def _next_slot(
    moment: Moment, start: date, last: datetime | None, times: tuple[time, ...]
) -> tuple[Due, time]:
    """Return the slot after the one that the last follow-up served."""
    first = moment.days.from_day(start, moment.ended_holds)
    if last is not None and first.day == start:
        ahead = [at for at in times if moment.days.end_of(start, at) >= last]
        if len(ahead) > 1:
            return first, ahead[1]
    return moment.days.from_day(start + ONE_DAY, moment.ended_holds), times[0]

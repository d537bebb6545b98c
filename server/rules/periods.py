"""How many visits does a debtor's day, week or month hold?

What took place counts on the day it began, what is assigned counts until it is reported as begun. Where an
arrival is known only as an interval, after the fact, what is certain and what is possible are told apart.
"""

from collections.abc import Callable, Collection, Iterable
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from server.rules.facts import ActualVisit, CaseFacts, Interval
from server.rules.local_time import ONE_DAY, local_day, next_midnight
from server.rules.pack import RulePack

MOST_DAYS: Final = 500
"""How far a free day is searched for: farther than visits may be planned."""

Period = Callable[[date], tuple[date, date]]
"""Returns the first and the last day of the period that holds a day."""


def the_day(day: date) -> tuple[date, date]:
    """A calendar day."""
    return day, day


def the_week(day: date) -> tuple[date, date]:
    """A calendar week, Monday to Sunday (AMB5)."""
    monday = day - timedelta(days=day.weekday())
    return monday, monday + timedelta(days=6)


def the_month(day: date) -> tuple[date, date]:
    """A calendar month."""
    return day.replace(day=1), (day.replace(day=28) + timedelta(days=4)).replace(day=1) - ONE_DAY


def visits_in(
    period: Period, day: date, facts: CaseFacts, pack: RulePack, *, but: Collection[str] = ()
) -> int:
    """Count what the debtor's period around a day already holds.

    `but` names the channels of wishes: visits that serve one of them are left out.
    """
    zone = pack.zone
    first, last = period(day)
    arrived = sum(
        first <= local_day(arrival.at.earliest, zone) <= last and arrival.wish not in but
        for arrival in facts.arrivals
    )
    begun = {arrival.assignment_id for arrival in facts.arrivals}
    reserved = sum(
        first <= local_day(plan.start, zone) <= last
        and plan.assignment_id not in begun
        and plan.wish not in but
        for plan in facts.reservations
    )
    return arrived + reserved


def visits_on(day: date, facts: CaseFacts, pack: RulePack) -> int:
    """Count what the debtor's day already holds."""
    return visits_in(the_day, day, facts, pack)


def counting_since(day: date, pack: RulePack) -> date:
    """Return the first day whose visits can still count, by any rule, for a visit on `day` or later.

    One day more than the rolling period: where the clocks are put forward its last day is shorter.
    """
    firsts = [day - timedelta(days=pack.hardship_period_days + 1)]
    if pack.hardship_visits_per_calendar_week is not None:
        firsts.append(the_week(day)[0])
    if pack.visits_per_calendar_month is not None:
        firsts.append(the_month(day)[0])
    return min(firsts)


def last_planned_day(facts: CaseFacts, pack: RulePack, *, period: Period = the_day) -> date:
    """Return the last day on which a visit so far, or a wish of the debtor, can change a count."""
    starts = [plan.start for plan in facts.reservations] + [arrival.at.latest for arrival in facts.arrivals]
    days = [period(local_day(start, pack.zone))[1] for start in starts]
    for request in facts.requests:
        asked_on = local_day(request.at, pack.zone)
        days.append(request.visit_on or asked_on + pack.evidence_days * ONE_DAY)
    return max(days, default=date.min)


def next_day_that(
    fits: Callable[[date], bool], start: datetime, *, last: date, zone: ZoneInfo
) -> datetime | None:
    """Return `start`, or the first later midnight of a day that fits; None when no day does after `last`."""
    for _ in range(MOST_DAYS):
        day = local_day(start, zone)
        if fits(day):
            return start
        if day > last:
            return None
        start = next_midnight(start, zone)
    return None


def next_start_beside(
    start: datetime, length: timedelta, taken: Iterable[tuple[datetime, datetime]]
) -> datetime:
    """Return the first start, `start` or later, from which [start, start + length) meets none of `taken`."""
    for begin, end in sorted(taken):
        if begin < start + length and start < end:
            start = end
    return start


def earlier_visits(
    period: Period, actual: ActualVisit, facts: CaseFacts, pack: RulePack, *, but: Collection[str] = ()
) -> tuple[int, int]:
    """Count the visits of the same period that certainly, and possibly, began before this one did.

    `but` as of `visits_in`.
    """
    others = other_arrivals(actual, facts, but=but)
    own = _days(actual.arrival, pack)
    certainly = sum(
        at.latest < actual.arrival.earliest and len({period(day) for day in (*own, *_days(at, pack))}) == 1
        for at in others
    )
    possibly = sum(
        at.earliest <= actual.arrival.latest
        and period(own[0])[0] <= _days(at, pack)[1]
        and _days(at, pack)[0] <= period(own[1])[1]
        for at in others
    )
    return certainly, possibly


def other_arrivals(actual: ActualVisit, facts: CaseFacts, *, but: Collection[str] = ()) -> list[Interval]:
    """Return when the debtor's other visits began; `but` as of `visits_in`."""
    return [
        arrival.at
        for arrival in facts.arrivals
        if arrival.visit_id != actual.visit_id and arrival.wish not in but
    ]


def _days(at: Interval, pack: RulePack) -> tuple[date, date]:
    return local_day(at.earliest, pack.zone), local_day(at.latest, pack.zone)

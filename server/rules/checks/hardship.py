"""How often may a debtor in hardship be visited? (A9, AMB5)

At most one arrival in any rolling seven times 24 hours (equal is allowed), and one from Monday to Sunday,
unless the debtor asked: what they asked for stands beside the others and uses up nothing.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from server.rules.check import Check, CheckAfterwards, certainty, was_in_hardship
from server.rules.evidence import REQUEST_ONLY, fault_of, usable
from server.rules.facts import ActualVisit, CaseFacts, WantedVisit
from server.rules.local_time import local_day, next_midnight
from server.rules.pack import RulePack
from server.rules.periods import (
    MOST_DAYS,
    earlier_visits,
    last_planned_day,
    next_day_that,
    other_arrivals,
    the_week,
    visits_in,
)
from server.rules.verdict import Reason, a_reason


def _visits(facts: CaseFacts) -> list[datetime]:
    """When the debtor was or will be visited unasked. Of an interval of arrival its latest counts."""
    begun = {arrival.assignment_id for arrival in facts.arrivals}
    arrived = [arrival.at.latest for arrival in facts.arrivals if arrival.wish not in REQUEST_ONLY]
    reserved = [
        plan.start
        for plan in facts.reservations
        if plan.assignment_id not in begun and plan.wish not in REQUEST_ONLY
    ]
    return sorted(arrived + reserved)


def _is_over_cap(start: datetime, visits: Sequence[datetime], pack: RulePack) -> bool:
    """Whether some rolling period that holds `start` would hold more visits than the cap."""
    period = timedelta(days=pack.hardship_period_days)
    begins = [start, *(visit for visit in visits if start - period < visit <= start)]
    return any(
        sum(begin <= visit < begin + period for visit in visits) + 1 > pack.hardship_visits
        for begin in begins
    )


def is_covered(start: datetime, wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> bool:
    """Whether the debtor asked for a visit on this day."""
    day = local_day(start, pack.zone)
    entry = wanted.evidence_entry_id
    return fault_of(entry, day=day, facts=facts, pack=pack, channels=REQUEST_ONLY) is None


def next_start_under_cap(
    start: datetime, wanted: WantedVisit, facts: CaseFacts, pack: RulePack
) -> datetime | None:
    """The next start that keeps the rolling cap, or that the debtor's request covers."""
    if not facts.case.hardship:
        return start
    period = timedelta(days=pack.hardship_period_days)
    visits = _visits(facts)
    ends = [visit + period for visit in visits]
    for _ in range(MOST_DAYS):
        if not _is_over_cap(start, visits, pack) or is_covered(start, wanted, facts, pack):
            return start
        later = [end for end in ends if end > start]
        entry = wanted.evidence_entry_id
        if entry is not None and local_day(start, pack.zone) <= last_planned_day(facts, pack):
            later.append(next_midnight(start, pack.zone))  # what the debtor asked for may cover that day
        if not later:
            return None
        start = min(later)
    return None


def next_week_with_room(
    start: datetime, wanted: WantedVisit, facts: CaseFacts, pack: RulePack
) -> datetime | None:
    """The next start in a calendar week with room, or on a day that the debtor's request covers."""
    cap = pack.hardship_visits_per_calendar_week
    if cap is None or not facts.case.hardship:
        return start
    entry = wanted.evidence_entry_id
    return next_day_that(
        lambda day: (
            visits_in(the_week, day, facts, pack, but=REQUEST_ONLY) < cap
            or fault_of(entry, day=day, facts=facts, pack=pack, channels=REQUEST_ONLY) is None
        ),
        start,
        last=last_planned_day(facts, pack, period=the_week),
        zone=pack.zone,
    )


def within_calendar_week(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """A9, AMB5: one visit from Monday to Sunday."""
    allowed_from = next_week_with_room(wanted.window_start, wanted, facts, pack)
    if allowed_from == wanted.window_start:
        return
    day = local_day(wanted.window_start, pack.zone)
    yield a_reason(
        "A9",
        "hardship-calendar-week",
        "block",
        allowed_from=allowed_from,
        monday=the_week(day)[0],
        visits=visits_in(the_week, day, facts, pack, but=REQUEST_ONLY),
        cap=pack.hardship_visits_per_calendar_week,
        source=pack.source_of("hardship_visits_per_calendar_week"),
        usable_evidence=usable(day=day, facts=facts, pack=pack, channels=REQUEST_ONLY),
    )


def within_weekly_cap(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """A9: one visit in any rolling week."""
    allowed_from = next_start_under_cap(wanted.window_start, wanted, facts, pack)
    if allowed_from == wanted.window_start:
        return
    visits = _visits(facts)
    earlier = [visit for visit in visits if visit <= wanted.window_start]
    later = [visit for visit in visits if visit > wanted.window_start]
    day = local_day(wanted.window_start, pack.zone)
    yield a_reason(
        "A9",
        "hardship-weekly-cap",
        "block",
        allowed_from=allowed_from,
        last_arrival=max(earlier, default=None),
        next_visit=min(later, default=None),
        cap=pack.hardship_visits,
        period_days=pack.hardship_period_days,
        source=pack.source_of("hardship_visits"),
        hardship=facts.case.hardship,
        usable_evidence=usable(day=day, facts=facts, pack=pack, channels=REQUEST_ONLY),
    )


def kept_weekly_cap(actual: ActualVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """A9 on what happened: the arrivals of the seven days before this one."""
    if not facts.case.hardship or _was_asked_for(actual, facts):
        return
    period = timedelta(days=pack.hardship_period_days)
    others = other_arrivals(actual, facts, but=REQUEST_ONLY)
    certainly = sum(
        at.latest < actual.arrival.earliest and actual.arrival.latest - at.earliest < period for at in others
    )
    possible = [
        at.latest
        for at in others
        if at.earliest <= actual.arrival.latest and actual.arrival.earliest - at.latest < period
    ]
    if len(possible) >= pack.hardship_visits:
        yield a_reason(
            "A9",
            "hardship-weekly-cap",
            "block",
            certainty=certainty(was_in_hardship(actual, facts) and certainly >= pack.hardship_visits),
            last_arrival=max(possible),
            arrival=actual.arrival.earliest,
            cap=pack.hardship_visits,
            period_days=pack.hardship_period_days,
            source=pack.source_of("hardship_visits"),
        )


def kept_calendar_week(actual: ActualVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """A9, AMB5 on what happened: the arrivals from Monday on before this one."""
    cap = pack.hardship_visits_per_calendar_week
    if cap is None or not facts.case.hardship or _was_asked_for(actual, facts):
        return
    certainly, possibly = earlier_visits(the_week, actual, facts, pack, but=REQUEST_ONLY)
    if possibly >= cap:
        yield a_reason(
            "A9",
            "hardship-calendar-week",
            "block",
            certainty=certainty(was_in_hardship(actual, facts) and certainly >= cap),
            monday=the_week(local_day(actual.arrival.earliest, pack.zone))[0],
            earlier_visits=certainly,
            possibly_earlier_visits=possibly,
            cap=cap,
            source=pack.source_of("hardship_visits_per_calendar_week"),
        )


def _was_asked_for(actual: ActualVisit, facts: CaseFacts) -> bool:
    served = [request for request in facts.requests if request.used_by is not None]
    return any(
        request.used_by == actual.assignment_id and request.channel in REQUEST_ONLY for request in served
    )


# Of the debtor's visits the first needs the hour, the second only the day (`situations`).
BY_HOUR = (Check(("A9",), within_weekly_cap, next_start_under_cap),)
BY_DAY = (Check(("A9",), within_calendar_week, next_week_with_room),)
CHECKS = BY_HOUR + BY_DAY
AFTERWARDS = (CheckAfterwards(("A9",), kept_weekly_cap), CheckAfterwards(("A9",), kept_calendar_week))

"""How many visits may a debtor receive on one day? (A2, A3, AMB4)

Two arrivals a calendar day over all cases, addresses and teams, attempts included; a third only with the
debtor's own wish as evidence; never a fourth. A case may carry a lower cap of its own: no evidence lifts it.
"""

from collections.abc import Iterator
from datetime import date, datetime

from server.rules.check import Check, CheckAfterwards, certainty
from server.rules.evidence import REQUEST_OR_RETURN, fault_of, usable
from server.rules.facts import ActualVisit, Arrival, CaseFacts, WantedVisit
from server.rules.local_time import local_day, next_midnight
from server.rules.pack import RulePack
from server.rules.verdict import Reason, a_reason


def visits_on(day: date, facts: CaseFacts, pack: RulePack) -> int:
    """Count what the debtor's day already holds: arrivals, and reservations not yet reported as begun."""
    arrived = sum(local_day(arrival.at.earliest, pack.zone) == day for arrival in facts.arrivals)
    begun = {arrival.assignment_id for arrival in facts.arrivals}
    reserved = sum(
        local_day(reservation.start, pack.zone) == day and reservation.assignment_id not in begun
        for reservation in facts.reservations
    )
    return arrived + reserved


def _last_day(facts: CaseFacts, pack: RulePack) -> date:
    starts = [reservation.start for reservation in facts.reservations]
    starts += [arrival.at.latest for arrival in facts.arrivals]
    return max((local_day(start, pack.zone) for start in starts), default=date.min)


def is_covered(day: date, wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> bool:
    """Whether the evidence the visit names covers this day."""
    entry = wanted.evidence_entry_id
    return fault_of(entry, day=day, facts=facts, pack=pack, channels=REQUEST_OR_RETURN) is None


def _fits(day: date, wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> bool:
    count = visits_on(day, facts, pack)
    if count < pack.visits_per_day:
        return True
    return count < pack.visits_per_day_ceiling and is_covered(day, wanted, facts, pack)


def next_day_with_budget(
    start: datetime, wanted: WantedVisit, facts: CaseFacts, pack: RulePack
) -> datetime | None:
    """The next start on a day with room in the debtor's budget."""
    last = _last_day(facts, pack)
    while not _fits(local_day(start, pack.zone), wanted, facts, pack):
        if local_day(start, pack.zone) > last:
            return None
        start = next_midnight(start, pack.zone)
    return start


def within_daily_budget(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """A3: two a day, a third with evidence, never a fourth."""
    allowed_from = next_day_with_budget(wanted.window_start, wanted, facts, pack)
    if allowed_from == wanted.window_start:
        return
    day = local_day(wanted.window_start, pack.zone)
    entry = wanted.evidence_entry_id
    yield a_reason(
        "A3",
        "daily-visit-budget",
        "block",
        allowed_from=allowed_from,
        day=day,
        visits=visits_on(day, facts, pack),
        cap=pack.visits_per_day,
        ceiling=pack.visits_per_day_ceiling,
        evidence=fault_of(entry, day=day, facts=facts, pack=pack, channels=REQUEST_OR_RETURN)
        or "covers the day",
        source=pack.source_of("visits_per_day"),
        usable_evidence=usable(day=day, facts=facts, pack=pack, channels=REQUEST_OR_RETURN),
    )


def next_day_under_own_cap(
    start: datetime, wanted: WantedVisit, facts: CaseFacts, pack: RulePack
) -> datetime | None:
    """The next start on a day with room under the case's own cap."""
    cap = facts.case.daily_visit_cap
    if cap is None:
        return start
    if cap == 0:
        return None
    while visits_on(local_day(start, pack.zone), facts, pack) >= cap:
        start = next_midnight(start, pack.zone)
    return start


def within_own_cap(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """A2: the case's own, lower cap; no evidence lifts it."""
    allowed_from = next_day_under_own_cap(wanted.window_start, wanted, facts, pack)
    if allowed_from != wanted.window_start:
        day = local_day(wanted.window_start, pack.zone)
        visits = visits_on(day, facts, pack)
        cap = facts.case.daily_visit_cap
        yield a_reason(
            "A2", "case-daily-cap", "block", allowed_from=allowed_from, day=day, visits=visits, cap=cap
        )


def stayed_within_budget(actual: ActualVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """A3 on what happened, in order of actual time: the visits of its day before this one use the budget."""
    others = [arrival for arrival in facts.arrivals if arrival.visit_id != actual.visit_id]
    certainly = sum(_is_certainly_earlier_that_day(arrival, actual, pack) for arrival in others)
    possibly = sum(_is_possibly_earlier_that_day(arrival, actual, pack) for arrival in others)
    cap = pack.visits_per_day_ceiling if _had_evidence(actual, facts, pack) else pack.visits_per_day
    if possibly >= cap:
        yield a_reason(
            "A3",
            "daily-visit-budget",
            "block",
            certainty=certainty(certainly >= cap),
            day=local_day(actual.arrival.earliest, pack.zone),
            earlier_visits=certainly,
            possibly_earlier_visits=possibly,
            cap=cap,
            source=pack.source_of("visits_per_day"),
        )


def _had_evidence(actual: ActualVisit, facts: CaseFacts, pack: RulePack) -> bool:
    if actual.assignment_id is None:
        return False
    return any(
        request.used_by == actual.assignment_id and request.channel in REQUEST_OR_RETURN
        for request in facts.requests
    )


def _is_certainly_earlier_that_day(arrival: Arrival, actual: ActualVisit, pack: RulePack) -> bool:
    instants = (arrival.at.earliest, arrival.at.latest, actual.arrival.earliest, actual.arrival.latest)
    is_one_day = len({local_day(at, pack.zone) for at in instants}) == 1
    return is_one_day and arrival.at.latest < actual.arrival.earliest


def _is_possibly_earlier_that_day(arrival: Arrival, actual: ActualVisit, pack: RulePack) -> bool:
    if arrival.at.earliest > actual.arrival.latest:
        return False
    first = local_day(actual.arrival.earliest, pack.zone)
    last = local_day(actual.arrival.latest, pack.zone)
    return (
        first <= local_day(arrival.at.latest, pack.zone) and local_day(arrival.at.earliest, pack.zone) <= last
    )


CHECKS = (
    Check(("A3",), within_daily_budget, next_day_with_budget),
    Check(("A2",), within_own_cap, next_day_under_own_cap),
)
AFTERWARDS = (CheckAfterwards(("A3",), stayed_within_budget),)

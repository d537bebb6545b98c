"""How many visits may a debtor receive on one day? (A2, A3, AMB4)

Two arrivals a calendar day over all cases, addresses and teams, attempts included; a third only with the
debtor's own wish as evidence, in whatever order the three are granted or made; never a fourth. A case may
carry a lower cap of its own, and a pack one for the calendar month: no evidence lifts these.
"""

from collections.abc import Collection, Iterator
from datetime import date, datetime
from typing import Any

from server.rules.check import Check, CheckAfterwards, certainty
from server.rules.evidence import REQUEST_OR_RETURN, fault_of, usable
from server.rules.facts import ActualVisit, CaseFacts, WantedVisit
from server.rules.local_time import local_day
from server.rules.pack import RulePack
from server.rules.periods import (
    Period,
    earlier_visits,
    last_planned_day,
    next_day_that,
    the_day,
    the_month,
    visits_in,
    visits_on,
)
from server.rules.verdict import Reason, a_reason


def is_covered(day: date, wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> bool:
    """Whether the evidence the visit names covers this day."""
    entry = wanted.evidence_entry_id
    return fault_of(entry, day=day, facts=facts, pack=pack, channels=REQUEST_OR_RETURN) is None


def left_on(day: date, facts: CaseFacts, pack: RulePack) -> int:
    """Return how many visits the debtor's day still holds without evidence (A2, A3)."""
    visits, own_cap = visits_on(day, facts, pack), facts.case.daily_visit_cap
    unasked = visits_in(the_day, day, facts, pack, but=REQUEST_OR_RETURN)
    left = min(pack.visits_per_day - unasked, pack.visits_per_day_ceiling - visits)
    return max(0, left if own_cap is None else min(left, own_cap - visits))


def _fits(day: date, wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> bool:
    if visits_on(day, facts, pack) >= pack.visits_per_day_ceiling:
        return False
    unasked = visits_in(the_day, day, facts, pack, but=REQUEST_OR_RETURN)
    return unasked < pack.visits_per_day or is_covered(day, wanted, facts, pack)


def next_day_with_budget(
    start: datetime, wanted: WantedVisit, facts: CaseFacts, pack: RulePack
) -> datetime | None:
    """The next start on a day with room in the debtor's budget."""
    return next_day_that(
        lambda day: _fits(day, wanted, facts, pack),
        start,
        last=last_planned_day(facts, pack),
        zone=pack.zone,
    )


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
    return next_day_that(
        lambda day: visits_on(day, facts, pack) < cap,
        start,
        last=last_planned_day(facts, pack),
        zone=pack.zone,
    )


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


def next_month_with_room(
    start: datetime, wanted: WantedVisit, facts: CaseFacts, pack: RulePack
) -> datetime | None:
    """The next start in a calendar month with room; no evidence lifts this cap."""
    cap = pack.visits_per_calendar_month
    if cap is None:
        return start
    return next_day_that(
        lambda day: visits_in(the_month, day, facts, pack) < cap,
        start,
        last=last_planned_day(facts, pack, period=the_month),
        zone=pack.zone,
    )


def within_monthly_cap(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """A3 where a pack limits the visits of a calendar month."""
    allowed_from = next_month_with_room(wanted.window_start, wanted, facts, pack)
    if allowed_from != wanted.window_start:
        day = local_day(wanted.window_start, pack.zone)
        yield a_reason(
            "A3",
            "monthly-visit-cap",
            "block",
            allowed_from=allowed_from,
            month=the_month(day)[0],
            visits=visits_in(the_month, day, facts, pack),
            cap=pack.visits_per_calendar_month,
            source=pack.source_of("visits_per_calendar_month"),
        )


def stayed_within_budget(actual: ActualVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """A3 on what happened, in order of actual time: the visits of its day before this one use the budget.

    Those that the debtor asked for use only the ceiling. At most one reason, a certain one first.
    """
    source = pack.source_of("visits_per_day")
    caps: list[tuple[int, Collection[str]]] = [(pack.visits_per_day_ceiling, ())]
    if not _had_evidence(actual, facts):
        caps.insert(0, (pack.visits_per_day, REQUEST_OR_RETURN))
    said = [
        reason
        for cap, but in caps
        for reason in _judge_earlier(
            the_day, "daily-visit-budget", actual, facts, pack, cap=cap, but=but, source=source
        )
    ]
    yield from sorted(said, key=lambda reason: reason.facts["certainty"] != "certain")[:1]


def stayed_under_own_cap(actual: ActualVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """A2 on what happened: the case's own cap, as it is recorded now."""
    cap = facts.case.daily_visit_cap
    if cap is not None:
        yield from _judge_earlier(the_day, "case-daily-cap", actual, facts, pack, rule="A2", cap=cap)


def stayed_within_month(actual: ActualVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """A3 on what happened, where a pack limits the visits of a calendar month."""
    cap = pack.visits_per_calendar_month
    if cap is not None:
        source = pack.source_of("visits_per_calendar_month")
        yield from _judge_earlier(the_month, "monthly-visit-cap", actual, facts, pack, cap=cap, source=source)


def _judge_earlier(
    period: Period,
    slug: str,
    actual: ActualVisit,
    facts: CaseFacts,
    pack: RulePack,
    *,
    cap: int,
    rule: str = "A3",
    but: Collection[str] = (),
    **more: Any,
) -> Iterator[Reason]:
    """Compare the visits of the period that began before this one with a cap; `but` as of `visits_in`."""
    certainly, possibly = earlier_visits(period, actual, facts, pack, but=but)
    if possibly >= cap:
        yield a_reason(
            rule,
            slug,
            "block",
            certainty=certainty(certainly >= cap),
            day=local_day(actual.arrival.earliest, pack.zone),
            earlier_visits=certainly,
            possibly_earlier_visits=possibly,
            cap=cap,
            **more,
        )


def _had_evidence(actual: ActualVisit, facts: CaseFacts) -> bool:
    if actual.assignment_id is None:
        return False
    return any(
        request.used_by == actual.assignment_id and request.channel in REQUEST_OR_RETURN
        for request in facts.requests
    )


CHECKS = (
    Check(("A3",), within_daily_budget, next_day_with_budget),
    Check(("A2",), within_own_cap, next_day_under_own_cap),
    Check(("A3",), within_monthly_cap, next_month_with_room),
)
AFTERWARDS = (
    CheckAfterwards(("A3",), stayed_within_budget),
    CheckAfterwards(("A2",), stayed_under_own_cap),
    CheckAfterwards(("A3",), stayed_within_month),
)

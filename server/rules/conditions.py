"""What may a phone compare at the door, without a rule engine?

The rules' conditions on one granted visit, as data: the intervals in which the team may stand there, the
latest start, and what each cap leaves beside this visit, with the visits that were counted. The phone adds
what it did itself (`sync/door.py`). Nothing here permits more than the engine did.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import NamedTuple
from uuid import UUID

from server.rules.checks.days import is_banned
from server.rules.engine import judge
from server.rules.evidence import REQUEST_ONLY, REQUEST_OR_RETURN, find
from server.rules.facts import CaseFacts, WantedVisit
from server.rules.json_form import stamp
from server.rules.local_time import ONE_DAY, at_local, days_touched, local_day
from server.rules.pack import RulePack
from server.rules.periods import Period, the_day, the_month, the_week, visits_in

Stretch = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Limit:
    """What one cap leaves beside this visit: in [begin, end), or in the `within_hours` before an arrival.

    `counted`: this debtor's assignments that were counted; whatever else took place uses up what is left. Not
    so visits that served a wish of the channels in `spares`: these use up only `in_all`, as all do.
    """

    rule: str
    slug: str
    left: int
    counted: tuple[UUID, ...]
    begin: datetime
    end: datetime
    within_hours: int | None = None
    spares: tuple[str, ...] = ()
    in_all: int | None = None

    def to_json(self) -> dict[str, object]:
        """Return the wire form. Phones that know nothing of wishes count every visit against `left`."""
        named: dict[str, object] = {"rule": self.rule, "slug": self.slug, "left": self.left}
        if self.spares:
            named["spares"] = list(self.spares)
        if self.in_all is not None:
            named["in_all"] = self.in_all
        counted = [str(assignment_id) for assignment_id in self.counted]
        if self.within_hours is not None:
            return {**named, "within_hours": self.within_hours, "counted": counted}
        return {**named, "from": stamp(self.begin), "until": stamp(self.end), "counted": counted}


def allowed_intervals(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> tuple[Stretch, ...]:
    """Return the parts of the wanted window inside visiting hours of days that are not banned (T1, A12)."""
    hours = (
        (at_local(day, pack.window_opens, pack.zone), at_local(day, pack.window_closes, pack.zone))
        for day in days_touched(wanted.window_start, wanted.window_end, pack.zone)
        if not is_banned(day, facts, pack)
    )
    parts = ((max(opens, wanted.window_start), min(closes, wanted.window_end)) for opens, closes in hours)
    return tuple((begin, end) for begin, end in parts if begin < end)


def latest_start(wanted: WantedVisit, pack: RulePack) -> datetime:
    """Return the last instant at which the visit may begin (T2)."""
    day = local_day(wanted.window_start, pack.zone)
    return min(at_local(day, pack.latest_start, pack.zone), wanted.window_end)


def is_evidence_needed(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> bool:
    """Whether the visit would fall without the evidence it names: only then it is spent."""
    if wanted.evidence_entry_id is None:
        return False
    return bool(judge(replace(wanted, evidence_entry_id=None), facts, pack).blocking)


def wish_served(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> str | None:
    """Return the channel of the debtor's wish that a granted visit spends; None when it needs none."""
    wish = find(wanted.evidence_entry_id, facts)
    return wish.channel if wish is not None and is_evidence_needed(wanted, facts, pack) else None


def limits(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> tuple[Limit, ...]:
    """Return what every cap that concerns this visit leaves (A2, A3, A9)."""
    return tuple(_limits(wanted, facts, pack))


def _limits(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Limit]:
    wish = wish_served(wanted, facts, pack)
    yield _of_day(wish, wanted, facts, pack)
    if facts.case.daily_visit_cap is not None:
        yield _of_period("A2", "case-daily-cap", the_day, facts.case.daily_visit_cap, wanted, facts, pack)
    if pack.visits_per_calendar_month is not None:
        of_month = pack.visits_per_calendar_month
        yield _of_period("A3", "monthly-visit-cap", the_month, of_month, wanted, facts, pack)
    if facts.case.hardship and wish not in REQUEST_ONLY:
        yield _rolling(wanted, facts, pack)
        of_week = pack.hardship_visits_per_calendar_week
        if of_week is not None:
            yield _of_period(
                "A9", "hardship-calendar-week", the_week, of_week, wanted, facts, pack, spares=REQUEST_ONLY
            )


def _of_day(wish: str | None, wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Limit:
    """A3: what was asked for has only the ceiling above it, all else also the cap of what was not."""
    of_all = _of_period("A3", "daily-visit-budget", the_day, pack.visits_per_day_ceiling, wanted, facts, pack)
    if wish is not None:
        return of_all
    of_unasked = _of_period(
        "A3",
        "daily-visit-budget",
        the_day,
        pack.visits_per_day,
        wanted,
        facts,
        pack,
        spares=REQUEST_OR_RETURN,
    )
    return replace(of_unasked, left=min(of_unasked.left, of_all.left), in_all=of_all.left)


def _of_period(
    rule: str,
    slug: str,
    period: Period,
    cap: int,
    wanted: WantedVisit,
    facts: CaseFacts,
    pack: RulePack,
    *,
    spares: tuple[str, ...] = (),
) -> Limit:
    day = local_day(wanted.window_start, pack.zone)
    first, last = period(day)
    begin = at_local(first, time.min, pack.zone)
    end = at_local(last + ONE_DAY, time.min, pack.zone)
    left = max(0, cap - visits_in(period, day, facts, pack, but=spares) - 1)
    counted = tuple(one.assignment_id for one in _visits(facts) if begin <= one.start < end)
    return Limit(rule, slug, left, _named(counted), begin, end, spares=spares)


def _rolling(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Limit:
    """A9 over any rolling period that holds this visit: all of them lie within one period around it."""
    reach = timedelta(days=pack.hardship_period_days)
    begin, end = wanted.window_start - reach, wanted.window_start + reach
    counted = [one for one in _visits(facts) if begin < one.start < end]
    unasked = sum(one.wish not in REQUEST_ONLY for one in counted)
    return Limit(
        "A9",
        "hardship-weekly-cap",
        max(0, pack.hardship_visits - unasked - 1),
        _named(one.assignment_id for one in counted),
        begin,
        end,
        within_hours=24 * pack.hardship_period_days,
        spares=REQUEST_ONLY,
    )


class _Counted(NamedTuple):
    """A visit of the debtor's, planned or made."""

    assignment_id: UUID | None
    start: datetime
    wish: str | None


def _named(counted: Iterable[UUID | None]) -> tuple[UUID, ...]:
    return tuple(dict.fromkeys(one for one in counted if one is not None))


def _visits(facts: CaseFacts) -> Iterator[_Counted]:
    """Give out what took place, then what is assigned and has not begun."""
    begun = {arrival.assignment_id for arrival in facts.arrivals}
    for arrival in facts.arrivals:
        yield _Counted(arrival.assignment_id, arrival.at.latest, arrival.wish)
    for plan in facts.reservations:
        if plan.assignment_id not in begun:
            yield _Counted(plan.assignment_id, plan.start, plan.wish)

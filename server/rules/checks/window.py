"""At which hours may a visit take place? (T1, T2, AMB1)

The whole visit lies inside the window: arrival at 08:00:00 and departure at 21:00:00 are still inside. The
latest start (T2) is a rule for plans: after the fact only the window itself can be broken.
"""

from collections.abc import Iterator
from datetime import datetime

from server.rules.check import Check, CheckAfterwards, certainty
from server.rules.facts import ActualVisit, CaseFacts, WantedVisit
from server.rules.local_time import ONE_DAY, at_local, local_day, next_midnight
from server.rules.pack import RulePack
from server.rules.verdict import Reason, a_reason


def next_start_inside(
    start: datetime, wanted: WantedVisit, facts: CaseFacts, pack: RulePack
) -> datetime | None:
    """The next start at which the visit, as long as it is wanted, fits into one day's window."""
    length = wanted.window_end - wanted.window_start
    day = local_day(start, pack.zone)
    for candidate in (day, day + ONE_DAY):
        opens = at_local(candidate, pack.window_opens, pack.zone)
        closes = at_local(candidate, pack.window_closes, pack.zone)
        if max(start, opens) + length <= closes:
            return max(start, opens)
    return None


def whole_visit_inside(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """T1: arrival not before the window opens, departure not after it closes."""
    allowed_from = next_start_inside(wanted.window_start, wanted, facts, pack)
    if allowed_from != wanted.window_start:
        yield a_reason(
            "T1",
            "visit-window",
            "block",
            allowed_from=allowed_from,
            window_start=wanted.window_start,
            window_end=wanted.window_end,
            opens=pack.window_opens.isoformat(),
            closes=pack.window_closes.isoformat(),
            timezone=pack.timezone,
            source=pack.source_of(_broken_edge(wanted.window_start, pack)),
        )


def _broken_edge(start: datetime, pack: RulePack) -> str:
    """Name the parameter that a visit outside the window breaks: opening when it starts too early."""
    is_early = start.astimezone(pack.zone).time() < pack.window_opens
    return "window_opens" if is_early else "window_closes"


def next_planned_start(
    start: datetime, wanted: WantedVisit, facts: CaseFacts, pack: RulePack
) -> datetime | None:
    """The next start that is not later in its day than visits may be planned."""
    day = local_day(start, pack.zone)
    if start <= at_local(day, pack.latest_start, pack.zone):
        return start
    return next_midnight(start, pack.zone)


def planned_early_enough(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """T2: nothing is planned to start so late that it would run into the quiet hours.

    In a window that is open already nobody begins before the judgement.
    """
    start = max(wanted.window_start, min(facts.judged_at, wanted.window_end))
    allowed_from = next_planned_start(start, wanted, facts, pack)
    if allowed_from != start:
        yield a_reason(
            "T2",
            "latest-start",
            "block",
            allowed_from=allowed_from,
            window_start=wanted.window_start,
            latest_start=pack.latest_start.isoformat(),
            timezone=pack.timezone,
            source=pack.source_of("latest_start"),
        )


def took_place_inside(actual: ActualVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """T1 on what happened: arrival and departure each judged on its whole interval."""
    for moment, interval in (("arrival", actual.arrival), ("departure", actual.departure)):
        if interval is None:
            continue
        inside = [_is_inside(at, pack) for at in (interval.earliest, interval.latest)]
        if all(inside) and interval.latest - interval.earliest < ONE_DAY / 2:
            continue
        yield a_reason(
            "T1",
            "visit-window",
            "block",
            certainty=certainty(_is_certainly_outside(interval.earliest, interval.latest, pack)),
            moment=moment,
            earliest=interval.earliest,
            latest=interval.latest,
            opens=pack.window_opens.isoformat(),
            closes=pack.window_closes.isoformat(),
            source=pack.source_of(_broken_edge(interval.earliest, pack)),
        )


def _is_inside(at: datetime, pack: RulePack) -> bool:
    return pack.window_opens <= at.astimezone(pack.zone).time() <= pack.window_closes


def _is_certainly_outside(earliest: datetime, latest: datetime, pack: RulePack) -> bool:
    """Whether no instant of [earliest, latest] lies in any day's window."""
    first, last = local_day(earliest, pack.zone), local_day(latest, pack.zone)
    if (last - first).days > 1:
        return False
    return not any(
        earliest <= at_local(day, pack.window_closes, pack.zone)
        and at_local(day, pack.window_opens, pack.zone) <= latest
        for day in {first, last}
    )


CHECKS = (
    Check(("T1",), whole_visit_inside, next_start_inside),
    Check(("T2",), planned_early_enough, next_planned_start),
)
AFTERWARDS = (CheckAfterwards(("T1",), took_place_inside),)

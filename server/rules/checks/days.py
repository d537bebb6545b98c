"""On which days may a visit take place? (A12, AMB2, X6)

Every day of a published public-holiday break is banned, make-up workdays are ordinary days, and a year whose
calendar nobody published permits nothing.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final

from server.rules.check import Check, CheckAfterwards, certainty
from server.rules.facts import ActualVisit, CaseFacts, WantedVisit
from server.rules.local_time import days_touched, local_day, next_midnight
from server.rules.pack import RulePack
from server.rules.verdict import Reason, a_reason

A_FORTNIGHT: Final = timedelta(days=14)
"""Where no day of the fortnight after the last known break or make-up day is permitted, none is."""


def is_banned(day: date, facts: CaseFacts, pack: RulePack) -> bool:
    """Whether nothing may take place on a day, as far as the calendar and the pack's weekdays say."""
    is_holiday = pack.ban_holidays and facts.calendar.is_holiday(day)
    return is_holiday or (day.weekday() in pack.banned_weekdays and day not in facts.calendar.makeup)


def _source(banned: list[date], facts: CaseFacts, pack: RulePack) -> dict[str, str]:
    is_holiday = pack.ban_holidays and any(facts.calendar.is_holiday(day) for day in banned)
    return pack.source_of("ban_holidays" if is_holiday else "banned_weekdays")


def next_permitted_day(
    start: datetime, wanted: WantedVisit, facts: CaseFacts, pack: RulePack
) -> datetime | None:
    """The next start whose visit touches no banned day."""
    length = wanted.window_end - wanted.window_start
    known = max((*facts.calendar.holidays, *facts.calendar.makeup), default=date.min)
    last = max(known, local_day(start, pack.zone)) + A_FORTNIGHT
    while local_day(start, pack.zone) <= last:
        if not any(is_banned(day, facts, pack) for day in days_touched(start, start + length, pack.zone)):
            return start
        start = next_midnight(start, pack.zone)
    return None


def not_on_a_holiday(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """A12: no collection at all on a banned day."""
    allowed_from = next_permitted_day(wanted.window_start, wanted, facts, pack)
    if allowed_from != wanted.window_start:
        touched = days_touched(wanted.window_start, wanted.window_end, pack.zone)
        banned = [day for day in touched if is_banned(day, facts, pack)]
        names = [facts.calendar.holidays.get(day, "") for day in banned]
        source = _source(banned, facts, pack)
        yield a_reason(
            "A12", "holiday", "block", allowed_from=allowed_from, days=banned, names=names, source=source
        )


def next_published_year(
    start: datetime, wanted: WantedVisit, facts: CaseFacts, pack: RulePack
) -> datetime | None:
    """The next start in a year whose calendar is published."""
    year = local_day(start, pack.zone).year
    if year in facts.calendar.published:
        return start
    later = [published for published in facts.calendar.published if published > year]
    return datetime(min(later), 1, 1, tzinfo=pack.zone).astimezone(UTC) if later else None


def calendar_is_published(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """X6: an unknown year may only block."""
    allowed_from = next_published_year(wanted.window_start, wanted, facts, pack)
    if allowed_from != wanted.window_start:
        year = local_day(wanted.window_start, pack.zone).year
        yield a_reason("X6", "calendar-not-published", "block", allowed_from=allowed_from, year=year)


def did_not_fall_on_a_holiday(actual: ActualVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """A12 on what happened; a provisional holiday is only possibly one."""
    days = days_touched(actual.arrival.earliest, actual.arrival.latest, pack.zone)
    banned = [day for day in days if is_banned(day, facts, pack)]
    if banned:
        is_certain = len(banned) == len(days) and all(facts.calendar.is_published(day) for day in banned)
        source = _source(banned, facts, pack)
        yield a_reason("A12", "holiday", "block", certainty=certainty(is_certain), days=banned, source=source)


def fell_in_a_published_year(actual: ActualVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """X6 on what happened."""
    days = days_touched(actual.arrival.earliest, actual.arrival.latest, pack.zone)
    unknown = [day for day in days if not facts.calendar.is_published(day)]
    if unknown:
        is_certain = len(unknown) == len(days)
        year = unknown[0].year
        yield a_reason("X6", "calendar-not-published", "block", certainty=certainty(is_certain), year=year)


CHECKS = (
    Check(("A12",), not_on_a_holiday, next_permitted_day),
    Check(("X6",), calendar_is_published, next_published_year),
)
AFTERWARDS = (
    CheckAfterwards(("A12",), did_not_fall_on_a_holiday),
    CheckAfterwards(("X6",), fell_in_a_published_year),
)

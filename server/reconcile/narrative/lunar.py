"""Which day of the common calendar is a day of the lunar one, a festival or a solar term?

Without its year a day is the one nearest to the visit. 小年 is a day earlier in the north than in the south
and says nothing, nor does 春节, which is said of weeks.
"""

from datetime import date, timedelta
from typing import Final

from borax.calendars.lunardate import InvalidLunarDateError, LCalendars, LunarDate, TermUtils

from server.reconcile.narrative.words import WORDS

MONTH: Final = 30  # days of the longest
LAST: Final = 0
"""As a day of the month: its last, be it the 29th or the 30th."""
YEARS: Final = range(1902, 2099)
"""In which a visit may lie: the calendar is known a little longer."""
_FESTIVALS: Final[dict[str, str]] = WORDS["festivals"]


def lunar_date(month: int, day: int, near: date, *, years: int | None = None) -> date | None:
    """Return a lunar day, `years` lunar years after the visit or else the nearest; None if there is none."""
    if near.year not in YEARS:
        return None
    own = LunarDate.from_solar(near).year
    told = (own - 1, own, own + 1) if years is None else (own + years,)
    return _nearest([_of_lunar(year, month, day) for year in told], near)


def next_lunar(day: int, near: date, *, months: int | None = None) -> date | None:
    """Return a day of the lunar month `months` after the visit, or else the next such day to come."""
    if near.year not in YEARS:
        return None
    if months is None:
        ahead = (near + timedelta(days=days) for days in range(MONTH + 1))
        return next((one for one in ahead if LunarDate.from_solar(one).day == day), None)
    own = LunarDate.from_solar(near)
    counted = own.year * 12 + own.month - 1 + months
    return _of_lunar(counted // 12, counted % 12 + 1, day)


def festival(name: str, near: date, *, years: int | None = None) -> date | None:
    """Return the day of a festival or solar term of `words.toml`, as `lunar_date` does."""
    if near.year not in YEARS:
        return None
    calendar, _, told = _FESTIVALS[name].partition(" ")
    if calendar == "lunar":
        month, day = map(int, told.split("-"))
        return lunar_date(month, day, near, years=years)
    span = range(near.year - 1, near.year + 2) if years is None else (near.year + years,)
    if calendar == "term":
        return _nearest([TermUtils.nth_term_day(year, term_name=told) for year in span], near)
    month, day = map(int, told.split("-"))
    return _nearest([date(year, month, day) for year in span], near)


def _of_lunar(year: int, month: int, day: int) -> date | None:
    """People say 腊月三十 of the last day of the year also where that is the 29th."""
    try:
        is_last = day == LAST or (month, day) == (12, 30)
        return LunarDate(year, month, LCalendars.ndays(year, month) if is_last else day).to_solar_date()
    except InvalidLunarDateError:
        return None


def _nearest(days: list[date | None], near: date) -> date | None:
    return min((one for one in days if one), default=None, key=lambda one: abs(one - near))

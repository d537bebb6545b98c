"""Which days does a text name, counted from the day of the visit?

Only a date that means one day is read: 下周 and 月中 say nothing. A day without its month is the next one to
come, and the nearest one where the clause looks back; a day without its year is the nearest one. A festival
is told as near: it is a day where somebody promises to pay on it, a season where somebody comes home for it.
"""

import calendar
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import Final

from server.reconcile.narrative import lunar
from server.reconcile.narrative.claim import Claim
from server.reconcile.narrative.clauses import Clause, index_at
from server.reconcile.narrative.numerals import DIGIT, read_whole
from server.reconcile.narrative.words import WORDS, looks_back, pattern

_N = r"(?:\d{1,3}|[零〇一二两三四五六七八九十廿]{1,3})"
_MONTH = r"(?:元|\d{1,2}|十[一二]?|[一二三四五六七八九])"
_DAY = rf"(?:\d{{1,2}}|[零〇](?:{DIGIT}|\d)|(?:[二三]?十|廿|卅){DIGIT}?|{DIGIT})"
_FIRST_TEN = "初[一二三四五六七八九十]"
_OF_LUNAR = rf"(?:{_FIRST_TEN}|(?:二?十|廿){DIGIT}?|三十|\d{{1,2}})"
_NO_LUNAR = "(?![次笔直百千万])"  # 十一月初一次性
_OF_YEAR = "[去前今明后]"
_WHICH = "下下个?|再下个?|下个?|次|本|这个?|当|上上个?|上个?"
_NO_MORE = r"(?![天个\d点百千万块元kKwW])"
_PLACE = r"(?!楼|院|门|铺|线|店|车|机|线|码|房|单元)"
_TO_PAY = (
    r"(?=\s*(?:之?前|还|先|再|给|打|存|转|缴|付|处理|发|领|结|到|出|开|拿|交|去|我|就|补|清|凑"
    r"|号|前后|左右|那[天日]|已|才|，|,|\s+\d+(?:[kKwW千百元块]|00)))"
)
_FORMS: Final = (
    r"(?P<y>\d{4})[年./-](?P<mo>\d{1,2})[月./-](?P<d>\d{1,2})(?:日|号)?(?!\d)",
    rf"(?:(?P<lunar_of>{_OF_YEAR})年)?(?:(?P<lunar>[腊正冬]月|(?:农历|阴历|旧历){_MONTH}月"
    rf"|(?<!闰){_MONTH}月(?=初|廿)|腊(?=初|廿|[二三]?十))(?:份?(?P<lunar_end>[底末])|(?P<ld>{_OF_LUNAR})[日号]?{_NO_LUNAR})"
    rf"|(?<![今去明前后上])大?年(?P<eve>三十|二十九|二十八|廿[八九]|{_FIRST_TEN}){_NO_LUNAR})",
    rf"(?:(?P<fest_of>{_OF_YEAR})年)?(?<![一三四五六七八九十])(?P<festival>{pattern(WORDS['festivals'])})节?",
    rf"(?:(?P<which_lunar>下个?|上个?|这个?)月|(?<![年月当起最开上读念]))(?P<first_ten>{_FIRST_TEN})"
    r"(?![次笔直号中年级学生毕班的\d])",
    rf"(?P<ending>{_MONTH})月份?(?P<end>底|末)",
    r"(?<!\d)(?P<cy>20\d\d)(?P<cmo>0[1-9]|1[0-2])(?P<cd>0[1-9]|[12]\d|3[01])(?!\d)",
    rf"(?:(?P<of_year>{_OF_YEAR})年)?(?P<month>{_MONTH})月份?(?P<md>{_DAY})(?:日|号|{_NO_MORE})",
    r"(?<![\d/])(?P<sm>\d{1,2})/(?P<sd>\d{1,2})(?![\d/])",
    rf"(?<![\d.])(?P<dm>1[0-2]|0?[1-9])[.-](?P<dd>3[01]|[12]\d|0?[1-9]){_TO_PAY}",
    r"(?<![\d.])(?P<am>1[0-2]|0?[1-9])[.](?P<ad>3[01]|[12]\d|0?[1-9])(?=\s*(?:上午|下午|早|中午|晚|傍晚|外访|走访|上门))",
    rf"(?P<which>{_WHICH})月份?(?P<wd>{_DAY})(?:日|号|{_TO_PAY})",
    r"(?P<which_ending>(?<!许)下下个?|再下个?|(?<!许)下个?|次|本|这个?|当|上个?)月份?(?P<wend>底|末|的?最后一天)|(?P<bare_end>月底|月末)",
    rf"(?<![今明月])(?P<near>{pattern(WORDS['days'])})",
    rf"(?P<months>{_N})个月之?以?[内后]",
    rf"(?<![几数\d一二两三四五六七八九十])(?P<ago>{_N})天(?:之|以)?前(?!后)",
    rf"(?<![几数两三四五六七八九十])(?P<days>{_N}|半个?月)(?P<unit>天|日(?=之?以?内)|个?(?:周|星期|礼拜))?之?以?(?P<in>内|后)",
    r"(?P<week>下下个?|上个?|下个?|本|这个?|每个?)?(?:(?<!老)周|星期|礼拜)(?P<weekday>[一二三四五六日天](?!点)|[1-7](?![\d次天个\-]))"
    r"(?!(?:至|到|-)(?:下?个?(?:周|星期|礼拜))?[一二三四五六日天])",
    rf"(?P<end_of>(?:{_OF_YEAR}|\d{{4}})年年?|(?<!半)年)(?P<year_end>[底末])",
    r"(?P<new_year>元旦|阳历年)",
    rf"(?<!\d[-~—至到、])(?:(?<![第\d月路街巷弄村道组里苑园坊区幢栋屯])|(?<=[厂店司家行]里))(?P<day>{_N})(?:号|日)"
    + _PLACE,
)
_DATE: Final = re.compile("|".join(_FORMS))
LIKELY_YEARS: Final = range(1950, 2100)  # 1500/12.5 is a sum and a day
_TWO_DIGITS: Final = re.compile("[一二两三四五六七八九]{2}")  # 一两天
_MONTHS_ON: Final = {"下": 1, "次": 1, "下下": 2, "再下": 2, "上": -1, "上上": -2}
_YEARS: Final = {"前": -2, "去": -1, "今": 0, "明": 1, "后": 2}
_THAT_IS: Final = re.compile(r"\s*[，,（(]?\s*(?:也就是|也即|亦即|即|就是)\s*")
# Only for whoever knows that they are days: 这月28, 12.5, 15号、25.
_LIKELY: Final = re.compile(
    rf"(?:(?P<which>{_WHICH})月份?|(?P<month>{_MONTH})月份?|(?<![\d.])(?P<figure>1[0-2]|0?[1-9])[./-]|(?P<bare>(?<![\d.:/月-])(?!{DIGIT}(?!十))))"
    rf"(?P<day>{_DAY})(?![\d.:%点时分万千百元块天个月岁楼周星礼假])"
)
_BESIDE: Final = re.compile(r"[日号]?[、，,和跟及与/ ]{1,2}")
_BOUND: Final = re.compile("以?后|之后|过后|[才再](?:回|来|归)")
_END: Final = re.compile("[月年][底末]")


def dates_in(text: str, clauses: Sequence[Clause], day: date) -> tuple[tuple[Claim, ...], frozenset[int]]:
    """Find the days a text names, and every place that looks like one, read or not."""
    claims: list[Claim] = []
    places: set[int] = set()
    for match in _DATE.finditer(text):
        place = index_at(clauses, match.start())
        if place is None:
            continue
        if match["days"] and not (match["unit"] or match["days"].startswith("半")):
            continue
        places.update(range(*match.span()))
        found = _resolve(match, day, is_past=looks_back(clauses[place].text))
        if found is not None:
            claims.append(
                Claim("date", found.isoformat(), *match.span(), is_approximate=_is_near(text, match))
            )
    return tuple(_said_once(text, claims)), frozenset(places)


def likely_days(text: str, day: date, named: Sequence[Claim]) -> Iterator[tuple[re.Match[str], str]]:
    """Return whatever may be a day of a month, and which then, for whoever knows which of them are.

    A bare number beside one of the days `named` is of that month.
    """
    before = {one.end: date.fromisoformat(one.value) for one in named}
    for match in _LIKELY.finditer(text):
        beside = next(
            (
                before[end]
                for end in range(match.start() - 1, match.start() - 4, -1)
                if end in before and _BESIDE.fullmatch(text, end, match.start())
            ),
            None,
        )
        found = _likely_day(match, day, beside)
        if found is None:
            continue
        # 12月5号、15、25; of a bare number beside none nobody knows yet that it is a day
        if beside is not None or match["bare"] is None:
            before[match.end()] = found
        yield match, found.isoformat()


def _likely_day(match: re.Match[str], day: date, beside: date | None) -> date | None:
    told, wanted = match.groupdict(), read_whole(match["day"])
    if match["which"]:
        return _make(*_which_month(match["which"], day), wanted)
    if match["month"] or match["figure"]:
        month = int(match["figure"]) if match["figure"] else _month(match["month"])
        return _nearest(day, month, wanted)
    if beside is not None and wanted is not None:
        return _make(*_month_after(beside, 0 if wanted > beside.day else 1), wanted)
    return _day_alone(told, day, is_past=False)


def _is_near(text: str, match: re.Match[str]) -> bool:
    """Whether a day stands for the time around it or behind it: 中秋, 过了正月十五才回."""
    is_bound = match["ld"] and _BOUND.match(text, match.end())
    return bool(match["festival"] or match["eve"] or is_bound)


def _said_once(text: str, claims: Sequence[Claim]) -> Iterator[Claim]:
    """Leave out what the next day only says more exactly: 这个月底，也就是30号, 月底30号."""
    for one, following in pairwise((*claims, None)):
        assert one is not None
        if following is None or not _is_told_again(text, one, following):
            yield one


def _is_told_again(text: str, one: Claim, following: Claim) -> bool:
    is_joined = one.end == following.start and _END.search(text, one.start, one.end)
    return bool(is_joined or _THAT_IS.fullmatch(text, one.end, following.start))


def _resolve(match: re.Match[str], day: date, *, is_past: bool) -> date | None:
    """Return the one day that is meant, or None."""
    told = match.groupdict()
    for group, read in _READERS.items():
        if told[group] is not None:
            return read(told, day, is_past)
    return None


def _make(year: int, month: int | None, day: int | None) -> date | None:
    if month is None or day is None or not (1 <= month <= 12 and 1 <= year <= 9999):
        return None
    return date(year, month, day) if 1 <= day <= calendar.monthrange(year, month)[1] else None


def _nearest(day: date, month: int | None, day_of_month: int | None) -> date | None:
    near = [one for year in (-1, 0, 1) if (one := _make(day.year + year, month, day_of_month))]
    return min(near, key=lambda one: abs(one - day), default=None)


def _month_after(day: date, months: int) -> tuple[int, int]:
    count = day.year * 12 + day.month - 1 + months
    return count // 12, count % 12 + 1


def _last_of(year: int, month: int) -> date:
    return date(year, month, calendar.monthrange(year, month)[1])


def _full(told: dict[str, str], day: date, is_past: bool) -> date | None:
    year = int(told["y"])
    return _make(year, int(told["mo"]), int(told["d"])) if year in LIKELY_YEARS else None


def _month(name: str) -> int | None:
    return 1 if name == "元" else read_whole(name)


def _month_end(told: dict[str, str], day: date, is_past: bool) -> date | None:
    first = _nearest(day, _month(told["ending"]), 1)
    return first and _last_of(first.year, first.month)


def _month_day(told: dict[str, str], day: date, is_past: bool) -> date | None:
    month, day_of_month = _month(told["month"]), read_whole(told["md"])
    if told["of_year"]:
        return _make(day.year + _YEARS[told["of_year"]], month, day_of_month)
    return _nearest(day, month, day_of_month)


def _compact(told: dict[str, str], day: date, is_past: bool) -> date | None:
    return _make(int(told["cy"]), int(told["cmo"]), int(told["cd"]))


def _slashed(told: dict[str, str], day: date, is_past: bool) -> date | None:
    return _nearest(day, int(told["sm"]), int(told["sd"]))


def _dotted(told: dict[str, str], day: date, is_past: bool) -> date | None:
    return _nearest(day, int(told["dm"] or told["am"]), int(told["dd"] or told["ad"]))


def _which_month(name: str, day: date) -> tuple[int, int]:
    return _month_after(day, _MONTHS_ON.get(name.removesuffix("个"), 0))


def _day_of_which(told: dict[str, str], day: date, is_past: bool) -> date | None:
    return _make(*_which_month(told["which"], day), read_whole(told["wd"]))


def _end_of_which(told: dict[str, str], day: date, is_past: bool) -> date | None:
    return _last_of(*_which_month(told["which_ending"], day))


def _end_of_month(told: dict[str, str], day: date, is_past: bool) -> date | None:
    return None if is_past else _last_of(day.year, day.month)


def _near(told: dict[str, str], day: date, is_past: bool) -> date | None:
    return day + timedelta(days=WORDS["days"][told["near"]])


def _count(told: dict[str, str], day: date, is_past: bool) -> date | None:
    count = 15 if told["days"].startswith("半") else read_whole(told["days"])
    if count is None or is_past or _TWO_DIGITS.fullmatch(told["days"]):
        return None
    return day + timedelta(days=count if (told["unit"] or "天") in "天日" else 7 * count)


def _ago(told: dict[str, str], day: date, is_past: bool) -> date | None:
    count = read_whole(told["ago"])
    return None if count is None or _TWO_DIGITS.fullmatch(told["ago"]) else day - timedelta(days=count)


def _in_months(told: dict[str, str], day: date, is_past: bool) -> date | None:
    count = read_whole(told["months"])
    if count is None or is_past or _TWO_DIGITS.fullmatch(told["months"]):
        return None
    year, month = _month_after(day, count)
    return _last_of(year, month) if day.day > _last_of(year, month).day else date(year, month, day.day)


def _weekday(told: dict[str, str], day: date, is_past: bool) -> date | None:
    said = told["weekday"].replace("天", "日")
    wanted = int(said) - 1 if said.isdecimal() else "一二三四五六日".find(said)
    monday = day - timedelta(days=day.weekday())
    which = told["week"] or ""
    if which.startswith("每"):
        return None
    if not which:
        ahead = (wanted - day.weekday()) % 7
        return None if is_past or ahead == 0 else day + timedelta(days=ahead)
    weeks = {"下下": 2, "下": 1, "上": -1}.get(which.rstrip("个"), 0)
    return monday + timedelta(days=wanted, weeks=weeks)


def _year_end(told: dict[str, str], day: date, is_past: bool) -> date | None:
    which = told["end_of"].rstrip("年")
    if which.isdecimal():
        return date(int(which), 12, 31) if int(which) in LIKELY_YEARS else None
    return None if is_past and not which else _make(day.year + _YEARS.get(which, 0), 12, 31)


def _new_year(told: dict[str, str], day: date, is_past: bool) -> date | None:
    return None if is_past else date(day.year + 1, 1, 1)


def _day_alone(told: dict[str, str], day: date, is_past: bool) -> date | None:
    wanted = read_whole(told["day"])
    if wanted is None:
        return None
    if is_past:  # 上次说15号: the nearest one
        near = (_make(*_month_after(day, months), wanted) for months in (-1, 0, 1))
        return min((one for one in near if one), default=None, key=lambda one: abs(one - day))
    ahead = (_make(*_month_after(day, months), wanted) for months in range(3))
    return next((one for one in ahead if one is not None and one >= day), None)


def _lunar(told: dict[str, str], day: date, is_past: bool) -> date | None:
    name = told["lunar"].removesuffix("月").removeprefix("农历").removeprefix("阴历").removeprefix("旧历")
    month = {"腊": 12, "正": 1, "冬": 11}.get(name) or _month(name)
    wanted = lunar.LAST if told["lunar_end"] else _day_of_lunar(told["ld"])
    if month is None or wanted is None:
        return None
    return lunar.lunar_date(month, wanted, day, years=_YEARS.get(told["lunar_of"]))


def _day_of_lunar(name: str) -> int | None:
    return read_whole(name.removeprefix("初"))


def _of_new_year(told: dict[str, str], day: date, is_past: bool) -> date | None:
    """Return a day around the lunar new year: 年三十 and those before it, 年初三."""
    wanted, month = _day_of_lunar(told["eve"]), 1 if told["eve"].startswith("初") else 12
    if wanted is None:
        return None
    return lunar.lunar_date(month, wanted, day, years=_YEARS.get(told["lunar_of"]))


def _festival(told: dict[str, str], day: date, is_past: bool) -> date | None:
    return lunar.festival(told["festival"], day, years=_YEARS.get(told["fest_of"]))


def _first_ten(told: dict[str, str], day: date, is_past: bool) -> date | None:
    """Return 初八, of which people say no month when it is the lunar one that runs or comes."""
    wanted, which = _day_of_lunar(told["first_ten"]), told["which_lunar"]
    if wanted is None or (is_past and not which):
        return None
    months = _MONTHS_ON.get(which.removesuffix("个"), 0) if which else None
    return lunar.next_lunar(wanted, day, months=months)


_READERS: Final[dict[str, Callable[[dict[str, str], date, bool], date | None]]] = {
    "y": _full,
    "lunar": _lunar,
    "eve": _of_new_year,
    "festival": _festival,
    "first_ten": _first_ten,
    "end": _month_end,
    "md": _month_day,
    "cy": _compact,
    "sm": _slashed,
    "dm": _dotted,
    "am": _dotted,
    "wd": _day_of_which,
    "wend": _end_of_which,
    "bare_end": _end_of_month,
    "near": _near,
    "months": _in_months,
    "ago": _ago,
    "days": _count,
    "weekday": _weekday,
    "year_end": _year_end,
    "new_year": _new_year,
    "day": _day_alone,
}

"""What does the State Council's yearly notice on holidays say? Chinese text in, days out; pure.

The notice lists one festival a line: what is off (with 调休 or joined with the weekend) and which Saturdays
and Sundays are worked instead. Everything it says twice (weekdays, numbers of days) is checked, because a
misread day is either a visit on a holiday or a day's work lost. All faults are told, each with its place.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final, Literal, NamedTuple

DayKind = Literal["holiday", "makeup"]
ONE_DAY: Final = timedelta(days=1)
SATURDAY: Final = 5
WEEKDAYS: Final = {"一": 0, "二": 1, "三": 2, "四": 3, "五": 4, "六": 5, "日": 6, "天": 6}
_SECTION: Final = re.compile(r"^\s*[一二三四五六七八九十]+[、.]\s*([^::]{1,20}):(.+)$", re.MULTILINE)
_DATE: Final = re.compile(r"(?:(\d{4})年)?(?:(\d{1,2})月)?(\d{1,2})日(?:\(([^()]*)\))?")
_TO: Final = re.compile(r"\s*(?:至|到|-|—)\s*")
_WEEKDAY: Final = re.compile(r"(?:周|星期)([一二三四五六日天])")
_COUNT: Final = re.compile(r"(?:共|放假)\s*(\d+)\s*天")


class MarkedDay(NamedTuple):
    """A day that is not what its weekday says."""

    day: date
    kind: DayKind
    name: str


@dataclass(frozen=True, slots=True)
class NoticeFault:
    """Where a notice is wrong, and what to do."""

    place: str
    reason: str


class FaultyNotice(Exception):
    """A notice that cannot become a calendar; `faults` holds every reason."""

    def __init__(self, faults: Iterable[NoticeFault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{fault.place}: {fault.reason}" for fault in self.faults))


@dataclass(slots=True)
class _Reading:
    """What was read so far of one festival's line."""

    year: int
    place: str
    faults: list[NoticeFault]
    days: list[MarkedDay] = field(default_factory=list)

    def blame(self, reason: str) -> None:
        self.faults.append(NoticeFault(self.place, reason))


def read_notice(text: str, *, year: int) -> tuple[MarkedDay, ...]:
    """Return the days of a notice, in order. FaultyNotice names every line that cannot be right."""
    plain = unicodedata.normalize("NFKC", text)
    faults: list[NoticeFault] = []
    days: list[MarkedDay] = []
    sections = _SECTION.findall(plain)
    if not sections:
        reason = "No festival was found. Paste the notice's numbered lines, such as 一、元旦:1月1日放假1天。"
        raise FaultyNotice([NoticeFault("text", reason)])
    for name, said in sections:
        reading = _Reading(year, name.strip(), faults)
        for sentence in said.split("。"):
            _read_sentence(sentence, reading)
        if not any(one.kind == "holiday" for one in reading.days):
            reading.blame("Names no day off. Correct the line.")
        days += reading.days
    faults += contradictions(days, year=year)
    if faults:
        raise FaultyNotice(faults)
    return tuple(sorted(days))


def _read_sentence(sentence: str, reading: _Reading) -> None:
    """Read what is off or worked; advice to employers (鼓励…) changes no day."""
    if "鼓励" in sentence:
        return
    if "上班" in sentence:
        for day in _dates(sentence, reading):
            reading.days.append(MarkedDay(day, "makeup", reading.place))
    elif "放假" in sentence or "休息" in sentence:
        off = sorted(set(_dates(sentence, reading)))
        _check_count(sentence, off, reading)
        if "与周末连休" in sentence:
            off = sorted({*off, *_joined_weekends(off)})
        reading.days += [MarkedDay(day, "holiday", reading.place) for day in off]
    elif _DATE.search(sentence):
        reading.blame(f"Says neither 放假 nor 上班 of its dates: {sentence.strip()!r}. Correct the line.")


def _dates(sentence: str, reading: _Reading) -> Iterator[date]:
    """Give out every date of a sentence, ranges (A 至 B) day by day; a month or year said once goes on."""
    year, month = reading.year, None
    before: tuple[date, int] | None = None
    for found in _DATE.finditer(sentence):
        year = int(found[1] or year)
        month = int(found[2]) if found[2] else month
        day = _a_date(year, month, int(found[3]), said=found[0], reading=reading)
        if day is None:
            before = None
            continue
        _check_weekday(day, found[4] or "", reading)
        is_range = before is not None and _TO.fullmatch(sentence[before[1] : found.start()])
        if is_range and before is not None:
            if day <= before[0] or day - before[0] > timedelta(days=20):
                reading.blame(
                    f"The range that ends with {found[0]!r} runs backwards or for weeks. Correct it."
                )
            else:
                yield from (before[0] + ONE_DAY * n for n in range(1, (day - before[0]).days))
        yield day
        before = (day, found.end())


def _a_date(year: int, month: int | None, day: int, *, said: str, reading: _Reading) -> date | None:
    if month is None:
        reading.blame(f"{said!r} has no month. Write it out.")
        return None
    try:
        return date(year, month, day)
    except ValueError:
        reading.blame(f"{said!r} is a date that does not exist. Correct it.")
        return None


def _check_weekday(day: date, note: str, reading: _Reading) -> None:
    named = _WEEKDAY.search(note)
    if named and WEEKDAYS[named[1]] != day.weekday():
        reading.blame(f"{day} is not a {named[0]}. Is the year right, or the day?")


def _check_count(sentence: str, off: list[date], reading: _Reading) -> None:
    said = _COUNT.search(sentence)
    if said and int(said[1]) != len(off):
        reading.blame(f"Says {said[1]} days and names {len(off)}. Correct the line.")


def _joined_weekends(off: Iterable[date]) -> Iterator[date]:
    """Give out the weekends that touch a break (AMB2: they belong to it)."""
    for day in off:
        for step in (ONE_DAY, -ONE_DAY):
            joined = day + step
            while joined.weekday() >= SATURDAY:
                yield joined
                joined += step


def contradictions(days: Iterable[MarkedDay], *, year: int) -> Iterator[NoticeFault]:
    """Find what cannot stand in one calendar; also for days that were entered one by one."""
    seen: dict[date, MarkedDay] = {}
    for one in days:
        place = f"{one.name or one.kind} {one.day}"
        other = seen.setdefault(one.day, one)
        if other is not one:
            both = other.kind != one.kind
            what = "both off and worked" if both else f"claimed twice, also by {other.name or 'another row'}"
            yield NoticeFault(place, f"Is {what}. Keep one.")
        if one.kind == "makeup" and one.day.weekday() < SATURDAY:
            yield NoticeFault(place, "Is worked anyway: only Saturdays and Sundays are worked instead.")
        if year not in (one.day.year, year_of_notice(one.day)):
            yield NoticeFault(place, f"Does not lie in {year} (nor in the New Year break before it).")


def year_of_notice(day: date) -> int:
    """Return whose notice marks a day: the last days of December are marked by the next year's."""
    return day.year + (day.month == 12 and day.day >= 28)


def missing_statutory_days(
    days: Iterable[MarkedDay], *, statutory: Mapping[date, str]
) -> Iterator[NoticeFault]:
    """Find legal holidays that a notice leaves out: a hole in it (AMB2)."""
    off = {one.day for one in days if one.kind == "holiday"}
    for day, name in sorted(statutory.items()):
        if day not in off:
            yield NoticeFault(
                str(day), f"{name} is a public holiday by law and not off here. Is a line missing?"
            )

"""Which clock times does a text name? Which of them is the arrival and which the departure: `visits`.

Where the words leave the half of the day open (三点半) both readings are kept: nothing is guessed. Bounds and
vague times (三点多, 七点以后) say nothing.
"""

import re
from collections.abc import Container, Iterator, Sequence
from typing import Final

from server.reconcile.narrative.claim import Claim
from server.reconcile.narrative.clauses import Clause, around
from server.reconcile.narrative.numerals import read_whole
from server.reconcile.narrative.visits import begins, in_order, opens, part_in_visit, range_partner
from server.reconcile.narrative.words import WORDS, pattern

_CN = r"[零〇一二两三四五六七八九十廿\d]"
_PART = pattern(word for words in WORDS["dayparts"].values() for word in words)
_COLON = r"(?P<ch>\d{1,2}):(?P<cm>\d{2})(?::\d{2})?(?!\d|:\d)(?:\s?(?P<half>[apAP])\.?[mM](?![a-zA-Z])\.?)?"
# Four digits are a time only right before a verb of coming or going, and not behind one of paying.
_BARE = (
    r"(?<![\d.,:还付给欠打转存缴交拿出凑收减])(?P<bh>[01]\d|2[0-3])(?P<bm>[0-5]\d)"
    r"(?:(?=\s?到(?!账|帐|位|手|期|付|我|卡)|\s?抵|\s?离|\s?撤|\s?走(?!账|帐)|进[村门屋楼院小]|出[村门屋楼院小]|下楼|上门|返|收队"
    r"|\s*[-—~～–至]+\s*(?:[01]\d|2[0-3])[0-5]\d(?!\d))"
    r"|(?<=[到离撤抵走]....)|(?<=[到离撤抵走]:....)|(?<=[到离撤抵走开达]：....)|(?<=\d[-—~～–至]....))(?![\d.元块万千百年米步])"
)
_MINUTE = (
    rf"过?半|过?[一二两三123]刻|整|钟|{_CN}{{1,2}}个字|过?[零〇]?{_CN}{{1,3}}分|过{_CN}{{1,3}}分?|[零〇]{_CN}分?"
    r"|(?:[一二三四五]?十|廿)[一二三四五六七八九]?分?|\d{2}分?"
)
_SHORT = rf"[差缺欠](?P<short>一刻|{_CN}{{1,2}}(?:分|(?![百千万块元点\d])))"
_AHEAD = rf"(?:差(?P<ahead>一刻|{_CN}{{1,2}}分)钟?(?:就|到)?)?"
_HOUR = rf"(?P<h>{_CN}{{1,3}})(?:点|(?P<clock>时)(?!间|候|常))"
_SPOKEN = rf"{_AHEAD}{_HOUR}(?:{_SHORT}|(?P<m>{_MINUTE}))?(?P<about>许)?"
TIME: Final = re.compile(
    rf"(?:(?P<part>{_PART})\s*)?(?:(?<!\d)(?<!\d:)(?:{_COLON})|{_BARE}|(?<![{_CN[1:-1]}第差])(?:{_SPOKEN}))"
)
# Only for whoever knows that they are a clock time: 0915, 8.45.
_FIGURES: Final = re.compile(
    r"(?<![\d.,:-])(?:(?P<h>[01]?\d|2[0-3])\.|(?P<hh>[01]\d|2[0-3]))(?P<m>[0-5]\d)(?![\d.%元块万千百天日号年月]|[:,]\d)"
)
_VAGUE_AFTER: Final = re.compile(r"多|不到|以?之?前|以?之?后|过后|几分")
_VAGUE_BEFORE: Final = re.compile(r"(?:不到|将近|快到?|近|过了|早于|晚于)$")
_ABOUT_AFTER: Final = re.compile(r"来钟|左右|上下|前后|许")
_ABOUT_BEFORE: Final = re.compile(r"(?:约|大约|大概)$")
_LONE_AFTER: Final = re.compile(r"\s*(?:到|离|走|左右|钟|上门|出发|抵达|才|来|结束|返|撤|出来|一次)")
_LONE_BEFORE: Final = re.compile(r"(?:约|在|于|到|至|从|差不多|大概)$")
_HALVES: Final = {"a": "AM", "A": "AM", "p": "PM", "P": "PM"}
_PARTS: Final = {"整": 0, "钟": 0, "半": 30}
MIDDAY: Final = 12


def times_in(text: str, clauses: Sequence[Clause], taken: Container[int]) -> tuple[Claim, ...]:
    """Find the clock times outside what is taken already, each with its part in the visit."""
    found = [match for match in TIME.finditer(text) if _digits(match) not in taken]
    read = [(match, value) for match in found if (value := _clock_reading(text, match))]
    matches = [match for match, _ in read]
    claims: list[Claim] = []
    how: dict[int, str] = {}
    begun = begins(text)
    for place, (match, value) in enumerate(read):
        kind = range_partner(text, matches, place) or part_in_visit(text, match, _digits(match), clauses)
        if kind is None:
            continue
        start = match.start() + len(match.group()) - len(match.group().lstrip())
        claims.append(Claim(kind, value, start, match.end(), is_approximate=is_about(text, match)))
        how[start] = opens(text, match, _digits(match), clauses, begun=begun)
    return tuple(in_order(text, claims, how))


def is_about(text: str, match: re.Match[str]) -> bool:
    """Whether a clock time is told as near: 三点左右, 大约三点."""
    before, _ = around(text, *match.span())
    is_spoken = match.groupdict().get("about") or _ABOUT_AFTER.match(text, match.end())
    return bool(is_spoken or _ABOUT_BEFORE.search(before))


def _digits(match: re.Match[str]) -> int:
    """Where the hour stands: 今晚7点 shares its 今晚 with the day."""
    return next(match.start(group) for group in ("ch", "bh", "h") if match[group])


def likely_times(text: str) -> Iterator[tuple[re.Match[str], str]]:
    """Return whatever may be a clock time and what it says then, for whoever knows which of them are."""
    for match in TIME.finditer(text):
        if value := _clock_reading(text, match, is_surely=True):
            yield match, value
    for match in _FIGURES.finditer(text):
        hour = match["h"] or match["hh"]
        if value := _reading(int(hour), int(match["m"]), None, is_open=len(hour) == 1):
            yield match, value


def _clock_reading(text: str, match: re.Match[str], *, is_surely: bool = False) -> str | None:
    """Return what a match of `TIME` says, `HH:MM` or both halves of the day; None for bounds, vague times.

    `is_surely`: that it is a clock time is known; else a bare 一点, 两点 is none.
    """
    before, after = around(text, *match.span())
    if _VAGUE_AFTER.match(after) or _VAGUE_BEFORE.search(before):
        return None
    if match["bh"]:
        hour, minute, is_open = int(match["bh"]), int(match["bm"]), False
    elif match["ch"]:
        hour, minute = int(match["ch"]), int(match["cm"])
        is_open = hour < 10 and len(match["ch"]) == 1
    else:
        spoken, minute = read_whole(match["h"]), _minute(match)
        if spoken is None or minute is None:
            return None
        hour, is_open = (
            spoken,
            spoken <= MIDDAY and not _is_of_the_clock(match),
        )
        if minute < 0:
            hour, minute = hour - 1, minute + 60
        is_bare = hour < 3 and not (match["part"] or match["m"] or match["short"] or match["ahead"])
        is_told = is_surely or _LONE_AFTER.match(after) or _LONE_BEFORE.search(before)
        if is_bare and not is_told:
            return None  # 一点, 两点: a little, two points
    if hour > 24 or minute > 59:
        return None
    return _reading(hour, minute, _HALVES.get(match["half"], match["part"]), is_open=is_open)


def _is_of_the_clock(match: re.Match[str]) -> bool:
    """Whether an hour counts from midnight as forms write it: 9时12分, 11时整."""
    return bool(match["clock"]) and match["h"].isdecimal() and (int(match["h"]) >= 10 or bool(match["m"]))


def _minute(match: re.Match[str]) -> int | None:
    if said_short := match["short"] or match["ahead"]:
        late = said_short.removesuffix("分")
        short = 15 if late == "一刻" else read_whole(late)
        return None if short is None else -short
    said = (match["m"] or "整").removeprefix("过")
    if said in _PARTS:
        return _PARTS[said]
    for part, minutes in (("刻", 15), ("个字", 5)):
        if said.endswith(part):
            count = read_whole(said.removesuffix(part))
            return None if count is None else count * minutes
    return read_whole(said.strip("过分").lstrip("零〇") or "零")


def _reading(hour: int, minute: int, part: str | None, *, is_open: bool) -> str | None:
    """Return one reading, or both where the half of the day is open."""
    half = next((name for name, words in WORDS["dayparts"].items() if part in words), None)
    if half == "evening" and hour == MIDDAY:
        return None
    is_past_noon = half in ("afternoon", "evening") or (half == "noon" and hour < 3)
    if is_past_noon and hour < MIDDAY:
        hour += MIDDAY
    elif half is None and is_open:
        return "|".join(f"{one:02}:{minute:02}" for one in sorted({hour % 24, (hour + MIDDAY) % 24}))
    return f"{hour % 24:02}:{minute:02}"

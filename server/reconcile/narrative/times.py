"""Which clock times does a text name, and which of them are the arrival and the departure?

Where the words leave the half of the day open (三点半) both readings are kept: nothing is guessed. Bounds and
vague times (三点多, 七点以后) say nothing.
"""

import re
from collections.abc import Container, Sequence
from typing import Final

from server.reconcile.narrative.claim import Claim, Kind
from server.reconcile.narrative.clauses import Clause, around, index_at
from server.reconcile.narrative.numerals import read_whole
from server.reconcile.narrative.voices import RELATIVES
from server.reconcile.narrative.words import WORDS, finder, pattern

_CN = r"[零〇一二两三四五六七八九十廿\d]"
_PART = pattern(word for words in WORDS["dayparts"].values() for word in words)
_COLON = r"(?P<ch>\d{1,2}):(?P<cm>\d{2})(?::\d{2})?(?![\d:])"
# Four digits are a time only right before a verb of coming or going, and not behind one of paying.
_BARE = (
    r"(?<![\d.,:还付给欠打转存缴交拿出凑收减])(?P<bh>[01]\d|2[0-3])(?P<bm>[0-5]\d)"
    r"(?=到(?!账|帐|位|手|期|付|我|卡)|抵达|离开|离场|撤|走(?!账|帐))"
)
_MINUTE = (
    rf"半|一刻|三刻|整|钟|过?[零〇]?{_CN}{{1,3}}分|过{_CN}{{1,3}}分?|[零〇]{_CN}分?"
    r"|(?:[一二三四五]?十|廿)[一二三四五六七八九]?分?|\d{2}分?"
)
_SHORT = rf"差(?P<short>一刻|{_CN}{{1,2}}分)"
_SPOKEN = rf"(?P<h>{_CN}{{1,3}})(?:点|(?P<clock>时)(?!间|候|常))(?:{_SHORT}|(?P<m>{_MINUTE}))?(?P<about>许)?"
_TIME: Final = re.compile(
    rf"(?P<part>{_PART})?\s*(?:(?<!\d)(?<!\d:)(?:{_COLON})|{_BARE}|(?<![{_CN[1:-1]}第差])(?:{_SPOKEN}))"
)
_VAGUE_AFTER: Final = re.compile(r"多|不到|以?之?前|以?之?后|过后|来钟|几分")
_VAGUE_BEFORE: Final = re.compile(r"(?:不到|将近|快|近|过了|早于|晚于)$")
_ABOUT_AFTER: Final = re.compile(r"左右|上下|前后|许")
_ABOUT_BEFORE: Final = re.compile(r"(?:约|大约|大概)$")
_LONE_AFTER: Final = re.compile(r"\s*(?:到|离|走|左右|钟|上门|出发|抵达|才|来|结束|返|撤|出来|一次)")
_LONE_BEFORE: Final = re.compile(r"(?:约|在|于|到|至|从|差不多|大概)$")
_STAYED: Final = re.compile(r"(?:聊|谈|待|呆|坐|持续|沟通|守|说话?)(?:一直)?了?(?:到|至)$")
_SOMEBODY: Final = f"(?:{pattern(WORDS['debtor']['words'])}|{RELATIVES.pattern}|[他她](?![家们]))"
_THEY_BEFORE: Final = re.compile(rf"{_SOMEBODY}(?:[说称讲约于在是就才]|大概|大约|今天|昨天)*\s*$")
_THEY_AFTER: Final = re.compile(rf"\s*(?:左右|许|时)?{_SOMEBODY}")
_UNTIL: Final = re.compile(r"(?:直到|等到|待到)$")
_THEN_LEFT: Final = re.compile(
    r"\s*[才就便]?(?:离开|离场|离去|撤|返|告辞|结束|走(?!到|进)|回(?!来)|收工|收队)"
)
_RANGE: Final = re.compile(r"\s*(?:[-—~～–]+|至|到)\s*")
_ONLY_DATE: Final = re.compile(r"(?:[\s\d年月日号/.:-]|今日|今天|本日|周[一二三四五六日]|时间[为是]?)*")
_HEADS: Final = re.compile(r"(?:^|\s)(?:外访|走访|上门|到访)?(?:时间|日期)$")
MIDDAY: Final = 12
NEAR: Final = 12  # how many characters before a time may say that it is not the visit's
VISIT_KINDS: Final[tuple[Kind, ...]] = ("arrived", "left")


def times_in(text: str, clauses: Sequence[Clause], taken: Container[int]) -> tuple[Claim, ...]:
    """Find the clock times outside what is taken already, each with its part in the visit."""
    found = [match for match in _TIME.finditer(text) if _digits(match) not in taken]
    read = [(match, value) for match in found if (value := _value(text, match))]
    matches = [match for match, _ in read]
    claims: list[Claim] = []
    for place, (match, value) in enumerate(read):
        partner = _range_partner(text, matches, place)
        kind = partner or _part_in_visit(text, match, clauses)
        if kind is None:
            continue
        about = (
            match["about"]
            or _ABOUT_AFTER.match(text, match.end())
            or _ABOUT_BEFORE.search(around(text, *match.span())[0])
        )
        start = match.start() + len(match.group()) - len(match.group().lstrip())
        claims.append(Claim(kind, value, start, match.end(), is_approximate=bool(about)))
    return tuple(claims)


def _digits(match: re.Match[str]) -> int:
    """Where the hour stands: 今晚7点 shares its 今晚 with the day."""
    return next(match.start(group) for group in ("ch", "bh", "h") if match[group])


def _value(text: str, match: re.Match[str]) -> str | None:
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
            spoken <= MIDDAY and not (match["clock"] and match["h"].isdecimal() and spoken >= 10),
        )
        if minute < 0:
            hour, minute = hour - 1, minute + 60
        is_bare = not (match["part"] or match["m"] or match["short"])
        if is_bare and hour < 3 and not (_LONE_AFTER.match(after) or _LONE_BEFORE.search(before)):
            return None  # 一点, 两点: a little, two points
    if hour > 24 or minute > 59:
        return None
    return _reading(hour, minute, match["part"], is_open=is_open)


def _minute(match: re.Match[str]) -> int | None:
    if match["short"]:
        late = match["short"].removesuffix("分")
        short = 15 if late == "一刻" else read_whole(late)
        return None if short is None else -short
    said = match["m"]
    fixed = {None: 0, "整": 0, "钟": 0, "半": 30, "一刻": 15, "三刻": 45}
    if said in fixed:
        return fixed[said]
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


def _range_partner(text: str, times: Sequence[re.Match[str]], place: int) -> Kind | None:
    """Whether a time opens or closes a span of two: 14:10-14:50."""
    if place + 1 < len(times) and _RANGE.fullmatch(text, times[place].end(), times[place + 1].start()):
        return "arrived"
    if place > 0 and _RANGE.fullmatch(text, times[place - 1].end(), times[place].start()):
        return "left"
    return None


def _part_in_visit(text: str, match: re.Match[str], clauses: Sequence[Clause]) -> Kind | None:
    place = index_at(clauses, _digits(match))
    if place is None:
        return None
    clause = clauses[place]
    before, after = text[clause.start : match.start()], text[match.end() : clause.end]
    if _UNTIL.search(before) and _THEN_LEFT.match(after):
        return "left"
    if _STAYED.search(before):
        return "left"
    if (
        finder("visit_times", "not_of_the_visit").search(before[-NEAR:])
        or _THEY_BEFORE.search(before)
        or _THEY_AFTER.match(after)
    ):
        return "time"
    ahead, behind = _role(after, is_first=True), _role(before, is_first=False)
    if ahead and behind:
        return min(ahead, behind, key=lambda one: one[0])[1]
    if told := ahead or behind:
        return told[1]
    is_headed = place > 0 and text[clause.start - 1] == ":"  # 到达时间：14:20
    if is_headed and (told := _role(clauses[place - 1].text[-6:], is_first=False)):
        return told[1]
    if not after.strip() and _ONLY_DATE.fullmatch(before.strip()) and place + 1 < len(clauses):
        following = clauses[place + 1]
        if following.sentence == clause.sentence and (told := _role(following.text, is_first=True)):
            return told[1]
    if (
        _ONLY_DATE.fullmatch(before.strip())
        and not after.strip()
        and place
        and clauses[place - 1].sentence == clause.sentence
    ):
        told = _role(clauses[place - 1].text[-6:], is_first=False)
        return told[1] if told else "time"
    is_alone = (
        (place == 0 or (is_headed and _HEADS.search(clauses[place - 1].text)))
        and not after.strip()
        and _ONLY_DATE.fullmatch(before.strip())
    )
    return "arrived" if is_alone else "time"  # an account that opens with a time opens with the arrival


def _role(words: str, *, is_first: bool) -> tuple[int, Kind] | None:
    """Which verb of coming or going stands nearest, and how far away?"""
    hidden = finder("visit_times", "neither").sub(lambda one: "□" * len(one.group()), words)
    if finder("visit_times", "not_of_the_visit").search(words[:6] if is_first else words):
        return 0, "time"
    found: list[tuple[int, Kind]] = []
    for kind in VISIT_KINDS:
        for one in finder("visit_times", kind).finditer(hidden):
            found.append((one.start() if is_first else len(words) - one.end(), kind))
    return min(found, default=None)

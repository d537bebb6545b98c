"""Which clock times does a text name, and which of them are the arrival and the departure?

Where the words leave the half of the day open (三点半) both readings are kept: nothing is guessed. Bounds and
vague times (三点多, 七点以后) say nothing.
"""

import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import replace
from typing import Final

from server.reconcile.narrative.cast import RELATIVES
from server.reconcile.narrative.claim import Claim, Kind
from server.reconcile.narrative.clauses import Clause, around, index_at
from server.reconcile.narrative.numerals import read_whole
from server.reconcile.narrative.words import WORDS, finder, pattern

_CN = r"[零〇一二两三四五六七八九十廿\d]"
_PART = pattern(word for words in WORDS["dayparts"].values() for word in words)
_COLON = r"(?P<ch>\d{1,2}):(?P<cm>\d{2})(?::\d{2})?(?![\d:])"
# Four digits are a time only right before a verb of coming or going, and not behind one of paying.
_BARE = (
    r"(?<![\d.,:还付给欠打转存缴交拿出凑收减])(?P<bh>[01]\d|2[0-3])(?P<bm>[0-5]\d)"
    r"(?:(?=到(?!账|帐|位|手|期|付|我|卡)|抵|离|撤|走(?!账|帐)|进[村门屋楼院小]|出[村门屋楼院小]|下楼|上门|返|收队"
    r"|\s*[-—~～–至]+\s*(?:[01]\d|2[0-3])[0-5]\d(?!\d))"
    r"|(?<=[到离撤抵走]....)|(?<=[到离撤抵走]:....)|(?<=[到离撤抵走开达]：....)|(?<=\d[-—~～–至]....))(?![\d.元块万千百年米步])"
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
_VAGUE_AFTER: Final = re.compile(r"多|不到|以?之?前|以?之?后|过后|几分")
_VAGUE_BEFORE: Final = re.compile(r"(?:不到|将近|快|近|过了|早于|晚于)$")
_ABOUT_AFTER: Final = re.compile(r"来钟|左右|上下|前后|许")
_ABOUT_BEFORE: Final = re.compile(r"(?:约|大约|大概)$")
_LONE_AFTER: Final = re.compile(r"\s*(?:到|离|走|左右|钟|上门|出发|抵达|才|来|结束|返|撤|出来|一次)")
_LONE_BEFORE: Final = re.compile(r"(?:约|在|于|到|至|从|差不多|大概)$")
_STAYED: Final = re.compile(r"(?:聊|谈|待|呆|坐|持续|沟通|守|说话?)(?:一直)?了?(?:到|至)$")
_SOMEBODY: Final = (finder("debtor"), RELATIVES, re.compile("[他她](?![家们])|顾客|客人|有人|对方|大家"))
_LONGEST_NAME: Final = 10
_TO_TIME: Final = re.compile(r"(?:[说称讲约于在是就才]|大概|大约|今天|昨天)*\s*$")
_FROM_TIME: Final = re.compile(r"\s*(?:左右|许|时)?")
_ACTED_ON: Final = tuple("逼问跟给对和让叫劝骂把被等送催陪")
_UNTIL: Final = re.compile(r"(?:直到|等到|待到)$")
_THEN_LEFT: Final = re.compile(
    r"\s*[才就便]?(?:离开|离场|离去|撤|返|告辞|结束|走(?!到|进)|回(?!来)|收工|收队)"
)
_WE_LEAVE: Final = re.compile(
    "[^，。；！？\n\\d]{0,14}[，,]我们?(?:就|也|便|只好|才|都)?(?:走|离开|撤|告辞|离去|返回|下楼|回)"
)
_AGAIN: Final = re.compile("[^，。]{0,6}?(?:一次|再|又|第[一二三四]|才找|找着楼|找着门)")
_TALKED: Final = re.compile("(?:左右|许)?[^，。]{0,3}?(?:谈|聊|说|讲|访谈|谈话)(?:完|毕|罢|结束)")
_RANGE: Final = re.compile(r"\s*(?:[-—~～–]+\s*|至\s*|到)")
_ONLY_DATE: Final = re.compile(
    r"(?:[\s\d年月日号/.:-]|今日|今天|本日|[首初复次一二三再回]访|第[一二三][次访]|visit|周[一二三四五六日]"
    r"|时间[为是]?|[：:])*"
)
_HEADS: Final = re.compile(r"(?:^|\s)(?:外访|走访|上门|到访)?(?:时间|日期)$")
MIDDAY: Final = 12
NEAR: Final = 12  # how many characters before a time may say that it is not the visit's
NEAR_AHEAD: Final = 16  # and how many behind it


def times_in(text: str, clauses: Sequence[Clause], taken: Container[int]) -> tuple[Claim, ...]:
    """Find the clock times outside what is taken already, each with its part in the visit."""
    found = [match for match in _TIME.finditer(text) if _digits(match) not in taken]
    read = [(match, value) for match in found if (value := _value(text, match))]
    matches = [match for match, _ in read]
    claims: list[Claim] = []
    lone: set[int] = set()
    for place, (match, value) in enumerate(read):
        partner = _range_partner(text, matches, place)
        kind = partner or _part_in_visit(text, match, clauses)
        if kind == "time" and _WE_LEAVE.match(text, match.end()):
            kind = "left"  # 17:40他关了门，我走
        if kind is None:
            continue
        about = (
            match["about"]
            or _ABOUT_AFTER.match(text, match.end())
            or _ABOUT_BEFORE.search(around(text, *match.span())[0])
        )
        start = match.start() + len(match.group()) - len(match.group().lstrip())
        claims.append(Claim(kind, value, start, match.end(), is_approximate=bool(about)))
        if _stands_alone(text, match, clauses):
            lone.add(start)
    return tuple(_in_order(text, claims, lone))


def _in_order(text: str, claims: Sequence[Claim], lone: set[int]) -> Iterator[Claim]:
    """Nobody arrives or leaves twice without coming again; a first time that stands alone is the arrival.

    14:20到村口，14:26找到他: the second only tells of the visit. 14:31谈完，14:37出小区: so does the first.
    """
    parts = [place for place, one in enumerate(claims) if one.kind != "time"]
    last_left = max((place for place in parts if claims[place].kind == "left"), default=-1)
    is_unsaid = not parts or claims[parts[0]].kind == "left"
    last: Kind | None = None
    for place, one in enumerate(claims):
        kind = one.kind
        is_lone = kind == "time" and one.start in lone
        if is_lone and place == len(claims) - 1 and not text[one.end :].strip(" 。.！"):
            kind = "left"  # what an account ends with
        elif is_lone and is_unsaid and last is None:
            kind = "arrived"
        elif (kind == "arrived" and last == "arrived" and not _AGAIN.match(text, one.end)) or (
            kind == "left" and place < last_left and _TALKED.match(text, one.end)
        ):
            kind = "time"
        last = last if kind == "time" else kind
        yield one if kind == one.kind else replace(one, kind=kind)


def _stands_alone(text: str, match: re.Match[str], clauses: Sequence[Clause]) -> bool:
    """Whether a time is all that its clause says, but for a day."""
    place = index_at(clauses, _digits(match))
    if place is None:
        return False
    clause = clauses[place]
    before, after = text[clause.start : match.start()], text[match.end() : clause.end]
    return not after.strip() and _ONLY_DATE.fullmatch(before.strip()) is not None


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
    if finder("visit_times", "not_of_the_visit").search(before[-NEAR:]) or _is_theirs(before, after):
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


def _is_theirs(before: str, after: str) -> bool:
    """Whether somebody else's name stands right before or right behind a time: 债务人14:20."""
    to = _TO_TIME.search(before)
    end = to.start() if to else len(before)
    begun = _FROM_TIME.match(after)
    return any(
        (begun is not None and who.match(after, begun.end()) is not None)
        or any(
            one.end() == end and not before[: one.start()].endswith(_ACTED_ON)
            for one in who.finditer(before, max(0, end - _LONGEST_NAME), end)
        )
        for who in _SOMEBODY
    )


def _role(words: str, *, is_first: bool) -> tuple[int, Kind] | None:
    """Which verb stands nearest, and how far away: one of coming or going, or one that is not the visit's?"""
    words = words[:NEAR_AHEAD] if is_first else words[-NEAR:]
    hidden = finder("visit_times", "neither").sub(lambda one: "□" * len(one.group()), words)
    verbs: tuple[tuple[Kind, str, str], ...] = (
        ("arrived", "arrived", hidden),
        ("left", "left", hidden),
        ("time", "not_of_the_visit", words),
    )
    found: list[tuple[int, Kind]] = [
        (one.start() if is_first else len(words) - one.end(), kind)
        for kind, key, searched in verbs
        for one in finder("visit_times", key).finditer(searched)
    ]
    return min(found, default=None, key=lambda one: one[0])

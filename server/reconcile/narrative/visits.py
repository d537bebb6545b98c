"""Which of the clock times of a text is the arrival, which the departure, and which neither?

The verb that stands nearest says it, unless somebody else is its subject or somebody tells of another day.
Where no arrival is told, the first time of the visit is: 14:30按门铃, 16:00，债务人家.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from server.reconcile.narrative.cast import RELATIVES
from server.reconcile.narrative.claim import Claim, Kind
from server.reconcile.narrative.clauses import Clause, index_at
from server.reconcile.narrative.voices import is_possessed
from server.reconcile.narrative.words import WORDS, finder, pattern

_DEBTOR: Final = finder("debtor")
_SOMEBODY: Final = (
    RELATIVES,
    re.compile(
        "[他她](?![家们])|顾客|客人|有人|对方|大家|警察|民警|保安|(?:业主|户主|男|女|老板|[老大小](?:爷|妈|叔|婶|姐|哥|板))(?=[^，。；]{0,2}[才就刚从把开出进下走回])"
    ),
)
_LONGEST_NAME: Final = 10
_TO_TIME: Final = re.compile(r"(?:[说称讲约于在是就才]|大概|大约|今天|昨天|每天|一般|平时|都)*\s*$")
_FROM_TIME: Final = re.compile(r"\s*(?:左右|许|时|多|[才就又再刚])*")
_ACTED_ON: Final = tuple("逼问跟给对和让叫劝骂把被等送催陪")
# What somebody says, asks or agrees, right before a time: of another day, of somebody else.
_TOLD: Final = re.compile(
    r"(?<![我们多没不再来话听细小])(?:说(?![完好了过着到话的])|讲(?![完好了过着到话的])|[称答]|告诉我们?|反映|表示|回忆)[^，\s]{0,6}$"
    r"|(?:让|叫|要|请|约|喊|劝|求)(?:我们?|咱们?|俩|你们?|其|他|她)[^，后完说也没就\s]{0,6}$"
    r"|(?:计划|原本|本来|本应|原定|预定|定于)[^，\s]{0,4}$"
    r"|(?:上门|到达?|来|去|出发|外访)之?前\s*$"
    r"|(?:明[天日早晚儿]|后[天日]|大后天|改天|下周.?|下个?月|下次|下回|每[天日周晚]|平时|平常|通常|[一惯]般|往常|昨[天日晚]|前[天日晚]|白天)[^，\s]{0,6}$"
)
_UNTIL: Final = re.compile(r"(?:直到|等到|待到|拖到|坐到|守到|一直到|耗到)$")
_THEN_LEFT: Final = re.compile(
    r"\s*(?:左右|许)?[才就便仍]?(?:离开|离场|离去|撤|返|告辞|结束|走(?!到|进)|回(?!来|得|家)|收工|收队|散|出来|作罢|放弃)"
)
_STAYED: Final = re.compile(
    r"(?:聊|谈|待|呆|持续|沟通|说话?|讲|磨|劝|耗|僵持)(?:一直)?了?(?:到|至)(?:了|差不多|快)?$|从[^，。]{2,12}[坐守站等]到$"
)
# 到 right before a time, behind somebody or something else: 债务人到14:35才来, 车堵到三点.
_TILL: Final = re.compile(r"(?:^|[^，]*?)(?P<what>[^，\s])(?:到了?|至)\s*$")
_REACHES: Final = re.compile(r"[赶抵来走开骑找摸行上回送达场们我俩才刚又再晚先后也前时间\d\s]")
_WE_LEAVE: Final = re.compile(
    "[^，。；！？\n\\d]{0,14}[，,]我们?(?:就|也|便|只好|才|都)?(?:走|离开|撤|告辞|离去|返回|下楼|回)"
)
_AGAIN: Final = re.compile("[^，。]{0,6}?(?:一次|再|又|第[一二三四]|才找|找着楼|找着门|抵|转到|上门)")
_TALKED: Final = re.compile("(?:左右|许)?[^，。]{0,3}?(?:谈|聊|说|讲|访谈|谈话)(?:完|毕|罢|结束)")
_SETS_OUT: Final = re.compile("(?:左右|许)?(?:就|才)?(?:从[^，。]{1,6})?(?:出门|动身|启程|出发)")
_RANGE: Final = re.compile(r"\s*(?:[-—~～–]+\s*|至\s*|到)")
_NTH: Final = r"第[一二三四五\d](?:[次趟回处站访家户])|visit ?\d|[首初次复二三末再回]访"
_NTH_VISIT: Final = re.compile(rf"(?:{_NTH})(?:去|来|上门)?[是为]?[^，\d]{{0,2}}$")
_ONLY_DATE: Final = re.compile(
    rf"(?:[\s\d年月日号/.:-]|今[日天儿]个?|本日|当[天日]|次日|隔[天日]|{_NTH}|visit|周[一二三四五六日]|(?:是|去是|于|约|大概|大约|差不多)"
    r"|时间[为是]?|[：:]|我们?|俩|所以)*"
)
_HEADS: Final = re.compile(r"(?:^|\s)(?:外访|走访|上门|到访|面谈|拜访|家访)?(?:时间|日期)$")
_WHOLE: Final = re.compile(r"\s*(?:整|左右|许|钟|准时|前后)*\s*")
_WE: Final = (
    r"(?:我们?|俩|两人|一行|[和跟与][^，]{1,4}|一[起同]|准时|先|就|独自|单独|刚"
    r"|赶在[^，]{2,6}|趁[^，]{2,8})*"
)
_ONSET: Final = re.compile(rf"\s*(?:整|左右|许|钟|分)*{_WE}(?:{pattern(WORDS['visit_times']['onset'])})")
_PLACE_ONLY: Final = re.compile(
    r"\s*(?:在)?[^，到走离去来说讲打开给问要让叫有接约回班赶坐站等没不]{1,14}(?:家中?|屋里?|租房|店里?|铺子?|厂里?|场|馆|楼下?|栋|村口?|部|小区|单元|室|摊位?|院|公司|单位|住?处|地?址|夜市|工地|门口)\s*$"
)
_CLOCK: Final = re.compile(r"\d{1,2}:\d\d|(?<!\d)[012]\d[0-5]\d(?!\d)|[\d一二三四五六七八九十]{1,3}点")
_ALONE: Final = re.compile(r"\s*\d{1,2}:\d\d\s*")
_QUOTES: Final = re.compile("(?:短信|微信|消息|语音|[说讲称答道]|回复|表示|原话)\\s*$")
_VISIT_BEGAN: Final = re.compile(
    "(?:债务人|持卡人|欠款人|客户|本人|CH|[他她人父母妻婆])[^，。；\n]{0,4}(?:说|讲|称|骂|答|问|嫌|喊|道)"
    "|(?:债务人|持卡人|欠款人|客户|本人|CH)(?:开|答|看|不|拒|承|确|一|很|也|没|接|签|在家|态度)|开门|应门|未开|无应答"
)
_BEFORE_THE_VISIT: Final = finder("visit_times", "before_the_visit")
SHORT: Final = 3  # characters between two times: 到1401离1422
NEAR: Final = 12  # how many characters before a time may say that it is not the visit's
NEAR_AHEAD: Final = 16  # and how many behind it


def range_partner(text: str, times: Sequence[re.Match[str]], place: int) -> Kind | None:
    """Whether a time opens or closes a span of two: 14:10-14:50."""
    if place + 1 < len(times) and _is_range(text, times[place], times[place + 1]):
        return "arrived"
    if place > 0 and _is_range(text, times[place - 1], times[place]):
        return "left"
    return None


def _is_range(text: str, one: re.Match[str], following: re.Match[str]) -> bool:
    return (
        _RANGE.fullmatch(text, one.end(), following.start()) is not None
        and not following.group()[0].isspace()  # 16:25到 16:28按门铃
        and not text.endswith(("等到", "坐到"), 0, following.start())
    )


def part_in_visit(text: str, match: re.Match[str], digits: int, clauses: Sequence[Clause]) -> Kind | None:
    """Return what a time is in the visit, by its words; None between clauses. `digits`: where its hour is."""
    place = index_at(clauses, digits)
    if place is None:
        return None
    clause = clauses[place]
    if clause.is_question and not _CLOCK.search(text, match.end(), clause.end):
        return "time"
    part = _by_words(text, match, place, clauses)
    is_waited = _UNTIL.search(text, clause.start, match.start()) is not None
    # 17:40他关了门，我走
    return "left" if part == "time" and not is_waited and _WE_LEAVE.match(text, match.end()) else part


def _by_words(text: str, match: re.Match[str], place: int, clauses: Sequence[Clause]) -> Kind:
    clause = clauses[place]
    before, after = text[clause.start : match.start()], text[match.end() : clause.end]
    earlier = clauses[place - 1] if place else None
    if earlier and earlier.sentence == clause.sentence and _ALONE.fullmatch(earlier.text):
        before = before if len(before.strip()) > SHORT else ""  # 10:20 到 10:45 走
    if clause.is_quoted or (earlier and text[clause.start - 1] in ":：" and _QUOTES.search(earlier.text)):
        return "time"  # 债务人短信：我下午5点到家
    if _STAYED.search(before):
        return "left"
    if _UNTIL.search(before):
        return "left" if _THEN_LEFT.match(after) else "time"
    if finder("visit_times", "not_of_the_visit").search(before[-NEAR:]) or _is_theirs(before, after):
        return "time"
    if _TOLD.search(before) or _is_till(before, after) or _is_waited_for(after, place, clauses):
        return "time"
    if told := _nearest(before, after):
        return told
    told = _role_of_neighbours(text, before, after, place, clauses)
    if told is None and _NTH_VISIT.search(before):
        told = "arrived"
    return told or "time"


def _is_waited_for(after: str, place: int, clauses: Sequence[Clause]) -> bool:
    """Whether somebody who was named right before comes late: 12:20她发消息，12:50才到."""
    if not after.lstrip().startswith("才") or place == 0:
        return False
    earlier = clauses[place - 1]
    is_ours = finder("us").search(earlier.text) is not None
    return (
        earlier.sentence == clauses[place].sentence
        and not is_ours
        and any(who.search(earlier.text, 0, NEAR) for who in (_DEBTOR, *_SOMEBODY))
    )


def _nearest(before: str, after: str) -> Kind | None:
    """Return what the nearer of the verbs before and behind a time says, up to the next time."""
    before, (after, *later) = _CLOCK.split(before)[-1], _CLOCK.split(after)
    ahead, behind = _role(after, is_first=True), _role(before, is_first=False)
    if ahead and behind and ahead[0] == behind[0] == 0 and later and len(after) <= SHORT:
        return behind[1]  # 到1401离1422
    if ahead and behind:
        return min(ahead, behind, key=lambda one: one[0])[1]
    told = ahead or behind
    return told[1] if told else None


def _role_of_neighbours(
    text: str, before: str, after: str, place: int, clauses: Sequence[Clause]
) -> Kind | None:
    """Return what the clauses around say of a time that is all that its own clause says; else None."""
    clause = clauses[place]
    earlier = clauses[place - 1] if place else None
    is_headed = earlier is not None and text[clause.start - 1] in ":："  # 到达时间：14:20
    if is_headed and earlier and (told := _role(earlier.text[-6:], is_first=False)):
        return told[1]
    if not (_WHOLE.fullmatch(after) and _ONLY_DATE.fullmatch(before.strip())):
        return None
    following = clauses[place + 1] if place + 1 < len(clauses) else None
    goes_on = following if following and following.sentence == clause.sentence else None
    if goes_on and not _is_theirs("", goes_on.text) and (told := _role(goes_on.text, is_first=True)):
        return told[1]
    if earlier and earlier.sentence == clause.sentence:
        told = _role(earlier.text[-6:], is_first=False)
        return told[1] if told else "time"
    if earlier is None or (is_headed and _HEADS.search(earlier.text)):
        return "arrived"  # an account that opens with a time opens with the arrival
    return None


def _is_till(before: str, after: str) -> bool:
    """Whether a time only says until when somebody or something else took: 车堵到三点."""
    till = _TILL.search(before)
    if till is None or after.startswith(("为止", "止", "结束")):
        return False
    return not _REACHES.match(till["what"]) or _is_theirs(before[: till.end("what")], "")


def _is_theirs(before: str, after: str) -> bool:
    """Whether somebody else's name stands right before or right behind a time: 债务人14:20."""
    to = _TO_TIME.search(before)
    end = to.start() if to else len(before)
    begun = _FROM_TIME.match(after)
    at = begun.end() if begun else 0
    debtor = _DEBTOR.match(after, at)
    if debtor and not is_possessed(after[debtor.end() :]):
        return True
    return any(who.match(after, at) is not None for who in _SOMEBODY) or any(
        one.end() == end and not before[: one.start()].endswith(_ACTED_ON)
        for who in (_DEBTOR, *_SOMEBODY)
        for one in who.finditer(before, max(0, end - _LONGEST_NAME), end)
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


def begins(text: str) -> int:
    """Return where a text first tells of what happened in the visit."""
    begun = _VISIT_BEGAN.search(text)
    return begun.end() if begun else len(text)


def opens(text: str, match: re.Match[str], digits: int, clauses: Sequence[Clause], *, begun: int) -> str:
    """Return how a time opens its clause: `alone`, with what a visit begins with (`onset`), or neither.

    `begun`: where the visit is told of already.
    """
    place = index_at(clauses, digits)
    if place is None:
        return ""
    clause = clauses[place]
    before, after = text[clause.start : match.start()], text[match.end() : clause.end]
    if not _ONLY_DATE.fullmatch(before.strip()):
        return ""
    if _WHOLE.fullmatch(after):
        return "alone"
    is_early = clause.start <= begun
    return "onset" if is_early and (_ONSET.match(after) or _PLACE_ONLY.match(after)) else ""


def in_order(text: str, claims: Sequence[Claim], how: dict[int, str]) -> Iterator[Claim]:
    """Nobody arrives or leaves twice without coming again; the first time that opens a visit is the arrival.

    14:20到村口，14:26找到他: the second only tells of the visit. 14:31谈完，14:37出小区: so does the first.
    `how` a time opens its clause, by its place.
    """
    parts = [place for place, one in enumerate(claims) if one.kind != "time"]
    last_left = max((place for place in parts if claims[place].kind == "left"), default=-1)
    last_come = max((place for place in parts if claims[place].kind == "arrived"), default=-1)
    is_unsaid = not parts or claims[parts[0]].kind == "left"
    last: Kind | None = None
    is_visit = False  # whether a time of the visit was there already
    for place, one in enumerate(claims):
        kind = one.kind
        way = how.get(one.start, "") if kind == "time" else ""
        is_before = kind == "time" and _is_before_the_visit(text, one)
        if way == "alone" and place == len(claims) - 1 and not text[one.end :].strip(" 。.！"):
            kind = "left"  # what an account ends with
        elif way and is_unsaid and last is None and not is_before and (way == "alone" or not is_visit):
            kind = "arrived"
        elif (kind == "arrived" and last == "arrived" and not _AGAIN.match(text, one.end)) or (
            kind == "left"
            and _is_no_leaving(
                text, one, is_last=place >= last_left, is_way=last is None and place < last_come
            )
        ):
            kind = "time"
        is_visit = is_visit or not is_before
        last = last if kind == "time" else kind
        yield one if kind == one.kind else replace(one, kind=kind)


def _is_no_leaving(text: str, one: Claim, *, is_last: bool, is_way: bool) -> bool:
    """Whether somebody only ends a talk (14:31谈完，14:37走), or leaves for the visit (9:00出门，10:00到)."""
    if _TALKED.match(text, one.end):
        return not is_last
    return is_way and _SETS_OUT.match(text, one.end) is not None


def _is_before_the_visit(text: str, one: Claim) -> bool:
    """Whether a time is one of the way there, or of a call before it: 8:50出发."""
    around = text[max(0, one.start - 6) : one.start] + "□" + text[one.end : one.end + 10]
    return _BEFORE_THE_VISIT.search(re.split("[，。；]", around.split("□")[1])[0]) is not None or (
        _BEFORE_THE_VISIT.search(re.split("[，。；]", around.split("□")[0])[-1]) is not None
    )

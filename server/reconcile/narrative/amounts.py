"""Which sums of money does a text name?

A sum has a unit, or stands in a clause that speaks of money. Open ones (几百, 五千多, 一两千) say nothing.
"""

import re
from collections.abc import Container, Sequence
from decimal import Decimal
from typing import Final

from server.reconcile.narrative.claim import Claim
from server.reconcile.narrative.clauses import Clause, around, index_at
from server.reconcile.narrative.numerals import DIGIT, NUMERAL, UNITS, read_number, read_whole
from server.reconcile.narrative.words import finder

# 三块五 is 3.50 where nothing else begins with the five: 五千块一定到账, 三块五个.
_TENTH = rf"(?P<tenth>[1-9]|{DIGIT})(?:[毛角]|(?=钱|的|\s|$|[，。；、！？：,.;!?:”」）)]))"
SUM: Final = re.compile(
    rf"(?:(?P<sign>[¥$]|人民币|RMB|rmb)\s*)?(?P<number>{NUMERAL})\s*"
    rf"(?P<unit>元整?|块钱|圆整?|块(?:{_TENTH})?|蚊|(?P<tenths>[毛角])钱?)?"
)
_OPEN_BEFORE: Final = re.compile(r"(?:几|好几|近|将近|快|不到|超过|多达|至少|好|第)$")
_OPEN_AFTER: Final = re.compile(
    r"\s*(?:多|余|来(?=[元块万千百钱号字个蚊岁人天年斤户里次趟]|的样子|左右)|几|好几|出头|以上|上下不等|不到)"
)
_SPAN_BEFORE: Final = re.compile(rf"{NUMERAL}(?:元|块)?(?:到|至|[-~～—]+)$")
_SPAN_AFTER: Final = re.compile(rf"、\d{{1,2}}[号日]|(?:到|至|[-~～—]+){NUMERAL}(?!\s*[:月日号点时])")
_LITTLE_ELSE: Final = re.compile(r"[先再各就给前\s]|之前|左右")
_ABOUT: Final = re.compile(r"(?:约|大约|大概|差不多)$")
_ABOUT_AFTER: Final = re.compile(r"左右|上下")
_COUNTED: Final = re.compile(
    r"\s*(?:次|句|遍|路|班|住|门|楼|房(?![租贷钱款])|的[小大男女老]|趟|天|日|号|月|年|个|分|点|时|刻|秒|人|岁|期|楼|室|单元|栋|幢|层|%|成|张|封|份|页|户|米|公里|位|名|家|笔|声|步|位|条|项|级|折|半|口|回(?![来去家款])|场|旁|边|起|样|些|下(?!个?月|个?周|个?礼拜|个?星期|次|半年)|直|定|般|致|律|再|旦|同|共|切|方|倍|度|辆|件|套|间|排|号楼|假期|长假|国庆|黄金周|[a-zA-Z/]|:\\d)"
)
_NOT_ONE: Final = re.compile("钱?(?:都|也|不|没)")
_HOTLINE: Final = re.compile("11[0-9]|12[0-2]|123\\d\\d|955\\d\\d|100\\d\\d")
_CALLED: Final = re.compile("[报打拨](?:了|过|打|通)?$")  # 报了110
_WIDE_COMMA: Final = re.compile(r"(?<!\d)\d{1,3}(?:，\d{3})+(?=元|块|\.\d\d(?!\d))")
_BIG = "[百千万]"
_A = "一(?=个?(?:月|礼拜|星期|季度)|[年天次回趟斤亩只双对车头桌晚]|期(?!限)|公斤)"
_EACH: Final = re.compile(
    "|".join(f"(?<={told}){_A}" for told in (_BIG, _BIG + DIGIT, f"{_BIG}{DIGIT}十{DIGIT}"))
)
_WRITTEN: Final = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d{3,}\.\d\d")
_FIGURE: Final = re.compile(r"[1-9]\d{2,5}")
_NAME_OF: Final = re.compile(
    "[号栋幢座室房楼第区路道层编码卡尾a-zA-Z./-]$|尾号.{0,3}$|编号.{0,3}$|电话.{0,3}$|门牌.{0,2}$"
)
MOST_DIGITS: Final = 9
CLEAR: Final = 4  # digits of a number that is a sum also beside another sentence that speaks of money
BESIDE: Final = 3  # clauses
NEAR: Final = 8  # how many clauses away a word of money may stand


def amounts_in(text: str, clauses: Sequence[Clause], taken: Container[int]) -> tuple[Claim, ...]:
    """Find the sums outside what is taken already (days, times)."""
    claims = []
    for match in SUM.finditer(even("".join("□" if at in taken else char for at, char in enumerate(text)))):
        place = index_at(clauses, match.start("number"))
        if place is None or not _is_money(text, match, place, clauses, taken):
            continue
        fen = in_fen(match)
        if fen is None:
            continue
        end = match.end() if match["unit"] else match.end("number")
        start = match.start() if match["sign"] else match.start("number")
        claims.append(Claim("amount", fen, start, end, is_approximate=is_about(text, match)))
    return tuple(claims)


def in_fen(match: re.Match[str]) -> str | None:
    """Return a match of `SUM` in fen; None unless it is a sum of whole fen that somebody may owe."""
    value = read_number(match["number"])
    if value is None:
        return None
    fen = value * (10 if match["tenths"] else 100) + 10 * (read_whole(match["tenth"] or "零") or 0)
    if fen <= 0 or fen != fen.to_integral_value() or fen >= Decimal(10) ** 13:
        return None
    return str(int(fen))


def even(text: str) -> str:
    """Return a text whose sums are written alike: 8，700元 is 8,700元, 三百一个月 ends before 一个月."""
    text = _WIDE_COMMA.sub(lambda one: one.group().replace("，", ","), text)
    return _EACH.sub("□", text)


def is_about(text: str, match: re.Match[str]) -> bool:
    """Whether a match of `SUM` is told as near: 大概三千, 三千左右."""
    before, _ = around(text, *match.span())
    return _ABOUT.search(before) is not None or _ABOUT_AFTER.match(text, match.end()) is not None


def _is_open(text: str, match: re.Match[str]) -> bool:
    """Whether a match of `SUM` is a bound, a guess or one end of a span: 两千多, 将近三万, 三百到五百."""
    before, after = around(text, *match.span())
    is_vague = _OPEN_BEFORE.search(before) or _OPEN_AFTER.match(after)
    return is_vague is not None or _is_span(before, after)


def is_no_sum(text: str, match: re.Match[str], *, is_surely: bool = False) -> bool:
    """Whether a match of `SUM` is none: open, counted, a number to call, or longer than any debt.

    `is_surely`: that somebody speaks of money is known; else 两块 may be two pieces.
    """
    number, unit = match["number"], match["unit"]
    before, after = around(text, *match.span())
    if before.endswith(("上", "数")) and number[0] in UNITS:
        return True  # 上万, 数千
    if _is_open(text, match) or (number == "一" and _NOT_ONE.match(after)):
        return True  # 一块都没有
    if unit or match["sign"]:
        return unit == "块" and number in "一两二三" and not after.startswith("钱")
    if len(number) > MOST_DIGITS or number in ("万", "千", "百", "十"):
        return True
    return _COUNTED.match(after) is not None or (
        _CALLED.search(before) is not None and _HOTLINE.fullmatch(number) is not None
    )


def is_name(text: str, match: re.Match[str]) -> bool:
    """Whether a match of `SUM` follows what a bare number names: 尾号, 合同号, 12栋."""
    return _NAME_OF.search(around(text, *match.span())[0]) is not None


def _is_span(before: str, after: str) -> bool:
    """Whether a number opens or closes a span of two: 三百到五百."""
    return _SPAN_BEFORE.search(before) is not None or _SPAN_AFTER.match(after) is not None


def _is_money(
    text: str, match: re.Match[str], place: int, clauses: Sequence[Clause], taken: Container[int]
) -> bool:
    """Whether a number is a sum, by its unit or its company."""
    number, clause = match["number"], clauses[place]
    if is_no_sum(text, match):
        return False
    if match["unit"] or match["sign"]:
        return True
    has_myriad = re.search(r"[万萬wW]", number) is not None
    is_weighty = has_myriad or len(number) >= 2 or re.search(r"[百千佰仟]", number) is not None
    if not is_weighty:
        return False
    is_spoken = re.search(r"[百千佰仟]", number) is not None and not re.search(r"\d", number)
    is_written = _WRITTEN.fullmatch(number) is not None
    if has_myriad or is_spoken or is_written or finder("money").search(clause.text.replace(number, "")):
        return True
    said = "".join(char for at, char in enumerate(clause.text, clause.start) if at not in taken)
    is_lone = _LITTLE_ELSE.sub("", said) == number
    is_figure = _FIGURE.fullmatch(number) is not None and not is_name(text, match)
    is_clear = is_figure and len(number) >= CLEAR
    return (is_lone or is_figure) and any(
        finder("money").search(one.text)
        and (one.sentence == clause.sentence or (is_clear and abs(at - place) <= BESIDE))
        for at, one in enumerate(clauses[max(0, place - NEAR) : place + NEAR + 1], max(0, place - NEAR))
    )

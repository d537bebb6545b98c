"""Was the debtor away?

Whose absence it is depends on who speaks: a mother's 儿子 is the debtor, a neighbour's 他老婆 is not, and a
debtor who talks is there. A text that corrects itself (不对, 其实) says nothing.
"""

import re
from bisect import bisect_right
from collections.abc import Container, Iterator, Sequence
from typing import Final

from server.reconcile.narrative.cast import RELATION, RELATIVES, relation_of
from server.reconcile.narrative.claim import Claim
from server.reconcile.narrative.clauses import negations
from server.reconcile.narrative.voices import DEBTOR, Voiced, acts_here
from server.reconcile.narrative.words import WORDS, finder, pattern

_PHONE: Final = finder("absent", "telephone")
AWAY: Final = re.compile(pattern([*WORDS["absent"]["words"], *WORDS["absent"]["places"]]))
_KIN: Final = re.compile(f"{RELATIVES.pattern}|朋友|同学|老板|领导")
_AT_WORK: Final = re.compile("在[^外]{0,8}(?:上班|做生意|开车|开店|干活)$")
_ALWAYS_THE_DEBTOR: Final = re.compile(pattern(["<not><see>"]))
_ANYBODY: Final = frozenset(RELATION)
_CALLS: Final = {name: frozenset(words) for name, words in WORDS["calls"].items()}
_PLACE_OF: Final = re.compile("[那这]|家|处|身边|跟前")
_PRETENDED: Final = re.compile("假装|装作|装不|骗|谎称|假说|盘出去|借出去|还回去|赔进去")
_ASKED_WHERE: Final = re.compile("去向|下落|行踪|近况|现状|所在")
_ACCOMPANIED: Final = re.compile("[陪带送接跟和随看找帮给](?:着|了)?(?:他|她)?$")
_FORMERLY: Final = re.compile(
    "以前(?!那[家户]|这[家户]|的?[住租])|从前|原先|曾经|过去(?!了)|早些年|年轻时|前几年|上[次回]|前[一二两三四几][次回趟]|头[两几][次回趟]"
)
_NURSES: Final = re.compile("陪|照顾|护理|伺候|刚|准备|要去")
_MAYBE: Final = re.compile(
    "估计|也许|说不定|恐怕|兴许|八成|多半|可能|好像|似乎|大概|应该|疑似|怀疑|或许|应是|推测|以为"
)
_SUPPOSED: Final = re.compile(
    "(?:我们?)?(?:估计|可能|怀疑|推测|猜|看样子|(?:听说|据说)(?:他|她|人)?(?:可能|好像|大概))"
)
_THE_DEBTOR: Final = re.compile("本人|债务人|持卡人|^人|他|她|业主")
_US: Final = finder("us")
_CALLED: Final = finder("absent", "called")
_FETCHED: Final = re.compile(
    "(?:叫|喊|请|唤|找)(?:了|他|她|人)*(?:出来|下来|过来|回来|出去)|(?:叫|让|喊)人去(?:叫|喊|找)|(?:喊|叫)了?(?:一|两|几)[声嗓]|帮(?:我们|忙)?(?:去)?(?:叫|喊)"
)  # 在车间，叫出来
_ABOUT_TO: Final = re.compile("(?<![需主])要|准备|打算|想(?!着)|计划|马上|赶着")
_SETS_OUT: Final = re.compile("(?:[去到上回出进赶赴跑]|外出|搬(?!走))(?![^，。]{0,3}[才再])")
# What a trade has come to or is worth says nothing of where somebody is: 做生意赔了, 干活还行.
_ONLY_WORK: Final = re.compile(
    "(?:赔|亏|失败|没赚|没挣|不[行好顺]|还行|还可以|挺|很|蛮|老实|勤快|卖力|认真|踏实|[欠借]|的?钱|挣|赚|摔|伤|受伤)"
)
_WORK: Final = re.compile("(?:生意|活|工|班|车|店)$")
_YESTERDAY: Final = re.compile("昨[天晚夜]|前晚|夜里")
_HOME: Final = re.compile("(?<![不没未])(?:才|正|就|都|还)在(?:家(?!里?务)|屋里?|楼上|睡)")
# What others say of themselves: 妻子说自己要上夜班.
_OF_SPEAKER: Final = re.compile("(?:他|她)?自己(?!也?[找联])")
_UNSURE: Final = re.compile(
    "不(?:知道?|晓得|清楚|确定)(?:他|她|人)?(?:到底|究竟)?(?:是|有没有|是不是|是否)|是不是|是否|如果|要是|万一|假如|若是|除非"
)
REPORTED_WITHIN: Final = 4  # clauses behind what somebody else says
# Bare 人 is the debtor: 人又不见了, 说人去了外地.
_BARE: Final = re.compile(
    "(?:但是?|不过|结果|反正|意思是?|说是?|讲|现在|估计)?(?:人(?![家们民事均口多少手数情名品])|(?:这|该|那)(?:家|户|人)|户主|业主)"
)
_HEARSAY: Final = re.compile(
    "[^，]{0,6}?(?:听说|据说|据悉|得知|获悉|获知|[按据照][^，]{1,8}(?:的话|所说|所讲|介绍|反映)|打听到|了解到|查到|问到|(?:大家|村里人?|街坊|邻里|附近的?人|旁人|有人)?都?(?<=[家里坊近人都])[说讲](?=[他她人这])|听[^，我]{1,4}[说讲])"
)
_WHERE: Final = re.compile(
    "(?:哪里|哪儿|哪去|在哪|去哪|哪块|哪边|何处|去向|下落|行踪|在不在|在吗|在家吗|在家不|在没在|何时回|几时回|什么时候回|啥时候回|多久回|人呢|人在不|在不(?=$|，))"
)
_ASKED_OUTSIDE: Final = re.compile(
    "[问找][^，]{0,4}(?:旁边|旁人|路人|村民|街坊|附近|周围|群众|工友|隔壁|左邻)"
)
_ANSWERS: Final = re.compile("[^，]{0,5}?(?:说|讲|答|称|道|回(?!来|家))")
# Who is no kin and no neighbour, and has no name: 站长说, 翻译讲. What they say of 他 is said of the debtor.
_SOMEBODY_SAYS: Final = re.compile(
    "(?P<who>[^，]*?[\u4e00-\u9fff](?<![我们他她其某总士]))(?:又|也|就|都|只|便|则|均)?(?:说|讲|称|告诉我们?|告知|反映|表示|透露|答复|回复|反馈|介绍|证实)"
)
_OF_SELF: Final = re.compile("(?:其|他|她)?(?:自己|本人)|我")
_AT_HOME: Final = re.compile(
    "在(?:家|屋里?|里面|楼上)?(?:洗|吃[饭早午晚]|学习|念经|上网|带[孩娃小]|照顾|伺候|护理|睡|补觉|午觉|休息|做饭)"
)
_OF_HIM: Final = re.compile(
    "(?:他|她|人|该?业主|户主|(?:债务|持卡|欠款)人)(?!妻|父|母|家|儿|女|老|哥|姐|弟|妹|爸|妈|们|自己)"
)
_TURNS_UP: Final = re.compile(
    "回来|回家|回到|到家|返|进门|下班|迎面|碰[上到见着]|遇|撞[见上]|正好|刚好|恰好|赶来|赶到|过来|上来|电梯|第[二三四][次趟回处站访]"
    "|再去|再到|再访|又去|又到|复访|二访|折去|折返|改天|次日|隔天|到点去|晚上去"
)


def absences_in(clauses: Sequence[Voiced]) -> Iterator[Claim]:
    """Find where the debtor is said to be away."""
    corrected = {
        one.clause.sentence for one in clauses if finder("absent", "corrected").search(one.clause.text)
    }
    by_phone = _telephoned(clauses)
    has_others = any(one.voice == "other" for one in clauses)
    for place, one in enumerate(clauses):
        text, start = one.clause.text, one.clause.start
        if one.clause.sentence in corrected or one.clause.is_question or _is_fetched(place, clauses):
            continue
        if one.voice in ("debtor", "unknown") and one.said_from is None and acts_here(clauses, place):
            continue
        for match in AWAY.finditer(text):
            if _PRETENDED.search(text, 0, match.end()):
                continue
            if _is_ours(text, max(0, match.start() - 3), match.start()):
                continue  # 我们不在场时
            if _FORMERLY.search(text, 0, match.start()) or _is_planned(text, match):
                continue
            if not one.is_said(match.start()) and _MAYBE.search(text, 0, match.start()):
                continue
            if _UNSURE.search(text, 0, match.start()):
                continue
            if one.voice == "other" and one.said_from and _OF_SPEAKER.match(text, one.said_from):
                continue
            if _is_in_form(place, clauses, match) or _is_the_debtor(
                one, match, is_by_phone=one.clause.sentence in by_phone
            ):
                yield Claim("absent", "debtor", start + match.start(), start + match.end())
                break
        else:
            told = _told_from(place, clauses, is_by_phone=one.clause.sentence in by_phone)
            if told and one.said_from is None and _SUPPOSED.match(text):
                told = None
            if told is None and _is_named_as_gone(place, clauses, has_others=has_others):
                told = 0, "gone"
            yield from _said_away(one, *told) if told else ()


def _is_in_form(place: int, clauses: Sequence[Voiced], match: re.Match[str]) -> bool:
    """Whether a form says where the debtor is: 本人：外出."""
    before = clauses[place - 1].clause if place else None
    return (
        before is not None
        and before.stop in ("：", ":")
        and not clauses[place].clause.is_quoted
        and DEBTOR.fullmatch(before.text.strip()) is not None
        and match.start() <= 1
    )


def there_or_away(
    clauses: Sequence[Voiced], away: Sequence[Claim], debtor: Sequence[tuple[Claim, bool]]
) -> tuple[tuple[Claim, ...], list[tuple[Claim, bool]]]:
    """Settle where the debtor is both away and named, or acting (the flag).

    Nobody is both there and away: who acts before us is there, who is only named is not; but one may come.
    """
    by_phone = _telephoned(clauses)
    named = [
        (claim, is_acting and not _is_telephoned(clauses, claim, by_phone))
        for claim, is_acting in debtor
        if not _is_told_away(clauses, claim, away)
    ]
    acting = next((claim for claim, is_acting in named if is_acting), None)
    kept = (one for one in away if acting is None or _turns_up(clauses, one, acting))
    return tuple(kept), named


def _telephoned(clauses: Sequence[Voiced]) -> frozenset[int]:
    """Return the sentences in which somebody is on the telephone."""
    return frozenset(
        one.clause.sentence
        for one in clauses
        if _PHONE.search(one.clause.text) or _CALLED.search(one.clause.text)
    )


def _is_telephoned(clauses: Sequence[Voiced], debtor: Claim, by_phone: Container[int]) -> bool:
    """Whether the debtor is named where somebody is on the telephone: 打的电话，本人接的."""
    return clauses[_at(clauses, debtor)].clause.sentence in by_phone


def _at(clauses: Sequence[Voiced], claim: Claim) -> int:
    """Return in which clause a claim stands."""
    return bisect_right(clauses, claim.start, key=lambda one: one.clause.start) - 1


def _turns_up(clauses: Sequence[Voiced], one: Claim, other: Claim) -> bool:
    """Whether the debtor, away at one place, comes or is found between it and another (回来, 第二趟)."""
    start, end = sorted((one.start, other.start))
    return any(
        _TURNS_UP.search(each.clause.text) and start <= each.clause.end and each.clause.start <= end + 2
        for each in clauses
    )


def _speaks_of_the_debtor(before: str) -> bool:
    """Whether the last person named before an absence is the debtor: not in 债务人的父亲住院."""
    persons = [one.end() for one in RELATIVES.finditer(before)]
    debtors = [one.end() for one in _THE_DEBTOR.finditer(before)]
    return bool(debtors) and max(debtors) > max(persons, default=-1)


def _is_told_away(clauses: Sequence[Voiced], debtor: Claim, away: Sequence[Claim]) -> bool:
    """Whether the debtor is only named where others tell of being away: 邻居说，债务人欠债，早跑了."""
    place = _at(clauses, debtor)
    sentence = clauses[place].clause.sentence
    return _is_reported(place, clauses) and any(
        debtor.start < gone.start < one.clause.end and one.clause.sentence == sentence
        for gone in away
        for one in clauses[place : place + REPORTED_WITHIN]
    )


def _is_reported(place: int, clauses: Sequence[Voiced]) -> bool:
    """Whether a clause goes on what somebody else says in its sentence."""
    sentence = clauses[place].clause.sentence
    return clauses[place].said_from is None and any(
        one.voice == "other" and one.said_from is not None and one.clause.sentence == sentence
        for one in clauses[max(0, place - REPORTED_WITHIN) : place]
    )


def _told_from(place: int, clauses: Sequence[Voiced], *, is_by_phone: bool) -> tuple[int, str] | None:
    """From where in a clause it is told where the debtor is, and in which list of words; None: nowhere."""
    one = clauses[place]
    text, begun, is_said = one.clause.text, one.said_from or 0, one.said_from is not None
    if (one.voice == "other" and is_said) or _ASKED_WHERE.search(one.clause.head):
        return begun, "said_away"
    if is_by_phone and (is_said or one.he is not None) and one.voice in ("debtor", "unknown"):
        return begun, "by_phone"  # 电话里债务人说在东莞
    if _is_asked_where(place, clauses):
        answer = _ANSWERS.match(text)
        if one.voice != "us" or answer:
            return (answer.end() if one.voice == "us" and answer else begun), "said_away"
    if place and (asked := _ANSWERS.match(text)) and _ASKED_OUTSIDE.search(clauses[place - 1].clause.text):
        return asked.end(), "said_away"  # 问旁边人，说去海南了
    if one.voice == "debtor":
        return (0, "said_away") if not is_said and _HEARSAY.match(text) else None
    if _BARE.match(text, begun) or _is_bare_before(place, clauses) or _HEARSAY.match(text):
        return begun, "said_away"
    if one.voice == "unknown" and is_said and _is_said_of_him(place, clauses):
        return begun, "said_away"
    return None


def _is_said_of_him(place: int, clauses: Sequence[Voiced]) -> bool:
    """Whether somebody who is no kin and no neighbour goes on about the debtor: 站长说他请了病假，在宿舍."""
    for one in reversed(clauses[max(0, place - REPORTED_WITHIN) : place + 1]):
        if one.said_from is None or one.clause.sentence != clauses[place].clause.sentence:
            return False
        told = _SOMEBODY_SAYS.match(one.clause.text)
        if told and len(told["who"]) > 1:
            is_here = one is clauses[place] and not _OF_SELF.match(one.clause.text, one.said_from)
            return is_here or _OF_HIM.match(one.clause.text, one.said_from) is not None
    return False


def _is_named_as_gone(place: int, clauses: Sequence[Voiced], *, has_others: bool) -> bool:
    """Whether a clause is about the debtor where others are met, or goes on what they say."""
    one = clauses[place]
    if one.voice != "debtor" or one.said_from is not None or _NURSES.search(one.clause.text):
        return False
    return _is_reported(place, clauses) or (has_others and one.names_subject)


def _is_asked_where(place: int, clauses: Sequence[Voiced]) -> bool:
    """Whether what stands before a clause asks where the debtor is: 人在哪？“天上飞着”."""
    return any(
        (each.clause.is_question or each.voice == "us") and _WHERE.search(each.clause.text)
        for each in clauses[max(0, place - 1) : place]
    )


def _is_bare_before(place: int, clauses: Sequence[Voiced]) -> bool:
    """Whether a quotation opens right behind a bare 人: 人“半个月没见着影”."""
    before = clauses[place - 1].clause if place else None
    return (
        before is not None
        and clauses[place].clause.is_quoted
        and before.stop in tuple('“「『"')
        and _BARE.fullmatch(before.text.strip()) is not None
    )


def _is_fetched(place: int, clauses: Sequence[Voiced]) -> bool:
    """Whether whoever is elsewhere is called in at once: 在车间，叫出来谈."""
    sentence = clauses[place].clause.sentence
    return any(
        one.clause.sentence == sentence and not one.clause.is_question and _FETCHED.search(one.clause.text)
        for one in clauses[place + 1 : place + 3]
    )


def _said_away(one: Voiced, begun: int, key: str) -> Iterator[Claim]:
    """Find what means absence when it is said of the debtor, by others or by us: 老板进货去了, CH在船上."""
    text, start = one.clause.text, one.clause.start
    found = finder("absent", key).finditer(text, begun)
    match = next((each for each in found if _is_away(one, begun, each, key)), None)
    if match:
        yield Claim("absent", "debtor", start + match.start(), start + match.end())


def _is_away(one: Voiced, begun: int, match: re.Match[str], key: str) -> bool:
    """Whether words that may mean absence say so of the debtor, of now, and as a fact."""
    text, place = one.clause.text, match.start()
    is_other = (
        _AT_HOME.match(text, place)
        or (_WORK.search(match.group()) and _ONLY_WORK.match(text, match.end()))
        or (_WORK.search(match.group()) and _YESTERDAY.search(text, begun, place))
        or _HOME.search(text, begun)
        or (match.group().endswith(("去", "来")) and text.startswith("过", match.end()))
        or _is_planned(text, match)
        or _PRETENDED.search(text, 0, match.end())
        or _FORMERLY.search(text, begun, place)  # 以前在镇上开店
        or (key == "gone" and _AT_WORK.search(text))
        or _names_another(one, place)
        or _is_ours(text, 0, place)
        or _OF_SPEAKER.match(text, begun)
        or _UNSURE.search(text, 0, place)
        or (key == "by_phone" and _KIN.search(text, begun, place))  # 电话里债务人说朋友在上海
    )
    return not is_other and not negations(text[begun:place])


def _is_ours(text: str, start: int, end: int) -> bool:
    """Whether we are named between two places: 我爸 is somebody else."""
    return any(not RELATIVES.match(text, one.end()) for one in _US.finditer(text, start, end))


def _is_planned(text: str, match: re.Match[str]) -> bool:
    """Whether somebody is only about to go, or would, or might: 要去外地, 再来他就不回家了."""
    before = text[max(0, match.start() - 6) : match.start()]
    return (_SETS_OUT.match(match.group()) is not None and _ABOUT_TO.search(before) is not None) or (
        match.group().startswith(("不回", "不来")) and before.endswith("就")
    )


def _is_the_debtor(one: Voiced, match: re.Match[str], *, is_by_phone: bool) -> bool:
    """Whether it is the debtor who is away, and not a relative, nor a debtor who is talking here."""
    before = one.clause.text[: match.start()]
    if negations(before):
        return False
    if _ALWAYS_THE_DEBTOR.search(match.group()):
        return True
    if one.voice == "debtor" and one.is_said(match.start()):
        return is_by_phone and not _KIN.search(before, one.said_from or 0)
    if one.voice == "debtor":
        if _AT_WORK.match(match.group()):
            return False  # 债务人在医院上班: there one may have gone
        if one.names_subject:
            return _speaks_of_the_debtor(before) or not RELATIVES.search(before)
        return one.he is not None or match.start() == 0
    if one.voice == "other":
        # What a third party says of somebody is said of the debtor; what is said of a third party is not.
        if one.is_said(match.start()):
            return not _names_another(one, match.start())
        return _speaks_of_the_debtor(before) or _BARE.match(before) is not None
    return True


def _names_another(one: Voiced, place: int) -> bool:
    """Whether a third party speaks of somebody else than the debtor: a neighbour of his wife."""
    text = one.clause.text
    begun = one.said_from or 0
    speaker = RELATIVES.search(text, 0, begun)
    spoken_of = [
        found.group().lstrip("其他她")
        for found in RELATIVES.finditer(text, begun, place)
        if relation_of(found.group()) not in ("family", "elder")  # 邻居说小伙子搬走了
        and not _PLACE_OF.match(text, found.end())
        and not _ACCOMPANIED.search(text, begun, found.start())
    ]  # neither 这家人 nor 他儿子那边
    if not spoken_of or not speaker:
        return False
    return spoken_of[-1] not in _CALLS.get(relation_of(speaker.group()), _ANYBODY)

"""Where is the debtor met?

By a word for the debtor, by a pronoun that is the debtor or, where nobody else is met, by a name.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from server.reconcile.narrative.cast import RELATIVES, pronoun
from server.reconcile.narrative.claim import Claim
from server.reconcile.narrative.clauses import negations
from server.reconcile.narrative.voices import DEBTOR, Voiced, acts_here, debtors_in
from server.reconcile.narrative.words import WORDS, finder, looks_back, pattern

PHONE: Final = finder("absent", "telephone")
_UNMET_BEFORE: Final = re.compile(f"(?:{pattern(WORDS['debtor']['unmet_before'])})了?$")
UNMET_AFTER: Final = re.compile(pattern(WORDS["debtor"]["unmet_after"]))
_DEBTORS: Final = WORDS["debtor"]["words"]
OWNERS: Final = pattern(
    [
        *WORDS["third_party"]["possessors"],
        *(f"{one}{of}" for one in _DEBTORS for of in ("", "的", "之", "家")),
    ]
)
ACTS: Final = re.compile(f".{{0,3}}?(?:{pattern(WORDS['third_party']['acts'])})")
_HABITS: Final = finder("debtor", "habits")
# What may stand between the beginning of a clause and the person who is its subject.
OPENS: Final = re.compile(f"(?:{pattern(WORDS['third_party']['opens'])}|{OWNERS}|\\s)*")
SEEN: Final = re.compile(
    "(?<![没未不难])(?:见到了?|见着了?|遇到了?|碰到了?|碰上|碰着|遇上|堵着了?|逮着|等到了?|蹲到|守到|截住|拦住|找到|寻着|见)$"
)
_MESSAGED: Final = re.compile("发(?:了|个|条)*(?:短信|微信|信息|消息)")
_BEFORE_TODAY: Final = re.compile("(?:上次|上回|上个?月|上周|之前|此前|前几天|去年|曾经?)(?!的|欠|那)")
_COMES_LATER: Final = re.compile(
    "(?:要|得)?(?:下周|下个?月|明天|明早|后天|过几天|过两天|月底|周末|节后|年底|过年)[^，；说]{0,5}(?:回|返)"
)
_RINGS_US: Final = re.compile(
    "[^，说讲]{0,4}(?:打了?电话[来过]|回了?电话|回电|来电|[发回]了?(?:微信|短信|信息))"
)
_BY_PHONE: Final = re.compile("(?:让|说|称|讲|表示|要求|答|约|回)")
_SOUGHT: Final = re.compile(
    "(?:(?<!没)找|只能|只和|只跟|只对|须|应由|(?:需要?|要|得|必须|想)(?:跟|和|与|同|见))[^，到着]{0,6}$"
)
_IS_DEAD: Final = re.compile("[^说称讲]{0,8}(?:去世|过世|离世|病故|病逝|身亡|死亡|已故|服刑|入狱|被羁押)")
_PERSON_HERE: Final = re.compile(r"\s*人(?:倒|正好|刚好|确实)?在(?:的|家|店里|屋里|里头|场)?\s*")
_COMES: Final = re.compile(
    "(?!说|称|讲)[^，不没未]{0,8}?(?:回来|回到家|进门|走过来|下班回|返店|返家|返回|赶回|进店|[从由][^，]{1,5}(?:上来|出来|下来|过来))(?!过)"
)
_FOUND_HIM: Final = re.compile(
    "(?:(?:见|找|碰|遇|堵|等|逮|寻|蹲|撞)(?:到了?|着了?|上了?|见了?|了|的)(?P<he>[他她])(?=\\s*$|在|正|本人|时|后|的时候)"
    "|(?:等到|直到|过了|没过|不到|不一会儿?|没一会儿?)[^，他她]{0,8}(?P<him_back>[他她])(?:才|就|便)?(?:回来|上来|下来|出来|回家|到家|下班|出现|露面)"
    "|(?:跟|和|与|同|向)(?P<her>[他她])(?:本人)?(?:当面)?(?:讲|谈|说|聊|沟通|核对|解释|确认|算|摆)"
    "|把(?P<him>[他她])(?:给|从[^，。；]{1,5})?(?:叫|喊|请|拉|带|约|唤|换|叫了|拽|揪)(?:了|到|下|出|过|来|回|上|起))(?![的家们妻夫父母])"
)
_BY_NAME: Final = re.compile(
    f"(?:{pattern(WORDS['third_party']['opens'])}|见到?了?|找到?|遇到|\\s)*(?P<who>{pattern(['<called_so>'])})(?:本人)?"
    "(?![负拍同跟和与一]|陪|开车|带队|记录)"
)
_ASKS_HIM: Final = re.compile("(?<!询)(?<!没)(?<!未)(?<!想)(?<!要)问(?:了|过|起|到)?$")
_VERIFIED: Final = re.compile(
    "(?:(?:核对|核实|确认|经查|证实|辨认)[^，不非]{0,4}|^\\s*[\u4e00-\u9fff]某某?)[系是为]$"
)
_AT_ONCE: Final = re.compile("[就便](?:走|关|跑|躲|进|回|摔|骂|赶|跟|点头|同意)")
_LIVES: Final = re.compile("(?:一起|共同|已经?|早就?)?(?:同住|居住|生活|分居|离婚)")
_TOGETHER: Final = re.compile("(?:未|没).{0,3}?[与和跟同]$")
_MEET: Final = re.compile("接触|见面|见上面|碰面|谋面|取得|联系|面谈|谈上|说上")
AWAY_WITHIN: Final = 4  # characters from the debtor to the words that say the debtor is away


def debtor_as_he(clauses: Sequence[Voiced]) -> list[tuple[Claim, bool]]:
    """Find the debtor, met, where nothing but pronouns stands for them: acting where we found them."""
    found = list(_debtor_as_object(clauses))
    told = list(_debtor_as_pronoun(clauses))
    return [(claim, is_acting or bool(found)) for claim, is_acting in told] or found


def debtor_by_name(clauses: Sequence[Voiced]) -> Iterator[tuple[Claim, bool]]:
    """Find who acts by a name, where nobody is called the debtor and nobody else is met: 陈先生挡住门."""
    if any(DEBTOR.search(one.clause.text) for one in clauses):
        return
    for one in clauses:
        match = _BY_NAME.match(one.clause.text)
        if match and not one.clause.is_quoted and not UNMET_AFTER.match(one.clause.text, match.end()):
            place = one.clause.start
            yield Claim("met", "debtor", place + match.start("who"), place + match.end("who")), True
            return


def _debtor_as_pronoun(clauses: Sequence[Voiced]) -> Iterator[tuple[Claim, bool]]:
    """Find where a pronoun that is the debtor says or does something before us."""
    phoned = {one.clause.sentence for one in clauses if _MESSAGED.search(one.clause.text)}
    for one in clauses:
        if _PERSON_HERE.fullmatch(one.clause.text) and not one.clause.is_quoted and one.said_from is None:
            yield Claim("met", "debtor", one.clause.start, one.clause.end), False
            return
        if one.he is None or one.clause.is_quoted or PHONE.search(one.clause.text):
            continue
        match = pronoun(one.clause.text)
        assert match is not None
        rest = one.clause.text[match.end() :]
        if one.clause.sentence in phoned and _BY_PHONE.match(rest):
            continue  # 发了短信，他回：我出差呢
        is_speaker = not rest.strip() and one.clause.stop in ("：", ":")
        if is_speaker or ((ACTS.match(rest) or rest.strip()) and not UNMET_AFTER.match(rest)):
            start = one.clause.start + match.start("he")
            if _COMES.match(rest):
                yield Claim("met", "debtor", start, start + len(match["he"])), True
                return
            first = next(he for he in clauses if he.he is not None)
            assert first.he is not None
            start = first.clause.start + first.he
            match = pronoun(first.clause.text)
            assert match is not None
            yield Claim("met", "debtor", start, start + len(match["he"])), False
            return


def _debtor_as_object(clauses: Sequence[Voiced]) -> Iterator[tuple[Claim, bool]]:
    """Find where a pronoun that is the debtor is who we find, or whom somebody fetches for us."""
    for one in clauses:
        text = one.clause.text
        if one.clause.is_quoted or one.clause.is_question or looks_back(text):
            continue
        until = len(text) if one.said_from is None or one.voice == "us" else one.said_from
        for match in _FOUND_HIM.finditer(text, 0, until):
            place = max(match.start(name) for name in ("he", "her", "him", "him_back"))
            is_debtor = match["her"] is None or one.is_debtor(match["her"])
            if is_debtor and not negations(text[: match.start()]) and not RELATIVES.match(text, place):
                start = one.clause.start + place
                yield Claim("met", "debtor", start, start + 1), True
                return


def debtor_by_word(clauses: Sequence[Voiced], covered: Sequence[range]) -> Iterator[tuple[Claim, bool]]:
    """Find the debtor where met, and whether it says that the debtor does something before us."""
    is_told = is_found = False
    earlier: list[Claim] = []
    phoned = None
    for place, one in enumerate(clauses):
        text, start = one.clause.text, one.clause.start
        was_told, is_told = is_told, one.voice == "other" and one.said_from is not None
        if PHONE.search(text):
            phoned = one.clause.sentence
            continue
        for match in debtors_in(text):
            before, rest = text[: match.start()], text[match.end() :]
            is_act = before.endswith("被") or _AT_ONCE.match(rest)  # 问了一句债务人就走了
            is_act = is_act or _VERIFIED.search(before) or (_ASKS_HIM.search(before) and not rest.strip())
            if one.voice in ("other", "unknown") and one.is_said(match.start()) and not is_act:
                continue
            if one.clause.is_quoted or any(start + match.start() in span for span in covered):
                continue
            if _RINGS_US.match(rest) or _COMES_LATER.match(rest):
                continue  # 债务人后来打电话来
            if _is_only_named(before, rest) and not (
                one.voice == "debtor" and OPENS.fullmatch(before) and acts_here(clauses, place)
            ):
                continue
            if (was_told and _HABITS.match(rest)) or (
                phoned == one.clause.sentence and _BY_PHONE.match(rest)
            ):
                continue
            end = start + match.end()
            if any(0 <= span.start - end <= AWAY_WITHIN for span in covered):
                continue  # 债务人现在苏州打工: who is away was not met
            acts = ACTS.match(rest) or _COMES.match(rest)
            is_acting = one.names_subject and one.voice == "debtor" and acts is not None
            is_acting = is_acting and not before.endswith("给") and not rest.startswith("态度")
            claim = Claim("met", "debtor", start + match.start(), start + match.end())
            if _BEFORE_TODAY.search(before) or _BEFORE_TODAY.match(rest):
                earlier.append(claim)  # 客户上个月还过500
                continue
            is_found = True
            yield claim, is_acting or SEEN.search(before) is not None
    if not is_found:
        yield from ((claim, False) for claim in earlier)


def _is_only_named(before: str, rest: str) -> bool:
    """Whether the words around the debtor say of themselves that nobody met the debtor."""
    return (
        (UNMET_AFTER.match(rest) is not None and not SEEN.search(before))
        or (_UNMET_BEFORE.search(before) is not None and not _VERIFIED.search(before))
        or (_LIVES.match(rest) is not None and before.endswith(("与", "和", "跟")))
        or _SOUGHT.search(before) is not None
        or _IS_DEAD.match(rest) is not None
        or (_TOGETHER.search(before) is not None and _MEET.match(rest) is not None)
    )

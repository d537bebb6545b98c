"""Into whose hands did a letter go, and who would not take it?

A letter that is handed to a pronoun goes to whoever that is; one that is taken without a word of it
(函递过去，接了) is the letter of the clause before.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Final, Literal

from server.reconcile.narrative.cast import RELATIVES
from server.reconcile.narrative.claim import Claim
from server.reconcile.narrative.clauses import negations
from server.reconcile.narrative.voices import Voiced, debtors_in
from server.reconcile.narrative.words import WORDS, pattern

_TO_SIGN: Final = re.compile("(?:让|叫|要|请|喊)(?:他|她|其|对方|债务人|持卡人|客户|本人)[^，。；了]*$")
WISHED: Final = re.compile(
    "(?<!按)要求|请求|请其|让其|希望|准备|打算|以便|用于|请(?:债务人|持卡人|客户|他|她|对方)|下次|正要|原本|本想|想把|(?<![没不])想$"
    "|不让|不准|不许|不能|不得|不可|不便|问|上次|上回|应当?$|须|需要|有没有|记得|[要让叫]我们|嘱我"
)
FAILED: Final = re.compile("时?(?:被拒|未果|未成|不成|没成|没送成|失败|遭拒|被婉拒|被挡|未能成功)")
PAPER: Final = re.compile(pattern(["<paper>"]))
SLIP: Final = re.compile(pattern(["<slip>"]))
_FOR: Final = pattern(WORDS["handed"]["for"])
_HANDED_TO: Final = re.compile(
    f"(?:{pattern(WORDS['handed']['to'])})了?(?P<who>[^，。；]{{0,8}})"
    f"|(?:{pattern(WORDS['handed']['asks'])})(?P<whom>[^，。；]{{1,12}}?)(?:{_FOR})"
)
_PASS_ON: Final = re.compile(_FOR)
_THEM: Final = re.compile("了?(?P<he>[他她其]|对方)(?!们|.{0,2}[听看念讲说瞧]|过目)")
_PLACES: Final = re.compile("[放搁]|留在|存|寄")  # 放在她桌角 is not given to her
_SPOT: Final = re.compile("信箱|报箱|邮箱|门缝|奶箱")
_IN_HAND: Final = re.compile("了?(?:[他她其]|对方)(?:本人)?(?:手|怀|[那这]|处)")
_PRONOUN: Final = re.compile("[他她]|对方")
_GIVES: Final = "[递给交送拿塞伸]"
_OFFERED: Final = re.compile(
    f"{_GIVES}.*(?:{PAPER.pattern})|(?:{PAPER.pattern}).*{_GIVES}|^[^，。]{{0,3}}(?:{PAPER.pattern})|签收|[收接].*(?:{PAPER.pattern})"
)
_WHO: Final = (
    r"\s*(?:他|她|其|对方|债务人|持卡人|客户|本人|人家|就是|死活|硬是|说什么|怎么|还是|但|却|坚决|也|都"
    "|始终|直接|倒|就|默默|顺手|随手|当场)*"
)
_MANNER: Final = (
    "摆了?摆?手|摇了?摇?头|连连|一个劲|往后一?[躲退缩]|后退|躲开|手一?[缩背]|转身|[瞄看瞅]了?一?眼"
)
_BARE_NO: Final = re.compile(
    rf"{_WHO}(?:{_MANNER})*(?:直?说|讲|喊)?(?P<answer>(?:不|没|不肯|不愿|不想|不敢|拒|拒绝|死活不|坚决不)(?:接|收|要|拿)|[不没]伸手|(?:连)?手都?[没不]伸|不碰|碰都不碰|看都不看|别给我?)[了的]?\s*"
)
_SHAKES: Final = re.compile(rf"{_WHO}(?P<answer>[直连]{{0,2}}(?:摆了?摆?手|摇了?摇?头))\s*")
_BARE_YES: Final = re.compile(
    rf"{_WHO}(?:算是|折好|叠好|折了折|看完|看了看|双手|一把|伸手)*(?P<answer>[接收拿](?:了|下|过|走|好|着)(?:了|过去|去)?"
    r"|收讫|收妥|亲收|[揣夹].{1,4}|[放塞装收]进.{1,5}|[放塞装收](?:到|在)?[^，。我]{0,3}(?:兜|包|口袋|抽屉|怀|本子|书|柜).{0,3}|(?<=[他她人])[接收拿])\s*"
)
_HURLED: Final = pattern(["<hurl><back>", "<hurl>还", "推开", "挡开", "拨开", "扒拉开"])
# Thrown or pushed back, once it was held out.
_BACK_AGAIN: Final = re.compile(rf"{_WHO}.{{0,6}}?(?P<answer>打[到在掉落]?地上|打[掉落]|(?:{_HURLED}))")
_SIGN: Final = re.compile("签(?:个|不签|字|名|收|一下|下)|回执|落(?:个|款|笔)|按(?:个)?手印")
_ASKS_TO_SIGN: Final = re.compile("[问让请叫要劝]")
_NO: Final = re.compile(
    r"\s*(?:他|她|其|对方|债务人|持卡人|客户|人家|CH|本人|但|却|就|也|只|直|连连|则|均|都)*"
    r"(?:(?:摇了?摇?头|摆了?摆?手|不肯|不干|没肯|不愿意?|拒绝了?|不同意|没同意|没答应|不答应|没理|不理|不吭声|没签|(?:说啥|说什么|怎么|死活|就)?(?:也|都)?不[签按摁画]|没动笔|把笔.{1,4}|推说.{1,8})"
    r"|(?:摇了?摇?头|摆了?摆?手)?[说讲称](?:不|没必要|不用了?|不必了?|算了|免了|不需要|不会写字?|不方便|等.{1,8}再签?|.{1,5}再签?))\s*"
)
HELD_OUT: Final = 16  # characters from a letter held out to its refusal
Taker = Literal["debtor", "other", "unknown"]


def is_only_asked(text: str, match: re.Match[str]) -> bool:
    """Whether to sign or to take is only asked for: 让他在回执上签字, 签收单让他签, but not 让他签了字."""
    is_asked = _TO_SIGN.search(text, 0, match.end() - 1) is not None
    return is_asked and re.search("[了好完毕过下走]", text[match.start() :]) is None


def taker(one: Voiced, text: str, match: re.Match[str]) -> Taker:
    """Who takes what a phrase says is taken: whoever is named last before its end, or who is speaking."""
    until = match.end()
    named: list[tuple[int, Taker]] = [
        *((found.start(), "other") for found in RELATIVES.finditer(text, 0, until)),
        *((found.start(), "debtor") for found in debtors_in(text[:until])),
    ]
    for found in _PRONOUN.finditer(text, 0, until):
        if not RELATIVES.match(text, found.start()):
            named.append((found.start(), "debtor" if one.is_debtor(found.group()) else "other"))
    if named:
        return max(named)[1]
    return "other" if one.voice == "other" else "unknown"


def deliveries_in(clauses: Sequence[Voiced], persons: Sequence[Claim]) -> Iterator[Claim]:
    """Find letters that go from hand to hand, or are left in ours."""
    has_others = any(one.value.startswith("third_party:") for one in persons)
    for place, one in enumerate(clauses):
        before = clauses[max(0, place - 2) : place]
        near = [other for other in before if other.clause.sentence == one.clause.sentence]
        told = "".join(other.clause.text for other in (*near, one))
        if not SLIP.search(told) or PAPER.search(told):
            yield from _handed(one, near, has_others=has_others)
        if any(_OFFERED.search(other.clause.text) for other in near):
            last = near[-1].clause.text
            is_right_behind = _OFFERED.search(last) is not None and not _SIGN.search(last)
            yield from _answered(one, is_right_behind=is_right_behind)
        if near and _SIGN.search(near[-1].clause.text) and _ASKS_TO_SIGN.search(near[-1].clause.text):
            yield from _unsigned(one)


def _handed(one: Voiced, near: Sequence[Voiced], *, has_others: bool) -> Iterator[Claim]:
    text, start = one.clause.text, one.clause.start
    for match in _HANDED_TO.finditer(text):
        before = text[: match.start()]
        if FAILED.search(text, match.end()) or negations(before) or WISHED.search(before):
            continue
        who = match["who"] if match["who"] is not None else match["whom"]
        has_paper = any(PAPER.search(other.clause.text) for other in (one, *near))
        them = _THEM.match(who)
        if them and _PLACES.match(match.group()) and not _IN_HAND.match(who):
            continue
        is_other = bool(RELATIVES.search(who) and not _SPOT.search(text, match.start())) or (
            them is not None and has_others and not one.is_debtor(them["he"])
        )
        if is_other and (has_paper or _PASS_ON.search(match.group())):
            value = "handed_to_third_party"
        elif (
            has_paper
            and match["who"] is not None
            and not _PASS_ON.search(who)
            and (them or next(debtors_in(who), None))
        ):
            value = "handed_to_debtor"
        else:
            continue
        yield Claim("delivery", value, start + match.start(), start + match.end())


def _answered(one: Voiced, *, is_right_behind: bool) -> Iterator[Claim]:
    """Find the bare yes or no to a letter that the clauses before hold out: 函件递过去，他不接."""
    start = one.clause.start
    if match := _BARE_NO.fullmatch(one.clause.text) or (
        is_right_behind and _SHAKES.fullmatch(one.clause.text)
    ):
        yield Claim("delivery", "refused", start + match.start("answer"), one.clause.end)
    elif match := _BARE_YES.fullmatch(one.clause.text):
        who = taker(one, one.clause.text, match)
        value = "handed_to_third_party" if who == "other" else "handed_to_debtor"
        yield Claim("delivery", value, start + match.start("answer"), one.clause.end)
    elif (match := _BACK_AGAIN.match(one.clause.text)) and not PAPER.search(one.clause.text):
        yield Claim("delivery", "refused", start + match.start("answer"), start + match.end())


def _unsigned(one: Voiced) -> Iterator[Claim]:
    """Find the bare no to being asked for a signature: 问他签不签，他摇头."""
    if _NO.fullmatch(one.clause.text):
        yield Claim("delivery", "unsigned", one.clause.start, one.clause.end)


def resolved(claims: Sequence[Claim], persons: Sequence[Claim]) -> list[Claim]:
    """Say to whom 当面递交 was: the debtor, when nobody else was met, or named since; else nothing."""
    met = sorted((one for one in persons if one.kind == "met"), key=lambda one: one.start)
    is_alone = {one.value for one in met} == {"debtor"}
    refusals = sorted(one.start for one in claims if one.value == "refused")
    kept = []
    for one in claims:
        following = bisect_left(refusals, one.start)
        is_refused = following < len(refusals) and refusals[following] - one.start <= HELD_OUT
        if is_refused and one.value.startswith("handed"):
            continue  # 函递给他，他不接
        if one.value != "handed_over":
            kept.append(one)
        elif is_alone or _last_before(met, one.start) == "debtor":
            kept.append(Claim("delivery", "handed_to_debtor", one.start, one.end))
    return kept


def _last_before(met: Sequence[Claim], place: int) -> str | None:
    before = bisect_right(met, place, key=lambda one: one.start)
    return met[before - 1].value if before else None

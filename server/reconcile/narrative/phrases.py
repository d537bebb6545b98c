"""Which acts, disputes and manners does a text tell of? The families of `words.toml`, found clause by clause.

Turned round (未出示证件), a phrase says its family's opposite, or nothing; supposed or asked it says nothing.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from server.reconcile.narrative.carried import carried_in
from server.reconcile.narrative.cast import RELATIVES
from server.reconcile.narrative.claim import Claim, Kind
from server.reconcile.narrative.clauses import IDIOM, MOST_IN_ONE_BREATH, is_supposed, negations
from server.reconcile.narrative.deliveries import FAILED, PAPER, SLIP, WISHED, is_only_asked, taker
from server.reconcile.narrative.spelling import plain
from server.reconcile.narrative.voices import Voiced
from server.reconcile.narrative.words import WORDS, finder, pattern
from server.rules.added_words import AddedWords

STANCES: Final = frozenset({"dispute", "debt", "outcome"})
# Whoever opens the clause does what the words right behind say: 债务人出示, 他随手放.
_SOMEBODY: Final = re.compile(r"\s*(?:债务人|持卡人|欠款人|借款人|客户|卡主|对方|[其他她])")
_OWN: Final = re.compile(
    "(?:本人)?(?:没看|没拆|没说话|没吭声|接了|接过去?|[看瞟扫瞄]了一?眼|也|又|就|便|主动|自己|当场|当即|随手|直接|反过来|向我们|跟我们|对我们|不肯|不愿|拒绝|[把将].{1,4})*"
)
OURS: Final = frozenset({"mailbox", "under_door", "posted", "left_behind"})
_BY_PHONE: Final = finder("absent", "telephone")
_WHETHER: Final = re.compile(
    r"(?<!不)([\u4e00-\u9fff])(?:不|没)\1(?!好意思)|是否(?!认)|会不会|有没有"
)  # 认不认, 签没签
_PLEDGE: Final = re.compile("书面承诺|承诺书|保证书|还款承诺|计划书|协议|欠条|借条|申请表|情况说明|意向书")
_RECEIPT: Final = re.compile(pattern(["<receipt>", "签收"]))
# Nobody who asks for money says so of oneself: 可我就是不想还.
_MINE: Final = {
    "outcome": re.compile("我(?!们|方|司).{0,4}不.{0,3}(?:还|付|掏|给钱)"),
    "dispute": re.compile(
        "不是我(?!们)|我(?:都|也|就|可)?不(?:认(?!识|为|得)|服)|我(?!们).{0,3}没.{0,6}过|我不是|我(?:哥|弟|姐|妹|爸|妈|老公|老婆|儿子|女儿|朋友|同事|前)|我的?身份证"
    ),
    "debt": re.compile("[是系]我(?!们)[^，]{0,4}[欠借刷花用]|我(?:欠[的了]?|认(?=的|了|账|$))"),
}
# Where no letter is named, a clause says no more than where it was left: but 搁他家炕头唠了半天.
_NO_MORE: Final = re.compile("[里上下内中旁边口头前后了的处]*")
_OF_KIN: Final = re.compile(rf"\s*(?:债务人|持卡人|客户|借款人)?的?{RELATIVES.pattern}")
_THEN: Final = re.compile("[就才便]|那(?=我|他|她|肯定)")
_LETTER: Final = re.compile(f"{PAPER.pattern}|密封|[拒没不未][收接要签]|信箱|投递|留置|送达|回执")
PLEDGE_WITHIN: Final = 3  # clauses
LETTER_WITHIN: Final = 2
NEAR_WHETHER: Final = 6
UNLESS_WITHIN: Final = 14  # characters
# The answer to what a form asks that says no more than yes or no.
_ANSWER: Final = re.compile(
    r"\s*(?:(?P<no>否|无|未|没有?|不|×|[xXnN]|[nN]o|漏了?|忘了?|未做|没做)|[是有已√yY]|[yY]es"
    r"|完成|到位|已完成|已做|做了|照做)\s*"
)
_TOOK: Final = re.compile(
    f"^[接收拿取领揣由把]|(?:{pattern(['<paper>'])}).*(?:{pattern(['<take>'])})|[他她]|[兜包怀柜抽]"
)
_CANNOT: Final = re.compile("不(?:了|成|上|得|到)(?!解)")  # 证亮不了


@dataclass(frozen=True, slots=True)
class Family:
    """Phrases with one meaning."""

    kind: Kind
    value: str
    negated: str | None
    found: re.Pattern[str]
    unless: re.Pattern[str] | None
    is_theirs: bool  # an act of theirs, not of ours
    beside_paper: bool  # only where a letter was named right before


@lru_cache(maxsize=1)
def families() -> tuple[Family, ...]:
    """Read the families once."""
    return tuple(
        Family(
            kind=entry["kind"],
            value=entry["value"],
            negated=entry.get("negated"),
            found=re.compile(pattern(entry["phrases"])),
            unless=re.compile(pattern(entry["unless"])) if "unless" in entry else None,
            is_theirs=entry.get("is_theirs", False),
            beside_paper=entry.get("beside_paper", False),
        )
        for entry in WORDS["family"]
    )


@lru_cache(maxsize=64)
def _added(added: tuple[AddedWords, ...]) -> tuple[Family, ...]:
    """Return a client's phrases beside those of the family that they are added to."""
    shipped = {f"{family.kind}/{family.value}": family for family in families()}
    return tuple(
        replace(
            shipped[one.claim],
            found=re.compile(pattern(map(plain, one.words))),
        )
        for one in added
        if one.claim in shipped
    )


def phrases_in(clauses: Sequence[Voiced]) -> Iterator[Claim]:
    """Find every phrase of every family; what a form asks is read with its answer (证件：已示)."""
    yield from _found(clauses, families())
    yield from carried_in(clauses)


def added_phrases_in(clauses: Sequence[Voiced], added: tuple[AddedWords, ...]) -> Iterator[Claim]:
    """Find a client's own phrases alone."""
    yield from _found(clauses, _added(added))


def _found(clauses: Sequence[Voiced], known: Sequence[Family]) -> Iterator[Claim]:
    has_letter = any(_LETTER.search(one.clause.text) for one in clauses)
    for place, one in enumerate(clauses):
        if one.clause.is_question or one.clause.is_head:
            continue
        text, start = one.clause.head + one.clause.text, one.clause.start - len(one.clause.head)
        text = IDIOM.sub(lambda match: "□" * len(match.group()), text)
        is_case = place > 0 and _is_case(clauses[place - 1], one)
        for family in known:
            if not family.found.search(text) or (is_case and family.kind in ("debt", "dispute")):
                continue
            near = clauses[max(0, place - LETTER_WITHIN) : place + 1]
            before = clauses[max(0, place - PLEDGE_WITHIN) : place + 1]
            if family.value == "signed" and any(_signs_a_pledge(other, one) for other in before):
                continue
            if family.beside_paper and not any(PAPER.search(other.clause.text) for other in near):
                continue
            found = _of_family(one, family, text)
            if family.value == "left_behind" and not has_letter:
                yield from (claim for claim in found if _NO_MORE.fullmatch(text, claim.end - start))
            else:
                yield from found


def _is_case(before: Voiced, one: Voiced) -> bool:
    """Whether a clause only says what would follow from the one before: 如果银行能证明，他就认."""
    same = before.clause.sentence == one.clause.sentence
    return same and is_supposed(before.clause.text) and _THEN.search(one.clause.text) is not None


def _signs_a_pledge(near: Voiced, one: Voiced) -> bool:
    """Whether what is signed is no receipt but a promise: 他写了还款承诺，签字按了手印."""
    same = near.clause.sentence == one.clause.sentence
    is_receipt = _RECEIPT.search(one.clause.text) or PAPER.search(one.clause.text)
    return same and not is_receipt and _PLEDGE.search(near.clause.text) is not None


def _of_family(one: Voiced, family: Family, text: str) -> Iterator[Claim]:
    head = one.clause.head
    start = one.clause.start - len(head)
    is_ours = family.kind in STANCES and one.voice == "us" and (one.names_subject or bool(one.said_from))
    if is_ours and not (family.kind in _MINE and _MINE[family.kind].search(text)):
        return
    if family.kind == "delivery" and family.value != "refused" and one.clause.is_quoted:
        return
    if family.value.startswith("handed") and SLIP.search(text) and not PAPER.search(text):
        return
    answer = _ANSWER.fullmatch(one.clause.text) if head else None
    for match in family.found.finditer(text):
        before = text[: match.start()]
        if match.end() <= len(head) and not answer:
            continue  # only asked
        if family.unless and family.unless.search(text, *_near(text, match)):
            continue
        if family.kind == "conduct" and _BY_PHONE.search(text, 0, match.end()):
            continue
        if (
            is_supposed(before)
            or _WHETHER.search(text, 0, match.end() + NEAR_WHETHER)
            or (family.kind not in STANCES and WISHED.search(before))
        ):
            continue
        if _is_of_the_wrong(one, family, max(0, match.start() - len(head))):
            continue
        if family.kind == "delivery" and FAILED.match(text, match.end()):
            continue
        if family.value in ("signed", "handed_to_debtor") and is_only_asked(text, match):
            continue
        turns = negations(before) + bool(answer and answer["no"]) + bool(_CANNOT.match(text, match.end()))
        value = family.value if turns == 0 else family.negated if turns == 1 else None
        if value == "handed_to_debtor" and _TOOK.search(match.group()) and taker(one, text, match) == "other":
            value = "handed_to_third_party"
        if value is not None:
            end = max(match.end(), len(head) + 1)
            yield Claim(family.kind, value, start + max(match.start(), len(head)), start + end)


def _near(text: str, match: re.Match[str]) -> tuple[int, int]:
    """Return how far around a phrase other words make it mean something else: not all that a voice typed."""
    if len(text) <= MOST_IN_ONE_BREATH:
        return 0, len(text)
    return max(0, match.start() - UNLESS_WITHIN), match.end() + UNLESS_WITHIN


def _is_of_the_wrong(one: Voiced, family: Family, place: int) -> bool:
    """Whether somebody else does or says it than whose act or stance it would be."""
    if family.kind == "outcome" and RELATIVES.search(one.clause.text, one.said_from or 0, place):
        return True  # 说他老婆不同意还
    if family.kind == "debt" and one.voice == "other" and _OF_KIN.match(one.clause.text):
        return True  # 债务人父亲知道儿子欠钱
    if family.kind in STANCES and family.value != "identity":
        is_told = one.voice == "other" and one.is_said(place) and not one.is_nameless
        return is_told and one.names_subject
    if family.value in OURS and SLIP.search(one.clause.text) and not PAPER.search(one.clause.text):
        return True  # a slip to call back is no letter
    is_ours = family.kind == "conduct" or family.value in OURS
    return is_ours and not family.is_theirs and _is_theirs(one.clause.text[:place])


def _is_theirs(before: str) -> bool:
    """Whether the words before an act are all of somebody else's: 债务人随手."""
    who = RELATIVES.match(before.lstrip()) or _SOMEBODY.match(before.lstrip())
    return who is not None and _OWN.fullmatch(before.lstrip(), who.end()) is not None

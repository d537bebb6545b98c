"""Which acts, disputes and manners does a text tell of? The families of `words.toml`, found clause by clause.

Turned round (未出示证件), a phrase says its family's opposite, or nothing; supposed or asked it says nothing.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Final

from server.reconcile.narrative.cast import RELATIVES
from server.reconcile.narrative.claim import Claim, Kind
from server.reconcile.narrative.clauses import is_supposed, negations
from server.reconcile.narrative.deliveries import FAILED, PAPER, SLIP, WISHED, taker
from server.reconcile.narrative.spelling import plain
from server.reconcile.narrative.voices import Voiced
from server.reconcile.narrative.words import WORDS, finder, pattern
from server.rules.added_words import AddedWords

STANCES: Final = frozenset({"dispute", "debt", "outcome"})
# Whoever opens the clause does what the words right behind say: 债务人出示, 他随手放.
_SOMEBODY: Final = re.compile(r"\s*(?:债务人|持卡人|欠款人|借款人|客户|卡主|对方|[其他她])")
_OWN: Final = re.compile(
    "(?:本人)?(?:也|又|就|便|主动|自己|当场|当即|随手|直接|反过来|向我们|跟我们|对我们|不肯|不愿|拒绝|[把将].{1,4})*"
)
OURS: Final = frozenset({"mailbox", "under_door", "posted", "left_behind"})
_BY_PHONE: Final = finder("absent", "telephone")
_WHETHER: Final = re.compile(
    r"(?<!不)([\u4e00-\u9fff])(?:不|没)\1(?!好意思)|是否|会不会|有没有"
)  # 认不认, 签没签
_YES: Final = re.compile(
    r"\s*(?:他|她)?(?:点头)?[说讲答]?(?:嗯|哦|是|唉|哎)*(?:对(?:的|头|呢|啊|嘛|着呢)*(?:对的?)*|是的|没错|错不了"
    "|差不离|差不多|属实|是这么多|是这个数|欠(?:了|着|的|噻|嘛)*|认(?:的|噻|嘛|了)*|没问题|没(?:话|得)说(?:的)?"
    r"|没(?:什么|啥)?(?:意见|异议|二话)|无异议|是我的)\s*"
)
_PLEDGE: Final = re.compile("书面承诺|承诺书|保证书|还款承诺|计划书|协议|欠条|借条|申请表|情况说明|意向书")
_RECEIPT: Final = re.compile(pattern(["<receipt>", "签收"]))
_OF_DEBT: Final = re.compile("账|卡|欠|[万千百]|\\d{3}|元|本金|金额|数")
REPLIES_WITHIN: Final = 3  # clauses
# What a clause may only name, and the words of the next that say what became of it.
_TOPICS: Final = {
    re.compile(pattern(["<badge>"])): re.compile(pattern(["<shown>", "<show>"])),
    re.compile(pattern(["<record>"])): re.compile(pattern(["<tell>"])),
}
_THEY: Final = re.compile(r"\s*(?:他|她|对方|人家)")
CARRIED_WITHIN: Final = 10  # characters
NEAR_WHETHER: Final = 6
# The answer to what a form asks that says no more than yes or no.
_ANSWER: Final = re.compile(
    r"\s*(?:(?P<no>否|无|未|没有?|不|×|[xXnN]|[nN]o|漏了?|忘了?|未做|没做)|[是有已√yY]|[yY]es"
    r"|完成|到位|已完成|已做|做了|照做)\s*"
)
_TOOK: Final = re.compile(f"[接收拿取领揣]|(?:{pattern(['<paper>'])}).*(?:{pattern(['<take>'])})|[由把]")


@dataclass(frozen=True, slots=True)
class Family:
    """Phrases with one meaning."""

    kind: Kind
    value: str
    negated: str | None
    found: re.Pattern[str]
    unless: re.Pattern[str] | None
    is_theirs: bool  # an act of theirs, not of ours


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


def phrases_in(clauses: Sequence[Voiced], added: tuple[AddedWords, ...] = ()) -> Iterator[Claim]:
    """Find every phrase of every family; what a form asks is read with its answer (证件：已示)."""
    known = (*families(), *_added(added))
    for place, one in enumerate(clauses):
        if one.clause.is_question or one.clause.is_head:
            continue
        text = one.clause.head + one.clause.text
        for family in known:
            if not family.found.search(text):
                continue
            near = clauses[max(0, place - 1) : place + 1]
            if family.value == "signed" and any(_signs_a_pledge(other, one) for other in near):
                continue
            yield from _of_family(one, family)
    yield from _replies(clauses)
    yield from _carried(clauses)


def _signs_a_pledge(near: Voiced, one: Voiced) -> bool:
    """Whether what is signed is no receipt but a promise: 他写了还款承诺，签字按了手印."""
    same = near.clause.sentence == one.clause.sentence
    is_receipt = _RECEIPT.search(one.clause.text) or PAPER.search(one.clause.text)
    return same and not is_receipt and _PLEDGE.search(near.clause.text) is not None


def _carried(clauses: Sequence[Voiced]) -> Iterator[Claim]:
    """Find what a short clause says of the card or the recording that the clause before only names.

    全程录音，开头就讲过; 他要看证件，给他看了.
    """
    for before, one in pairwise(clauses):
        same = before.clause.sentence == one.clause.sentence and not one.clause.is_quoted
        same = same and not _THEY.match(one.clause.text) and not (one.names_subject and one.voice != "us")
        if not same or one.clause.is_question or len(one.clause.text) > CARRIED_WITHIN:
            continue
        for topic, added in _TOPICS.items():
            if topic.search(one.clause.text) or not (named := topic.search(before.clause.text)):
                continue
            text = named.group() + one.clause.text
            for family in families():
                if family.kind == "conduct" and added.search(one.clause.text) and family.found.match(text):
                    turns = negations(one.clause.text)
                    value = family.value if turns == 0 or family.negated is None else family.negated
                    yield Claim("conduct", value, one.clause.start, one.clause.end)


def _replies(clauses: Sequence[Voiced]) -> Iterator[Claim]:
    """Find the bare yes to a sum or a debt that was spoken of right before: “账单46,200元对不对？”“对”."""
    for place, one in enumerate(clauses):
        if one.voice != "debtor" or one.clause.is_question or not _YES.fullmatch(one.clause.text):
            continue
        asked = "".join(other.clause.text for other in clauses[max(0, place - REPLIES_WITHIN) : place])
        if _OF_DEBT.search(asked):
            yield Claim("debt", "confirmed", one.clause.start, one.clause.end)


def _of_family(one: Voiced, family: Family) -> Iterator[Claim]:
    head = one.clause.head
    text, start = head + one.clause.text, one.clause.start - len(head)
    if family.unless and family.unless.search(text):
        return
    if family.kind in STANCES and one.voice == "us" and (one.names_subject or one.said_from):
        return
    if family.kind == "delivery" and family.value != "refused" and one.clause.is_quoted:
        return
    if family.kind == "conduct" and _BY_PHONE.search(text):
        return
    answer = _ANSWER.fullmatch(one.clause.text) if head else None
    for match in family.found.finditer(text):
        before = text[: match.start()]
        if match.end() <= len(head) and not answer:
            continue  # only asked
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
        turns = negations(before) + (1 if answer and answer["no"] else 0)
        value = family.value if turns == 0 else family.negated if turns == 1 else None
        if value == "handed_to_debtor" and _TOOK.match(match.group()) and taker(one, text, match) == "other":
            value = "handed_to_third_party"
        if value is not None:
            end = max(match.end(), len(head) + 1)
            yield Claim(family.kind, value, start + max(match.start(), len(head)), start + end)


def _is_of_the_wrong(one: Voiced, family: Family, place: int) -> bool:
    """Whether somebody else does or says it than whose act or stance it would be."""
    if family.kind == "outcome" and RELATIVES.search(one.clause.text, one.said_from or 0, place):
        return True  # 说他老婆不同意还
    if family.kind == "debt" and one.voice == "other" and RELATIVES.match(one.clause.text.lstrip()):
        return True  # 父亲知道儿子欠钱
    if family.kind in STANCES and family.value != "identity":
        is_told = one.voice == "other" and one.is_said(place) and not one.is_nameless
        return is_told and (one.names_subject or family.kind != "dispute")
    if family.value in OURS and SLIP.search(one.clause.text) and not PAPER.search(one.clause.text):
        return True  # a slip to call back is no letter
    is_ours = family.kind == "conduct" or family.value in OURS
    return is_ours and not family.is_theirs and _is_theirs(one.clause.text[:place])


def _is_theirs(before: str) -> bool:
    """Whether the words before an act are all of somebody else's: 债务人随手."""
    who = RELATIVES.match(before.lstrip()) or _SOMEBODY.match(before.lstrip())
    return who is not None and _OWN.fullmatch(before.lstrip(), who.end()) is not None

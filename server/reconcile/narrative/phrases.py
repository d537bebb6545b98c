"""Which acts, disputes and manners does a text tell of? The families of `words.toml`, found clause by clause.

Turned round (未出示证件), a phrase says its family's opposite, or nothing; supposed or asked it says nothing.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from server.reconcile.narrative.claim import Claim, Kind
from server.reconcile.narrative.clauses import is_supposed, negations, plain
from server.reconcile.narrative.voices import RELATIVES, Voiced
from server.reconcile.narrative.words import WORDS, finder, pattern
from server.rules.added_words import AddedWords

STANCES: Final = frozenset({"dispute", "debt", "outcome"})
_WISHED: Final = re.compile(
    "(?<!按)要求|请求|请其|让其|希望|准备|打算|以便|用于|请(?:债务人|持卡人|客户|他|她|对方)|下次|正要|原本|本想|想把"
    "|不让|不准|不许|不能|不得|不可|不便|问|上次|应当?$|须|需要|有没有|记得|[要让叫]我们|嘱我"
)
# Whoever opens the clause does what the words right behind say: 债务人出示, 他随手放.
_OWN: Final = re.compile(
    rf"\s*(?:债务人|持卡人|欠款人|借款人|客户|卡主|对方|{RELATIVES.pattern}|[其他她])(?:本人)?"
    "(?:也|又|就|便|主动|自己|当场|当即|随手|直接|反过来|向我们|跟我们|对我们|不肯|不愿|拒绝|[把将].{1,4})*"
)
OURS: Final = frozenset({"mailbox", "under_door", "posted", "left_behind"})
_TO: Final = pattern(WORDS["handed"]["to"])
_FOR: Final = pattern(WORDS["handed"]["for"])
_HANDED_TO: Final = re.compile(
    f"(?:{_TO})了?(?P<who>[^，。；]{{0,8}})|(?:{pattern(WORDS['handed']['asks'])})(?P<whom>[^，。；]{{1,12}}?)(?:{_FOR})"
)
_BY_PHONE: Final = finder("absent", "telephone")
_FAILED: Final = re.compile("时?(?:被拒|未果|未成|不成|没成|没送成|失败|遭拒|被婉拒|被挡|未能成功)")
_PAPER: Final = re.compile(pattern(["<paper>"]))
_SLIP: Final = re.compile(pattern(["<slip>"]))
_GIVES: Final = "[递给交送拿塞]"
_OFFERED: Final = re.compile(f"{_GIVES}.*(?:{_PAPER.pattern})|(?:{_PAPER.pattern}).*{_GIVES}")
_BARE_NO: Final = re.compile(
    r"\s*(?:他|她|其|对方|债务人|人家|就是|死活|硬是|说什么|怎么|还是|但|却|坚决|也|都|始终|直接)*"
    r"(?P<no>不接|不收|没接|不要|不肯接|不肯收|不肯要|不愿接|不愿收|拒接|拒收|不拿)[了的]?\s*"
)
_THEM: Final = re.compile("[他她其](?:转交|代转|代为转交|代交)")
_TOOK: Final = re.compile(f"[接收拿取领]|(?:{pattern(['<paper>'])}).*(?:{pattern(['<take>'])})|[由把]")


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
        replace(shipped[one.claim], found=re.compile(pattern(map(plain, one.words))))
        for one in added
        if one.claim in shipped
    )


def phrases_in(clauses: Sequence[Voiced], added: tuple[AddedWords, ...] = ()) -> Iterator[Claim]:
    """Find every phrase of every family."""
    known = (*families(), *_added(added))
    for one in clauses:
        if one.clause.is_question:
            continue
        for family in known:
            if family.found.search(one.clause.text):
                yield from _of_family(one, family)


def _of_family(one: Voiced, family: Family) -> Iterator[Claim]:
    text, start = one.clause.text, one.clause.start
    if family.unless and family.unless.search(text):
        return
    if family.kind in STANCES and one.voice == "us" and (one.names_subject or one.said_from):
        return
    if family.kind == "conduct" and _BY_PHONE.search(text):
        return
    for match in family.found.finditer(text):
        before = text[: match.start()]
        if is_supposed(before) or (family.kind not in STANCES and _WISHED.search(before)):
            continue
        if _is_of_the_wrong(one, family, match.start()):
            continue
        if family.kind == "delivery" and _FAILED.match(text, match.end()):
            continue
        turns = negations(before)
        value = family.value if turns == 0 else family.negated if turns == 1 else None
        if value == "handed_to_debtor" and one.voice == "other" and _TOOK.match(match.group()):
            value = "handed_to_third_party"
        if value is not None:
            yield Claim(family.kind, value, start + match.start(), start + match.end())


def _is_of_the_wrong(one: Voiced, family: Family, place: int) -> bool:
    """Whether somebody else does or says it than whose act or stance it would be."""
    if family.kind == "outcome" and RELATIVES.search(one.clause.text, one.said_from or 0, place):
        return True  # 说他老婆不同意还
    if family.kind in STANCES and family.value != "identity":
        is_told = one.voice == "other" and one.is_said(place)
        return is_told and (one.names_subject or family.kind != "dispute")
    if family.value in OURS and _SLIP.search(one.clause.text) and not _PAPER.search(one.clause.text):
        return True  # a slip to call back is no letter
    is_ours = family.kind == "conduct" or family.value in OURS
    return is_ours and not family.is_theirs and _OWN.fullmatch(one.clause.text[:place]) is not None


def handed_in(clauses: Sequence[Voiced], persons: Sequence[Claim]) -> Iterator[Claim]:
    """Find letters given to a third party who is named right there."""
    named = [one for one in persons if one.value.startswith("third_party:")]
    for one in clauses:
        text, start = one.clause.text, one.clause.start
        if _SLIP.search(text) and not _PAPER.search(text):
            continue  # a slip to call back is no letter
        for match in _HANDED_TO.finditer(text):
            group = "who" if match["who"] is not None else "whom"
            who = range(start + match.start(group), start + match.end(group))
            is_named = any(person.start in who for person in named) or (
                one.voice == "other" and bool(named) and _THEM.match(match[group])
            )
            before = text[: match.start()]
            if (
                is_named
                and not _FAILED.search(text, match.end())
                and not negations(before)
                and not _WISHED.search(before)
            ):
                yield Claim("delivery", "handed_to_third_party", start + match.start(), start + match.end())


def refused_in(clauses: Sequence[Voiced]) -> Iterator[Claim]:
    """Find the bare no to a letter that the clauses before hold out: 函件递过去，他不接."""
    for place, one in enumerate(clauses):
        offered = [
            before
            for before in clauses[max(0, place - 2) : place]
            if before.clause.sentence == one.clause.sentence and _OFFERED.search(before.clause.text)
        ]
        if offered and (match := _BARE_NO.fullmatch(one.clause.text)):
            yield Claim("delivery", "refused", one.clause.start + match.start("no"), one.clause.end)


def resolve_handed_over(claims: Sequence[Claim], persons: Sequence[Claim]) -> list[Claim]:
    """Say to whom 当面递交 was: the debtor, when the debtor and nobody else was met; else nothing."""
    met = {one.value for one in persons if one.kind == "met"}
    is_debtor = "debtor" in met and not any(value.startswith("third_party") for value in met)
    kept = []
    for one in claims:
        if one.value != "handed_over":
            kept.append(one)
        elif is_debtor:
            kept.append(Claim("delivery", "handed_to_debtor", one.start, one.end))
    return kept

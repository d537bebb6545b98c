"""Whom do words of kin and fellowship stand for, in this account?

A mother's 儿子 is the debtor, and a 师傅 with whom the writer came is one of us. Such words are read as what
they stand for, in their own width, before anything else is read.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Final

from server.reconcile.narrative.cast import ADDRESSES, ELDERS, RELATIVES, relation_of, sex_of, sex_of_debtor
from server.reconcile.narrative.claim import Claim
from server.reconcile.narrative.words import WORDS, pattern

_CALLS: Final = {name: frozenset(words) for name, words in WORDS["calls"].items()}
_CALLED_BY_KIN: Final = _CALLS.keys() - {"elder", "other", "neighbour", "property"}
_OWNED: Final = re.compile(
    f"(?:{pattern(chain(WORDS['third_party']['possessors'], WORDS['debtor']['words']))}|[之家])"
    "(?:的|之|家|他|她)?$"
)
_SPOUSES: Final = re.compile(pattern(WORDS["relations"]["spouse"]))
_FELLOW: Final = re.compile(
    "我们?[和跟与同](?:另?一?[位个名]?(?:男|女)?(?:同组的?|组里的?|部门的?|公司的?)?)?"
    "(?P<who>师傅|师父|师姐|师兄|师弟|师妹|姐姐|大姐|大哥|组长|主管|队长|经理|徒弟|老板|领导|[老小阿][\\u4e00-\\u9fff](?![板人婆公伴汉爷太头妈爸娘子儿两]))"
    "(?=一起|一同|一块|两人|俩|到|上|去|来|在|于|敲|找|进|赶|商量|轮流|开车|骑|从|[一二三四五六七八九十两早晚中下]|\\d)"
)
MOST_FELLOWS: Final = 3
OURS: Final = "我们俩个"  # as wide as any word of _FELLOW
THE_DEBTOR: Final = "其本人"
WIDTHS: Final = (2, 3)  # of the words that stand for the debtor


def named(text: str) -> str:
    """Return the text with what stands for us, or for the debtor, in their stead."""
    for match in islice(_FELLOW.finditer(text), MOST_FELLOWS):
        text = text.replace(match["who"], OURS[: len(match["who"])])
    return _with_debtor(text)


def _with_debtor(text: str) -> str:
    """Put the debtor where whoever was named before calls the debtor by kin."""
    debtor = sex_of_debtor(text, (one.group() for one in _SPOUSES.finditer(text)))
    called: frozenset[str] = frozenset()
    caller = ""
    found = list(text)
    for match in RELATIVES.finditer(text):
        word = match.group()
        is_owned = _OWNED.search(text, max(0, match.start() - 8), match.start()) is not None
        is_theirs = len(word) > 1 and word[0] in "其他她之"
        if (
            word in called
            and not set(word) & set(caller)
            and not is_owned
            and not is_theirs
            and sex_of(word) in (None, debtor or sex_of(word))
        ):
            found[match.start() : match.end()] = THE_DEBTOR[-len(word) :]
            debtor = debtor or sex_of(word)  # 爸爸去打鱼了，妈妈在地里
        elif relation_of(word) in _CALLED_BY_KIN and (
            is_owned or is_theirs or relation_of(word) == "tenant" or _is_close(text, match)
        ):
            caller = word
            called = frozenset(one for one in _CALLS[relation_of(word)] if len(one) in WIDTHS)
    return "".join(found)


def _is_close(text: str, match: re.Match[str]) -> bool:
    """Whether a clause opens with a wife, a husband or a parent: whose but the debtor's?"""
    place = match.start()
    return relation_of(match.group()) in ("spouse", "parent") and (
        place == 0 or text[place - 1] in "，。；！？：\n,;.:、 "
    )


def recast(claims: Sequence[Claim], text: str) -> list[Claim]:
    """Take somebody whom nobody names, and who answers for the debt, for the debtor: 阿姨说账是对的.

    Who only says not to be the debtor (你找错人了) stays nobody in particular.
    """
    met = {one.value for one in claims if one.kind == "met"}
    if "debtor" in met:  # 一个女的开门, and it was she
        return [one for one in claims if one.value != "third_party:other" or one.words(text) not in ELDERS]
    disputes = {one.value for one in claims if one.kind == "dispute"}
    is_mistaken = "identity" in disputes
    answers = bool(disputes) or any(one.kind in ("debt", "outcome", "promise") for one in claims)
    if met != {"third_party:other"} or not (answers or is_mistaken):
        return list(claims)
    kept = [one for one in claims if one.kind != "met"]
    elders = [one for one in claims if one.kind == "met" and one.words(text) in ELDERS | ADDRESSES]
    others = [one for one in claims if one.kind == "met" and one not in elders]
    return [*kept, *others, *(() if is_mistaken else (replace(one, value="debtor") for one in elders))]

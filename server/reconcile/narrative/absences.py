"""Was the debtor away?

Whose absence it is depends on who speaks: a mother's 儿子 is the debtor, a neighbour's 他老婆 is not, and a
debtor who talks is there. A text that corrects itself (不对, 其实) says nothing.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from server.reconcile.narrative.cast import RELATION, RELATIVES
from server.reconcile.narrative.claim import Claim
from server.reconcile.narrative.clauses import negations
from server.reconcile.narrative.voices import Voiced
from server.reconcile.narrative.words import WORDS, finder, pattern

_PHONE: Final = finder("absent", "telephone")
AWAY: Final = re.compile(pattern([*WORDS["absent"]["words"], *WORDS["absent"]["places"]]))
_ALWAYS_THE_DEBTOR: Final = re.compile(pattern(["<not><see>"]))
_ANYBODY: Final = frozenset(RELATION)
_CALLS: Final = {name: frozenset(words) for name, words in WORDS["calls"].items()}
_PLACE_OF: Final = re.compile("[那这]|家|处|身边|跟前")
_PRETENDED: Final = re.compile("假装|装作|装不|骗|谎称|假说|盘出去|借出去|还回去|赔进去")
_ASKED_WHERE: Final = re.compile("去向|下落|行踪|近况|现状|所在")
_ACCOMPANIED: Final = re.compile("[陪带送接跟和看找帮给](?:着|了)?(?:他|她)?$")
_FORMERLY: Final = re.compile("以前|从前|原先|曾经|过去(?!了)|早些年|年轻时|前几年")
_NURSES: Final = re.compile("陪|照顾|护理|伺候|刚|准备|要去")
_MAYBE: Final = re.compile("估计|可能|好像|似乎|大概|应该|疑似|怀疑|或许|应是|推测|以为")
_THE_DEBTOR: Final = re.compile("本人|债务人|持卡人|^人|他|她|业主")
_US: Final = finder("us")


def absences_in(clauses: Sequence[Voiced]) -> Iterator[Claim]:
    """Find where the debtor is said to be away."""
    corrected = {
        one.clause.sentence for one in clauses if finder("absent", "corrected").search(one.clause.text)
    }
    has_others = any(one.voice == "other" for one in clauses)
    for one in clauses:
        text, start = one.clause.text, one.clause.start
        if one.clause.sentence in corrected or one.clause.is_question:
            continue
        for match in AWAY.finditer(text):
            if _PRETENDED.search(text, 0, match.end()):
                continue
            if _US.search(text, max(0, match.start() - 3), match.start()):
                continue  # 我们不在场时
            if not one.is_said(match.start()) and _MAYBE.search(text, 0, match.start()):
                continue
            if _is_the_debtor(one, match, clauses):
                yield Claim("absent", "debtor", start + match.start(), start + match.end())
                break
        else:
            yield from _said_away(one, has_others=has_others)


def _speaks_of_the_debtor(before: str) -> bool:
    """Whether the last person named before an absence is the debtor: not in 债务人的父亲住院."""
    persons = [one.end() for one in RELATIVES.finditer(before)]
    debtors = [one.end() for one in _THE_DEBTOR.finditer(before)]
    return bool(debtors) and max(debtors) > max(persons, default=-1)


def _said_away(one: Voiced, *, has_others: bool) -> Iterator[Claim]:
    """Find what means absence when it is said of the debtor, by others or by us: 老板进货去了, CH在船上."""
    is_told = (one.voice == "other" and one.said_from is not None) or _ASKED_WHERE.search(one.clause.head)
    is_of_the_debtor = (
        has_others
        and not _NURSES.search(one.clause.text)
        and one.voice == "debtor"
        and one.names_subject
        and one.said_from is None
    )
    if not (is_told or is_of_the_debtor):
        return
    key = "said_away" if is_told else "gone"
    match = finder("absent", key).search(one.clause.text, one.said_from or 0)
    if match and _FORMERLY.search(one.clause.text, one.said_from or 0, match.start()):
        return  # 以前在镇上开店
    if match is None or _names_another(one, match.start()) or _US.search(one.clause.text, 0, match.start()):
        return
    if not negations(one.clause.text[one.said_from or 0 : match.start()]):
        yield Claim("absent", "debtor", one.clause.start + match.start(), one.clause.start + match.end())


def _is_the_debtor(one: Voiced, match: re.Match[str], clauses: Sequence[Voiced]) -> bool:
    """Whether it is the debtor who is away, and not a relative, nor a debtor who is talking here."""
    before = one.clause.text[: match.start()]
    if negations(before):
        return False
    if _ALWAYS_THE_DEBTOR.search(match.group()):
        return True
    if one.voice == "debtor" and one.is_said(match.start()):
        return any(
            _PHONE.search(other.clause.text)
            for other in clauses
            if other.clause.sentence == one.clause.sentence
        )
    if one.voice == "debtor":
        if one.names_subject:
            return _speaks_of_the_debtor(before) or not RELATIVES.search(before)
        return one.he is not None or match.start() == 0
    if one.voice == "other":
        # What a third party says of somebody is said of the debtor; what is said of a third party is not.
        if one.is_said(match.start()):
            return not _names_another(one, match.start())
        return _speaks_of_the_debtor(before)
    return True


def _names_another(one: Voiced, place: int) -> bool:
    """Whether a third party speaks of somebody else than the debtor: a neighbour of his wife."""
    text = one.clause.text
    begun = one.said_from or 0
    speaker = RELATIVES.search(text, 0, begun)
    spoken_of = [
        found.group().lstrip("其他她")
        for found in RELATIVES.finditer(text, begun, place)
        if RELATION[found.group()] != "family"
        and not _PLACE_OF.match(text, found.end())
        and not _ACCOMPANIED.search(text, begun, found.start())
    ]  # neither 这家人 nor 他儿子那边
    if not spoken_of or not speaker:
        return False
    return spoken_of[-1] not in _CALLS.get(RELATION[speaker.group()], _ANYBODY)

"""Was the debtor away?

Whose absence it is depends on who speaks: a mother's 儿子 is the debtor, a neighbour's 他老婆 is not, and a
debtor who talks is there. A text that corrects itself (不对, 其实) says nothing.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from server.reconcile.narrative.claim import Claim
from server.reconcile.narrative.clauses import negations
from server.reconcile.narrative.voices import RELATION, RELATIVES, Voiced
from server.reconcile.narrative.words import WORDS, finder, pattern

_PHONE: Final = finder("absent", "telephone")
_AWAY: Final = re.compile(pattern([*WORDS["absent"]["words"], *WORDS["absent"]["places"]]))
_ALWAYS_THE_DEBTOR: Final = re.compile(pattern(["<not><see>"]))
_ANYBODY: Final = frozenset(RELATION)
_CALLS: Final = {name: frozenset(words) for name, words in WORDS["calls"].items()}
_PLACE_OF: Final = re.compile("[那这]|家|处|身边|跟前")
_MAYBE: Final = re.compile("估计|可能|好像|似乎|大概|应该|疑似|怀疑|或许|应是|推测|以为")
_THE_DEBTOR: Final = re.compile("本人|债务人|持卡人|^人|他|她|业主")
_US: Final = finder("us")


def absences_in(clauses: Sequence[Voiced]) -> Iterator[Claim]:
    """Find where the debtor is said to be away."""
    corrected = {
        one.clause.sentence for one in clauses if finder("absent", "corrected").search(one.clause.text)
    }
    for one in clauses:
        text, start = one.clause.text, one.clause.start
        if one.clause.sentence in corrected or one.clause.is_question:
            continue
        for match in _AWAY.finditer(text):
            if _US.search(text, max(0, match.start() - 3), match.start()):
                continue  # 我们不在场时
            if not one.is_said(match.start()) and _MAYBE.search(text, 0, match.start()):
                continue
            if _is_the_debtor(one, match, clauses):
                yield Claim("absent", "debtor", start + match.start(), start + match.end())
                break
        else:
            yield from _said_away(one)


def _speaks_of_the_debtor(before: str) -> bool:
    """Whether the last person named before an absence is the debtor: not in 债务人的父亲住院."""
    persons = [one.end() for one in RELATIVES.finditer(before)]
    debtors = [one.end() for one in _THE_DEBTOR.finditer(before)]
    return bool(debtors) and max(debtors) > max(persons, default=-1)


def _said_away(one: Voiced) -> Iterator[Claim]:
    """Find what means absence only in the mouth of somebody else: 老板进货去了."""
    if one.voice != "other" or one.said_from is None or one.clause.is_quoted:
        return
    match = finder("absent", "said_away").search(one.clause.text, one.said_from)
    if match is None or _names_another(one, match.start()) or _US.search(one.clause.text, 0, match.start()):
        return
    if not negations(one.clause.text[one.said_from : match.start()]):
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
        return one.names_subject or match.start() == 0
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
        if RELATION[found.group()] != "family" and not _PLACE_OF.match(text, found.end())
    ]  # neither 这家人 nor 他儿子那边
    if not spoken_of or not speaker:
        return False
    return spoken_of[-1] not in _CALLS.get(RELATION[speaker.group()], _ANYBODY)

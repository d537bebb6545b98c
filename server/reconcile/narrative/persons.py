"""Who was met, and was the debtor away?

Somebody who is only talked about was not met: what the debtor says of a wife, what a neighbour says of the
debtor. A text that corrects itself (不对, 其实) says nothing of absence.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from server.reconcile.narrative.claim import Claim
from server.reconcile.narrative.clauses import negations
from server.reconcile.narrative.voices import Voiced, debtors_in
from server.reconcile.narrative.words import WORDS, finder, pattern

_RELATION: Final = {word: name for name, words in WORDS["relations"].items() for word in words}
_PERSON: Final = re.compile(pattern(_RELATION))
_PHONE: Final = finder("absent", "telephone")
_UNMET_BEFORE: Final = re.compile(f"(?:{pattern(WORDS['debtor']['unmet_before'])})$")
_UNMET_AFTER: Final = re.compile(pattern(WORDS["debtor"]["unmet_after"]))
_OWNERS: Final = pattern(WORDS["third_party"]["possessors"])
_ONE: Final = "(?:一?[个位家户名对])?"
_MET_BEFORE: Final = re.compile(
    f"(?:{pattern(WORDS['third_party']['met_before'])}|(?<![未没不难])见)(?:{_OWNERS})?{_ONE}$"
)
_NOT_MET_BEFORE: Final = re.compile(
    f"(?:{pattern(WORDS['third_party']['unmet_before'])})(?:{_OWNERS})?{_ONE}$"
)
_ACTS: Final = re.compile(f".{{0,3}}?(?:{pattern(WORDS['third_party']['acts'])})")
_AWAY: Final = re.compile(pattern([*WORDS["absent"]["words"], *WORDS["absent"]["places"]]))
_ALWAYS_THE_DEBTOR: Final = re.compile("见")
_THE_DEBTOR: Final = re.compile("本人|债务人|持卡人|^人|他|她|业主")


def persons_in(clauses: Sequence[Voiced]) -> tuple[Claim, ...]:
    """Find who was met (each once, where first named), that nobody was, and that the debtor was away."""
    away = tuple(_absences(clauses))
    nobody = tuple(_nobody(clauses))
    covered = [range(one.start, one.end) for one in (*away, *nobody)]
    found = [*away, *nobody, *_debtor(clauses, covered), *_liable(clauses), *_others(clauses)]
    return tuple(found)


def _debtor(clauses: Sequence[Voiced], covered: Sequence[range]) -> Iterator[Claim]:
    for one in clauses:
        text, start = one.clause.text, one.clause.start
        if _PHONE.search(text):
            continue
        for match in debtors_in(text):
            if one.voice in ("other", "unknown") and one.is_said(match.start()):
                continue
            if one.clause.is_quoted or any(start + match.start() in span for span in covered):
                continue
            if _UNMET_BEFORE.search(text[: match.start()]) or _UNMET_AFTER.match(text[match.end() :]):
                continue
            yield Claim("met", "debtor", start + match.start(), start + match.end())


def _liable(clauses: Sequence[Voiced]) -> Iterator[Claim]:
    for one in clauses:
        for match in finder("debtor", "liable").finditer(one.clause.text):
            rest = one.clause.text[match.end() :]
            if not one.is_said(match.start()) and _ACTS.match(rest) and not _UNMET_AFTER.match(rest):
                place = one.clause.start
                yield Claim("met", "liable_person", place + match.start(), place + match.end())


def _others(clauses: Sequence[Voiced]) -> Iterator[Claim]:
    elders, others = [], []
    for one in clauses:
        text, start = one.clause.text, one.clause.start
        if _PHONE.search(text) or one.clause.is_quoted:
            continue
        for match in _PERSON.finditer(text):
            before, rest = text[: match.start()], text[match.end() :]
            if one.is_said(match.start()) or _NOT_MET_BEFORE.search(before):
                continue
            if not (_ACTS.match(rest) or _MET_BEFORE.search(before)):
                continue
            relation = _RELATION[match.group()]
            value = "third_party:other" if relation == "elder" else f"third_party:{relation}"
            claim = Claim("met", value, start + match.start(), start + match.end())
            (elders if relation == "elder" else others).append(claim)
    yield from others or elders


def _nobody(clauses: Sequence[Voiced]) -> Iterator[Claim]:
    for one in clauses:
        text = one.clause.text
        if finder("nobody", "not_with").search(text):
            continue
        for match in finder("nobody").finditer(text):
            if (one.voice != "us" and one.is_said(match.start())) or finder("nobody", "not_after").match(
                text[match.end() :]
            ):
                continue
            place = one.clause.start
            yield Claim("met", "nobody", place + match.start(), place + match.end())
            break


def _absences(clauses: Sequence[Voiced]) -> Iterator[Claim]:
    corrected = {
        one.clause.sentence for one in clauses if finder("absent", "corrected").search(one.clause.text)
    }
    for one in clauses:
        text, start = one.clause.text, one.clause.start
        if one.clause.sentence in corrected or one.clause.is_question:
            continue
        for match in _AWAY.finditer(text):
            if _is_the_debtor(one, match, clauses):
                yield Claim("absent", "debtor", start + match.start(), start + match.end())
                break
        else:
            yield from _said_away(one)


def _speaks_of_the_debtor(before: str) -> bool:
    """Whether the last person named before an absence is the debtor: not in 债务人的父亲住院."""
    persons = [one.end() for one in _PERSON.finditer(before)]
    debtors = [one.end() for one in _THE_DEBTOR.finditer(before)]
    return bool(debtors) and max(debtors) > max(persons, default=-1)


def _said_away(one: Voiced) -> Iterator[Claim]:
    """Find what means absence only in the mouth of somebody else: 老板进货去了."""
    if one.voice != "other" or one.said_from is None or one.clause.is_quoted:
        return
    match = finder("absent", "said_away").search(one.clause.text, one.said_from)
    if match and not negations(one.clause.text[one.said_from : match.start()]):
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
        return one.is_said(match.start()) or _speaks_of_the_debtor(before)
    return True

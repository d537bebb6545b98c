"""What does somebody promise to pay, and until when?

A promise is a verb of paying in the debtor's words (or beside 承诺, 答应, …) with a sum or a day that the
text gives. Asking is not promising, neither is a promise of last time, a wish, or one with an if.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import groupby
from typing import Final

from server.reconcile.narrative.claim import Claim
from server.reconcile.narrative.clauses import is_supposed, negations
from server.reconcile.narrative.voices import Voiced
from server.reconcile.narrative.words import finder

_HIDDEN: Final = finder("promise", "not_paying")
_PAYS: Final = finder("promise", "pays")
_CUES: Final = finder("promise", "cues")
_PAST: Final = finder("past")
_RECEIPT: Final = re.compile("(?:之?以?前)?(?:到账|到帐|到位|入账|入帐)")
NOTHING: Final = "-"
FRAGMENTS: Final = 3  # how many short clauses before a promise may hold its sum


def promises_in(clauses: Sequence[Voiced], values: Sequence[Claim], day: date) -> Iterator[Claim]:
    """Find the promises, sentence by sentence."""
    ordered = sorted(values, key=lambda one: one.start)
    for _, sentence in groupby(clauses, key=lambda one: one.clause.sentence):
        yield from _of_sentence(list(sentence), ordered, day)


def _of_sentence(clauses: Sequence[Voiced], values: Sequence[Claim], day: date) -> Iterator[Claim]:
    has_cue = any(_cue(one.clause.text) for one in clauses)
    is_if = False
    used: set[Claim] = set()
    for place, one in enumerate(clauses):
        text = one.clause.text
        is_if = is_if or is_supposed(text) or one.clause.is_question
        cue = _cue(text)
        pay = _payment(text)
        if is_if or _is_no_promise(one, pay, has_cue=has_cue):
            continue
        if pay is None and cue is None:
            continue
        amount = _amount(clauses, place, pay, values, used)
        due = _date(clauses, place, values, used, day)
        if due is None and not has_cue:
            continue
        if (amount is None and due is None) or (
            pay is None and not _is_whole_promise(text, cue, amount, due)
        ):
            continue
        used |= {value for value in (amount, due) if value is not None}
        parts = [value for value in (amount, due) if value is not None]
        begin = one.clause.start + min(found.start() for found in (cue, pay) if found is not None)
        end = one.clause.start + max(found.end() for found in (cue, pay) if found is not None)
        yield Claim(
            "promise",
            f"{amount.value if amount else NOTHING}@{due.value if due else NOTHING}",
            min(begin, *(part.start for part in parts)),
            max(end, *(part.end for part in parts)),
        )


def _cue(text: str) -> re.Match[str] | None:
    return next((one for one in _CUES.finditer(text) if not negations(text[: one.start()])), None)


def _payment(text: str) -> re.Match[str] | None:
    hidden = _HIDDEN.sub(lambda one: "□" * len(one.group()), text)
    return next((one for one in _PAYS.finditer(hidden) if not negations(hidden[: one.start()])), None)


def _is_no_promise(one: Voiced, pay: re.Match[str] | None, *, has_cue: bool) -> bool:
    """Whether the clause is our request, looks back, stays open, or is not the debtor's to say."""
    text = one.clause.text
    if finder("promise", "asked").search(text) and one.voice != "debtor":
        return True
    if _PAST.search(text) or finder("promise", "open").search(text):
        return True
    if one.voice == "us" and (one.names_subject or _cue(text) is None):
        return True
    if negations(text[: pay.start()] if pay else ""):
        return True
    return not has_cue and one.voice not in ("debtor", "other")


def _is_whole_promise(text: str, cue: re.Match[str] | None, amount: Claim | None, due: Claim | None) -> bool:
    """Whether 承诺, 答应 or ptp alone say it: with both the sum and the day."""
    return cue is not None and amount is not None and due is not None


def _within(one: Voiced, values: Sequence[Claim], kind: str, used: set[Claim]) -> list[Claim]:
    first = bisect_left(values, one.clause.start, key=lambda value: value.start)
    until = bisect_left(values, one.clause.end, key=lambda value: value.start)
    return [value for value in values[first:until] if value.kind == kind and value not in used]


def _amount(
    clauses: Sequence[Voiced],
    place: int,
    pay: re.Match[str] | None,
    values: Sequence[Claim],
    used: set[Claim],
) -> Claim | None:
    one = clauses[place]
    here = _within(one, values, "amount", used)
    if pay is not None:
        after = [value for value in here if value.start >= one.clause.start + pay.start()]
        here = (
            after
            or [value for value in here if "将" in one.clause.text[: value.start - one.clause.start]]
            or here
        )
    if here:
        return here[0]
    following = (clauses[place + 1],) if place + 1 < len(clauses) else ()
    for near in (*following, *reversed(clauses[max(0, place - FRAGMENTS) : place])):
        there = _fragment(near, values, used)
        if there is not None and there.kind == "amount":
            return there
        if there is None and near not in following:
            return None
    return None


def _fragment(one: Voiced, values: Sequence[Claim], used: set[Claim]) -> Claim | None:
    """Return the only value of a clause that says nothing else: 下期7月3日."""
    there = [value for kind in ("amount", "date") for value in _within(one, values, kind, used)]
    is_bare = len(there) == 1 and there[0].end - there[0].start >= len(one.clause.text.strip()) - 2
    return there[0] if is_bare else None


def _date(
    clauses: Sequence[Voiced], place: int, values: Sequence[Claim], used: set[Claim], day: date
) -> Claim | None:
    """Return the day of this clause, or of the one before it when that says no more than when."""
    for near in range(place, max(-1, place - 1 - FRAGMENTS), -1):
        if near != place and _payment(clauses[near].clause.text) is not None:
            continue
        if near < place - 1 and _fragment(clauses[near + 1], values, used) is None:
            break
        there = [one for one in _within(clauses[near], values, "date", used) if one.value >= day.isoformat()]
        if there and not _PAST.search(clauses[near].clause.text):
            return there[-1]
    return _day_of_receipt(clauses[place + 1 : place + 2], values, used, day)


def _day_of_receipt(
    following: Sequence[Voiced], values: Sequence[Claim], used: set[Claim], day: date
) -> Claim | None:
    """Return the day of the next clause when all it says is that the money will be there: 下周六到账."""
    for one in following:
        for value in _within(one, values, "date", used):
            rest = one.clause.text[value.end - one.clause.start :]
            is_all = value.start - one.clause.start == len(one.clause.text) - len(one.clause.text.lstrip())
            if is_all and _RECEIPT.fullmatch(rest) and value.value >= day.isoformat():
                return value
    return None

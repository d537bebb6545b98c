"""Which sums and days does the tagger see promised, and which of them go together?

Sentence by sentence. A question promises nothing, and the past is none. What goes together is the lists' word
where they name just what the tagger sees promised, or where it does not see what is; otherwise what stands
nearest. What a promise names may stand a clause before it: 20号发工资，到时还一千.
"""

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from operator import itemgetter
from typing import Final, TypeVar

from server.reconcile.narrative.claim import Claim, Kind
from server.reconcile.narrative.tagger import Marks, Span, runs, sentences

PROMISED: Final = 0.3
PROMISED_TOO: Final = 0.2
PROMISED_LONE: Final = 0.1
"""How likely a sum or a day must be promised; where the lists say so; where a promise lacks just that.

Set on `building`, read by networks that had not learned from it, and held against `judging.txt`.
"""
NEXT: Final = 3
REACH: Final = 40
"""How many promising words, and characters, behind a day may say 到时 of it."""
PARTS: Final[tuple[Kind, ...]] = ("amount", "date")
_One = TypeVar("_One")
_THEN: Final = re.compile("到时|届时|到辰光|[那当][天日]")


def is_promised(marks: Marks, one: Claim, bar: float = PROMISED) -> bool:
    """Whether the tagger sees a sum or a day promised."""
    return marks.peak(f"promised_{one.kind}", one.start, one.end) >= bar


def promises_of(
    text: str, listed: Sequence[Claim], marks: Marks, values: Sequence[Claim], bar: float, day: date
) -> Iterator[Claim]:
    """Read the promises of a text whose sums and days are `values`; `bar`: how likely a word must promise."""
    place = sentences(text)
    asked = {place[at] for at, char in enumerate(text) if char in "？?"}
    words = _grouped((word, place[word[0]]) for word in runs(marks.likely["promise"], bar))
    told = _grouped((one, place[one.start]) for one in listed if one.kind == "promise")
    parts = _grouped((one, place[one.start]) for one in values if one.kind in PARTS)
    for at in sorted(words.keys() - asked):
        for one in _of_sentence(text, words[at], told[at], parts[at], marks):
            due = one.value.partition("@")[2]
            if due == "-" or due >= day.isoformat():
                yield one


def _grouped(placed: Iterable[tuple[_One, int]]) -> defaultdict[int, list[_One]]:
    groups = defaultdict[int, list[_One]](list)
    for one, at in placed:
        groups[at].append(one)
    return groups


def _of_sentence(
    text: str, words: Sequence[Span], listed: Sequence[Claim], parts: Sequence[Claim], marks: Marks
) -> Iterable[Claim]:
    listed_parts = {part for one in listed for part in one.value.split("@")} - {"-"}
    named = [
        one
        for one in parts
        if _is_taken_up(text, one, words)
        or is_promised(marks, one, PROMISED_TOO if one.value in listed_parts else PROMISED)
    ]
    named += _lacking(named, parts, marks)
    seen = {one.value for one in named}
    is_listed = listed and (not seen or listed_parts == seen)
    return listed if is_listed else _nearest(words, named)


def _is_taken_up(text: str, one: Claim, words: Sequence[Span]) -> bool:
    """Whether a day is what one of the next promising words says 到时 of."""
    behind = bisect_left(words, one.end, key=itemgetter(1))
    if one.kind != "date" or behind == len(words):
        return False
    last = words[min(behind + NEXT, len(words)) - 1][1]
    return _THEN.search(text, one.end, min(last, one.end + REACH)) is not None


def _lacking(named: Sequence[Claim], parts: Sequence[Claim], marks: Marks) -> list[Claim]:
    """Return the sum or day that nothing of `named` is, where it is the only one and a little likely."""
    if not named:
        return []
    kinds, counts = {one.kind for one in named}, Counter(one.kind for one in parts)
    lone = (one for one in parts if one.kind not in kinds and counts[one.kind] == 1)
    return [one for one in lone if is_promised(marks, one, PROMISED_LONE)]


def _nearest(words: Sequence[Span], parts: Sequence[Claim]) -> Iterator[Claim]:
    """Give each sum and day to the promising word that it stands by; one of each are one promise."""
    of_word: dict[Span, list[Claim]] = {}
    for part in parts:
        behind = bisect_left(words, (part.start, part.end))
        near = words[max(0, behind - 1) : behind + 1]
        of_word.setdefault(min(near, key=lambda one: _gap(part, one)), []).append(part)
    if len({one.kind for one in parts}) == len(parts) > 0:
        of_word = {min(of_word): list(parts)}
    for word, own in _joined(of_word):
        amount, due = (
            min((one for one in own if one.kind == kind), key=lambda one: _gap(one, word), default=None)
            for kind in ("amount", "date")
        )
        yield Claim("promise", "@".join(one.value if one else "-" for one in (amount, due)), *word)


def _joined(of_word: Mapping[Span, Sequence[Claim]]) -> Iterator[tuple[Span, Sequence[Claim]]]:
    """Take words together of which one has but days and the next but sums: 说好3月5号…还3000."""
    waiting: tuple[Span, Sequence[Claim]] | None = None
    for word, own in sorted(of_word.items()):
        kinds = {one.kind for one in own}
        if waiting and kinds.isdisjoint(one.kind for one in waiting[1]):
            yield waiting[0], [*waiting[1], *own]
            waiting = None
            continue
        if waiting:
            yield waiting
        waiting = word, own
    if waiting:
        yield waiting


def _gap(value: Claim, word: Span) -> int:
    """How many characters lie between a sum or a day and a promising word."""
    return max(word[0] - value.end, value.start - word[1], 0)

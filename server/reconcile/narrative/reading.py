"""What does a written account claim, by lists of phrases and by a tagger that learned from labelled accounts?

The lists read some phrases for certain and overlook many; the tagger knows how accounts go, is told what the
lists read, and says how likely each claim is. A claim is read where that reaches the bar of its kind. A
client's own phrases need no second opinion. What a sum, a day or a minute amounts to is read by the lists'
grammar alone; which of them are promised is the tagger's word, where it has one.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from server.reconcile.narrative import MOST_READ, added_claims, once, read_narrative
from server.reconcile.narrative.amounts import SUM, even, in_fen, is_about, is_name, is_no_sum
from server.reconcile.narrative.claim import Claim, Kind
from server.reconcile.narrative.spelling import plain
from server.reconcile.narrative.tagger import Marks, Numbers, sentences, tag
from server.reconcile.narrative.times import is_about as is_about_then
from server.reconcile.narrative.times import likely_times
from server.rules.added_words import AddedWords

BELONGS: Final = 0.5
BELONGS_TOO: Final = 0.2
"""How likely a sum or a day must be promised; where a promise of the lists names it."""
TIMES: Final[tuple[Kind, ...]] = ("arrived", "left", "time")
FIGURES: Final[tuple[Kind, ...]] = (*TIMES, "amount", "date")
Fact = tuple[Kind, str]
Span = tuple[int, int]
THERE: Final[Fact] = ("met", "debtor")
AWAY: Final[Fact] = ("absent", "debtor")

# Set on `tests/reconcile/narratives/judging.txt`: neither the lists nor the tagger learned from it.
BARS: Final[dict[str, float]] = {
    "arrived": 0.65,
    "left": 0.5,
    "time": 0.4,
    "amount": 0.75,
    "date": 0.5,
    "promise": 0.2,
    "met": 0.55,
    "met=debtor": 0.3,
    "absent": 0.45,
    "delivery": 0.65,
    "dispute": 0.6,
    "conduct": 0.8,
    "debt": 0.75,
    "outcome": 0.5,
}
"""From which likelihood on a claim of a kind is read, or of a value that is known better than the others."""


@lru_cache(maxsize=32)
def read_account(text: str, day: date, added: tuple[AddedWords, ...] = ()) -> tuple[Claim, ...]:
    """Return the claims of an account in the order of their places. `added`: a client's own phrases."""
    seen = text[:MOST_READ]
    if not seen.strip():
        return ()
    listed = read_narrative(seen, day)
    own = added_claims(seen, added) if added else ()
    return once(_in_order((*weighed(seen, listed, tag(seen, listed), day), *own)))


def weighed(text: str, listed: Sequence[Claim], marks: Marks, day: date) -> tuple[Claim, ...]:
    """Return what is claimed where the lists read `listed` and the tagger sees `marks`."""
    even = plain(text)
    values = [*_times(listed, marks, even), *_sums_and_days(listed, marks, even)]
    promises = _promises(listed, marks, values, text, day)
    return _in_order((*_facts(marks), *values, *promises))


def _in_order(claims: Iterable[Claim]) -> tuple[Claim, ...]:
    return tuple(sorted(claims, key=lambda one: (one.start, one.end, one.kind, one.value)))


def _facts(marks: Marks) -> Iterator[Claim]:
    """Read what happened, each fact once; a debtor is there or away, whichever is likelier."""
    found: dict[Fact, tuple[float, Claim]] = {}
    for kind, value, likely in marks.facts():
        bar, peak = BARS.get(f"{kind}={value}", BARS[kind]), float(likely.max())
        if peak >= bar:
            found[kind, value] = (peak, Claim(kind, value, *next(_runs(likely, bar))))
    if {THERE, AWAY} <= found.keys():
        del found[min((THERE, AWAY), key=lambda one: found[one][0])]
    return (claim for _, claim in found.values())


def _times(listed: Sequence[Claim], marks: Marks, text: str) -> Iterator[Claim]:
    """Read the clock times: the minute by grammar, its part in the visit by the tagger."""
    told = [one for one in listed if one.kind in TIMES]
    taken = _places(told, text)
    for one in told:
        kind, peak = _part_in_visit(marks, one.start, one.end)
        if peak >= BARS[kind]:
            yield replace(one, kind=kind)
    for match, value in likely_times(text):
        kind, peak = _part_in_visit(marks, *match.span())
        if peak >= BARS[kind] and not taken[slice(*match.span())].any():
            taken[slice(*match.span())] = True
            yield Claim(kind, value, *match.span(), is_approximate=is_about_then(text, match))


def _part_in_visit(marks: Marks, start: int, end: int) -> tuple[Kind, float]:
    peaks = {kind: marks.peak(kind, start, end) for kind in TIMES}
    kind = max(TIMES, key=lambda one: peaks[one])
    return kind, peaks[kind]


def _sums_and_days(listed: Sequence[Claim], marks: Marks, text: str) -> Iterator[Claim]:
    for one in listed:
        is_named = one.kind in ("amount", "date")
        is_season = one.kind == "date" and one.is_approximate and not _is_promised(marks, one, ())
        if is_named and not is_season and marks.peak(one.kind, one.start, one.end) >= BARS[one.kind]:
            yield one
    taken = _places([one for one in listed if one.kind in FIGURES], text)
    for match in SUM.finditer(even(text)):
        is_bare = not (match["unit"] or match["sign"])
        is_seen = marks.peak("amount", *match.span("number")) >= BARS["amount"]
        if not is_seen or is_no_sum(text, match, is_surely=True) or (is_bare and is_name(text, match)):
            continue
        fen, end = in_fen(match), match.end("number") if is_bare else match.end()
        if fen and not taken[slice(*match.span())].any():
            yield Claim("amount", fen, match.start(), end, is_approximate=is_about(text, match))


def _promises(
    listed: Sequence[Claim], marks: Marks, values: Sequence[Claim], text: str, day: date
) -> Iterator[Claim]:
    """Read the promises, sentence by sentence. A question promises nothing, and the past is none.

    What goes together is the lists' word where they name just what the tagger sees promised, or where it does
    not see what is; otherwise what stands nearest.
    """
    place = sentences(text)
    asked = {place[at] for at, char in enumerate(text) if char in "？?"}
    words = defaultdict[int, list[Span]](list)
    told, named = defaultdict[int, list[Claim]](list), defaultdict[int, list[Claim]](list)
    for word in _runs(marks.likely["promise"], BARS["promise"]):
        words[place[word[0]]].append(word)
    for one in listed:
        if one.kind == "promise":
            told[place[one.start]].append(one)
    listed_parts = {at: {part for one in own for part in one.value.split("@")} for at, own in told.items()}
    for one in values:
        at = place[one.start]
        if one.kind in ("amount", "date") and _is_promised(marks, one, listed_parts.get(at, ())):
            named[at].append(one)
    for at in sorted(words.keys() - asked):
        seen = {one.value for one in named[at]}
        is_listed = at in told and (not seen or listed_parts[at] - {"-"} == seen)
        for one in told[at] if is_listed else _nearest(words[at], named[at]):
            due = one.value.partition("@")[2]
            if due == "-" or due >= day.isoformat():
                yield one


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


def _is_promised(marks: Marks, one: Claim, listed: Container[str]) -> bool:
    bar = BELONGS_TOO if one.value in listed else BELONGS
    return marks.peak(f"promised_{one.kind}", one.start, one.end) >= bar


def _places(claims: Iterable[Claim], text: str) -> NDArray[np.bool_]:
    """Say for each character whether one of these claims stands there."""
    taken = np.zeros(len(text), np.bool_)
    for one in claims:
        taken[one.start : one.end] = True
    return taken


def _runs(likely: Numbers, bar: float) -> Iterator[Span]:
    """Where the stretches that reach the bar somewhere begin and end."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], likely >= min(bar, BELONGS), [0]))))
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if likely[start:end].max() >= bar:
            yield start, end

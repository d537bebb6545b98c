"""What does a written account claim, its words held against what a tagger learned from labelled accounts?

The lists read some phrases for certain and overlook many; the tagger knows how accounts go and is unsure at
times. A claim is read where the tagger is sure, or where the lists read it and the tagger does not doubt it;
what both leave open is no claim. A client's own phrases need no second opinion. What a sum, a day or a minute
amounts to is read by the lists' grammar alone; which of them are promised may be the tagger's word.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from server.reconcile.narrative import MOST_READ, TOLD_ONCE, added_claims, once, read_narrative
from server.reconcile.narrative.amounts import COUNTED, SUM, in_fen, is_about, is_open
from server.reconcile.narrative.claim import Claim, Kind
from server.reconcile.narrative.spelling import plain
from server.reconcile.narrative.tagger import Marks, Numbers, sentences, tag
from server.reconcile.narrative.times import TIME, clock_reading
from server.reconcile.narrative.times import is_about as is_about_then
from server.rules.added_words import AddedWords

BELONGS: Final = 0.5
TIMES: Final[tuple[Kind, ...]] = ("arrived", "left", "time")
Fact = tuple[Kind, str]
Span = tuple[int, int]
THERE: Final[Fact] = ("met", "debtor")
AWAY: Final[Fact] = ("absent", "debtor")
NOBODY: Final[Fact] = ("met", "nobody")
DENIED: Final = 0.93
"""How sure the tagger must be of the debtor where the lists read that nobody was met."""


@dataclass(frozen=True, slots=True)
class Bar:
    """How likely a claim must be: on the tagger's word alone, and where the lists read it too."""

    alone: float
    agreed: float


# Set on `tests/reconcile/narratives/judging.txt`: neither the lists nor the tagger learned from it.
BARS: Final[dict[Kind, Bar]] = {
    "arrived": Bar(0.85, 0.01),
    "left": Bar(0.9, 0.05),
    "time": Bar(0.9, 0.05),
    "amount": Bar(0.9, 0.2),
    "date": Bar(1.1, 0.1),
    "promise": Bar(0.4, 0.3),
    "met": Bar(0.7, 0.2),
    "absent": Bar(0.93, 0.4),
    "delivery": Bar(0.8, 0.3),
    "dispute": Bar(0.85, 0.4),
    "conduct": Bar(0.8, 0.3),
    "debt": Bar(0.8, 0.4),
    "outcome": Bar(0.7, 0.05),
}


@lru_cache(maxsize=32)
def read_account(text: str, day: date, added: tuple[AddedWords, ...] = ()) -> tuple[Claim, ...]:
    """Return the claims of an account in the order of their places. `added`: a client's own phrases."""
    seen = text[:MOST_READ]
    if not seen.strip():
        return ()
    listed = read_narrative(seen, day)
    own = added_claims(seen, added) if added else ()
    return once(_in_order((*weighed(seen, listed, tag(seen), day), *own)))


def weighed(text: str, listed: Sequence[Claim], marks: Marks, day: date) -> tuple[Claim, ...]:
    """Return what is claimed where the lists read `listed` and the tagger sees `marks`."""
    even = plain(text)
    values = [*_times(listed, marks, even), *_sums_and_days(listed, marks, even)]
    promises = [*_told_promises(listed, marks, text), *_seen_promises(listed, marks, values, text, day)]
    return _in_order((*_facts(listed, marks), *values, *promises))


def _in_order(claims: Iterable[Claim]) -> tuple[Claim, ...]:
    return tuple(sorted(claims, key=lambda one: (one.start, one.end, one.kind, one.value)))


def _facts(listed: Sequence[Claim], marks: Marks) -> Iterator[Claim]:
    """Read what happened, each fact once; a debtor is there or away, or both where the lists say so too."""
    said = {(one.kind, one.value): one for one in reversed(listed) if one.kind in TOLD_ONCE}
    found: dict[Fact, tuple[float, Claim]] = {}
    for kind, value, likely in marks.facts():
        bar, peak = BARS[kind], float(likely.max())
        alone = DENIED if (kind, value) == THERE and NOBODY in said and THERE not in said else bar.alone
        if peak >= alone:
            found[kind, value] = (peak, Claim(kind, value, *next(_runs(likely, alone))))
        elif peak >= bar.agreed and (kind, value) in said:
            found[kind, value] = (peak, said[kind, value])
    if {THERE, AWAY} <= found.keys() and not {THERE, AWAY} <= said.keys():
        del found[min((THERE, AWAY), key=lambda one: found[one][0])]
    return (claim for _, claim in found.values())


def _times(listed: Sequence[Claim], marks: Marks, text: str) -> Iterator[Claim]:
    """Read the clock times: the minute by grammar, whether it is the arrival by whoever is surer."""
    told = [one for one in listed if one.kind in TIMES]
    taken = _places(told, text)
    for one in told:
        kind, peak = _part_in_visit(marks, one.start, one.end)
        if peak >= BARS[kind].alone:
            yield replace(one, kind=kind)
        elif peak >= BARS[kind].agreed:
            yield one
    for match in TIME.finditer(text):
        kind, peak = _part_in_visit(marks, *match.span())
        value = clock_reading(text, match)
        if peak >= BARS[kind].alone and value and not taken[slice(*match.span())].any():
            yield Claim(kind, value, *match.span(), is_approximate=is_about_then(text, match))


def _part_in_visit(marks: Marks, start: int, end: int) -> tuple[Kind, float]:
    peaks = {kind: marks.peak(kind, start, end) for kind in TIMES}
    kind = max(TIMES, key=lambda one: peaks[one])
    return kind, peaks[kind]


def _sums_and_days(listed: Sequence[Claim], marks: Marks, text: str) -> Iterator[Claim]:
    for one in listed:
        is_named = one.kind in ("amount", "date")
        if is_named and marks.peak(one.kind, one.start, one.end) >= BARS[one.kind].agreed:
            yield one
    taken = _places(listed, text)
    for match in SUM.finditer(text):
        is_bare = not (match["unit"] or match["sign"])
        is_counted = is_bare and COUNTED.match(text, match.end()) is not None
        is_seen = marks.peak("amount", *match.span("number")) >= BARS["amount"].alone
        if not is_seen or is_counted or is_open(text, match):
            continue
        fen, end = in_fen(match["number"]), match.end("number") if is_bare else match.end()
        if fen and not taken[slice(*match.span())].any():
            yield Claim("amount", fen, match.start(), end, is_approximate=is_about(text, match))


def _told_promises(listed: Sequence[Claim], marks: Marks, text: str) -> Iterator[Claim]:
    """The lists' promises, where the tagger sees one in that sentence."""
    place = sentences(text)
    seen = set(place[marks.likely["promise"] >= BARS["promise"].agreed].tolist())
    return (one for one in listed if one.kind == "promise" and place[one.start] in seen)


def _seen_promises(
    listed: Sequence[Claim], marks: Marks, values: Iterable[Claim], text: str, day: date
) -> Iterator[Claim]:
    """What the tagger sees promised in sentences of which the lists read no promise. The past is none."""
    place = sentences(text)
    taken = {place[one.start] for one in listed if one.kind == "promise"}
    taken |= {place[at] for at, char in enumerate(text) if char in "？?"}
    promising = _runs(marks.likely["promise"], BARS["promise"].alone)
    words = [word for word in promising if place[word[0]] not in taken]
    named: dict[Span, list[Claim]] = {}
    for value in values:
        if value.kind in ("amount", "date") and _is_promised(marks, value):
            behind = bisect_left(words, (value.start, value.end))
            near = [
                one for one in words[max(0, behind - 1) : behind + 1] if place[one[0]] == place[value.start]
            ]
            if near:
                named.setdefault(min(near, key=lambda one: _gap(value, one)), []).append(value)
    for word, parts in _together(named, place):
        amount, due = (
            min((one for one in parts if one.kind == kind), key=lambda one: _gap(one, word), default=None)
            for kind in ("amount", "date")
        )
        if due is None or due.value >= day.isoformat():
            said = "@".join(one.value if one else "-" for one in (amount, due))
            yield Claim("promise", said, *word)


def _together(named: dict[Span, list[Claim]], place: NDArray[np.int64]) -> Iterator[tuple[Span, list[Claim]]]:
    """One sum and one day of a sentence are one promise, whichever of its words each stands by."""
    of_sentence: dict[int, list[Span]] = {}
    for word in sorted(named):
        of_sentence.setdefault(int(place[word[0]]), []).append(word)
    for words in of_sentence.values():
        parts = [part for word in words for part in named[word]]
        kinds = [part.kind for part in parts]
        if len(set(kinds)) == len(kinds):
            yield words[0], parts
        else:
            yield from ((word, named[word]) for word in words)


def _gap(value: Claim, word: Span) -> int:
    """How many characters lie between a sum or a day and a promising word."""
    return max(word[0] - value.end, value.start - word[1], 0)


def _is_promised(marks: Marks, one: Claim) -> bool:
    return marks.peak(f"promised_{one.kind}", one.start, one.end) >= BELONGS


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

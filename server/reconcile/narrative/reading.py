"""What does a written account claim, its words held against what a tagger learned from labelled accounts?

The lists read some phrases for certain and overlook many; the tagger knows how accounts go and is unsure at
times. A claim is read where the tagger is sure, or where the lists read it and the tagger does not doubt it;
what both leave open is no claim. A client's own phrases need no second opinion. Values (which sum, which day,
which minute) are always read by the lists' grammar, never guessed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from server.reconcile.narrative import MOST_READ, TOLD_ONCE, read_narrative
from server.reconcile.narrative.amounts import SUM, in_fen, is_open
from server.reconcile.narrative.claim import Claim, Kind
from server.reconcile.narrative.spelling import plain
from server.reconcile.narrative.tagger import Marks, Numbers, tag
from server.reconcile.narrative.times import TIME, clock_reading
from server.rules.added_words import AddedWords

ENDS: Final = frozenset("。；！？\n;!?")
BELONGS: Final = 0.5
TIMES: Final[tuple[Kind, ...]] = ("arrived", "left", "time")
Fact = tuple[Kind, str]
THERE: Final[Fact] = ("met", "debtor")
AWAY: Final[Fact] = ("absent", "debtor")


@dataclass(frozen=True, slots=True)
class Bar:
    """How likely a claim must be: on the tagger's word alone, and where the lists read it too."""

    alone: float
    agreed: float


# Set on accounts that neither the lists nor the tagger were built against.
BARS: Final[dict[Kind, Bar]] = {
    "arrived": Bar(0.6, 0.01),
    "left": Bar(0.6, 0.01),
    "time": Bar(0.6, 0.01),
    "amount": Bar(0.5, 0.1),
    "date": Bar(1.1, 0.01),
    "promise": Bar(0.4, 0.05),
    "met": Bar(0.75, 0.1),
    "absent": Bar(0.9, 0.3),
    "delivery": Bar(0.75, 0.3),
    "dispute": Bar(0.8, 0.2),
    "conduct": Bar(0.8, 0.1),
    "debt": Bar(0.5, 0.2),
    "outcome": Bar(0.5, 0.1),
}


@lru_cache(maxsize=32)
def read_account(text: str, day: date, added: tuple[AddedWords, ...] = ()) -> tuple[Claim, ...]:
    """Return the claims of an account in the order of their places. `added`: a client's own phrases."""
    seen = text[:MOST_READ]
    if not seen.strip():
        return ()
    listed = read_narrative(seen, day)
    own = set(read_narrative(seen, day, added)) - set(listed) if added else set[Claim]()
    return _in_order((*weighed(seen, listed, tag(seen)), *own))


def weighed(text: str, listed: Sequence[Claim], marks: Marks) -> tuple[Claim, ...]:
    """Return what is claimed where the lists read `listed` and the tagger sees `marks`."""
    even = plain(text)
    values = [*_times(listed, marks, even), *_sums_and_days(listed, marks, even)]
    return _in_order((*_facts(listed, marks), *values, *_promises(listed, marks, values, text)))


def _in_order(claims: Iterable[Claim]) -> tuple[Claim, ...]:
    return tuple(sorted(claims, key=lambda one: (one.start, one.end, one.kind, one.value)))


def _facts(listed: Sequence[Claim], marks: Marks) -> Iterator[Claim]:
    """Read what happened, each fact once; a debtor is never both there and away."""
    said = {(one.kind, one.value): one for one in reversed(listed) if one.kind in TOLD_ONCE}
    found: dict[Fact, tuple[float, Claim]] = {}
    for kind, value, likely in marks.facts():
        bar, peak = BARS[kind], float(likely.max())
        if peak >= bar.alone:
            found[kind, value] = (peak, Claim(kind, value, *next(_runs(likely, bar.alone))))
        elif peak >= bar.agreed and (kind, value) in said:
            found[kind, value] = (peak, said[kind, value])
    if THERE in found and AWAY in found:
        del found[min((THERE, AWAY), key=lambda one: found[one][0])]
    return (claim for _, claim in found.values())


def _times(listed: Sequence[Claim], marks: Marks, text: str) -> Iterator[Claim]:
    """Read the clock times: the minute by grammar, whether it is the arrival by whoever is surer."""
    told = [one for one in listed if one.kind in TIMES]
    for one in told:
        kind, peak = _part_in_visit(marks, one.start, one.end)
        if peak >= BARS[kind].alone:
            yield replace(one, kind=kind)
        elif peak >= BARS[kind].agreed:
            yield one
    for match in TIME.finditer(text):
        kind, peak = _part_in_visit(marks, *match.span())
        value = clock_reading(text, match)
        if peak >= BARS[kind].alone and value and _is_free(match.span(), told):
            yield Claim(kind, value, *match.span())


def _part_in_visit(marks: Marks, start: int, end: int) -> tuple[Kind, float]:
    peaks = {kind: float(marks.likely[kind][start:end].max()) for kind in TIMES}
    kind = max(TIMES, key=lambda one: peaks[one])
    return kind, peaks[kind]


def _sums_and_days(listed: Sequence[Claim], marks: Marks, text: str) -> Iterator[Claim]:
    for one in listed:
        if one.kind in ("amount", "date") and _peak(marks, one.kind, one) >= BARS[one.kind].agreed:
            yield one
    for match in SUM.finditer(text):
        likely = marks.likely["amount"][slice(*match.span())]
        is_sure = likely.max() >= BARS["amount"].alone and not is_open(text, match)
        fen = in_fen(match["number"]) if is_sure and _is_free(match.span(), listed) else None
        if fen:
            yield Claim("amount", fen, *match.span())


def _promises(listed: Sequence[Claim], marks: Marks, values: Iterable[Claim], text: str) -> Iterator[Claim]:
    """Read the promises: the lists' where the tagger sees one in that sentence, else what it sees itself."""
    likely, sentences = marks.likely["promise"], _sentences(text)
    told = [one for one in listed if one.kind == "promise"]
    for one in told:
        if likely[sentences == sentences[one.start]].max() >= BARS["promise"].agreed:
            yield one
    said_in = {sentences[one.start] for one in told}
    named = [one for one in values if one.kind in ("amount", "date") and _is_promised(marks, one)]
    for start, end in _runs(likely, BARS["promise"].alone):
        if sentences[start] not in said_in:
            parts = [_nearest(start, kind, named, sentences) for kind in ("amount", "date")]
            if any(parts):
                yield Claim("promise", "@".join(one.value if one else "-" for one in parts), start, end)


def _nearest(start: int, kind: Kind, named: Iterable[Claim], sentences: NDArray[np.int64]) -> Claim | None:
    """The promised sum or day nearest to the promising word in its sentence."""
    near = [one for one in named if one.kind == kind and sentences[one.start] == sentences[start]]
    return min(near, default=None, key=lambda one: abs(one.start - start))


def _is_promised(marks: Marks, one: Claim) -> bool:
    return float(marks.likely[f"promised_{one.kind}"][one.start : one.end].max()) >= BELONGS


def _peak(marks: Marks, kind: Kind, one: Claim) -> float:
    return float(marks.likely[kind][one.start : one.end].max())


def _is_free(span: tuple[int, int], claims: Iterable[Claim]) -> bool:
    """Whether no claim stands there already."""
    return all(span[1] <= one.start or one.end <= span[0] for one in claims)


def _sentences(text: str) -> NDArray[np.int64]:
    """Return for each character the place of its sentence."""
    ends = np.fromiter((char in ENDS for char in text), np.int64, len(text))
    return np.cumsum(ends) - ends


def _runs(likely: Numbers, bar: float) -> Iterator[tuple[int, int]]:
    """Where the stretches that reach the bar somewhere begin and end."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], likely >= min(bar, BELONGS), [0]))))
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if likely[start:end].max() >= bar:
            yield start, end

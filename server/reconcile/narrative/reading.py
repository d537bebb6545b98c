"""What does a written account claim, by lists of phrases and by a tagger that learned from labelled accounts?

The lists read some phrases for certain and overlook many; the tagger knows how accounts go, is told what the
lists read, and says how likely each claim is. A claim is read where that reaches the bar of its kind. A
client's own phrases need no second opinion. What a sum, a day or a minute amounts to is read by the lists'
grammar alone; which of them are promised is the tagger's word, where it has one.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from functools import lru_cache
from operator import itemgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from server.reconcile.narrative import MOST_READ, added_claims, once, read_narrative
from server.reconcile.narrative.amounts import SUM, even, in_fen, is_about, is_name, is_no_sum
from server.reconcile.narrative.claim import Claim, Kind
from server.reconcile.narrative.dates import likely_days
from server.reconcile.narrative.discretion import LEFT_OUT, MUST_BE_TOLD, is_discretion
from server.reconcile.narrative.promise_parts import is_promised, promises_of
from server.reconcile.narrative.spelling import plain
from server.reconcile.narrative.tagger import Marks, runs, tag
from server.reconcile.narrative.times import is_about as is_about_then
from server.reconcile.narrative.times import likely_times
from server.rules.added_words import AddedWords

TIMES: Final[tuple[Kind, ...]] = ("arrived", "left", "time")
FIGURES: Final[tuple[Kind, ...]] = (*TIMES, "amount", "date")
Fact = tuple[Kind, str]
THERE: Final[Fact] = ("met", "debtor")
AWAY: Final[Fact] = ("absent", "debtor")

# Set on `tests/reconcile/narratives/judging.txt`: neither the lists nor the tagger learned from it.
BARS: Final[dict[str, float]] = {
    "arrived": 0.7,
    "left": 0.5,
    "time": 0.3,
    "amount": 0.75,
    "date": 0.3,
    "promise": 0.15,
    "met": 0.6,
    "met=debtor": 0.3,
    "absent": 0.6,
    "delivery": 0.7,
    "dispute": 0.6,
    "conduct": 0.8,
    "debt": 0.75,
    "outcome": 0.3,
}
"""From which likelihood on a claim of a kind is read, or of a value that is known better than the others."""


def deciding_bar(kind: str, value: str) -> str:
    """Return the name of the bar that decides about a claim."""
    own = f"{kind}={value}"
    return own if own in BARS else kind


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
    figures = [*_times(listed, marks, even), *_sums_and_days(listed, marks, even)]
    values = [*figures, *_days(figures, marks, even, day)]
    promises = promises_of(text, listed, marks, values, BARS["promise"], day)
    return _in_order((*_facts(marks, text), *values, *promises))


def _in_order(claims: Iterable[Claim]) -> tuple[Claim, ...]:
    return tuple(sorted(claims, key=lambda one: (one.start, one.end, one.kind, one.value)))


def _facts(marks: Marks, text: str) -> Iterator[Claim]:
    """Read what happened, each fact once, where it is likeliest; a debtor is there or away."""
    found: dict[Fact, list[tuple[float, Claim]]] = {}
    for kind, value, likely in marks.facts():
        bar = BARS[deciding_bar(kind, value)]
        if likely.max() >= bar:
            found[kind, value] = [
                (float(likely[slice(*place)].max()), Claim(kind, value, *place))
                for place in runs(likely, bar)
            ]
    if {THERE, AWAY} <= found.keys():
        del found[min((THERE, AWAY), key=lambda one: max(peak for peak, _ in found[one]))]
    if LEFT_OUT in found and found.keys().isdisjoint(MUST_BE_TOLD):
        found[LEFT_OUT] = [one for one in found[LEFT_OUT] if not is_discretion(one[1].words(text))]
    return (max(places, key=itemgetter(0))[1] for places in found.values() if places)


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
        is_season = one.kind == "date" and one.is_approximate and not is_promised(marks, one)
        if is_named and not is_season and _is_named(marks, one.kind, one.start, one.end):
            yield one
    taken = _places([one for one in listed if one.kind in FIGURES], text)
    for match in SUM.finditer(even(text)):
        is_bare = not (match["unit"] or match["sign"])
        is_seen = _is_named(marks, "amount", *match.span("number"))
        if not is_seen or is_no_sum(text, match, is_surely=True) or (is_bare and is_name(text, match)):
            continue
        fen, end = in_fen(match), match.end("number") if is_bare else match.end()
        if fen and not taken[slice(*match.span())].any():
            yield Claim("amount", fen, match.start(), end, is_approximate=is_about(text, match))


def _days(figures: Sequence[Claim], marks: Marks, text: str, day: date) -> Iterator[Claim]:
    """Read the days that the lists take for none, where the tagger sees one, a bare number promised."""
    taken, named = _places(figures, text), [one for one in figures if one.kind == "date"]
    for match, value in likely_days(text, day, named):
        one, is_bare = Claim("date", value, *match.span()), match["bare"] is not None
        is_seen = is_promised(marks, one) if is_bare else _is_named(marks, "date", *match.span())
        if is_seen and not taken[one.start : one.end].any():
            yield one


def _is_named(marks: Marks, kind: Kind, start: int, end: int) -> bool:
    """Whether a sum or a day is seen; what is promised is one."""
    return max(marks.peak(one, start, end) for one in (kind, f"promised_{kind}")) >= BARS[kind]


def _places(claims: Iterable[Claim], text: str) -> NDArray[np.bool_]:
    """Say for each character whether one of these claims stands there."""
    taken = np.zeros(len(text), np.bool_)
    for one in claims:
        taken[one.start : one.end] = True
    return taken

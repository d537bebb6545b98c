"""What does a visitor's narrative claim?

Pure: text and the day of the visit in, claims out, each with its place in the text. Ambiguity is silence:
what a sentence leaves open is no claim. The words are data (`words.toml`).
"""

from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from typing import Final

from server.reconcile.narrative.amounts import amounts_in
from server.reconcile.narrative.claim import Claim, Kind
from server.reconcile.narrative.clauses import clauses_of
from server.reconcile.narrative.dates import dates_in
from server.reconcile.narrative.deliveries import deliveries_in, resolved
from server.reconcile.narrative.naming import named, recast
from server.reconcile.narrative.persons import persons_in
from server.reconcile.narrative.phrases import added_phrases_in, phrases_in
from server.reconcile.narrative.promises import promises_in
from server.reconcile.narrative.spelling import plain
from server.reconcile.narrative.times import times_in
from server.reconcile.narrative.voices import voiced
from server.rules.added_words import AddedWords

__all__ = ["Claim", "Kind", "read_narrative"]

MOST_READ: Final = 20_000  # characters; whoever writes more is read so far
# Kinds that are facts of the visit: told twice they are one claim, at their first place.
TOLD_ONCE: Final = frozenset({"met", "absent", "delivery", "dispute", "conduct", "debt", "outcome"})


@lru_cache(maxsize=32)
def read_narrative(text: str, day: date) -> tuple[Claim, ...]:
    """Return the claims of a narrative in the order of their places."""
    even = named(plain(text[:MOST_READ]))
    clauses = clauses_of(even)
    dates, day_places = dates_in(even, clauses, day)
    times = times_in(even, clauses, day_places)
    taken = day_places.union(*(range(one.start, one.end) for one in times))
    amounts = amounts_in(even, clauses, taken)
    spoken = voiced(clauses)
    persons = persons_in(spoken)
    deeds = resolved([*phrases_in(spoken), *deliveries_in(spoken, persons)], persons)
    promises = promises_in(spoken, (*dates, *amounts), day)
    found = recast([*dates, *times, *amounts, *persons, *deeds, *promises], even)
    return once(sorted(found, key=lambda one: (one.start, one.end, one.kind, one.value)))


def added_claims(text: str, added: tuple[AddedWords, ...]) -> tuple[Claim, ...]:
    """Return what a client's own phrases say, wherever they stand."""
    even = named(plain(text[:MOST_READ]))
    spoken = voiced(clauses_of(even))
    own = resolved([*added_phrases_in(spoken, added)], persons_in(spoken))
    return tuple(recast(own, even))


def once(claims: Iterable[Claim]) -> tuple[Claim, ...]:
    """Leave out what is told again of the facts that are one claim each."""
    had: set[tuple[str, str]] = set()
    kept = []
    for one in claims:
        key = (one.kind, one.value)
        if one.kind in TOLD_ONCE and key in had:
            continue
        had.add(key)
        kept.append(one)
    return tuple(kept)

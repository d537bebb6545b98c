"""Does the narrative contain what must never be said or done?

A lexicon of words, each with its rule. A word counts only when nothing right before it turns it round
(拒收现金: "refused cash" is what the rules want). Words are found in one pass (Aho-Corasick).
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ahocorasick_rs import AhoCorasick, MatchKind

from server.reconcile.facts import Limits, VisitFacts
from server.reconcile.finding import Finding, Severity

CONTEXT = 12


@dataclass(frozen=True, slots=True)
class Topic:
    """One kind of forbidden wording."""

    slug: str
    rule: str
    severity: Severity
    words: tuple[str, ...]
    unless_before: tuple[str, ...]
    unless_after: tuple[str, ...]


@lru_cache(maxsize=1)
def _lexicon() -> tuple[AhoCorasick, tuple[tuple[str, Topic], ...]]:
    table = tomllib.loads(Path(__file__).with_name("lexicon.toml").read_text("utf-8"))
    topics = [
        Topic(
            slug=slug,
            rule=entry["rule"],
            severity=entry["severity"],
            words=tuple(entry["words"]),
            unless_before=(*entry.get("unless_before", ()), *table["negations"]["before"]),
            unless_after=tuple(entry.get("unless_after", ())),
        )
        for slug, entry in table["topics"].items()
    ]
    entries = tuple((word, topic) for topic in topics for word in topic.words)
    return AhoCorasick([word for word, _ in entries], matchkind=MatchKind.LeftmostLongest), entries


def prohibited_words(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """The live account's narrative uses forbidden wording: one finding a topic, all places cited."""
    if facts.account is None:
        return
    text = facts.account.narrative
    finder, entries = _lexicon()
    found: dict[str, list[dict[str, object]]] = {}
    topics: dict[str, Topic] = {}
    for index, start, end in finder.find_matches_as_indexes(text):
        word, topic = entries[index]
        if _is_turned_round(text, start, end, topic):
            continue
        topics[topic.slug] = topic
        found.setdefault(topic.slug, []).append({"word": word, "from": start, "until": end})
    for slug, places in found.items():
        yield Finding(
            check=f"wording-{slug}",
            rule=topics[slug].rule,
            severity=topics[slug].severity,
            claim="narrative",
            observation={"words": sorted({str(place["word"]) for place in places})},
            citation={"account_id": str(facts.account.id), "places": places},
            confidence=0.8,
        )


def _is_turned_round(text: str, start: int, end: int, topic: Topic) -> bool:
    """Whether the clause around a word says that it was *not* so."""
    before = text[max(0, start - CONTEXT) : start]
    for stop in "，。；！？,;!?\n":
        before = before.rpartition(stop)[2]
    after = text[end : end + CONTEXT]
    for stop in "，。；！？,;!?\n":
        after = after.partition(stop)[0]
    return any(word in before for word in topic.unless_before) or any(
        word in after for word in topic.unless_after
    )

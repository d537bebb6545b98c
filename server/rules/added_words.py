"""Which words does a pack add to those that ship, from when until when?

Words are added under a subject that ships: a topic of what must never be said (`topic`), or what visitors
mean by a phrase in their accounts (`claim`). Nothing can be taken away: a table has no place for it. Whether
the subject exists is asked where the shipped words are known (`server.reconcile.wording`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

MOST_WORDS: Final = 500
LENGTHS: Final = range(2, 41)
_KEYS: Final = frozenset({"topic", "claim", "words", "spoken", "article", "effective_from", "effective_to"})


@dataclass(frozen=True, slots=True)
class AddedWords:
    """Words of one subject. `place` names them in faults, `pack` is who adds them.

    `words` are looked for in accounts, `spoken` in what was heard (only under a topic).
    """

    place: str
    pack: str
    article: str
    effective_from: date
    topic: str | None = None
    claim: str | None = None
    words: tuple[str, ...] = ()
    spoken: tuple[str, ...] = ()
    effective_to: date | None = None

    def is_effective(self, on: date) -> bool:
        """Whether the words count on a day."""
        return self.effective_from <= on and (self.effective_to is None or on < self.effective_to)


def read_added(raw: Mapping[str, Any], *, ident: str) -> tuple[AddedWords, ...]:
    """Read the tables `[[lexicon]]` of a pack; ValueError names the table and what is wrong."""
    given = raw.get("lexicon", [])
    if not isinstance(given, list):
        raise ValueError("lexicon must be an array of tables: [[lexicon]]")
    added = tuple(_read(table, f"lexicon[{n}]", raw, ident=ident) for n, table in enumerate(given))
    if sum(len(one.words) + len(one.spoken) for one in added) > MOST_WORDS:
        raise ValueError(f"lexicon: has more than {MOST_WORDS} words")
    return added


def _read(table: Any, place: str, raw: Mapping[str, Any], *, ident: str) -> AddedWords:
    if not isinstance(table, dict):
        raise ValueError(f"{place}: must be a table")
    for fault in _faults(table):
        raise ValueError(f"{place}: {fault}")
    begins = table.get("effective_from", raw.get("effective_from"))
    ends = table.get("effective_to")
    for name, day in (("effective_from", begins), ("effective_to", ends)):
        if type(day) is not date and not (name == "effective_to" and day is None):
            raise ValueError(f"{place}: {name} must be a TOML date such as 2026-01-31")
    assert isinstance(begins, date)
    if ends is not None and ends <= begins:
        raise ValueError(f"{place}: effective_to {ends} is not after {begins}")
    return AddedWords(
        place=place,
        pack=ident,
        article=table["article"],
        effective_from=begins,
        topic=table.get("topic"),
        claim=table.get("claim"),
        words=tuple(table.get("words", ())),
        spoken=tuple(table.get("spoken", ())),
        effective_to=ends,
    )


def _faults(table: Mapping[str, Any]) -> Iterator[str]:
    unknown = sorted(table.keys() - _KEYS)
    if unknown:
        yield f"{unknown[0]!r} is not known; words can be added, and nothing else"
    if ("topic" in table) == ("claim" in table):
        yield "name either a topic or a claim"
    for name in ("topic", "claim", "article"):
        if name in table and (not isinstance(table[name], str) or not 1 <= len(table[name]) <= 500):
            yield f"{name} must be a text of 1 to 500 characters"
    if "article" not in table:
        yield "'article' is missing: say by which clause of the client's instructions"
    if "claim" in table and "spoken" in table:
        yield "spoken stands under a topic; phrases of a claim are words"
    if not table.get("words") and not table.get("spoken"):
        yield "adds no words"
    for name in ("words", "spoken"):
        yield from _faults_of_words(name, table.get(name, []))


def _faults_of_words(name: str, words: Any) -> Iterator[str]:
    if not isinstance(words, list):
        yield f"{name} must be a list of texts"
        return
    for n, word in enumerate(words):
        if not isinstance(word, str) or len(word.strip()) not in LENGTHS or word != word.strip():
            yield (
                f"{name}[{n}]: must be a text of {LENGTHS[0]} to {LENGTHS[-1]} characters without blanks "
                "around it; a single character would be found everywhere"
            )
        elif sum(letter.isalpha() for letter in word) < LENGTHS[0]:
            yield f"{name}[{n}]: {word!r} has to hold at least two letters"
        elif word in words[:n]:
            yield f"{name}[{n}]: {word!r} stands there twice"

"""Does a letter say or show what no letter may?

Words come from `lexicon.toml`, each topic with its rule; digits are found by shape. Nothing turns a word
round here, as a negation does in an account: an approved letter has no need of such words. Text is compared
with full-width signs narrowed and blanks taken out, so that 刑　法 is found; spans point into it as given.
"""

import re
import tomllib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from ahocorasick_rs import AhoCorasick, MatchKind

from server.rules.catalogue import quotation_of

LONGEST_RUN: Final = 7
"""Digits in a row that may be shown: eight or more could be a card, an identity or somebody's phone."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One kind of forbidden wording."""

    slug: str
    rule: str
    advice: str
    words: tuple[str, ...]
    kinds: tuple[str, ...]
    unless_before: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hit:
    """One forbidden place. `start` and `end` count characters of the text as given."""

    rule: str
    slug: str
    start: int
    end: int
    text: str
    quotation: str
    advice: str


@dataclass(frozen=True, slots=True)
class _Folded:
    """A text without blanks and with narrow signs; `at[i]` is where character i stood."""

    text: str
    at: tuple[int, ...]


@cache
def _table() -> dict[str, object]:
    return tomllib.loads(Path(__file__).with_name("lexicon.toml").read_text("utf-8"))


@cache
def _lexicon() -> tuple[AhoCorasick, tuple[tuple[str, Topic], ...]]:
    entries = tuple((word, topic) for topic in topics() for word in topic.words)
    return AhoCorasick([word for word, _ in entries], matchkind=MatchKind.LeftmostLongest), entries


@cache
def topics() -> tuple[Topic, ...]:
    """Return every topic of the lexicon."""
    table: dict[str, dict] = _table()["topics"]  # type: ignore[assignment]
    return tuple(
        Topic(
            slug=slug,
            rule=entry["rule"],
            advice=entry["advice"],
            words=tuple(entry["words"]),
            kinds=tuple(entry.get("kinds", ())),
            unless_before=tuple(entry.get("unless_before", ())),
        )
        for slug, entry in table.items()
    )


@cache
def library() -> tuple[str, ...]:
    """Return the locked sentences of civil law: what may be quoted, to the letter (B17, AMB11)."""
    return tuple(_table()["library"]["sentences"])  # type: ignore[index]


def lint(text: str, *, kind: str, known: Collection[str] = (), is_contact: bool = False) -> tuple[Hit, ...]:
    """Return every forbidden place of a letter or template, in order (H3, H17, B17, B20, B21, B36, I1).

    `known` are runs of digits that may stand there: the agency's phone, the case reference. `is_contact` says
    that the text *is* the agency's phone: only a mobile is refused then (I1).
    """
    folded = _fold(text)
    locked = _locked(folded.text)
    found = [*_words(folded, kind=kind, locked=locked), *_citations(folded, locked=locked)]
    found += _mobiles(folded) if is_contact else _numbers(text, known=known)
    return tuple(sorted(found, key=lambda hit: (hit.start, hit.end, hit.rule)))


def _narrow(text: str) -> str:
    """Narrow full-width digits, letters and signs, one character for one."""
    return "".join(chr(ord(sign) - 0xFEE0) if "！" <= sign <= "～" else sign for sign in text)


def _fold(text: str) -> _Folded:
    kept = [(index, sign) for index, sign in enumerate(_narrow(text)) if not _is_blank(sign)]
    return _Folded("".join(sign for _, sign in kept), tuple(index for index, _ in kept))


def _is_blank(sign: str) -> bool:
    """Whether a sign prints nothing: blanks, line ends, zero-width signs."""
    return sign.isspace() or sign in "\u200b\u200c\u200d\u2060\ufeff\u00ad"


def _locked(folded: str) -> tuple[tuple[int, int], ...]:
    spans = []
    for sentence in library():
        plain = _fold(sentence).text
        start = folded.find(plain)
        while start >= 0:
            spans.append((start, start + len(plain)))
            start = folded.find(plain, start + 1)
    return tuple(spans)


def _words(folded: _Folded, *, kind: str, locked: Collection[tuple[int, int]]) -> Iterator[Hit]:
    """Find the words of every topic that concerns this kind of letter (H7, H17, B12, B19, B30, B31, B36)."""
    finder, entries = _lexicon()
    for index, start, end in finder.find_matches_as_indexes(folded.text):
        _, topic = entries[index]
        if topic.kinds and kind not in topic.kinds:
            continue
        if _is_inside(start, end, locked) or _is_excused(folded.text, start, topic):
            continue
        yield _hit(topic.rule, topic.slug, topic.advice, folded, start, end)


def _is_excused(text: str, start: int, topic: Topic) -> bool:
    before = text[max(0, start - 4) : start]
    return any(before.endswith(word) for word in topic.unless_before)


def _is_inside(start: int, end: int, spans: Collection[tuple[int, int]]) -> bool:
    return any(begin <= start and end <= stop for begin, stop in spans)


_ARTICLE: Final = re.compile(r"《[^》]{2,60}》第[一二三四五六七八九十百千零〇\d]+条")


def _citations(folded: _Folded, *, locked: Collection[tuple[int, int]]) -> Iterator[Hit]:
    """Find articles of law that are not quoted from the locked library (B17)."""
    for found in _ARTICLE.finditer(folded.text):
        if not _is_inside(*found.span(), locked):
            advice = "Quote a sentence of the locked library to the letter, or leave the article out."
            yield _hit("B17", "citation", advice, folded, *found.span())


_RUN: Final = re.compile(r"\d(?:[ \u3000\-–—.·]?\d)*[Xx]?")
_MOBILE: Final = re.compile(r"(?:86)?1[3-9]\d{9}")
_DATE: Final = re.compile(r"(?<![\d.-])(?:19|20)\d\d([-./年])\d{1,2}[-./月]\d{1,2}日?(?!\d)")
_MONEY: Final = re.compile(r"(?<![\d.])\d{1,12}(?:\.\d{1,2})?(?=元)|(?<=[¥￥])\d{1,12}(?:\.\d{1,2})?(?!\d)")
_LAST_FOUR: Final = re.compile(
    r"(?:尾号|末四位|后四位)[为是:：]?\d{3,4}(?!\d)|[*＊×xX•●]{2,}[ -]?\d{3,4}(?!\d)"
)


def _numbers(text: str, *, known: Collection[str]) -> Iterator[Hit]:
    """Find digits that may identify: long runs, a mobile, the last four of a card (H3, I1, AMB10)."""
    narrow = _narrow(text)
    whole = _Folded(text, tuple(range(len(text))))
    for found in _RUN.finditer(_without_known(narrow, known=known)):
        digits = re.sub(r"\D", "", found.group())
        if len(digits) > LONGEST_RUN:
            rule, advice = ("I1", ADVICE_MOBILE) if _MOBILE.fullmatch(digits) else ("H3", ADVICE_NUMBER)
            yield _hit(rule, "digits", advice, whole, *found.span())
    for found in _LAST_FOUR.finditer(narrow):
        yield _hit("H3", "last-digits", ADVICE_NUMBER, whole, *found.span())


def _without_known(text: str, *, known: Collection[str]) -> str:
    """Blot out days, amounts and known numbers, each sign by one, so that positions stay."""
    numbers = "|".join(re.escape(_narrow(number)) for number in known if number)
    shapes = [_DATE, _MONEY, *([re.compile(rf"(?<!\d)(?:{numbers})(?!\d)")] if numbers else [])]
    for shape in shapes:
        text = shape.sub(lambda found: "\n" * len(found.group()), text)
    return text


def _mobiles(folded: _Folded) -> Iterator[Hit]:
    """Find somebody's own mobile where the agency's phone belongs (I1)."""
    digits = re.sub(r"[^\d]", "", folded.text)
    if _MOBILE.fullmatch(digits):
        yield _hit("I1", "digits", ADVICE_MOBILE, folded, 0, len(folded.text))


ADVICE_NUMBER: Final = "Print neither card nor identity number, nor last digits; use the case reference."
ADVICE_MOBILE: Final = "Give the agency's number, never somebody's own mobile."


def _hit(rule: str, slug: str, advice: str, folded: _Folded, start: int, end: int) -> Hit:
    return Hit(
        rule=rule,
        slug=slug,
        start=folded.at[start],
        end=folded.at[end - 1] + 1,
        text=folded.text[start:end],
        quotation=quotation_of(rule),
        advice=advice,
    )

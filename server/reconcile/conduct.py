"""Does an account, or what was heard, contain what must never be said or done?

A lexicon of words, each with its rule. A word counts only where its clause is not turned round (拒收现金 is
what the rules want) and it is not somebody else's: 持卡人骂我白痴 is the debtor's word. Of a recording nobody
knows who speaks, so there only what collectors alone would say is looked for. One pass finds all words
(Aho-Corasick).
"""

import itertools
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

from ahocorasick_rs import AhoCorasick, MatchKind

from server.reconcile.facts import AccountFact, EvidenceFact, Limits, Segment, VisitFacts
from server.reconcile.finding import Finding, Severity, cite
from server.reconcile.narrative.clauses import clauses_of, index_at, is_supposed, negations
from server.reconcile.narrative.spelling import narrow
from server.reconcile.narrative.voices import RELATIVES, Voiced, debtors_in, voiced
from server.rules.added_words import AddedWords

Where = Literal["words", "spoken"]
UNSURE: Final = 0.7  # how sure a segment is whose engine does not say
ACCOUNT_CONFIDENCE: Final = 0.8
WITHDRAWN_CONFIDENCE: Final = 0.5
HEARD_CONFIDENCE: Final = 0.6
WITHIN: Final = 40  # clauses of one sentence: nobody writes longer ones, but a text may be made of one
MISHEARD: Final = 0.8  # how much surer a word is than one that only sounds like it
LEAST_MISHEARD: Final = 5  # characters: of shorter words another that sounds alike says something else
_CALLING: Final = re.compile(
    r"(?:骂|斥责|指责|称|叫|说)(?:他|她|其|债务人|持卡人|对方|客户|本人)(?:是|为|作|就是|这个)?(?:个)?$"
)
_CALLED: Final = re.compile("骂我|骂人|骂咱|骂外访")
_OURS: Final = re.compile("我们|我方|我司|我与|搭档|同事")
# Who is 他 or 其 in a clause without a subject is not the one who does it: 对其称, 陪他喝, 拿出照片给他看.
_TO_THEM: Final = re.compile(
    "(?:并|又|还|再|随后|遂|当场|当面|最后|临走)*"
    "(?:[对向跟和与陪骂说称让逼劝叫]|警告|告诉|告知|拿出.{0,6}?给)了?(?:他|她|其|对方|债务人|持卡人)"
)
_ONLY_WE: Final = re.compile(
    "(?:已经?|并|均|再次|随后|当场|事先)*(?:告知|说明|提醒|建议|留下|出示|亮明|佩戴|宣读)"
)
_SOMEBODY: Final = re.compile(
    RELATIVES.pattern + "|法院|警方|派出所|律师|平台|别家|其他公司|上次|以前|之前|曾"
)
_OTHERS: Final = re.compile("对方|他|她|其家属|有人|别人")


@dataclass(frozen=True, slots=True)
class Topic:
    """One kind of forbidden wording."""

    slug: str
    rule: str
    severity: Severity
    is_act: bool
    unless_before: tuple[str, ...]
    unless_after: tuple[str, ...]


Entry = tuple[str, Topic]
Lexicon = tuple[AhoCorasick, tuple[Entry, ...]]


@dataclass(frozen=True, slots=True)
class Place:
    """A forbidden word where it stands in a text; `is_misheard` where only its sound does."""

    topic: Topic
    word: str
    start: int
    end: int
    is_misheard: bool = False


@lru_cache(maxsize=1)
def _table() -> Mapping[str, Any]:
    return tomllib.loads(Path(__file__).with_name("lexicon.toml").read_text("utf-8"))["topics"]


@lru_cache(maxsize=1)
def topics() -> Mapping[str, Topic]:
    """Return the kinds of forbidden wording that ship, by their slugs."""
    return {
        slug: Topic(
            slug=slug,
            rule=entry["rule"],
            severity=entry["severity"],
            is_act=entry.get("is_act", False),
            unless_before=tuple(entry.get("unless_before", ())),
            unless_after=tuple(entry.get("unless_after", ())),
        )
        for slug, entry in _table().items()
    }


@lru_cache(maxsize=64)
def _lexicons(where: Where, added: tuple[AddedWords, ...]) -> tuple[Lexicon, ...]:
    """Return what to look for, in turn: a finder each, so that a longer word hides none of those before.

    What ships, what the client adds, and of a recording what sounds like either.
    """
    shipped = [(word, topics()[slug]) for slug, entry in _table().items() for word in entry[where]]
    more = [
        (narrow(word), topics()[one.topic])
        for one in added
        if one.topic is not None and one.topic in topics()
        for word in (one.words if where == "words" else one.spoken)
    ]
    plain = [[(word, (word, topic)) for word, topic in entries] for entries in (shipped, more)]
    alike = [
        [(other, (word, topic)) for word, topic in entries for other in _sounding_like(word)]
        for entries in ((shipped, more) if where == "spoken" else ())
    ]
    return tuple(_lexicon(entries) for entries in (*plain, *alike) if entries)


def _lexicon(entries: Sequence[tuple[str, Entry]]) -> Lexicon:
    finder = AhoCorasick([written for written, _ in entries], matchkind=MatchKind.LeftmostLongest)
    return finder, tuple(entry for _, entry in entries)


@lru_cache(maxsize=1)
def _alike() -> Mapping[str, frozenset[str]]:
    """Return the characters that sound like each one, by any of its readings."""
    found: dict[str, set[str]] = {}
    for group in tomllib.loads(Path(__file__).with_name("sounds.toml").read_text("utf-8")).values():
        for one in group:
            found.setdefault(one, set()).update(group)
    return {one: frozenset(group - {one}) for one, group in found.items()}


def _sounding_like(word: str) -> Iterator[str]:
    """Write a word with any one of its characters misheard; engines err in one of fifty."""
    if len(word) >= LEAST_MISHEARD:
        for at, one in enumerate(word):
            for other in sorted(_alike().get(one, ())):
                yield word[:at] + other + word[at + 1 :]


def forbidden_in(text: str, where: Where, added: tuple[AddedWords, ...] = ()) -> Iterator[Place]:
    """Find the forbidden words that a text says in earnest, in its own voice."""
    even = narrow(text)
    found = list(_matches(even, where, added))
    if not found:
        return
    clauses = clauses_of(even)
    spoken = voiced(clauses)
    for one in sorted(found, key=lambda one: (one.start, one.end, one.topic.slug)):
        at = index_at(clauses, one.start)
        if at is None or not _is_excused(
            spoken, at, one.topic, one.start - clauses[at].start, len(one.word), where
        ):
            yield one


def _matches(even: str, where: Where, added: tuple[AddedWords, ...]) -> Iterator[Place]:
    """Find words in their turn; what another one of its topic stands over is found once."""
    known: set[tuple[str, int]] = set()
    for finder, entries in _lexicons(where, added):
        for index, start, end in finder.find_matches_as_indexes(even):
            word, topic = entries[index]
            taken = {(topic.slug, place) for place in range(start, end)}
            if known.isdisjoint(taken):
                known |= taken
                yield Place(topic, word, start, end, is_misheard=even[start:end] != word)


def _is_excused(
    spoken: Sequence[Voiced], at: int, topic: Topic, place: int, length: int, where: Where
) -> bool:
    """Whether the clause turns a word round, or the word is somebody else's."""
    one = spoken[at]
    before, after = one.clause.text[:place], one.clause.text[place + length :]
    if negations(before) % 2 == 1 or is_supposed(before) or (topic.is_act and one.clause.is_question):
        return True
    if any(word in before for word in topic.unless_before) or any(
        word in after for word in topic.unless_after
    ):
        return True
    return where == "words" and _is_somebody_elses(one, topic, place, before) and not _is_ours(spoken, at)


def _is_ours(spoken: Sequence[Voiced], at: int) -> bool:
    """Whether a clause without a subject tells of us, although the debtor spoke last in its sentence.

    It does when the debtor is its object, or when it goes on from what only we do (留下电话，收了现金). Where
    anybody else is spoken of, nobody can tell.
    """
    one = spoken[at]
    before = itertools.takewhile(
        lambda other: other.clause.sentence == one.clause.sentence, reversed(spoken[max(0, at - WITHIN) : at])
    )
    sentence = [other.clause.text for other in before]
    if one.clause.is_quoted or any(_SOMEBODY.search(text) for text in sentence):
        return False
    text = one.clause.text.strip()
    if _TO_THEM.match(text):
        return True
    return bool(sentence) and not one.names_subject and _ONLY_WE.match(sentence[0].strip()) is not None


def _is_somebody_elses(one: Voiced, topic: Topic, place: int, before: str) -> bool:
    """Whether the debtor or a third party says or does it."""
    is_theirs = one.voice in ("debtor", "other")
    if topic.is_act and not one.clause.is_quoted and _OURS.match(one.clause.text.strip()):
        return False
    if is_theirs and one.is_said(place):
        return True
    if topic.is_act:
        return is_theirs and one.names_subject
    if _CALLED.search(before):
        return True
    if calling := _CALLING.search(before):
        caller = before[: calling.start()]
        return any(debtors_in(caller)) or RELATIVES.search(caller) is not None
    return (is_theirs and one.names_subject) or (
        one.voice != "us" and _OTHERS.match(before.strip()) is not None
    )


def prohibited_words(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """The live account's narrative uses forbidden wording: one finding a topic, all places cited.

    What an earlier account said, and the live one does not, weighs less and does not vanish: whoever wrote
    down that cash was taken may have been told that it is forbidden.
    """
    if facts.account is None:
        return
    live = _by_topic(forbidden_in(facts.account.narrative, "words", facts.lexicon))
    for topic, places in live.items():
        yield _written(topic, places, facts.account)
    told = set(live)
    for revision in sorted(facts.revisions, key=lambda one: (one.received_at, one.id)):
        if revision.id == facts.account.id:
            continue
        for topic, places in _by_topic(forbidden_in(revision.narrative, "words", facts.lexicon)).items():
            if topic not in told:
                yield _written(topic, places, revision, is_withdrawn=True)
                told.add(topic)


def _written(
    topic: Topic, places: Sequence[Place], account: AccountFact, *, is_withdrawn: bool = False
) -> Finding:
    severity = topic.severity
    if is_withdrawn:
        severity = "serious" if severity == "severe" else "minor"
    return Finding(
        check=f"wording-{topic.slug}",
        rule=topic.rule,
        severity=severity,
        claim="" if is_withdrawn else "narrative",
        observation={"words": sorted({one.word for one in places})}
        | ({"withdrawn": True} if is_withdrawn else {}),
        citation={
            "account_id": str(account.id),
            "places": [{"word": one.word, "from": one.start, "until": one.end} for one in places],
        },
        confidence=WITHDRAWN_CONFIDENCE if is_withdrawn else ACCOUNT_CONFIDENCE,
    )


def _by_topic(places: Iterable[Place]) -> Mapping[Topic, Sequence[Place]]:
    found: dict[Topic, list[Place]] = {}
    for one in places:
        found.setdefault(one.topic, []).append(one)
    return found


def prohibited_words_heard(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """Forbidden wording is heard in a recording: one finding a topic and recording, every second cited.

    Little where the engine only guesses that it was said.
    """
    for one in facts.evidence:
        heard: dict[Topic, list[tuple[Segment, Place]]] = {}
        for segment in one.transcript or ():
            for place in forbidden_in(segment.text, "spoken", facts.lexicon):
                heard.setdefault(place.topic, []).append((segment, place))
        for topic, places in heard.items():
            yield _heard(one, topic, places)


def _heard(one: EvidenceFact, topic: Topic, places: Sequence[tuple[Segment, Place]]) -> Finding:
    sure = max(_sure(*each) for each in places)
    return Finding(
        check=f"heard-{topic.slug}",
        rule=topic.rule,
        severity="minor" if all(segment.is_guess for segment, _ in places) else topic.severity,
        claim="narrative",
        observation={"words": sorted({place.word for _, place in places})},
        citation=cite(one.id, second=places[0][0].start) | {"places": [_second(*each) for each in places]},
        confidence=round(HEARD_CONFIDENCE * sure, 3),
        about=str(one.id),
    )


def _sure(segment: Segment, place: Place) -> float:
    heard = UNSURE if segment.confidence is None else segment.confidence
    return heard * MISHEARD if place.is_misheard else heard


def _second(segment: Segment, place: Place) -> dict[str, Any]:
    told = {"second": round(segment.start, 1), "until": round(segment.end, 1), "word": place.word}
    return told | ({"heard": segment.text[place.start : place.end]} if place.is_misheard else {})

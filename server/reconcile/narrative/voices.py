"""Whose words is a clause: ours, the debtor's, somebody else's?

A subject speaks until the sentence ends or another subject takes over. After a verb of speech the rest of the
sentence is what that subject says. Quoted words belong to whoever was speaking.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from server.reconcile.narrative.clauses import Clause
from server.reconcile.narrative.words import WORDS, finder, pattern

Voice = Literal["us", "debtor", "other", "unknown"]
DEBTOR: Final = finder("debtor")
RELATION: Final = {word: name for name, words in WORDS["relations"].items() for word in words}
RELATIVES: Final = re.compile(pattern(RELATION))
_LIABLE: Final = finder("debtor", "liable")
_POSSESSED: Final = finder("debtor", "possessed")
_US: Final = finder("us")
WE_ASK: Final = re.compile(f"(?:已经|已|均已|再次|随后|并)?(?:{pattern(WORDS['us']['asks'])})")
_SPEECH: Final = finder("speech")
# Whoever is spoken of as 他 or 其 right after being asked or told is not the one who asks.
_SPOKEN_OF: Final = re.compile("他|她|其|对方")
# Nobody is quoted as saying "we told him": a clause that opens so ends what the debtor says.
_WE_DO: Final = re.compile(
    "(?:我们|我方|我司|我|搭档|外访员)(?:当面|再次|随即|则|也|便|就)?"
    "(?:[骂说对劝催](?:他|她|其|对方|债务人|持卡人)|(?<!我)(?:说|讲|告诉|告知|警告|答复|解释|回复))"
)

# 我 after somebody else is that person, quoted without a word of speech; the writer acts: 我建议, 我递上.
_I_SAY: Final = re.compile(
    "[这那]?[钱账帐债卡]?我(?![们方司与和跟同俩等就便则随即再又把将让叫请问劝说讲告递给打拿回看记先当在没敲按到走进见向对]"
    "|解释|建议|要求|提醒|出示)"
)


_AGED: Final = re.compile(r"^(?:[\d一二三四五六七八九十多]+岁|年迈|年老|患病|卧床)的?")
# Behind these stands who is spoken to or acted on, not who acts: 跟我们的单子一样.
_OBJECT: Final = re.compile("[跟与和同向对给把被骂问求赶推]$")


@dataclass(frozen=True, slots=True)
class Voiced:
    """A clause, who is its subject, and from where in it that subject is being quoted (None: nowhere)."""

    clause: Clause
    voice: Voice
    said_from: int | None
    names_subject: bool

    def is_said(self, place: int) -> bool:
        """Whether a place in the clause is within somebody's reported speech."""
        return self.said_from is not None and place >= self.said_from


def voiced(clauses: Sequence[Clause]) -> tuple[Voiced, ...]:
    """Say of each clause who speaks."""
    found: list[Voiced] = []
    for clause in clauses:
        before = found[-1] if found and found[-1].clause.sentence == clause.sentence else None
        if clause.is_quoted:
            voice = found[-1].voice if found else "unknown"
            found.append(Voiced(clause, voice, 0, names_subject=False))
        else:
            found.append(_voice(clause, before))
    return tuple(found)


def _voice(clause: Clause, before: Voiced | None) -> Voiced:
    inherited: Voice = before.voice if before else "unknown"
    text = clause.text
    goes_on = before is not None and before.said_from is not None and not _WE_DO.match(text.lstrip())
    asks = WE_ASK.match(text.strip())
    debtors = tuple(debtors_in(text))
    if asks and (
        inherited in ("unknown", "us")
        or any(one.start() <= asks.end() + 2 for one in debtors)
        or _SPOKEN_OF.match(text.lstrip(), asks.end())
    ):
        return Voiced(clause, "us", asks.end(), names_subject=False)
    is_theirs = (goes_on and inherited != "us") or (
        inherited in ("debtor", "other") and _I_SAY.match(text.lstrip()) is not None
    )
    ours = (
        () if is_theirs else (one for one in _US.finditer(text) if not _OBJECT.search(text, 0, one.start()))
    )
    named: tuple[tuple[Voice, Iterable[re.Match[str]]], ...] = (
        ("debtor", debtors),
        ("other", (*relatives_in(text), *_LIABLE.finditer(text))),
        ("us", ours),
    )
    subjects: list[tuple[int, Voice]] = [(one.start(), voice) for voice, found in named for one in found]
    if not subjects:
        return Voiced(clause, inherited, _speech(text, 0, goes_on=goes_on), names_subject=False)
    place, voice = min(subjects, key=lambda one: one[0])
    spoken = _SPEECH.search(text)
    if spoken and spoken.start() < place and inherited != "unknown":
        return Voiced(clause, inherited, _speech(text, 0, goes_on=goes_on), names_subject=False)
    if spoken and spoken.start() < place and (voice != "us" or len(text[: spoken.start()].strip()) > 1):
        return Voiced(clause, "unknown", _speech(text, 0, goes_on=False), names_subject=True)
    return Voiced(clause, voice, _speech(text, place, goes_on=False), names_subject=True)


def _speech(text: str, place: int, *, goes_on: bool) -> int | None:
    if goes_on:
        return 0
    spoken = _SPEECH.search(text, place)
    return spoken.end() if spoken else None


def relatives_in(text: str) -> Iterator[re.Match[str]]:
    """Find who is somebody's relative or neighbour: 这家人 are those who are spoken of."""
    for match in RELATIVES.finditer(text):
        if match.group() != "家人" or not text.endswith(("这", "那", "该", "全", "一"), 0, match.start()):
            yield match


def debtors_in(text: str) -> Iterator[re.Match[str]]:
    """Find the debtor as a person: not their house, their shop or their wife."""
    for match in DEBTOR.finditer(text):
        rest = text[match.end() :]
        if not (_POSSESSED.match(rest) or RELATIVES.match(_AGED.sub("", rest))):
            yield match

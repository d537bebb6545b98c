"""Do the recordings, as far as they were transcribed, bear out what the account says?

Without a transcript nothing here finds anything: those claims stay silent, and `deaf` says why. Transcripts
are an engine's hearing: every finding cites the second, and none is certain.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final
from uuid import UUID

from server.reconcile.account import boxes, claimed_day
from server.reconcile.conduct import HEARD_CONFIDENCE, UNSURE
from server.reconcile.facts import Limits, Segment, VisitFacts
from server.reconcile.finding import Finding, Severity, cite
from server.reconcile.narrative import Claim, Kind, read_narrative
from server.reconcile.narrative.clauses import negations
from server.reconcile.narrative.spelling import narrow
from server.reconcile.narrative.voices import RELATIVES
from server.reconcile.recordings import RECORDINGS, is_explained, is_more_to_come

NOT_HEARD: Final = 0.5  # what was not heard may have been said too softly
UNDERSTOOD: Final = 0.7  # of the speech in a recording; below, what was not heard may have been said
# An engine's slip is most often another character of the same sound.
_SOUNDS: Final = (
    "录路陆鹿露", "音因阴银印引", "像象向相", "影映应", "委伪为位围", "托拖脱", "受授收", "权全", "行航型",
    "用永拥佣", "信心新讯", "款宽", "债寨", "逾愈", "期旗", "催崔",
)  # fmt: skip


def _sounding(words: str) -> re.Pattern[str]:
    """Compile a pattern whose characters may be heard as others of their sound."""
    alike = {one: f"[{group}]" for group in _SOUNDS for one in group}
    return re.compile("".join(alike.get(one, one) for one in words))


_ANNOUNCED: Final = _sounding("录音|录像|录影|全程记录")
_ROLE: Final = _sounding("委托|受托|代表.{0,6}(?:银行|卡中心)|授权|外包|合作机构|催收公司|我们公司是")
_SELF: Final = re.compile("我就是|我是本人|是我本人|我本人|本人就是|是我(?=[啊呀哦嘛]?(?:[，。！？,!?]|$))")
# Whoever speaks of their own, or is asked for them, says of these that they are away: 我老公上班，他不在家.
_OWN: Final = re.compile(f"[我你您](?:们|家|的)*(?:{RELATIVES.pattern})")
_SOMEBODY_ELSE: Final = re.compile(
    "我是(?:他|她)(?:的)?(?:爱人|老婆|妻子|老公|丈夫|妈|母亲|爸|父亲|儿子|女儿|哥|姐|弟|妹|邻居|同事|室友|房东)"
    "|(?:他|她)(?:现在)?不在(?:家|这)|(?:他|她)(?:出去|出差|上班|搬走)"
)
_DEBT: Final = _sounding("欠(?:款|钱|债|银行|了)|逾期|信用卡.{0,4}(?:没还|未还|账)|催收|还款")


@dataclass(frozen=True, slots=True)
class Heard:
    """One segment and the recording it stands in."""

    evidence_id: UUID
    segment: Segment

    @property
    def confidence(self) -> float:
        """How sure a finding from these words may be."""
        sure = UNSURE if self.segment.confidence is None else self.segment.confidence
        return round(HEARD_CONFIDENCE * sure, 3)


def heard(facts: VisitFacts) -> tuple[Heard, ...]:
    """Return everything that was heard and is no guess, in the order of the recordings."""
    return tuple(
        Heard(one.id, segment)
        for one in sorted(facts.evidence, key=lambda one: (one.captured_from is None, str(one.id)))
        for segment in one.transcript or ()
        if not segment.is_guess
    )


def deaf(facts: VisitFacts, limits: Limits) -> str:
    """Say why the recordings bear nothing out; empty when they do speak."""
    recordings = [one for one in facts.evidence if one.kind in RECORDINGS and one.is_here]
    if not recordings:
        return "no recording"
    if is_more_to_come(facts):
        return "not every recording is here"
    if any(one.transcript is None for one in recordings):
        return "not every recording is transcribed"
    if sum(len(one.segment.text) for one in heard(facts)) < limits.heard_characters:
        return "too little was understood"
    return ""


def _finding(
    check: str,
    claim: str,
    where: Heard,
    *,
    rule: str = "C1",
    severity: Severity = "serious",
    about: str = "",
    weight: float = 1.0,
    **seen: object,
) -> Finding:
    return Finding(
        check=check,
        rule=rule,
        severity=severity,
        claim=claim,
        observation=seen,
        citation=cite(where.evidence_id, second=where.segment.start) | {"heard": where.segment.text},
        confidence=round(where.confidence * weight, 3),
        about=about,
    )


def _is_understood(facts: VisitFacts, limits: Limits) -> bool:
    """Whether nearly all that was spoken was recorded and became words: only then is silence an answer."""
    recordings = [one for one in facts.evidence if one.transcript is not None and one.sound is not None]
    missing = sum(until - start for one in recordings if one.sound for start, until in one.sound.gaps)
    if missing > limits.gap_seconds or any(is_explained(one, facts) for one in recordings):
        return False
    spoken = sum(one.sound.speech_seconds for one in recordings if one.sound)
    parts = (part for one in recordings for part in one.transcript or () if not part.is_guess)
    written = sum(part.end - part.start for part in parts)
    return written >= spoken * UNDERSTOOD


def announcement_unheard(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """The account says that the recording was announced, and nobody is heard to say so (C1, B23)."""
    if boxes(facts).get("recording_announced") and not deaf(facts, limits) and _is_understood(facts, limits):
        said = heard(facts)
        if not any(_says(_ANNOUNCED, one) for one in said):
            yield _finding(
                "announcement-not-heard",
                "recording_announced",
                said[0],
                rule="B23",
                severity="minor",
                weight=NOT_HEARD,
            )


def role_unheard(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """The debtor was met, and nobody is heard to say for whom the team comes (C1)."""
    if boxes(facts).get("met") not in ("debtor", "liable_person") or deaf(facts, limits):
        return
    if _is_understood(facts, limits):
        said = heard(facts)
        if not any(_says(_ROLE, one) for one in said):
            yield _finding("role-not-heard", "identity_shown", said[0], severity="minor", weight=NOT_HEARD)


def _says(words: re.Pattern[str], one: Heard) -> bool:
    """Whether a segment says it, be it only once, and not merely that it is not so."""
    text = narrow(one.segment.text)
    return any(
        negations(text[max(0, found.start() - 4) : found.start()]) % 2 == 0 for found in words.finditer(text)
    )


def promise_unheard(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """Sums, or days, are spoken of, and the promised one is not among them (C1)."""
    promise = boxes(facts).get("promise")
    if promise is None or facts.account is None or deaf(facts, limits) or not _is_understood(facts, limits):
        return
    wanted: Mapping[Kind, str] = {"amount": str(promise["amount_fen"]), "date": str(promise["due_on"])}
    day = claimed_day(facts, facts.account)
    for kind, value in wanted.items():
        spoken = [
            (one, claim)
            for one in heard(facts)
            for claim in read_narrative(one.segment.text, day)
            if claim.kind == kind
        ]
        if kind == "date":
            spoken = [one for one in spoken if _is_another_day(one[1], day) or one[1].value == value]
        if spoken and value not in {claim.value for _, claim in spoken}:
            yield _finding(
                "promise-not-heard",
                "promise",
                spoken[-1][0],
                about=kind,
                weight=NOT_HEARD,
                account_says=value,
                heard_instead=sorted({claim.value for _, claim in spoken}),
            )


def _is_another_day(spoken: Claim, day: date) -> bool:
    """Whether a day to come is spoken of; a festival may be, for whatever happens around it."""
    return spoken.value > day.isoformat() and not spoken.is_approximate


def person_differs(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """Who talks in the recording says that they are somebody else, or that the debtor is away (C1)."""
    if boxes(facts).get("met") != "debtor" or deaf(facts, limits):
        return
    said = heard(facts)
    before = ("", *(narrow(one.segment.text) for one in said))
    others = [one for one, led_to in zip(said, before, strict=False) if _is_somebody_else(one, led_to)]
    if others and not any(_SELF.search(narrow(one.segment.text)) for one in said):
        yield _finding("person-differs", "met", others[0], account_says="debtor")


def _is_somebody_else(one: Heard, led_to: str) -> bool:
    """Whether somebody else speaks, or says that the debtor is away; `led_to` is what was said before."""
    text = narrow(one.segment.text)
    found = _SOMEBODY_ELSE.search(text)
    if found is None:
        return False
    return found.group().startswith("我是") or not _OWN.search(f"{led_to}\n{text[: found.start()]}")


def told_a_third_party(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """Only a third party was met, and the debt is spoken of (I3). It need not be the team that speaks."""
    if boxes(facts).get("met") != "third_party" or deaf(facts, limits):
        return
    for one in heard(facts):
        if _says(_DEBT, one):
            yield _finding("debt-told-to-third-party", "narrative", one, rule="I3")
            return


def is_heard(facts: VisitFacts, claim: str) -> bool:
    """Whether a recording bears a claim out."""
    said = heard(facts)
    if claim == "recording_announced":
        return any(_says(_ANNOUNCED, one) for one in said)
    if claim == "identity_shown":
        return any(_says(_ROLE, one) for one in said)
    promise = boxes(facts).get("promise")
    if claim != "promise" or promise is None or facts.account is None:
        return False
    day = claimed_day(facts, facts.account)
    values = {claim.value for one in said for claim in read_narrative(one.segment.text, day)}
    return {str(promise["amount_fen"]), str(promise["due_on"])} <= values

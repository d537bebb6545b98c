"""Is a recording whole, and of the time it is said to be?

Missing stretches are honest when the phone says why: an item `gap.explained` for this file or for the whole
visit, or an incident with the recorder. A call that interrupts is short: the recorder misses a minute.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from server.reconcile.facts import EvidenceFact, Limits, Sound, Stretch, VisitFacts
from server.reconcile.finding import Finding, Severity, cite
from server.reconcile.recordings import is_explained
from server.reconcile.timing import apart_from_capture


def recording_gaps(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """Stretches are missing inside a recording, and nobody said why (B23, C17)."""
    for one, sound in _sounds(facts):
        missing = sum(until - start for start, until in sound.gaps)
        if missing <= limits.gap_seconds or is_explained(one, facts):
            continue
        share = missing / sound.duration_seconds if sound.duration_seconds else 1.0
        severity: Severity = "serious" if share >= limits.gap_share else "minor"
        first = max(sound.gaps, key=lambda gap: gap[1] - gap[0])
        yield Finding(
            check="recording-gaps",
            rule="B23",
            severity=severity,
            claim="",
            observation={"missing_seconds": round(missing, 1), "share": round(share, 2)},
            citation=cite(one.id, second=first[0]) | {"places": _places(sound.gaps)},
            confidence=0.6,
            about=str(one.id),
        )


def recording_silent(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """A long stretch holds no sound at all although somebody was met: as if the microphone was covered (C14).

    A recording without anybody speaking is `nobody-speaks`; missing stretches are `recording-gaps`.
    """
    if facts.account is None or facts.account.claims.get("met") in (None, "nobody"):
        return
    for one, sound in _sounds(facts):
        silent = [
            stretch
            for stretch in sound.silence
            if stretch[1] - stretch[0] - _shared(stretch, sound.gaps) >= limits.silent_seconds
        ]
        if not silent or is_explained(one, facts):
            continue
        longest = max(silent, key=lambda stretch: stretch[1] - stretch[0])
        yield Finding(
            check="recording-silent",
            rule="C14",
            severity="minor",
            claim="met",
            observation={"seconds": round(longest[1] - longest[0], 1), "stretches": len(silent)},
            citation=cite(one.id, second=longest[0]) | {"places": _places(silent)},
            confidence=0.3,
            about=str(one.id),
        )


def recording_clipped(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """So much of it is cut off at full scale that words cannot be made out: for the auditor to know (B23)."""
    for one, sound in _sounds(facts):
        if sound.clipped >= limits.clipped_share:
            yield Finding(
                check="recording-clipped",
                rule="B23",
                severity="note",
                claim="",
                observation={"share": round(sound.clipped, 3)},
                citation=cite(one.id, second=0),
                about=str(one.id),
            )


def container_time_differs(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """The file was made at another time than its capture, and than the phone's clock showed then (C14).

    Some recorders write the town's time where UTC is meant: that is no difference. Times before 2000 are a
    recorder that knows none.
    """
    for one, sound in _sounds(facts):
        made = sound.recorded_at
        if made is None or made.year < 2000 or one.captured_from is None or one.captured_until is None:
            continue
        shift = made.astimezone(facts.zone).utcoffset() or timedelta(0)
        if min(apart_from_capture(one, reading) for reading in (made, made - shift)) > limits.time:
            yield Finding(
                check="recording-time-differs",
                rule="C14",
                severity="serious",
                claim="",
                observation={
                    "recording_says": made,
                    "captured_from": one.captured_from.earliest,
                    "captured_until": one.captured_until.latest,
                },
                citation=cite(one.id, second=0),
                confidence=0.6,
                about=str(one.id),
            )


def _sounds(facts: VisitFacts) -> Iterator[tuple[EvidenceFact, Sound]]:
    for one in facts.evidence:
        if one.is_here and one.sound is not None:
            yield one, one.sound


def _shared(stretch: Stretch, others: Sequence[Stretch]) -> float:
    """Return how many seconds of a stretch lie in others: where nothing was recorded nothing sounds."""
    return sum(max(0.0, min(stretch[1], until) - max(stretch[0], start)) for start, until in others)


def _places(stretches: Sequence[Stretch]) -> list[dict[str, float]]:
    return [{"second": round(start, 1), "until": round(until, 1)} for start, until in stretches[:50]]

"""What do a visit's recordings amount to: are they all here, how long do they cover, how much is spoken?

As long as one of them is on its way nothing is said against the others. Two of the same minutes cover them
once; clocks that leave it open whether they overlap are read in the visitor's favour.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from server.reconcile.facts import EvidenceFact, VisitFacts

RECORDINGS: Final = ("audio", "video")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def heard_through(facts: VisitFacts) -> tuple[EvidenceFact, ...]:
    """Return the files that are here and hold sound, as far as the inspection could tell."""
    return tuple(one for one in facts.evidence if one.is_here and one.sound is not None)


def is_more_to_come(facts: VisitFacts) -> bool:
    """Whether a promised recording may still arrive in time, or is here and not inspected yet."""
    promised = (one for one in facts.evidence if one.kind in RECORDINGS)
    return any(not one.is_inspected if one.is_here else not facts.is_evidence_due for one in promised)


def is_explained(one: EvidenceFact, facts: VisitFacts) -> bool:
    """Whether somebody of the team said why this recording, or those of the whole visit, miss something."""
    return any(told.evidence_id in (None, one.id) for told in facts.gaps_explained)


def spoken_seconds(facts: VisitFacts) -> float:
    """Return for how long somebody speaks."""
    return sum(one.sound.speech_seconds for one in heard_through(facts) if one.sound)


def covered_seconds(recordings: Sequence[EvidenceFact]) -> float:
    """Return how long a time the recordings cover at most.

    Those whose captures may touch cover no more than the time from the first beginning to the last end, and
    no more than they last together, but at least what the longest lasts. Whose capture has no clock counts
    as long as it lasts.
    """
    unplaced, groups = 0.0, list[_Group]()
    for one in sorted(
        recordings, key=lambda one: one.captured_from.earliest if one.captured_from else _EPOCH
    ):
        seconds = one.sound.duration_seconds if one.sound else 0.0
        if one.captured_from is None or one.captured_until is None:
            unplaced += seconds
            continue
        begun, ended = one.captured_from.earliest, one.captured_until.latest
        if not groups or begun > groups[-1].ended:
            groups.append(_Group(begun, ended))
        groups[-1].add(ended, seconds)
    return unplaced + sum(group.covered for group in groups)


@dataclass(slots=True)
class _Group:
    """Recordings whose captures may touch one another."""

    begun: datetime
    ended: datetime
    lasting: float = 0.0
    longest: float = 0.0

    def add(self, ended: datetime, seconds: float) -> None:
        self.ended = max(self.ended, ended)
        self.lasting += seconds
        self.longest = max(self.longest, seconds)

    @property
    def covered(self) -> float:
        return min(self.lasting, max(self.longest, (self.ended - self.begun).total_seconds()))

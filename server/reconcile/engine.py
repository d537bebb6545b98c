"""What does not fit in this visit?

`reconcile` runs every check and marks every claim. The answer depends on the facts alone: the same facts
in any order give the same findings in the same order.
"""

from dataclasses import dataclass
from typing import Final

from server.reconcile import (
    afterwards,
    completeness,
    conduct,
    integrity,
    letters,
    likeness,
    media,
    money,
    narration,
    outcome,
    place,
    records,
    reuse,
    sound,
    team,
    timing,
    transcripts,
)
from server.reconcile.claims import ClaimMark, mark_claims
from server.reconcile.facts import Limits, VisitFacts
from server.reconcile.finding import Check, Finding

CHECKS: Final[tuple[Check, ...]] = (
    completeness.evidence_missing,
    completeness.account_missing,
    completeness.required_evidence,
    integrity.digest_mismatch,
    integrity.broken_chain,
    integrity.signature_invalid,
    integrity.unreadable_evidence,
    records.key_revoked,
    records.chain_gap,
    records.steps_unrecorded,
    records.loose_files,
    records.clock_changed,
    media.media_edited,
    media.other_camera,
    media.photo_unusable,
    timing.captured_outside_visit,
    timing.photo_time_differs,
    timing.stay_differs,
    timing.recording_too_short,
    sound.recording_gaps,
    sound.recording_silent,
    sound.recording_clipped,
    sound.container_time_differs,
    place.check_in_elsewhere,
    place.mock_location,
    place.photo_elsewhere,
    place.impossible_travel,
    team.team_differs,
    team.tracks_disagree,
    team.solo_device,
    outcome.nobody_speaks,
    outcome.not_entitled,
    outcome.amendment_reverses,
    reuse.reused_evidence,
    reuse.reused_recording,
    narration.times_contradict,
    narration.promise_contradicts,
    narration.person_contradicts,
    narration.delivery_contradicts,
    narration.posted,
    narration.conduct_contradicts,
    narration.debt_contradicts,
    narration.dispute_unreported,
    narration.outcome_contradicts,
    likeness.repeated_narrative,
    money.payment_unconfirmed,
    transcripts.announcement_unheard,
    transcripts.role_unheard,
    transcripts.promise_unheard,
    transcripts.person_differs,
    transcripts.told_a_third_party,
    conduct.prohibited_words,
    conduct.prohibited_words_heard,
    letters.letter_not_on_permit,
    letters.wrong_recipient,
    letters.left_although_met,
    letters.left_at_unsure_address,
    letters.left_without_photo,
    letters.sealed_to_nobody_known,
    letters.signature_missing,
    letters.letters_unaccounted,
    afterwards.broken_rules,
    afterwards.visited_under_hold,
)


@dataclass(frozen=True, slots=True)
class Report:
    """Findings, worst first, and how each claim stands."""

    findings: tuple[Finding, ...]
    claims: tuple[ClaimMark, ...]


def reconcile(facts: VisitFacts, limits: Limits) -> Report:
    """Hold one visit's account against its evidence."""
    found = [finding for check in CHECKS for finding in check(facts, limits)]
    ordered = sorted(found, key=lambda one: (-one.rank, -one.confidence, one.key))
    return Report(findings=tuple(ordered), claims=mark_claims(facts, ordered, limits))

"""Which labels does each check of the engine give, and which of them does nobody fabricate here, and why?

Written by hand beside the engine: a check that is new there and stands neither among the fabrications nor
here is measured by nobody, and `tests/reconcile/test_corpus.py` says so.
"""

from typing import Final

LABELS: Final[dict[str, tuple[str, ...]]] = {
    "completeness.evidence_missing": ("evidence-missing",),
    "completeness.account_missing": ("account-missing", "account-late"),
    "completeness.required_evidence": ("evidence-not-taken",),
    "integrity.digest_mismatch": ("digest-mismatch",),
    "integrity.broken_chain": ("chain-fork",),
    "integrity.signature_invalid": ("signature-invalid",),
    "integrity.unreadable_evidence": ("evidence-unreadable",),
    "timing.captured_outside_visit": ("captured-outside-visit",),
    "timing.photo_time_differs": ("photo-time-differs",),
    "timing.stay_differs": ("stay-differs",),
    "timing.recording_too_short": ("recording-too-short",),
    "place.check_in_elsewhere": ("check-in-elsewhere",),
    "place.mock_location": ("mock-location",),
    "place.photo_elsewhere": ("photo-elsewhere",),
    "place.impossible_travel": ("impossible-travel",),
    "team.team_differs": ("team-differs",),
    "outcome.nobody_speaks": ("nobody-speaks",),
    "outcome.not_entitled": ("delivery-contradicts",),
    "outcome.amendment_reverses": ("amendment-reverses",),
    "reuse.reused_evidence": ("same-file", "same-picture"),
    "reuse.reused_recording": ("same-recording",),
    "narration.times_contradict": ("narrative-contradicts/left_at",),
    "narration.promise_contradicts": ("narrative-contradicts/promise", "promise-only-in-narrative"),
    "narration.person_contradicts": ("narrative-contradicts/met",),
    "narration.delivery_contradicts": ("narrative-contradicts/letters", "delivery-only-in-narrative"),
    "narration.posted": ("letter-posted",),
    "narration.conduct_contradicts": (
        "narrative-contradicts/identity_shown",
        "narrative-contradicts/recording_announced",
    ),
    "narration.debt_contradicts": ("narrative-contradicts/debt",),
    "narration.dispute_unreported": ("dispute-only-in-narrative",),
    "narration.outcome_contradicts": ("narrative-contradicts/outcome",),
    "likeness.repeated_narrative": ("narrative-repeated",),
    "transcripts.announcement_unheard": ("announcement-not-heard",),
    "transcripts.role_unheard": ("role-not-heard",),
    "transcripts.promise_unheard": ("promise-not-heard",),
    "transcripts.person_differs": ("person-differs",),
    "transcripts.told_a_third_party": ("debt-told-to-third-party",),
    "conduct.prohibited_words": (),  # a label a topic of the lexicon: wording-…
    "conduct.prohibited_words_heard": (),  # heard-…
    "letters.letter_not_on_permit": ("letter-not-on-permit",),
    "letters.wrong_recipient": ("letter-wrong-recipient",),
    "letters.left_although_met": ("letter-left-although-met",),
    "letters.left_at_unsure_address": ("letter-at-unsure-address",),
    "letters.left_without_photo": ("letter-left-without-photo",),
    "letters.sealed_to_nobody_known": ("letter-sealed-to-other", "letter-sealed-without-relation"),
    "letters.signature_missing": ("letter-signature-missing",),
    "letters.letters_unaccounted": ("letters-unaccounted",),
    "afterwards.broken_rules": ("visit-window", "exam-not-taken", "hardship-team-size"),
    "afterwards.visited_under_hold": ("visited-under-hold",),
    "records.key_revoked": ("key-revoked",),
    "records.chain_gap": ("chain-gap",),
    "records.steps_unrecorded": ("step-unrecorded",),
    "records.loose_files": ("loose-file",),
    "records.clock_changed": ("clock-changed",),
    "media.media_edited": ("media-edited",),
    "media.other_camera": ("other-camera",),
    "media.photo_unusable": ("photo-unusable",),
    "sound.recording_gaps": ("recording-gaps",),
    "sound.recording_silent": ("recording-silent",),
    "sound.recording_clipped": ("recording-clipped",),
    "sound.container_time_differs": ("recording-time-differs",),
    "team.tracks_disagree": ("tracks-disagree",),
    "team.solo_device": ("solo-device",),
    "money.payment_unconfirmed": ("payment-unconfirmed",),
}
_ONE_PHONE: Final = (
    "a team of the corpus carries its lead's phone alone, so that no second one can contradict it"
)
_SHORT: Final = "visits of the corpus take half a minute; its gaps and silences are told by minutes"
_NOT_YET: Final = (
    "the check is newer than the corpus: what it finds wrongly is counted, what it misses is not"
)
NOT_FABRICATED: Final[dict[str, str]] = {
    "key-revoked": _NOT_YET,
    "signature-invalid": "a supervisor accepts such a record at the desk, and the corpus has no supervisor",
    "chain-gap": _NOT_YET,
    "loose-file": _NOT_YET,
    "recording-gaps": _SHORT,
    "recording-silent": _SHORT,
    "recording-clipped": _NOT_YET,
    "tracks-disagree": _ONE_PHONE,
    "solo-device": _ONE_PHONE,
    "payment-unconfirmed": "payments come from office and client, not from the door",
}
"""Labels that no fabrication asks for, each with its reason."""

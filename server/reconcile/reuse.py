"""Does the same file, picture or recording serve another visit too?"""

from collections.abc import Iterator

from server.reconcile.facts import EvidenceFact, Limits, VisitFacts
from server.reconcile.finding import Finding, cite


def reused_evidence(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """A file, or a picture that looks the same, stands in another visit (C17).

    Two letters of one template, laid flat, look the same whoever signed them: of those an auditor reads both.
    """
    papers = {one.id for one in facts.evidence if _is_of_paper(one)}
    for reuse in facts.reuses:
        is_same_file = reuse.distance is None
        if not is_same_file and (reuse.distance or 0) > limits.picture_distance:
            continue
        is_expected = not is_same_file and reuse.evidence_id in papers
        confidence = 1.0 if is_same_file else 0.95 - (reuse.distance or 0) / 100
        yield Finding(
            check="same-file" if is_same_file else "same-picture",
            rule="C17",
            severity="minor" if is_expected else "severe",
            claim="",
            observation={"other_visit_id": str(reuse.other_visit_id), "bits_apart": reuse.distance},
            citation=cite(reuse.evidence_id) | {"other_evidence_id": str(reuse.other_evidence_id)},
            confidence=0.3 if is_expected else confidence,
            about=f"{reuse.evidence_id}/{reuse.other_evidence_id}",
        )


def _is_of_paper(one: EvidenceFact) -> bool:
    return one.kind in ("scan", "signature") or one.purpose in ("letter", "signature")


def reused_recording(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """A stretch of a recording is heard in an earlier visit's, re-encoded, cut or moved (C17).

    A jingle or a broadcast may be heard at two doors: an auditor listens to both before anything counts.
    """
    for heard in facts.same_sounds:
        yield Finding(
            check="same-recording",
            rule="C17",
            severity="serious",
            claim="",
            observation={
                "other_visit_id": str(heard.other_visit_id),
                "seconds": heard.seconds,
                "other_second": heard.other_at,
            },
            citation=cite(heard.evidence_id, second=heard.at)
            | {"other_evidence_id": str(heard.other_evidence_id)},
            confidence=heard.confidence,
            about=f"{heard.evidence_id}/{heard.other_evidence_id}",
        )

"""Does the same file or picture serve another visit too?"""

from collections.abc import Iterator

from server.reconcile.facts import Limits, VisitFacts
from server.reconcile.finding import Finding, cite


def reused_evidence(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """A file, or a picture that looks the same, stands in another visit (C17)."""
    for reuse in facts.reuses:
        is_same_file = reuse.distance is None
        if not is_same_file and (reuse.distance or 0) > limits.picture_distance:
            continue
        yield Finding(
            check="same-file" if is_same_file else "same-picture",
            rule="C17",
            severity="severe",
            claim="",
            observation={"other_visit_id": str(reuse.other_visit_id), "bits_apart": reuse.distance},
            citation=cite(reuse.evidence_id) | {"other_evidence_id": str(reuse.other_evidence_id)},
            confidence=1.0 if is_same_file else 0.95 - (reuse.distance or 0) / 100,
            about=f"{reuse.evidence_id}/{reuse.other_evidence_id}",
        )

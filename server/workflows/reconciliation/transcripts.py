"""What was said in a visit's recordings, as far as an engine has heard them?"""

from collections import defaultdict
from collections.abc import Mapping
from uuid import UUID

import sqlalchemy as sa

from server.database import db
from server.models.evidence import Evidence
from server.models.transcripts import Transcript, TranscriptSegment
from server.reconcile.facts import Segment


def transcripts(visit_id: UUID) -> Mapping[UUID, tuple[Segment, ...]]:
    """Return the segments of every transcribed recording; what is not transcribed (yet) is left out."""
    rows = db.session.execute(
        sa.select(Transcript.evidence_id, TranscriptSegment)
        .join(Evidence, Evidence.id == Transcript.evidence_id)
        .outerjoin(TranscriptSegment, TranscriptSegment.evidence_id == Transcript.evidence_id)
        .where(Evidence.visit_id == visit_id, Transcript.failed.is_(None))
        .order_by(Transcript.evidence_id, TranscriptSegment.number)
    )
    heard: dict[UUID, list[Segment]] = defaultdict(list)
    for evidence_id, segment in rows:
        so_far = heard[evidence_id]
        if segment is not None:
            so_far.append(
                Segment(segment.start_seconds, segment.end_seconds, segment.text, segment.confidence)
            )
    return {evidence_id: tuple(segments) for evidence_id, segments in heard.items()}

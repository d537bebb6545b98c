"""Is a recording of this visit heard in another visit's, too: re-encoded, cut, with noise over it?

The index gives those that share rare landmarks, most shared first; their landmarks are laid side by side. A
look-up costs the landmarks of this visit and, of a million recordings, some 2,700 that share a key by chance.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from server.database import db
from server.media.landmarks import FRAME_SECONDS, Landmarks, align
from server.models.prints import SoundPrint
from server.reconcile.facts import SameSound

CANDIDATES: Final = 20
MOST_KEYS: Final = 1000

_SHARING: Final = sa.text(
    """
    WITH mine AS (
        SELECT one.id, one.sha256, one.captured_until_latest, print.keys[1 : :most_keys] AS keys
        FROM evidence one
        JOIN sound_prints print ON print.evidence_id = one.id
        WHERE one.visit_id = :visit_id AND one.state = 'verified'
    )
    SELECT mine.id AS evidence_id, near.other_id, near.visit_id
    FROM mine
    CROSS JOIN LATERAL (
        SELECT shared.other_id, other.visit_id
        FROM (
            SELECT near.evidence_id AS other_id, count(*) AS keys_shared
            FROM unnest(mine.keys) AS key
            JOIN sound_prints near ON near.keys @> ARRAY[key] AND near.evidence_id <> mine.id
            GROUP BY 1 ORDER BY 2 DESC, 1
        ) AS shared
        JOIN evidence other ON other.id = shared.other_id
        WHERE other.visit_id <> :visit_id AND other.state = 'verified'
          AND other.sha256 IS DISTINCT FROM mine.sha256
          AND other.captured_from_earliest <= mine.captured_until_latest
        ORDER BY shared.keys_shared DESC, shared.other_id
        LIMIT :candidates
    ) AS near
    """
)


def same_sounds(visit_id: UUID) -> tuple[SameSound, ...]:
    """Find stretches of this visit's recordings that another visit's earlier recordings hold."""
    rows = candidates(visit_id)
    landmarks = _landmarks({one for row in rows for one in (row.evidence_id, row.other_id)})
    return tuple(sorted(_laid_side_by_side(rows, landmarks), key=lambda one: (one.evidence_id, one.at)))


def candidates(visit_id: UUID) -> Sequence[Any]:
    """Which earlier recordings share most keys with each of this visit's? Some do by chance."""
    asked = {"visit_id": visit_id, "most_keys": MOST_KEYS, "candidates": CANDIDATES}
    return db.session.execute(_SHARING, asked).all()


def _landmarks(evidence_ids: Iterable[UUID]) -> Mapping[UUID, Landmarks]:
    wanted = sa.select(SoundPrint.evidence_id, SoundPrint.landmarks).where(
        SoundPrint.evidence_id.in_(list(evidence_ids))
    )
    return {evidence_id: Landmarks.from_bytes(packed) for evidence_id, packed in db.session.execute(wanted)}


def _laid_side_by_side(rows: Iterable[Any], landmarks: Mapping[UUID, Landmarks]) -> Iterable[SameSound]:
    for row in rows:
        found = align(landmarks[row.evidence_id], landmarks[row.other_id])
        if found is not None:
            yield SameSound(
                evidence_id=row.evidence_id,
                other_evidence_id=row.other_id,
                other_visit_id=row.visit_id,
                at=round(found.at * FRAME_SECONDS, 1),
                other_at=round(found.other_at * FRAME_SECONDS, 1),
                seconds=round(found.seconds, 1),
                confidence=round(1 - 0.3 / (found.shared - 3), 2),
            )

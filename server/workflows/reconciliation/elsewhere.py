"""Which evidence of a visit serves another visit, too? One query a kind, flat in the number of visits.

Who captured first is not the one to doubt: what is found is the other's earlier evidence, or one whose order
the clocks cannot tell.
"""

from typing import Final
from uuid import UUID

import sqlalchemy as sa

from server.database import db
from server.models.prints import EXACT_WITHIN
from server.reconcile.facts import Reuse

_MOST: Final = 100

_SAME_FILES: Final = sa.text(
    """
    SELECT mine.id AS evidence_id, other.id AS other_id, other.visit_id
    FROM evidence mine
    JOIN evidence other ON other.sha256 = mine.sha256
    WHERE mine.visit_id = :visit_id AND mine.state = 'verified'
      AND other.visit_id <> mine.visit_id AND other.state = 'verified'
      AND other.captured_from_earliest <= mine.captured_until_latest
    ORDER BY 1, 2
    LIMIT :most
    """
)

# A picture within 31 bits shares at least one of 16 bands up to one bit: the band itself or one of its 16
# neighbours. The index gives these candidates, the bit count decides. The visit's own pictures are looked up
# first and for themselves: to get them in order the planner would walk through the prints of all others.
_NEAR_PICTURES: Final = sa.text(
    """
    WITH mine AS MATERIALIZED (
        SELECT one.id, one.visit_id, one.sha256, one.captured_until_latest, print.bits, print.bands
        FROM evidence one
        JOIN picture_prints print ON print.evidence_id = one.id
        WHERE one.visit_id = :visit_id AND one.state = 'verified'
    )
    SELECT mine.id AS evidence_id, other.id AS other_id, other.visit_id,
           bit_count(mine.bits # near.bits) AS bits_apart
    FROM mine
    CROSS JOIN LATERAL (
        SELECT array_agg(band # flip) AS bands
        FROM unnest(mine.bands) AS band,
             unnest(CAST(:flips AS integer[])) AS flip
    ) AS around
    JOIN picture_prints near ON near.bands && around.bands
     AND bit_count(mine.bits # near.bits) <= :distance
    JOIN evidence other ON other.id = near.evidence_id
    WHERE other.visit_id <> mine.visit_id AND other.state = 'verified'
      AND other.sha256 IS DISTINCT FROM mine.sha256
      AND other.captured_from_earliest <= mine.captured_until_latest
    ORDER BY 1, 2
    LIMIT :most
    """
)
FLIPS: Final = [0, *(1 << bit for bit in range(16))]


def reuses(visit_id: UUID, *, distance: int) -> tuple[Reuse, ...]:
    """Find files of this visit that serve another one: the same bytes, or a picture that looks the same.

    `distance` in PDQ bits; the index is exact up to EXACT_WITHIN.
    """
    if distance > EXACT_WITHIN:
        raise ValueError(f"pictures more than {EXACT_WITHIN} bits apart may share no band")
    files = db.session.execute(_SAME_FILES, {"visit_id": visit_id, "most": _MOST})
    same = [Reuse(row.evidence_id, row.other_id, row.visit_id, None) for row in files]
    pictures = db.session.execute(
        _NEAR_PICTURES, {"visit_id": visit_id, "flips": FLIPS, "distance": distance, "most": _MOST}
    )
    near = [Reuse(row.evidence_id, row.other_id, row.visit_id, row.bits_apart) for row in pictures]
    return tuple(sorted(same + near, key=lambda one: (one.evidence_id, one.other_evidence_id))[:_MOST])

"""Whose evidence may be this one's again? For evidence that arrives after the visits it served later.

`elsewhere` and `heard_before` look back from a visit to what was captured earlier. What was captured earlier
may arrive last: then those visits were judged without it, and are judged again.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from server.database import db, transaction
from server.jobs import task
from server.workflows.reconciliation.elsewhere import FLIPS
from server.workflows.reconciliation.gathering import LIMITS
from server.workflows.reconciliation.heard_before import CANDIDATES, MOST_KEYS
from server.workflows.reconciliation.later import judge_later

_MOST: Final = 100

_LATER: Final = sa.text(
    """
    WITH mine AS (
        SELECT id, visit_id, sha256, captured_from_earliest FROM evidence
        WHERE id = :evidence_id AND state = 'verified'
    ), alike AS (
        SELECT other.id FROM mine JOIN evidence other ON other.sha256 = mine.sha256
        UNION
        SELECT near.evidence_id
        FROM mine
        JOIN picture_prints print ON print.evidence_id = mine.id
        CROSS JOIN LATERAL (
            SELECT array_agg(band # flip) AS bands
            FROM unnest(print.bands) AS band, unnest(CAST(:flips AS integer[])) AS flip
        ) AS around
        JOIN picture_prints near ON near.bands && around.bands
         AND bit_count(print.bits # near.bits) <= :distance
        UNION
        (SELECT near.evidence_id
         FROM mine
         JOIN sound_prints print ON print.evidence_id = mine.id
         CROSS JOIN LATERAL unnest(print.keys[1 : :most_keys]) AS key
         JOIN sound_prints near ON near.keys @> ARRAY[key] AND near.evidence_id <> mine.id
         GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT :candidates)
    )
    SELECT DISTINCT other.visit_id
    FROM mine CROSS JOIN alike JOIN evidence other ON other.id = alike.id
    WHERE other.visit_id <> mine.visit_id AND other.state = 'verified'
      AND other.captured_until_latest >= mine.captured_from_earliest
    ORDER BY 1
    LIMIT :most
    """
)


def later_visits(evidence_id: UUID) -> list[UUID]:
    """Return the visits whose evidence may be this one's again: not certainly captured before it."""
    asked = {
        "evidence_id": evidence_id,
        "flips": FLIPS,
        "distance": LIMITS.picture_distance,
        "most_keys": MOST_KEYS,
        "candidates": CANDIDATES,
        "most": _MOST,
    }
    return list(db.session.scalars(_LATER, asked))


@task("reconcile_later_visits")
def reconcile_later_visits(*, now: datetime, evidence_id: str) -> None:
    """Have those visits judged again.

    A job of its own: it runs after the commit of what is compared, so of two that arrive at once one sees the
    other. It sets no other of its kind going, so it ends.
    """
    del now  # what is alike does not depend on when it is asked
    with transaction():
        judge_later(later_visits(UUID(evidence_id)), because="later_evidence")

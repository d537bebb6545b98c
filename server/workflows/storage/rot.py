"""What of the stored evidence is not what it was, and how far is the scrubber?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from server.database import db
from server.models.evidence import Evidence
from server.models.storage import KeptObject, Rot
from server.storage import scrub_round_days


@dataclass(frozen=True, slots=True)
class Rotten:
    """One object's rot, and the evidence that it was."""

    rot: Rot
    size_bytes: int
    evidence: Sequence[Evidence]


@dataclass(frozen=True, slots=True)
class State:
    """How the whole store stands. `oldest_check_at` is the last check of what was checked longest ago."""

    objects: int
    size_bytes: int
    oldest_check_at: datetime | None
    round_days: int
    rot: Mapping[str, int]


def state() -> State:
    """Sum up what is kept and what of it is rotten."""
    kept = sa.select(
        sa.func.count(),
        sa.func.coalesce(sa.func.sum(KeptObject.size_bytes), 0),
        sa.func.min(KeptObject.checked_at),
    )
    objects, size_bytes, oldest = db.session.execute(kept.select_from(KeptObject)).one()
    counted = sa.select(Rot.kind, sa.func.count()).where(Rot.mended_at.is_(None)).group_by(Rot.kind)
    kinds = {kind: count for kind, count in db.session.execute(counted)}
    return State(objects, int(size_bytes), oldest, scrub_round_days(), kinds)


def rotten(*, mended: bool, after: UUID | None, limit: int) -> list[Rotten]:
    """Return one page of rot, newest first: what is rotten now, or what once was and is mended."""
    query = sa.select(Rot, KeptObject.size_bytes).join(KeptObject, KeptObject.key == Rot.key, isouter=True)
    query = query.where(Rot.mended_at.is_not(None) if mended else Rot.mended_at.is_(None))
    if after is not None:
        query = query.where(Rot.id < after)
    rows = db.session.execute(query.order_by(Rot.id.desc()).limit(limit)).all()
    named = sa.select(Evidence).where(Evidence.storage_key.in_([rot.key for rot, _ in rows]))
    by_key: dict[str, list[Evidence]] = {}
    for one in db.session.scalars(named.order_by(Evidence.id)):
        by_key.setdefault(one.storage_key or "", []).append(one)
    return [Rotten(rot, size_bytes or 0, by_key.get(rot.key, [])) for rot, size_bytes in rows]

"""Is an object in the store still what was stored, and what follows if it is not?

Reading takes as long as it takes and holds no connection; what was seen is then written in one short
transaction. That a store cannot be reached is no rot and is never written down as such.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from server.database import release_connection, transaction
from server.media.store import (
    Digest,
    MediaStore,
    ObjectMissing,
    ObjectUnreadable,
    StoreUnavailable,
    evidence_key,
)
from server.models.evidence import Evidence
from server.models.storage import KeptObject, Rot

log = structlog.get_logger()

SOUND: Final = "sound"


@dataclass(frozen=True, slots=True)
class Seen:
    """What one reading of an object showed; `digest` is there if it could be read."""

    key: str
    outcome: str
    digest: Digest | None = None


def look_at(store: MediaStore, key: str) -> Seen:
    """Read an object back. Raises StoreUnavailable when the store as a whole is away."""
    try:
        found = store.digest(key)
    except ObjectMissing:
        return Seen(key, "missing")
    except ObjectUnreadable:
        return Seen(key, "unreadable")
    except StoreUnavailable:
        store.check()
        return Seen(key, "unreadable")  # the store answers, only not for this object
    return Seen(key, SOUND if key == evidence_key(found.sha256) else "altered", found)


def write_down(seen: Seen, *, now: datetime) -> None:
    """Record a look. Rot is kept from its first sighting until a check finds the object whole again."""
    release_connection()
    with transaction() as session:
        session.execute(
            sa.update(KeptObject)
            .where(KeptObject.key == seen.key)
            .values(checked_at=sa.func.greatest(KeptObject.checked_at, now), outcome=seen.outcome)
            .execution_options(synchronize_session=False)
        )
        if seen.outcome == SOUND:
            _mend(session, seen.key, now=now)
        elif _is_named(session, seen.key):
            _record_rot(session, seen, now=now)
            log.error("storage.rot", key=seen.key, kind=seen.outcome)


def _mend(session: Session, key: str, *, now: datetime) -> None:
    mended = sa.update(Rot).where(Rot.key == key, Rot.mended_at.is_(None)).values(mended_at=now)
    session.execute(mended.execution_options(synchronize_session=False))


def _is_named(session: Session, key: str) -> bool:
    """Whether evidence still names it: what was erased meanwhile is not missed."""
    return bool(session.scalar(sa.select(sa.exists().where(Evidence.storage_key == key))))


def _record_rot(session: Session, seen: Seen, *, now: datetime) -> None:
    found = {
        "kind": seen.outcome,
        "seen_at": now,
        "found_sha256": seen.digest and seen.digest.sha256,
        "found_bytes": seen.digest and seen.digest.size_bytes,
    }
    first = insert(Rot).values(key=seen.key, found_at=now, **found)
    again = {**found, "seen_at": sa.func.greatest(Rot.seen_at, now)}
    session.execute(
        first.on_conflict_do_update(index_elements=["key"], index_where=Rot.mended_at.is_(None), set_=again)
    )

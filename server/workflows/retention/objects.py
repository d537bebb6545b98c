"""When do an erased debtor's bytes leave the store?

After the commit, by a job that may run any number of times. Bytes that another debtor's evidence has too
stay, and are looked at again every night; so are those that the store keeps under a lock.
"""

from datetime import datetime
from typing import Final

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from server.database import transaction
from server.jobs import task
from server.models.evidence import Evidence
from server.models.retention import ErasedObject
from server.storage import current_store
from server.workflows.storage.collecting import remove_unnamed

PAGE: Final = 200

log = structlog.get_logger()


@task("retention.remove_objects", every="11 19 * * *")
def remove_objects(*, now: datetime) -> None:
    """Try everything that is still there, once."""
    refused = 0
    while keys := _there(now):
        for key in keys:
            refused += not _remove(key, now=now)
    if refused:
        log.warning("retention.objects_locked", objects=refused)


def _there(now: datetime) -> list[str]:
    """Return keys that were not tried yet by this run."""
    query = (
        sa.select(ErasedObject.key)
        .where(ErasedObject.state != "removed")
        .where(sa.or_(ErasedObject.tried_at.is_(None), ErasedObject.tried_at < now))
        .distinct()
        .order_by(ErasedObject.key)
        .limit(PAGE)
    )
    with transaction() as session:
        return list(session.scalars(query))


def _remove(key: str, *, now: datetime) -> bool:
    """Remove one object unless somebody else's evidence is the same bytes; False when the store refuses.

    Evidence leaves as the collector has it leave: a phone may be sending the same bytes at this moment.
    """
    if key.startswith("evidence/"):
        is_gone = key in remove_unnamed(current_store(), [key], now=now)
    else:
        current_store().remove(key)
        is_gone = True
    with transaction() as session:
        state = "removed" if is_gone else "shared" if _is_shared(session, key) else "refused"
        _note(session, key, state, now=now)
    return state != "refused"


def _is_shared(session: Session, key: str) -> bool:
    return bool(session.scalar(sa.select(sa.exists().where(Evidence.storage_key == key))))


def _note(session: Session, key: str, state: str, *, now: datetime) -> None:
    there = sa.and_(ErasedObject.key == key, ErasedObject.state != "removed")
    session.execute(sa.update(ErasedObject).where(there).values(state=state, tried_at=now))

"""When do an erased debtor's bytes leave the store?

After the commit, by a job that may run any number of times. Bytes that another debtor's evidence has too
stay, and are looked at again every night; so are those that the store keeps under a lock.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa
import structlog

from server.database import transaction
from server.jobs import task
from server.media.store import MediaStore, ObjectLocked
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
        refused += _remove(current_store(), keys, now=now)
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


def _remove(store: MediaStore, keys: Sequence[str], *, now: datetime) -> int:
    """Remove what nobody else's evidence has too; return how many the store refused to let go.

    Evidence leaves as the collector has it leave: a phone may be sending the same bytes at this moment.
    """
    evidence = [key for key in keys if key.startswith("evidence/")]
    gone = {*remove_unnamed(store, evidence, now=now), *_removed(store, set(keys) - set(evidence))}
    with transaction() as session:
        named = sa.select(Evidence.storage_key).where(Evidence.storage_key.in_(evidence))
        shared = set(session.scalars(named)) - gone
        refused = set(keys) - gone - shared
        for state, those in (("removed", gone), ("shared", shared), ("refused", refused)):
            there = sa.and_(ErasedObject.key.in_(those), ErasedObject.state != "removed")
            session.execute(sa.update(ErasedObject).where(there).values(state=state, tried_at=now))
    return len(refused)


def _removed(store: MediaStore, derived: Iterable[str]) -> Iterator[str]:
    """Remove what was made of evidence; yield what the store let go."""
    for key in derived:
        with contextlib.suppress(ObjectLocked):
            store.remove(key)
            yield key

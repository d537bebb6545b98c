"""What lies in the store for nothing, and how is it removed so that no evidence ever goes with it?

Orphans come from crashes: an object put and never committed, a thumbnail of evidence that is gone, bytes of
an upload that ended. They are removed when they are old. Age alone would not do: a phone may send at any
moment the very bytes that an old orphan has, and find them there. So an object is first doomed, in a
transaction that sees whether anything names it, and whoever commits a name holds that off
(`models.storage.may_be_named`).
"""

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from server.database import db, release_connection, transaction
from server.jobs import enqueue, task
from server.media.store import Listed, MediaStore, ObjectLocked
from server.models.evidence import Evidence, Upload, UploadSegment
from server.models.storage import Collection, DoomedObject, KeptObject, collect_alone
from server.storage import current_store

log = structlog.get_logger()

SAFE_AGE: Final = timedelta(days=2)
TAKE_OVER_AFTER: Final = timedelta(hours=1)
GIVE_UP_SECONDS: Final = 600.0
PAGE: Final = 500
DEEP_IN_THE_NIGHT_IN_CHINA: Final = "40 18 * * *"

# Which of these keys nothing names. Keys that are not ours are never asked about, and never removed.
_UNNAMED: Final = {
    "evidence": """
        SELECT key FROM unnest(CAST(:keys AS text[])) AS key
         WHERE NOT EXISTS (SELECT FROM evidence WHERE storage_key = key)
    """,
    "thumbnails": """
        SELECT key FROM unnest(CAST(:keys AS text[])) AS key
         WHERE NOT EXISTS (SELECT FROM evidence WHERE id = CAST(split_part(key, '/', 2) AS uuid)
                                                  AND thumbnail_key = key AND storage_key IS NOT NULL)
    """,
    "renditions": """
        SELECT key FROM unnest(CAST(:keys AS text[])) AS key
         WHERE NOT EXISTS (SELECT FROM evidence WHERE id = CAST(split_part(key, '/', 2) AS uuid)
                                                  AND rendition_key = key AND storage_key IS NOT NULL)
    """,
    "quarantine": """
        SELECT key FROM unnest(CAST(:keys AS text[])) AS key
         WHERE NOT EXISTS (SELECT FROM uploads JOIN evidence ON evidence.id = evidence_id
                            WHERE uploads.id = CAST(split_part(key, '/', 2) AS uuid)
                              AND evidence.state <> 'erased')
    """,
}


@task("collect", every=DEEP_IN_THE_NIGHT_IN_CHINA)
def collect(*, now: datetime) -> None:
    """Begin a night's collection: a job for each kind of thing, never two at the same time."""
    del now
    with transaction() as session:
        unnamed = ~sa.exists().where(Evidence.storage_key == KeptObject.key)
        session.execute(sa.delete(KeptObject).where(unnamed).execution_options(synchronize_session=False))
        for folder in ("uploads", *_UNNAMED):
            enqueue("collect_folder", lock="collect", queueing_lock=f"collect-{folder}", folder=folder)
        enqueue("tidy_store", lock="collect", queueing_lock="tidy-store")


@task("collect_folder")
def collect_folder(*, now: datetime, folder: str) -> None:
    """Remove what is old and unnamed in one folder of the store."""
    store, removed = current_store(), 0
    if folder == "evidence":
        removed += len(_take_over(store, now=now))
    for page in _pages(_old(store.walk(folder), before=now - SAFE_AGE)):
        removed += len(_REMOVERS.get(folder, _remove_derived)(store, page, now=now))
    if removed:
        log.info("storage.collected", folder=folder, objects=removed)


@task("tidy_store")
def tidy_store(*, now: datetime) -> None:
    """Remove what writers that died have left half written."""
    removed = current_store().tidy(before=now - SAFE_AGE)
    if removed:
        log.info("storage.tidied", objects=removed)


def _old(found: Iterable[Listed], *, before: datetime) -> Iterator[str]:
    """Yield the keys of ours among them that were last written before then."""
    for one in found:
        if one.written_at < before and _is_ours(one.key):
            yield one.key


def _is_ours(key: str) -> bool:
    folder, _, name = key.partition("/")
    if folder == "evidence":
        return len(name) == 64 and not name.strip("0123456789abcdef")
    try:
        return str(UUID(name[:36])) == name[:36] and (len(name) == 36 or folder == "uploads")
    except ValueError:
        return False


def _pages(keys: Iterator[str]) -> Iterator[list[str]]:
    while page := list(itertools.islice(keys, PAGE)):
        yield page


def _unnamed(session: Session, folder: str, keys: Sequence[str]) -> list[str]:
    return list(session.scalars(sa.text(_UNNAMED[folder]), {"keys": list(keys)}))


def remove_unnamed(store: MediaStore, keys: Sequence[str], *, now: datetime) -> list[str]:
    """Remove those objects of evidence that nothing names; return them, without those under a lock.

    The one way in which evidence leaves the store: doom them, remove them, say that it is over.
    """
    with transaction() as session:
        collect_alone(session)
        doomed = _unnamed(session, "evidence", keys)
        if not doomed:
            return []
        session.execute(
            insert(DoomedObject)
            .values([{"key": key, "doomed_at": now} for key in doomed])
            .on_conflict_do_nothing()
        )
    return _carry_out(store, doomed, now=now)


def _carry_out(store: MediaStore, doomed: Sequence[str], *, now: datetime) -> list[str]:
    """Remove doomed objects. Whoever takes too long leaves the rest to a later night: see `_take_over`."""
    began, removed, tried = time.monotonic(), [], []
    for key in doomed:
        if time.monotonic() - began > GIVE_UP_SECONDS:
            break
        tried.append(key)
        try:
            store.remove(key)
        except ObjectLocked as locked:
            log.info("storage.locked", key=key, until=locked.facts["locked_until"])
        else:
            removed.append(key)
    with transaction() as session:
        collect_alone(session)
        session.execute(sa.delete(DoomedObject).where(DoomedObject.key.in_(tried)))
        session.execute(sa.delete(KeptObject).where(KeptObject.key.in_(removed)))
        session.add(Collection(at=now, objects=len(removed)))
    return removed


def _take_over(store: MediaStore, *, now: datetime) -> list[str]:
    """Finish what a collector that died had begun. As long as it stood, nothing could come to name it."""
    left = sa.select(DoomedObject.key).where(DoomedObject.doomed_at < now - TAKE_OVER_AFTER)
    doomed = db.session.scalars(left).all()
    release_connection()
    return _carry_out(store, doomed, now=now) if doomed else []


def _remove_staged(store: MediaStore, keys: Sequence[str], *, now: datetime) -> list[UUID]:
    """Remove the bytes of uploads that have ended, however they ended, or that were never committed."""
    del now
    ids = {UUID(key.partition("/")[2][:36]) for key in keys}
    running = sa.select(Upload.id).where(Upload.id.in_(ids), Upload.state.in_(("open", "checking")))
    over = ids - set(db.session.scalars(running))
    release_connection()
    for upload_id in over:
        store.discard(str(upload_id), [])
    with transaction() as session:
        session.execute(sa.delete(UploadSegment).where(UploadSegment.upload_id.in_(over)))
    return list(over)


def _remove_derived(store: MediaStore, keys: Sequence[str], *, now: datetime) -> list[str]:
    """Remove what was made of evidence, or set aside, and whose row is gone. It is written anew when put."""
    del now
    unnamed = _unnamed(db.session(), keys[0].partition("/")[0], keys)
    release_connection()
    for key in unnamed:
        store.remove(key)
    return unnamed


_REMOVERS: Final = {"evidence": remove_unnamed, "uploads": _remove_staged}

"""Which stored evidence is read back next, and how much of it in an hour?

What was checked longest ago comes first. An hour's share is such that a store of any size is gone round once
in `SCRUB_ROUND_DAYS`, with a fifth of that time in reserve for hours in which no worker ran. A share is done
in stretches, each a job of its own, so that a worker that is told to stop does so soon.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from server.database import db, release_connection, transaction
from server.jobs import enqueue, task
from server.models.evidence import Evidence
from server.models.storage import KeptObject, Rot
from server.storage import current_store, scrub_round_days
from server.workflows.storage.looking import SOUND, Seen, look_at, write_down

__all__ = ["SOUND", "everything_there_is", "scrub", "scrub_everything", "scrub_stretch", "share_of"]

RUNS_A_DAY: Final = 24
RESERVE: Final = 0.8
ASKING_COSTS: Final = 64 * 1024
"""Bytes that an object counts for beside its own: asking for it takes time, however small it is."""
STRETCH: Final = 256 * 1024 * 1024
PAGE: Final = 100
LOCK: Final = "scrub"


@task("scrub", every="41 * * * *")
def scrub(*, now: datetime) -> None:
    """Begin this hour's share. One that is still waiting from the hour before is not begun twice."""
    del now
    everything = sa.select(sa.func.sum(KeptObject.size_bytes + ASKING_COSTS))
    total = int(db.session.scalar(everything) or 0)
    with transaction():
        if total:
            share = share_of(total, round_days=scrub_round_days())
            enqueue("scrub_stretch", lock=LOCK, queueing_lock=LOCK, share=share)


def share_of(total: int, *, round_days: int) -> int:
    """Return how much has to be read in an hour so that all of it is read in time."""
    return -int(-total // (round_days * RUNS_A_DAY * RESERVE))


@task("scrub_stretch")
def scrub_stretch(*, now: datetime, share: int) -> None:
    """Read back one stretch of a share, oldest check first, and leave the rest of it to the next job.

    The last object may be larger than what is left: at least one is read, and none in halves.
    """
    left, stretch, store = share, min(share, STRETCH), current_store()
    for key, size_bytes in _oldest(before=now):
        if stretch <= 0:
            break
        write_down(look_at(store, key), now=now)
        left -= size_bytes + ASKING_COSTS
        stretch -= size_bytes + ASKING_COSTS
    else:
        return
    if left > 0:
        with transaction():
            enqueue("scrub_stretch", lock=LOCK, queueing_lock=LOCK, share=left)


def scrub_everything(*, now: datetime, only_rot: bool = False) -> Iterator[tuple[Seen, int]]:
    """Read back everything once, or only what is rotten; yield what was seen and its stored size."""
    store = current_store()
    keys = _rotten() if only_rot else _oldest(before=now)
    for key, size_bytes in keys:
        seen = look_at(store, key)
        write_down(seen, now=now)
        yield seen, size_bytes


def everything_there_is() -> tuple[int, int]:
    """Return how many objects evidence names, and their bytes."""
    counted = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(KeptObject.size_bytes), 0))
    objects, size_bytes = db.session.execute(counted.select_from(KeptObject)).one()
    release_connection()
    return objects, int(size_bytes)


_NAMED: Final = sa.exists().where(Evidence.storage_key == KeptObject.key)


def _oldest(*, before: datetime) -> Iterator[tuple[str, int]]:
    """Yield keys and sizes in the order of their last check, a page at a time; each is checked meanwhile.

    What nothing names any more is passed over. The page goes on behind the last key, so that an object whose
    check could not be written down (it is gone from the table) does not come again for ever.
    """
    order = (KeptObject.checked_at, KeptObject.key)
    reached = None
    while True:
        query = sa.select(KeptObject.key, KeptObject.size_bytes, KeptObject.checked_at)
        query = query.where(KeptObject.checked_at < before, _NAMED).order_by(*order).limit(PAGE)
        if reached is not None:
            query = query.where(sa.tuple_(*order) > reached)
        page = db.session.execute(query).all()
        release_connection()
        if not page:
            return
        yield from ((row.key, row.size_bytes) for row in page)
        reached = (page[-1].checked_at, page[-1].key)


def _rotten() -> Iterator[tuple[str, int]]:
    query = sa.select(KeptObject.key, KeptObject.size_bytes).join(Rot, Rot.key == KeptObject.key)
    rows = db.session.execute(query.where(Rot.mended_at.is_(None), _NAMED).order_by(Rot.key)).all()
    release_connection()
    yield from ((row.key, row.size_bytes) for row in rows)

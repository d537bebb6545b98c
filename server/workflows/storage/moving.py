"""How does everything get from one store to another while the product runs?

What the database names is gone through in the order of its keys; each object is copied, read back from the
new store and compared, and how far that has come is committed after every page: whoever is killed goes on
there. Then everything is asked for once more, because a process that was not restarted may have written to
the old store meanwhile. The old store is never changed.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from server.database import db, release_connection, transaction
from server.errors import Conflict
from server.media.moving import MovingStore, Step, carry
from server.media.store import MediaStore, ObjectMissing
from server.models.evidence import Evidence, Upload
from server.models.storage import KeptObject, StoreMove
from server.storage import current_store
from server.workflows.storage.looking import Seen, write_down

PAGE: Final = 64
AT_ONCE: Final = 8
FOLDERS: Final = ("evidence", "quarantine", "renditions", "thumbnails")
NOT_WHOLE: Final = ("missing", "altered", "unreadable")


@dataclass(frozen=True, slots=True)
class Ending:
    """Whether the old store is needed any longer: for evidence not whole there, for uploads that go on."""

    still_arriving: int
    not_whole: int

    @property
    def is_done(self) -> bool:
        return not self.still_arriving and not self.not_whole


def both_stores() -> MovingStore:
    """Return the two stores of a move. Raises Conflict when the product is not set up for one."""
    store = current_store()
    if not isinstance(store, MovingStore):
        raise Conflict(
            "no-move",
            "Set MEDIA_STORE to the new store and MEDIA_STORE_BEFORE to the old one, for every process, and "
            "restart them; then run this again.",
        )
    return store


def begin(*, source: str, target: str, now: datetime) -> StoreMove:
    """Begin a move between these two, or return the one that was begun and not finished."""
    new = insert(StoreMove).values(
        source=source, target=target, reached="", objects=0, size_bytes=0, started_at=now
    )
    with transaction() as session:
        session.execute(new.on_conflict_do_nothing())
        query = sa.select(StoreMove).where(StoreMove.source == source, StoreMove.target == target)
        return session.scalars(query.where(StoreMove.finished_at.is_(None))).one()


def count_objects() -> int:
    """Return how many objects there are to move, all told."""
    counts = [
        sa.select(sa.func.count()).select_from(KeptObject).scalar_subquery(),
        sa.select(sa.func.count(Evidence.rendition_key)).scalar_subquery(),
        sa.select(sa.func.count(Evidence.thumbnail_key)).scalar_subquery(),
        sa.select(sa.func.count()).where(Upload.state == "mismatched").scalar_subquery(),
    ]
    total = db.session.execute(sa.select(*counts)).one()
    release_connection()
    return sum(total)


def carry_all(move: StoreMove, stores: MovingStore, *, clock: Callable[[], datetime]) -> Iterator[Step]:
    """Copy everything behind what was reached, a page at a time; yield what became of each object."""
    copy = partial(carry, source=stores.old, target=stores.new)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for page in _pages(after=move.reached):
            steps = list(pool.map(copy, page))
            _note_rot(steps, now=clock())
            with transaction() as session:
                row = session.get_one(StoreMove, move.id, with_for_update=True, populate_existing=True)
                row.reached = page[-1]
                row.objects += sum(step.outcome not in NOT_WHOLE for step in steps)
                row.size_bytes += sum(step.size_bytes for step in steps if step.outcome == "carried")
            yield from steps


def finish(move: StoreMove, stores: MovingStore, *, clock: Callable[[], datetime]) -> Ending:
    """Ask the new store for everything, carry what it lacks, and end the move if nothing is left behind."""
    copy = partial(carry, source=stores.old, target=stores.new)
    not_whole = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for page in _pages(after=""):
            is_there = pool.map(partial(_has, stores.new), page)
            lacking = [key for key, there in zip(page, is_there, strict=True) if not there]
            steps = list(pool.map(copy, lacking))
            _note_rot(steps, now=clock())
            not_whole += sum(step.outcome in NOT_WHOLE and _is_evidence(step.key) for step in steps)
    ending = Ending(still_arriving=_still_arriving(stores), not_whole=not_whole)
    if ending.is_done:
        with transaction() as session:
            over = sa.update(StoreMove).where(StoreMove.id == move.id).values(finished_at=clock())
            session.execute(over.execution_options(synchronize_session=False))
    return ending


def _has(store: MediaStore, key: str) -> bool:
    try:
        store.size(key)
    except ObjectMissing:
        return False
    return True


def _is_evidence(key: str) -> bool:
    """Pictures are made again, and what was set aside was never promised: only evidence is missed."""
    return key.startswith("evidence/")


def _note_rot(steps: list[Step], *, now: datetime) -> None:
    for step in steps:
        if step.outcome in NOT_WHOLE and _is_evidence(step.key):
            write_down(Seen(step.key, step.outcome, step.found), now=now)


def _still_arriving(stores: MovingStore) -> int:
    """Count unfinished uploads whose bytes are in the old store: they end by themselves within days."""
    running = db.session.scalars(sa.select(Upload.id).where(Upload.state == "open", Upload.upload_offset > 0))
    ids = running.all()
    release_connection()
    return sum(stores.old.has_staged(str(one)) and not stores.new.has_staged(str(one)) for one in ids)


def _pages(*, after: str) -> Iterator[list[str]]:
    """Yield the keys behind one, in order: folder by folder, each page one step in an index."""
    begun = after.partition("/")[0]
    for folder in FOLDERS:
        if folder < begun:
            continue
        reached = after if folder == begun else f"{folder}/"
        while page := _page(folder, after=reached):
            yield page
            reached = page[-1]


def _page(folder: str, *, after: str) -> list[str]:
    name = after.partition("/")[2]
    if folder == "evidence":
        query = sa.select(KeptObject.key).where(KeptObject.key > after).order_by(KeptObject.key)
        keys = [*db.session.scalars(query.limit(PAGE))]
    else:
        query = _OWNERS[folder]
        if name:
            query = query.where(query.selected_columns[0] > UUID(name))
        owners = db.session.scalars(query.order_by(query.selected_columns[0]).limit(PAGE))
        keys = [f"{folder}/{owner}" for owner in owners]
    release_connection()
    return keys


_OWNERS: Final = {
    "quarantine": sa.select(Upload.id).where(Upload.state == "mismatched"),
    "renditions": sa.select(Evidence.id).where(Evidence.rendition_key.is_not(None)),
    "thumbnails": sa.select(Evidence.id).where(Evidence.thumbnail_key.is_not(None)),
}

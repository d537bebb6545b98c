"""What becomes of items that wait: for an earlier item, for a check-in from another phone, or for us?

An item is `held` while its parent is missing, and applied when that comes or the wait is over (`parents`). It
is `received` when it was stored but could not be applied at once: its phone's next push applies it, or a job.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar
from uuid import UUID

import sqlalchemy as sa
import structlog
from psycopg import errors as pg
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from server.database import transaction
from server.driver import run, uuids
from server.jobs import enqueue, enqueue_each, task
from server.models.dispatch import Assignment
from server.models.visits import Item, Visit
from server.workflows.exchange import parents
from server.workflows.exchange.anchors import kept_anchor
from server.workflows.exchange.applying import CannotApply
from server.workflows.exchange.arrived import Result, Sender, Stored
from server.workflows.exchange.projections import How, apply_items, apply_stored, read_stored
from server.workflows.exchange.senders import lock_sender
from server.workflows.recounting import recount_later
from sync.wire import read_item

log = structlog.get_logger()
MOST_AT_ONCE: Final = 2000
TRIES: Final = 4
CROSSING_SECONDS: Final = 60

Told = TypeVar("Told")


def project(device_id: UUID, *, now: datetime, then: Callable[[Session], Told]) -> Told:
    """Apply what waits of a phone in a transaction of its own, and return what `then` reads in it.

    Where PostgreSQL ends it to break a circle of waiting, nothing of it happened: it is done again.
    """
    for tries_left in reversed(range(TRIES)):
        try:
            with transaction() as session:
                project_waiting(session, lock_sender(session, device_id), now=now)
                return then(session)
        except OperationalError as error:
            if not isinstance(error.orig, pg.DeadlockDetected) or not tries_left:
                raise
            log.info("projection.again", device=str(device_id))
    raise AssertionError("the last try returns or raises")


def project_waiting(session: Session, sender: Sender, *, now: datetime) -> None:
    """Apply every stored item of this phone that was not applied yet, and what waited for them.

    The caller holds the phone's row lock.
    """
    found = run(session, _RECEIVED, {"device_id": sender.device_id, "most": MOST_AT_ONCE})
    if not found:
        return
    results = [_read(row, sender=sender) for row in found]
    apply_stored(session, results, now=now)
    _write_outcomes(session, results)
    wake(session, results, now=now)


_RECEIVED: Final = """
    SELECT device_id, item_id, sha256, received_at, flags, later_anchor, payload FROM items
    WHERE device_id = %(device_id)s AND outcome = 'received' ORDER BY seq LIMIT %(most)s
"""


def _read(row: Any, *, sender: Sender) -> Result:
    later = kept_anchor(row.later_anchor)
    stored = Stored(row.device_id, row.item_id, row.sha256, row.received_at, tuple(row.flags), later)
    return read_stored(stored, read_item(row.payload), sender=sender)


def wake(session: Session, results: Sequence[Result], *, now: datetime) -> bool:
    """Apply what waited for the visits of these results, and have all of them judged again.

    Returns whether anything that was stored before has moved. What is held now is looked at once more in a
    minute: what it waits for may be in another phone's push, which cannot see it yet, nor be seen.
    """
    touched = {visit_id for one in results if (visit_id := one.visit_id)}
    moved = _apply_held(session, touched, now=now)
    _judge_again(touched | moved)
    held = {one.read.needs_visit for one in results if one.outcome == "held"} - {None}
    if held:
        enqueue("look_at_held_again", schedule_in=CROSSING_SECONDS, visit_ids=sorted(map(str, held)))
    return bool(moved)


@task("look_at_held_again")
def look_at_held_again(*, now: datetime, visit_ids: list[str]) -> None:
    """Apply what waits for these visits, if they are here by now."""
    with transaction() as session:
        _judge_again(_apply_held(session, map(UUID, visit_ids), now=now))


def _judge_again(visit_ids: set[UUID]) -> None:
    if visit_ids:
        enqueue("reconcile_visits", visit_ids=sorted(map(str, visit_ids)))


def apply_one(session: Session, one: Result, *, now: datetime) -> None:
    """Apply one record at once, and what waited for it; raises CannotApply where that is not possible."""
    apply_items(session, [one], now=now, how=How.TOGETHER)
    if one.outcome != "applied":
        detail = "It tells of a visit or an account that is not here; correct that first."
        problem = one.problem or {"slug": "parent-unknown", "detail": detail}
        raise CannotApply(problem["slug"], problem["detail"])
    wake(session, [one], now=now)


def apply_overdue(session: Session, device_id: UUID, *, now: datetime) -> None:
    """Apply what a phone's items have waited for in vain, and then what waits for those."""
    values = {"device_id": device_id, "until": now - parents.WAIT, "most": MOST_AT_ONCE}
    touched = _apply_rows(session, run(session, _OVERDUE, values), now=now)
    touched |= _apply_held(session, touched, now=now)
    _judge_again(touched)


def _apply_held(session: Session, touched: Iterable[UUID], *, now: datetime) -> set[UUID]:
    """Apply items that were waiting for these visits or their accounts, until nothing moves any more."""
    moved: set[UUID] = set()
    waiting = set(touched)
    while waiting:
        held = run(session, _HELD, {"visit_ids": uuids(waiting)})
        waiting = _apply_rows(session, held, now=now, flag=parents.LATE) if held else set()
        moved |= waiting
    return moved


def _apply_rows(
    session: Session, rows: Sequence[Any], *, now: datetime, flag: str | None = None
) -> set[UUID]:
    """Apply held items, each with this flag; return the visits of those that were."""
    results = [
        _read(row, sender=Sender(device_id=row.device_id, staff_id=row.staff_id, left_at=row.left_at))
        for row in rows
    ]
    for one in results:
        if one.arrived is not None and flag is not None:
            one.arrived.flag(flag)
    apply_stored(session, results, now=now)
    done = [one for one in results if one.outcome != "held"]
    _write_outcomes(session, done)
    return {visit_id for one in done if (visit_id := one.visit_id)}


_WITH_SENDER: Final = """
    SELECT items.device_id, items.item_id, items.sha256, items.received_at, items.flags, items.later_anchor,
           items.payload, devices.staff_id, staff.left_at
    FROM items JOIN devices ON devices.id = items.device_id JOIN staff ON staff.id = devices.staff_id
    WHERE items.outcome = 'held'
"""
_HELD: Final = f"""
    {_WITH_SENDER} AND items.visit_id = ANY(%(visit_ids)s)
    ORDER BY items.seq FOR UPDATE OF items
"""
_OVERDUE: Final = f"""
    {_WITH_SENDER} AND items.device_id = %(device_id)s AND items.received_at <= %(until)s
    ORDER BY items.seq LIMIT %(most)s FOR UPDATE OF items
"""


def _write_outcomes(session: Session, results: Sequence[Result]) -> None:
    """Write what became of stored items, in one statement."""
    if not results:
        return
    told = [
        {
            "device_id": one.row.device_id,
            "item_id": one.row.item_id,
            "outcome": one.outcome,
            "problem": one.problem,
            "flags": one.flags,
        }
        for one in results
    ]
    run(session, _OUTCOMES, {"told": json.dumps(told, ensure_ascii=False, default=str)})


_OUTCOMES: Final = """
    UPDATE items SET outcome = told.outcome, problem = nullif(told.problem, 'null'),
           flags = ARRAY(SELECT jsonb_array_elements_text(told.flags))
    FROM jsonb_to_recordset(CAST(%(told)s AS jsonb))
         AS told (device_id uuid, item_id uuid, outcome text, problem jsonb, flags jsonb)
    WHERE items.device_id = told.device_id AND items.item_id = told.item_id
"""


@task("reconcile_visits")
def reconcile_visits(*, now: datetime, visit_ids: list[str]) -> None:
    """Have each visit that a push told of judged again, and the clocks of its case counted.

    One job per push; the fan-out is the worker's.
    """
    del now
    with transaction() as session:
        query = sa.select(Assignment.case_id).join(Visit, Visit.assignment_id == Assignment.id)
        recount_later(cases=session.scalars(query.where(Visit.id.in_(map(UUID, visit_ids)))).all())
        enqueue_each(
            "reconcile_visit", {f"reconcile-{visit_id}": {"visit_id": visit_id} for visit_id in visit_ids}
        )


@task("project_items", every="*/5 * * * *")
def project_items(*, now: datetime) -> None:
    """Apply items that were only stored, of phones that have not called again."""
    with transaction() as session:
        devices = session.scalars(
            sa.select(Item.device_id).where(Item.outcome == "received").distinct().limit(100)
        ).all()
    for device_id in devices:
        project(device_id, now=now, then=lambda session: None)

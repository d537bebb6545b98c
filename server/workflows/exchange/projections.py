"""What do stored items tell: which visits, accounts, evidence, holds?

Items are applied in the order of their dependence, a whole batch with a few statements inside one
savepoint; if that fails, one by one, so that one bad item never blocks the others: it is quarantined,
with a receipt, and an office user can look at it. Nothing here refuses a record of what took place.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, TypeVar
from uuid import UUID

import sqlalchemy as sa
import structlog
from psycopg import errors as pg
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from server.bulk import any_of
from server.database import transaction
from server.jobs import enqueue, task
from server.models.dispatch import Assignment
from server.models.people import Device, Staff
from server.models.visits import Item, Visit
from server.workflows.exchange import applying, casework, checkins, parents
from server.workflows.exchange.arrived import Arrived, Result, Sender, Stored, arrive
from server.workflows.recounting import recount_later
from sync import protocol
from sync.bodies import (
    AccountWritten,
    AssignmentAnswered,
    ComplaintRaised,
    ContactLearned,
    ContactRefused,
    EvidencePromised,
    HoldRequested,
    IncidentRaised,
    Reported,
    VisitEnded,
    VisitStarted,
)
from sync.wire import WireFault, read_item

log = structlog.get_logger()
MOST_AT_ONCE: Final = 2000
TRIES: Final = 4

Apply = Callable[[Session, Sequence[Arrived], datetime], None]
# The order of dependence: what a later kind needs, an earlier one has written.
STEPS: Final[tuple[tuple[type, Apply], ...]] = (
    (AssignmentAnswered, applying.answer_assignments),
    (VisitStarted, checkins.start_visits),
    (EvidencePromised, applying.promise_evidence),
    (VisitEnded, applying.end_visits),
    (AccountWritten, applying.write_accounts),
    (HoldRequested, casework.request_holds),
    (ComplaintRaised, casework.raise_complaints),
    (IncidentRaised, casework.raise_incidents),
    (ContactRefused, casework.refuse_contacts),
    (ContactLearned, casework.learn_contacts),
    # Every report is filed whole, also what a step before has applied.
    (Reported, applying.file_reports),
)


Records = Mapping[bytes, protocol.Item]
Told = TypeVar("Told")


def project(
    device_id: UUID,
    *,
    now: datetime,
    then: Callable[[Session], Told],
    records: Records = MappingProxyType({}),
) -> Told:
    """Apply what waits of a phone in a transaction of its own, and return what `then` reads in it.

    Where PostgreSQL ends it to break a circle of waiting, nothing of it happened: it is done again.
    """
    for tries_left in reversed(range(TRIES)):
        try:
            with transaction() as session:
                project_waiting(session, lock_sender(session, device_id), now=now, records=records)
                return then(session)
        except OperationalError as error:
            if not isinstance(error.orig, pg.DeadlockDetected) or not tries_left:
                raise
            log.info("projection.again", device=str(device_id))
    raise AssertionError("the last try returns or raises")


def project_waiting(
    session: Session, sender: Sender, *, now: datetime, records: Records = MappingProxyType({})
) -> None:
    """Apply every stored item of this phone that was not applied yet, and what waited for them.

    The caller holds the phone's row lock. `records` are items the caller has read already, by digest. A
    crash after the inbox commit leaves items waiting; the next push of the phone, or the periodic job,
    applies them.
    """
    rows = session.execute(_WAITING, {"device_id": sender.device_id}).all()
    if not rows:
        return
    stored = [_stored(row) for row in rows]
    unread = [row.item_id for row in stored if row.sha256 not in records]
    payloads = _payloads(session, sender, unread) if unread else {}
    results = [_read(row, records, payloads.get(row.item_id, b""), sender=sender) for row in stored]
    casework.lock_debtors(session, [one.arrived for one in results if one.arrived is not None])
    _apply_what_can_be(session, results, now=now)
    _write_outcomes(session, results)
    touched = {visit_id for one in results if (visit_id := one.visit_id)}
    touched |= _apply_held(session, touched, now=now)
    if touched:
        enqueue("reconcile_visits", visit_ids=sorted(map(str, touched)))


_WAITING: Final = (
    sa.select(Item.device_id, Item.item_id, Item.sha256, Item.received_at, Item.flags)
    .where(Item.device_id == sa.bindparam("device_id"), Item.outcome == "received")
    .order_by(Item.seq)
    .limit(MOST_AT_ONCE)
)


def _stored(row: Any) -> Stored:
    return Stored(
        device_id=row.device_id,
        item_id=row.item_id,
        sha256=row.sha256,
        received_at=row.received_at,
        flags=tuple(row.flags),
    )


def _payloads(session: Session, sender: Sender, item_ids: Sequence[UUID]) -> dict[UUID, bytes]:
    rows = session.execute(
        sa.select(Item.item_id, Item.payload).where(
            Item.device_id == sender.device_id, any_of(Item.item_id, "ids")
        ),
        {"ids": item_ids},
    )
    return {row.item_id: row.payload for row in rows}


def _read(row: Stored, records: Records, payload: bytes, *, sender: Sender) -> Result:
    """Read one item; what cannot be read is quarantined here."""
    try:
        record = records.get(row.sha256) or read_item(payload)
        return Result(row, arrive(row, record, sender=sender))
    except WireFault as fault:
        problem = {"slug": "body-invalid", "detail": fault.detail, "pointer": fault.pointer}
        return Result(row, None, outcome="quarantined", problem=problem)


def _apply_what_can_be(session: Session, results: Sequence[Result], *, now: datetime) -> None:
    """Apply a batch in one savepoint, or item by item when that fails."""
    readable = [one for one in results if one.outcome == "applied"]
    try:
        with session.begin_nested():
            _apply(session, readable, now=now)
            return
    except (DBAPIError, applying.CannotApply) as error:
        _raise_unless_fault_of_an_item(error)
        log.info("projection.one_by_one", items=len(readable), because=type(error).__name__)
    session.expire_all()
    for one in sorted(readable, key=lambda each: _step_of(each.read)):
        one.outcome = "applied"
        _apply_alone(session, one, now=now)


def _apply_alone(session: Session, one: Result, *, now: datetime) -> None:
    try:
        with session.begin_nested():
            _apply(session, [one], now=now)
    except applying.CannotApply as error:
        one.outcome, one.problem = "quarantined", {"slug": error.slug, "detail": str(error)}
    except DBAPIError as error:
        _raise_unless_fault_of_an_item(error)
        log.warning("projection.quarantined", item=str(one.row.item_id), error=type(error.orig).__name__)
        detail = "The office's database refuses what this item says."
        one.outcome, one.problem = "quarantined", {"slug": "cannot-be-applied", "detail": detail}


def _raise_unless_fault_of_an_item(error: Exception) -> None:
    """Let through what is no fault of an item: a circle of waiting, a full disk, a database that went away.

    Then nothing is judged; the items stay in the inbox and are applied when it works again.
    """
    if isinstance(error, OperationalError) and not isinstance(error.orig, pg.ProgramLimitExceeded):
        raise error


def _step_of(arrived: Arrived) -> int:
    return next(n for n, (kind, _) in enumerate(STEPS) if isinstance(arrived.body, kind))


def _apply(session: Session, results: Sequence[Result], *, now: datetime) -> None:
    """Apply items in the order of dependence; those whose parent is missing are held."""
    for kind, apply in STEPS:
        mine = [one for one in results if isinstance(one.read.body, kind)]
        if not mine:
            continue
        ready = parents.sort_out(session, mine, now=now)
        if ready:
            apply(session, [one.read for one in ready], now)


def apply_one(session: Session, one: Result, *, now: datetime) -> None:
    """Apply one record at once, and what waited for it; raises CannotApply where that is not possible."""
    casework.lock_debtors(session, [one.read])
    _apply(session, [one], now=now)
    if one.outcome != "applied":
        detail = "It tells of a visit or an account that is not here; correct that first."
        problem = one.problem or {"slug": "parent-unknown", "detail": detail}
        raise applying.CannotApply(problem["slug"], problem["detail"])
    touched = {visit_id for visit_id in (one.visit_id,) if visit_id is not None}
    touched |= _apply_held(session, touched, now=now)
    if touched:
        enqueue("reconcile_visits", visit_ids=sorted(map(str, touched)))


def _apply_held(session: Session, touched: Iterable[UUID], *, now: datetime) -> set[UUID]:
    """Apply items that were waiting for these visits or their accounts, until nothing moves any more."""
    moved: set[UUID] = set()
    waiting = set(touched)
    while waiting:
        held = session.execute(_HELD.where(any_of(Item.visit_id, "visit_ids")), {"visit_ids": list(waiting)})
        waiting = _apply_rows(session, held.all(), now=now, flag=parents.LATE)
        moved |= waiting
    return moved


def apply_overdue(session: Session, device_id: UUID, *, now: datetime) -> None:
    """Apply what a phone's items have waited for in vain, and then what waits for those."""
    overdue = _HELD.where(Item.device_id == device_id, Item.received_at <= now - parents.WAIT)
    touched = _apply_rows(session, session.execute(overdue.limit(MOST_AT_ONCE)).all(), now=now)
    touched |= _apply_held(session, touched, now=now)
    if touched:
        enqueue("reconcile_visits", visit_ids=sorted(map(str, touched)))


def _apply_rows(
    session: Session, rows: Sequence[Any], *, now: datetime, flag: str | None = None
) -> set[UUID]:
    """Apply held items, each with this flag; return the visits of those that were."""
    results = [_read(_stored(row), {}, row.payload, sender=_sender(row)) for row in rows]
    for one in results:
        if one.arrived is not None and flag is not None:
            one.arrived.flag(flag)
    _apply_what_can_be(session, results, now=now)
    done = [one for one in results if one.outcome != "held"]
    _write_outcomes(session, done)
    return {visit_id for one in done if (visit_id := one.visit_id)}


_HELD: Final = (
    sa.select(
        Item.device_id,
        Item.item_id,
        Item.sha256,
        Item.received_at,
        Item.flags,
        Item.payload,
        Device.staff_id,
        Staff.left_at,
    )
    .join(Device, Device.id == Item.device_id)
    .join(Staff, Staff.id == Device.staff_id)
    .where(Item.outcome == "held")
    .order_by(Item.seq)
    .with_for_update(of=Item)
)


_OUTCOMES: Final = sa.text(
    """
    UPDATE items SET outcome = told.outcome, problem = nullif(told.problem, 'null'),
           flags = ARRAY(SELECT jsonb_array_elements_text(told.flags))
    FROM jsonb_to_recordset(CAST(:told AS jsonb))
         AS told (device_id uuid, item_id uuid, outcome text, problem jsonb, flags jsonb)
    WHERE items.device_id = told.device_id AND items.item_id = told.item_id
    """
)


def _write_outcomes(session: Session, results: Sequence[Result]) -> None:
    """Write what became of the items, in one statement."""
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
    session.execute(_OUTCOMES, {"told": json.dumps(told, ensure_ascii=False, default=str)})


def lock_sender(session: Session, device_id: UUID) -> Sender:
    """Serialise the pushes of one phone; others do not wait."""
    return _sender(session.execute(_LOCK, {"device_id": device_id}).one())


def _sender(row: Any) -> Sender:
    return Sender(device_id=row.device_id, staff_id=row.staff_id, left_at=row.left_at)


_LOCK: Final = (
    sa.select(Device.id.label("device_id"), Device.staff_id, Staff.left_at)
    .join(Staff, Staff.id == Device.staff_id)
    .where(Device.id == sa.bindparam("device_id"))
    .with_for_update(of=Device, key_share=True)
)


@task("reconcile_visits")
def reconcile_visits(*, now: datetime, visit_ids: list[str]) -> None:
    """Have each visit that a push told of judged again, and the clocks of its case counted.

    One job per push; the fan-out is the worker's.
    """
    del now
    with transaction() as session:
        query = sa.select(Assignment.case_id).join(Visit, Visit.assignment_id == Assignment.id)
        recount_later(cases=session.scalars(query.where(Visit.id.in_(map(UUID, visit_ids)))).all())
        for visit_id in visit_ids:
            enqueue("reconcile_visit", queueing_lock=f"reconcile-{visit_id}", visit_id=visit_id)


@task("project_items", every="*/5 * * * *")
def project_items(*, now: datetime) -> None:
    """Apply items that a crash left in the inbox of phones that have not called again."""
    with transaction() as session:
        devices = session.scalars(
            sa.select(Item.device_id).where(Item.outcome == "received").distinct().limit(100)
        ).all()
    for device_id in devices:
        project(device_id, now=now, then=lambda session: None)

"""What do stored items tell: which visits, accounts, evidence, holds?

Items are applied in the order of their dependence, a whole batch with a few statements inside one
savepoint; if that fails, one by one, so that one bad item never blocks the others: it is quarantined,
with a receipt, and an office user can look at it. Nothing here refuses a record of what took place.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from server.database import transaction
from server.jobs import enqueue, task
from server.models.people import Device, Staff
from server.models.visits import Account, Item, Visit
from server.signing import current_signer
from server.workflows.exchange import applying
from server.workflows.exchange.anchors import read_anchor
from server.workflows.exchange.arrived import Arrived
from sync.bodies import (
    AccountWritten,
    AssignmentAnswered,
    EvidencePromised,
    HoldRequested,
    Reported,
    VisitEnded,
    VisitStarted,
    read_body,
)
from sync.clock import locate
from sync.protocol import ITEM_TYPES
from sync.wire import WireFault, read_item

log = structlog.get_logger()
MOST_AT_ONCE: Final = 2000

Apply = Callable[[Session, Sequence[Arrived], datetime], None]
# The order of dependence: what a later kind needs, an earlier one has written.
STEPS: Final[tuple[tuple[type, Apply], ...]] = (
    (AssignmentAnswered, applying.answer_assignments),
    (VisitStarted, applying.start_visits),
    (EvidencePromised, applying.promise_evidence),
    (VisitEnded, applying.end_visits),
    (AccountWritten, applying.write_accounts),
    (HoldRequested, applying.request_holds),
    (Reported, applying.file_reports),
)


@dataclass(slots=True)
class Result:
    """What became of one item. `arrived` is None when it could not be read."""

    row: Item
    arrived: Arrived | None
    outcome: str = "applied"
    problem: dict[str, Any] | None = None

    @property
    def read(self) -> Arrived:
        """The item's reading; only asked of results that have one."""
        assert self.arrived is not None
        return self.arrived

    @property
    def visit_id(self) -> UUID | None:
        """The visit an applied item tells of."""
        return self.read.visit_id if self.outcome == "applied" else None

    @property
    def flags(self) -> list[str]:
        return self.arrived.flags if self.arrived else self.row.flags


def project_waiting(session: Session, device: Device, *, now: datetime) -> None:
    """Apply every stored item of this phone that was not applied yet, and what waited for them.

    The caller holds the phone's row lock. A crash after the inbox commit leaves items waiting; the next
    push of the phone, or the periodic job, applies them.
    """
    rows = session.execute(
        sa.select(Item)
        .where(Item.device_id == device.id, Item.outcome == "received")
        .order_by(Item.seq)
        .limit(MOST_AT_ONCE)
    )
    results = _read(session, [row.Item for row in rows], device=device, now=now)
    if not results:
        return
    _apply_what_can_be(session, results, now=now)
    _write_outcomes(session, results)
    touched = {visit_id for one in results if (visit_id := one.visit_id)}
    for visit_id in _apply_held(session, touched, now=now) | touched:
        enqueue("reconcile_visit", queueing_lock=f"reconcile-{visit_id}", visit_id=str(visit_id))


def _read(session: Session, items: Sequence[Item], *, device: Device, now: datetime) -> list[Result]:
    """Read the items' payloads; those that cannot be read are quarantined here."""
    left_at = session.scalar(sa.select(Staff.left_at).where(Staff.id == device.staff_id)) if items else None
    results = []
    for item in items:
        try:
            arrived = _arrived(item, device=device, now=now)
        except WireFault as fault:
            problem = {"slug": "body-invalid", "detail": fault.detail, "pointer": fault.pointer}
            results.append(Result(item, None, outcome="quarantined", problem=problem))
            continue
        if left_at is not None:
            arrived.flag("staff_left")
        results.append(Result(item, arrived))
    return results


def _arrived(item: Item, *, device: Device, now: datetime) -> Arrived:
    record = read_item(item.payload)
    anchored = read_anchor(record.clock.anchor, current_signer(), device_id=device.id, now=now)
    when = locate(record.clock, anchor_time=anchored, received_at=item.received_at)
    body = read_body(record.type, record.body)
    arrived = Arrived(row=item, record=record, body=body, when=when, device=device, flags=list(item.flags))
    if record.type not in ITEM_TYPES:
        arrived.flag("unknown_type")
    if not when.is_trusted:
        arrived.flag("clock_low_trust")
    return arrived


def _apply_what_can_be(session: Session, results: Sequence[Result], *, now: datetime) -> None:
    """Apply a batch in one savepoint, or item by item when that fails."""
    readable = [one for one in results if one.outcome == "applied"]
    try:
        with session.begin_nested():
            _apply(session, readable, now=now)
            return
    except (DBAPIError, applying.CannotApply) as error:
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
        log.warning("projection.quarantined", item=str(one.row.item_id), error=type(error.orig).__name__)
        detail = "The office's database refuses what this item says."
        one.outcome, one.problem = "quarantined", {"slug": "cannot-be-applied", "detail": detail}


def _step_of(arrived: Arrived) -> int:
    return next(n for n, (kind, _) in enumerate(STEPS) if isinstance(arrived.body, kind))


def _apply(session: Session, results: Sequence[Result], *, now: datetime) -> None:
    """Apply items in the order of dependence; those whose parent is missing are held."""
    for kind, apply in STEPS:
        mine = [one for one in results if isinstance(one.read.body, kind)]
        if not mine:
            continue
        ready = _hold_back(session, mine)
        if ready:
            apply(session, [one.read for one in ready], now)


def _hold_back(session: Session, mine: Sequence[Result]) -> list[Result]:
    """Return the items whose parents are here; the others are held."""
    needed = {one.read.needs_visit for one in mine} - {None}
    visits = set(session.scalars(sa.select(Visit.id).where(Visit.id.in_(needed)))) if needed else set()
    parents = {one.read.needs_account for one in mine} - {None}
    accounts = (
        set(session.scalars(sa.select(Account.id).where(Account.id.in_(parents)))) if parents else set()
    )
    ready = []
    for one in sorted(mine, key=lambda each: each.read.record.seq):
        visit, parent = one.read.needs_visit, one.read.needs_account
        if (visit is None or visit in visits) and (parent is None or parent in accounts):
            ready.append(one)
            accounts.update(one.read.gives_account)
        else:
            one.outcome = "held"
    return ready


def _apply_held(session: Session, touched: Iterable[UUID], *, now: datetime) -> set[UUID]:
    """Apply items that were waiting for these visits or their accounts, until nothing moves any more."""
    moved: set[UUID] = set()
    waiting = set(touched)
    while waiting:
        rows = session.execute(
            sa.select(Item, Device)
            .join(Device, Device.id == Item.device_id)
            .where(Item.visit_id.in_(waiting), Item.outcome == "held")
            .order_by(Item.seq)
            .with_for_update(of=Item)
        ).all()
        results = [Result(row.Item, _arrived(row.Item, device=row.Device, now=now)) for row in rows]
        for one in results:
            one.read.flag("late_parent")
        _apply_what_can_be(session, results, now=now)
        done = [one for one in results if one.outcome != "held"]
        _write_outcomes(session, done)
        waiting = {visit_id for one in done if (visit_id := one.visit_id)}
        moved |= waiting
    return moved


_OUTCOMES = sa.text(
    """
    UPDATE items SET outcome = told.outcome, problem = CAST(told.problem AS jsonb),
           flags = ARRAY(SELECT jsonb_array_elements_text(CAST(told.flags AS jsonb)))
    FROM unnest(:device_ids, :item_ids, :outcomes, :problems, :flags)
         AS told (device_id, item_id, outcome, problem, flags)
    WHERE items.device_id = told.device_id AND items.item_id = told.item_id
    """
).bindparams(
    sa.bindparam("device_ids", type_=ARRAY(sa.Uuid())),
    sa.bindparam("item_ids", type_=ARRAY(sa.Uuid())),
    sa.bindparam("outcomes", type_=ARRAY(sa.Text())),
    sa.bindparam("problems", type_=ARRAY(sa.Text())),
    sa.bindparam("flags", type_=ARRAY(sa.Text())),
)


def _write_outcomes(session: Session, results: Sequence[Result]) -> None:
    """Write what became of the items, in one statement."""
    if not results:
        return
    session.execute(
        _OUTCOMES,
        {
            "device_ids": [one.row.device_id for one in results],
            "item_ids": [one.row.item_id for one in results],
            "outcomes": [one.outcome for one in results],
            "problems": [json.dumps(one.problem) if one.problem else None for one in results],
            "flags": [json.dumps(one.flags) for one in results],
        },
    )


@task("project_items", every="*/5 * * * *")
def project_items(*, now: datetime) -> None:
    """Apply items that a crash left in the inbox of phones that have not called again."""
    with transaction() as session:
        devices = session.scalars(
            sa.select(Item.device_id).where(Item.outcome == "received").distinct().limit(100)
        ).all()
    for device_id in devices:
        with transaction() as session:
            device = session.get_one(Device, device_id, with_for_update={"key_share": True})
            project_waiting(session, device, now=now)

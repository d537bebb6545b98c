"""How is every item a phone sends stored, exactly once, and applied?

Exact bytes, receipts and what they tell of become durable in one commit, before the phone hears anything.
A batch is applied as a whole; if that fails, nothing of it happened, and it is done again item by item, each
in its own savepoint: whatever cannot be applied is stored all the same. Same id and same bytes: the first
receipt again, for ever, at any concurrency. Same id and other bytes: both kept.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
import structlog
from psycopg import errors as pg
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from server.authority import Actor
from server.database import db, release_connection, transaction
from server.driver import run
from server.errors import Fault, Invalid, Malformed
from server.models.people import Device
from server.models.visits import RawSubmission
from server.seals import seal_of
from server.signing import current_signer
from server.workflows.exchange.anchors import later_anchor, make_anchor, read_anchor
from server.workflows.exchange.answers import Progress, answers_of, outcomes_of, progress_of
from server.workflows.exchange.applying import CannotApply
from server.workflows.exchange.arrived import Result, Sender, Stored
from server.workflows.exchange.forks import flag_other_sides
from server.workflows.exchange.keeping import (
    chain_flags,
    keep,
    keep_conflicts,
    neighbours_of,
    row_of,
)
from server.workflows.exchange.projections import (
    How,
    apply_items,
    is_no_fault_of_an_item,
    read_stored,
)
from server.workflows.exchange.receipts import make_receipt
from server.workflows.exchange.senders import lock_sender
from server.workflows.exchange.waiting import project_waiting, wake
from sync.admission import Candidate, Seal, admit, examine
from sync.clock import Anchor
from sync.envelope import PublicKey
from sync.protocol import Clock, PushBatch, PushedItem, uuid7
from sync.wire import WireFault, read_batch

log = structlog.get_logger()
TRIES: Final = 4


def push(raw: bytes, *, actor: Actor, now: datetime) -> dict[str, Any]:
    """Store and apply a batch; return the answer of the protocol: one outcome and receipt per item.

    Raises Malformed for bytes that are no JSON, Invalid (with pointers) for JSON that is no batch; then
    nothing was stored, and the phone bisects.
    """
    batch = _decode(raw)
    assert actor.device_id is not None
    taken = take_in(batch.items, device_id=actor.device_id, now=now, clock=batch.clock)
    return {
        "outcomes": taken.outcomes,
        "ack_seq": taken.progress.acked_seq,
        "missing": taken.progress.missing,
        "durable_through": taken.progress.durable_seq,
        "anchor": make_anchor(current_signer(), device_id=actor.device_id, now=now),
    }


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of items, one outcome each, and how far their phone's record is complete."""

    outcomes: list[dict[str, Any]]
    progress: Progress


def take_in(
    items: Sequence[PushedItem], *, device_id: UUID, now: datetime, clock: Clock | None = None
) -> Taken:
    """Store and apply items of a phone, whichever way they came, in one commit: the shortest that works.

    `clock`: the phone's readings as it sent them, where the phone itself did.
    """
    key = _device_key(device_id)
    release_connection()
    candidates = [examine(pushed, device_id=device_id, key=key) for pushed in items]
    how, tries = How.TOGETHER, TRIES
    while True:
        try:
            with transaction() as session:
                return _take_in(session, candidates, device_id=device_id, clock=clock, now=now, how=how)
        except (DBAPIError, CannotApply) as error:
            how, tries = _another_way(error, how, tries=tries - 1)
            log.info("push.again", how=how.value, because=type(error).__name__, device=str(device_id))


def _another_way(error: Exception, how: How, *, tries: int) -> tuple[How, int]:
    """Return how to go on after a failure, or raise it: then nothing was stored.

    A circle of waiting is entered again; when it does not open, the items are stored and applied later.
    """
    is_circle = isinstance(error, OperationalError) and isinstance(error.orig, pg.DeadlockDetected)
    if is_circle and how is not How.LATER:
        return (how if tries else How.LATER), tries
    if how is not How.TOGETHER or is_no_fault_of_an_item(error):
        raise error
    return How.ONE_BY_ONE, tries


def _take_in(
    session: Session,
    candidates: Sequence[Candidate],
    *,
    device_id: UUID,
    clock: Clock | None,
    now: datetime,
    how: How,
) -> Taken:
    sender = lock_sender(session, device_id)
    if sender.has_waiting and how is not How.LATER:
        project_waiting(session, sender, now=now)
    neighbours = neighbours_of(session, device_id, candidates)
    admissions = admit(candidates, {row.item_id: row.sha256 for row in neighbours})
    new = [one for one, what in zip(candidates, admissions, strict=True) if what == "new"]
    odd = [one for one, what in zip(candidates, admissions, strict=True) if what == "conflicting"]
    laters = _later_anchors(new, clock, device_id=device_id, now=now)
    rows = [
        row_of(one, chain, sender=sender, signer=current_signer(), later=later, now=now)
        for one, chain, later in zip(new, chain_flags(neighbours, new), laters, strict=True)
    ]
    results = [
        _result(row, one, later=later, sender=sender, how=how)
        for row, one, later in zip(rows, new, laters, strict=True)
    ]
    apply_items(session, results, now=now, how=how)
    progress = progress_of(session, sender, {one.pushed.seq for one in new})
    keep(session, rows, results, device_id=device_id, progress=progress)
    if odd:
        keep_conflicts(session, odd, device_id=device_id, now=now)
    flag_other_sides(session, rows)
    moved = wake(session, results, now=now)
    if len(new) == len(candidates) and not moved and not any(row["flags"] for row in rows):
        return Taken(answers_of(results, rows), progress)
    fresh = {one.pushed.id for one in new}
    return Taken(outcomes_of(session, candidates, fresh=fresh, device_id=device_id), progress)


def _later_anchors(
    new: Sequence[Candidate], clock: Clock | None, *, device_id: UUID, now: datetime
) -> list[Anchor | None]:
    """Return for each item the push's anchor, where it tells more of its time than what the item has."""
    if clock is None:
        return [None] * len(new)
    at = read_anchor(clock.anchor, current_signer(), device_id=device_id, now=now)
    return [one.item and later_anchor(one.item.clock, clock, anchored_at=at) for one in new]


def _result(row: dict[str, Any], one: Candidate, *, later: Anchor | None, sender: Sender, how: How) -> Result:
    """Read what a new item tells."""
    named = (row["device_id"], row["item_id"], row["sha256"], row["received_at"])
    stored = Stored(*named, tuple(row["flags"]), later)
    if one.problem is not None or one.item is None:
        return Result(stored, None, outcome="quarantined", problem=one.problem)
    if how is How.LATER:
        return Result(stored, None, outcome="received")
    return read_stored(stored, one.item, sender=sender)


def _decode(raw: bytes) -> PushBatch:
    try:
        return read_batch(raw)
    except WireFault as fault:
        if not fault.pointer:
            raise Malformed("malformed-json", f"The batch cannot be read: {fault.detail}.") from None
        faults = [Fault(fault.pointer, fault.detail)]
        raise Invalid(
            "batch-invalid", "Send the items one by one to find the bad one.", faults=faults
        ) from None


@lru_cache(maxsize=4096)
def _device_key(device_id: UUID) -> Seal:
    """Return a phone's key. It never changes: a phone with another key enrols as another device."""
    row = db.session.execute(
        sa.select(Device.public_key, Device.algorithm).where(Device.id == device_id)
    ).one()
    return seal_of(PublicKey.from_spki(row.public_key, algorithm=row.algorithm))


def quarantine(raw: bytes, *, seq: int | None, actor: Actor, now: datetime) -> dict[str, Any]:
    """Keep bytes that cannot be read as an item; the receipt names their SHA-256.

    `seq`: where they stand in the phone's record. Nothing is missing there any more, so that what follows can
    become durable for the phone.
    """
    release_connection()
    assert actor.device_id is not None
    sha256, submission_id = hashlib.sha256(raw).digest(), uuid7()
    row = {
        "id": submission_id,
        "device_id": actor.device_id,
        "seq": seq,
        "sha256": sha256,
        "content": raw,
        "received_at": now,
        "receipt": make_receipt(current_signer(), item_id=submission_id, sha256=sha256, now=now),
    }
    with transaction() as session:
        if seq is not None:
            _fill(session, seq, device_id=actor.device_id)
        kept = session.execute(_KEEP_RAW, row).scalar_one()
    return {"receipt": kept}


_RAW: Final = insert(RawSubmission)
# Bytes that came before keep their receipt, and get the number that they came without.
_KEEP_RAW: Final = _RAW.on_conflict_do_update(
    index_elements=[RawSubmission.device_id, RawSubmission.sha256],
    set_={"seq": sa.func.coalesce(RawSubmission.seq, _RAW.excluded.seq)},
).returning(RawSubmission.receipt)


def _fill(session: Session, seq: int, *, device_id: UUID) -> None:
    progress = progress_of(session, lock_sender(session, device_id), {seq})
    reached = {"device_id": device_id, "acked": progress.acked_seq, "highest": progress.highest_seq}
    run(session, _REACHED, reached)


_REACHED: Final = """
    UPDATE devices SET acked_seq = %(acked)s, highest_seq = %(highest)s WHERE id = %(device_id)s
"""

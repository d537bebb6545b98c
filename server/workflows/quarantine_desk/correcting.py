"""What stands in the place of an item that could not be applied: whose words, why, and when did it happen?

A correction is a new record, written by a supervisor and signed by the server. It names the digest of what it
corrects, which stays as it is; it is applied at once or not at all, and the visit's timeline shows it.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session

from server.authority import Actor
from server.database import db
from server.errors import Conflict, Fault, Invalid
from server.ledger.bundle_records import CORRECTION
from server.models.people import Device, Staff
from server.models.quarantine import Correction, DeskDecision
from server.models.visits import Item
from server.signing import canonical, current_signer
from server.workflows.exchange.anchors import kept_anchor
from server.workflows.exchange.applying import CannotApply
from server.workflows.exchange.arrived import Arrived, Result, Sender, Stored, place
from server.workflows.exchange.parents import CORRECTION as BY_OFFICE
from server.workflows.exchange.waiting import apply_one
from server.workflows.quarantine_desk.deciding import Became, Ruling, require_way, rule
from server.workflows.quarantine_desk.entries import Ref
from server.workflows.quarantine_desk.entries import Stored as Found
from server.workflows.quarantine_desk.looking import pushed_of
from sync import protocol
from sync.bodies import read_body
from sync.clock import BEGINNING, Interval
from sync.envelope import digest
from sync.protocol import ITEM_TYPES, uuid7
from sync.wire import WireFault, read_item, write_instant

CORRECTED: Final = "office_corrected"
# Flags of a record that says again what stands already: as a correction it would say nothing.
SAID_ALREADY: Final = (
    "visit_started_twice",
    "visit_ended_twice",
    "account_written_twice",
    "evidence_promised_twice",
)
UNKNOWN_CLOCK: Final = protocol.Clock(wall=BEGINNING, tz="UTC", monotonic_ms=0, boot_id="")


@dataclass(frozen=True, slots=True)
class NewRecord:
    """What the office writes. `happened`: between which instants, if it knows; else the phone's readings."""

    type: str
    body: dict[str, Any]
    happened: tuple[datetime, datetime] | None = None


@dataclass(frozen=True, slots=True)
class ShownCorrection:
    """A correction on a visit's timeline."""

    correction: Correction
    author: str
    reason: str


def correct(ref: Ref, new: NewRecord, ruling: Ruling, *, actor: Actor, now: datetime) -> DeskDecision:
    """Put a record of the office's own in an entry's place and apply it.

    Raises Invalid with a pointer into the body, Conflict where it would be held, or says what stands already.
    """
    require_way(ref, ruling)
    _require_sound(new, now=now)

    def carry(session: Session, found: Found) -> Became:
        correction = _write(ref, new, found, reason=ruling.reason.strip(), actor=actor, now=now)
        session.add(correction)
        session.flush()
        _apply(session, correction, new, found, now=now)
        if isinstance(found, Item):
            found.outcome, found.flags = "corrected", [*found.flags, CORRECTED]
        else:
            found.settled = "corrected"
        return Became("corrected", correction_id=correction.id)

    return rule(ref, ruling, carry, actor=actor, now=now)


def corrections_of(visit_id: UUID) -> Sequence[ShownCorrection]:
    """Return what the office wrote about a visit, in order, with author and reason."""
    rows = db.session.execute(
        sa.select(Correction, Staff.name, DeskDecision.reason)
        .join(Staff, Staff.id == Correction.author_id)
        .join(DeskDecision, DeskDecision.correction_id == Correction.id)
        .where(Correction.visit_id == visit_id)
        .order_by(Correction.id)
    )
    return [ShownCorrection(*row) for row in rows]


def _require_sound(new: NewRecord, *, now: datetime) -> None:
    faults = []
    if new.type not in ITEM_TYPES:
        faults.append(Fault("/type", f"Must be one of: {', '.join(sorted(ITEM_TYPES))}."))
    else:
        try:
            read_body(new.type, new.body)
        except WireFault as fault:
            faults.append(Fault(fault.pointer, fault.detail))
    if new.happened is not None and not BEGINNING <= new.happened[0] <= new.happened[1] <= now:
        faults.append(Fault("/happened", "Must be two instants in order, the later one not in the future."))
    if faults:
        raise Invalid("correction-faulty", "Correct the fields listed in `errors`.", faults=faults)


def _write(ref: Ref, new: NewRecord, found: Found, *, reason: str, actor: Actor, now: datetime) -> Correction:
    correction_id = uuid7()
    said = {
        "v": 1,
        "correction_id": str(correction_id),
        "corrects": {
            "kind": ref.kind,
            "device_id": str(ref.device_id),
            "item_id": str(ref.item_id),
            "sha256": ref.sha256.hex(),
        },
        "author_id": str(actor.staff_id),
        "reason": reason,
        "written_at": write_instant(now),
        "happened": new.happened and [write_instant(instant) for instant in new.happened],
        "type": new.type,
        "body": new.body,
    }
    payload, signer = canonical(said), current_signer()
    signature = base64.b64encode(signer.sign(CORRECTION, payload)).decode()
    return Correction(
        id=correction_id,
        corrects_kind=ref.kind,
        device_id=found.device_id,
        item_id=ref.item_id,
        corrects_sha256=ref.sha256,
        visit_id=getattr(read_body(new.type, new.body), "visit_id", None),
        type=new.type,
        author_id=actor.staff_id,
        written_at=now,
        payload_type=CORRECTION,
        payload=payload,
        sha256=digest(CORRECTION, payload),
        signatures=[{"keyid": signer.keyid, "sig": signature}],
    )


def _apply(session: Session, correction: Correction, new: NewRecord, found: Found, *, now: datetime) -> None:
    """Apply a correction as if the phone had sent it; all of it or nothing."""
    arrived = _arrived(session, correction, new, found)
    one = Result(arrived.row, arrived)
    try:
        with session.begin_nested():
            apply_one(session, one, now=now)
    except CannotApply as refused:
        raise Conflict(refused.slug, str(refused)) from None
    except (DataError, IntegrityError):
        raise Invalid("cannot-be-applied", "The database refuses what this correction says.") from None
    said = [flag for flag in SAID_ALREADY if flag in arrived.flags]
    if said:
        raise Conflict("stands-already", f"What it says stands already ({said[0]}); set the item aside.")


def _arrived(session: Session, correction: Correction, new: NewRecord, found: Found) -> Arrived:
    device = session.get_one(Device, found.device_id)
    left_at = session.scalar(sa.select(Staff.left_at).where(Staff.id == device.staff_id))
    sender = Sender(device_id=device.id, staff_id=device.staff_id, left_at=left_at)
    later = kept_anchor(found.later_anchor) if isinstance(found, Item) else None
    row = Stored(device.id, correction.id, correction.sha256, found.received_at, (BY_OFFICE,), later)
    original = _record_of(found)
    clock = original.clock if original is not None else UNKNOWN_CLOCK
    if new.happened is not None:
        when = Interval(earliest=new.happened[0], latest=new.happened[1], method="received")
    elif original is not None:
        when = place(clock, row=row, written=clock)
    else:
        when = Interval(earliest=BEGINNING, latest=found.received_at, method="received")
    record = protocol.Item(
        item_id=correction.id,
        device_id=device.id,
        staff_id=device.staff_id,
        seq=original.seq if original is not None else 0,
        prev=None,
        type=new.type,
        seen_seq=original.seen_seq if original is not None else 0,
        clock=clock,
        body=new.body,
    )
    return Arrived(
        row=row,
        record=record,
        body=read_body(new.type, new.body),
        when=when,
        sender=sender,
        flags=[BY_OFFICE],
        corrected_by=correction.author_id,
    )


def _record_of(found: Found) -> protocol.Item | None:
    """Return what the original says of its place and time, if it can be read at all."""
    pushed = pushed_of(found)
    try:
        return None if pushed is None else read_item(pushed.envelope.payload)
    except WireFault:
        return None

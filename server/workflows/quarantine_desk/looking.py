"""What exactly did the phone send, who signed it, what stands around it, and why was it not applied?

Every look is written to the access log before anything is shown. Bytes are shown as text with replacement
characters and, where they are JSON, parsed; the exact bytes are a download.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.authority import Actor
from server.database import transaction
from server.models.access import AccessEntry
from server.models.people import Device
from server.models.quarantine import DeskDecision
from server.models.visits import Item, RawSubmission
from server.seals import stored_envelope
from server.workflows.quarantine_desk.entries import Ref, Stored, decisions_about, find
from sync.bodies import read_body
from sync.envelope import PublicKey
from sync.protocol import PushedItem
from sync.wire import Reader, WireFault, parse, read_item, read_pushed

SHOWN: Final = 100_000
PARSED: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An item beside this one in the phone's chain; `step` is -1, 0 or 1."""

    step: int
    item_id: UUID
    seq: int
    sha256: bytes
    prev: bytes | None
    type: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Look:
    """Everything the desk shows of one entry.

    `signature` is valid, wrong or none (nothing that could be signed was read). `json` is null where the
    bytes are none, or too long to show; `fault` says what is wrong with them.
    """

    ref: Ref
    staff_id: UUID
    received_at: datetime
    outcome: str
    problem: dict[str, Any] | None
    flags: list[str]
    receipt: dict[str, Any]
    seq: int | None
    prev: bytes | None
    payload_type: str | None
    size_bytes: int
    text: str
    is_cut: bool
    json: Any
    fault: dict[str, str] | None
    signature: str
    neighbours: Sequence[Neighbour]
    decisions: Sequence[DeskDecision]


def look(ref: Ref, *, actor: Actor, now: datetime) -> Look:
    """Show an entry's bytes, decoded as far as they can be; the look is logged."""
    with transaction() as session:
        found = find(session, ref)
        _log(session, ref, action="quarantine.look", actor=actor, now=now)
        device = session.get_one(Device, found.device_id)
        pushed = pushed_of(found)
        around = _neighbours(session, found.device_id, pushed)
        decided = decisions_about(session, ref)
    content = _content(found) if pushed is None else pushed.envelope.payload
    value, fault = _parsed(content, is_raw=isinstance(found, RawSubmission))
    return Look(
        ref=ref,
        staff_id=device.staff_id,
        received_at=found.received_at,
        outcome=outcome_of(found),
        problem=found.problem if isinstance(found, Item) else None,
        flags=list(found.flags) if isinstance(found, Item) else [],
        receipt=found.receipt,
        seq=pushed and pushed.seq,
        prev=pushed and pushed.prev,
        payload_type=pushed and pushed.envelope.payload_type,
        size_bytes=len(content),
        text=_readable(content[:SHOWN]),
        is_cut=len(content) > SHOWN,
        json=value,
        fault=fault,
        signature=_signature(device, pushed),
        neighbours=around,
        decisions=decided,
    )


def content(ref: Ref, *, actor: Actor, now: datetime) -> bytes:
    """Return the exact bytes: an item's signed payload, or what was handed in raw. The look is logged."""
    with transaction() as session:
        found = find(session, ref)
        _log(session, ref, action="quarantine.content", actor=actor, now=now)
    return _content(found)


def outcome_of(found: Stored) -> str:
    """Say where an entry stands: an item's outcome; of others how they were settled, or that they wait."""
    return found.outcome if isinstance(found, Item) else (found.settled or "waiting")


def pushed_of(found: Stored) -> PushedItem | None:
    """Return an entry as it was, or would have been, pushed; None for raw bytes that are no item."""
    if isinstance(found, RawSubmission):
        try:
            return read_pushed(Reader(parse(found.content)))
        except WireFault:
            return None
    seq, prev = (found.seq, found.prev) if isinstance(found, Item) else (0, None)
    return PushedItem(found.item_id, seq, prev, stored_envelope(found))


def _content(found: Stored) -> bytes:
    return found.content if isinstance(found, RawSubmission) else found.payload


def _log(session: Session, ref: Ref, *, action: str, actor: Actor, now: datetime) -> None:
    looked = {"device_id": str(ref.device_id), "sha256": ref.sha256.hex()}
    session.add(
        AccessEntry(
            at=now,
            staff_id=actor.staff_id,
            action=action,
            entity_kind=ref.kind,
            entity_id=ref.item_id,
            fields=["items.payload"],
            request=looked,
        )
    )


def _readable(content: bytes) -> str:
    """Decode bytes for reading: what is no text becomes a replacement character."""
    return content.decode("utf-8", "replace").replace("\x00", "�")


def _parsed(content: bytes, *, is_raw: bool) -> tuple[Any, dict[str, str] | None]:
    """Parse bytes as far as they go, and say what is wrong; of an applied item its `problem` says more."""
    if len(content) > PARSED:
        return None, {"pointer": "", "detail": f"More than {PARSED} bytes are not parsed for display."}
    value = None
    try:
        value = parse(content)
        if is_raw:
            item = read_item(content)
            read_body(item.type, item.body)
    except WireFault as fault:
        return value, {"pointer": fault.pointer, "detail": fault.detail}
    return value, None


def _signature(device: Device, pushed: PushedItem | None) -> str:
    if pushed is None:
        return "none"
    key = PublicKey.from_spki(device.public_key, algorithm=device.algorithm)
    return "valid" if key.has_sealed(pushed.envelope) else "wrong"


def _neighbours(session: Session, device_id: UUID, pushed: PushedItem | None) -> list[Neighbour]:
    """Return what is stored before, at and after an item's place in its phone's chain."""
    if pushed is None or pushed.seq == 0:
        return []
    around = (
        sa.select(Item.item_id, Item.seq, Item.sha256, Item.prev, Item.type, Item.outcome)
        .where(Item.device_id == device_id, Item.seq.between(pushed.seq - 1, pushed.seq + 1))
        .where(Item.item_id != pushed.id)
        .order_by(Item.seq, Item.received_at, Item.item_id)
        .limit(50)
    )
    return [Neighbour(row.seq - pushed.seq, *row) for row in session.execute(around)]

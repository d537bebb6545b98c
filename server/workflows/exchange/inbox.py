"""How is every item a phone sends stored, exactly once, before anybody judges it?

First the exact bytes go into the inbox and are committed with their receipts; only then are they
projected (`projections`). Same id and same bytes: the first receipt again, for ever, at any concurrency.
Same id and other bytes: both kept. One statement per batch, whatever its length.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from server.authority import Actor
from server.database import release_connection, transaction
from server.errors import Fault, Invalid, Malformed
from server.models.people import Device
from server.models.visits import ConflictingItem, Item, RawSubmission
from server.signing import RECEIPT, Signer, canonical, current_signer
from server.workflows.exchange.anchors import make_anchor
from server.workflows.exchange.projections import project_waiting
from sync.admission import Candidate, admit, examine
from sync.chain import Link, judge_links, missing_ranges
from sync.envelope import PublicKey
from sync.protocol import PushBatch, uuid7
from sync.wire import WireFault, read_batch, write_instant

ANSWERED: Final = {"received": "held"}


def push(raw: bytes, *, actor: Actor, now: datetime) -> dict[str, Any]:
    """Store and apply a batch; return the answer of the protocol: one outcome and receipt per item.

    Raises Malformed for bytes that are no JSON, Invalid (with pointers) for JSON that is no batch; then
    nothing was stored, and the phone bisects.
    """
    batch = _decode(raw)
    assert actor.device_id is not None
    key = _device_key(actor.device_id)
    candidates = [examine(pushed, device_id=actor.device_id, key=key) for pushed in batch.items]
    fresh = _store(candidates, device_id=actor.device_id, now=now)
    with transaction() as session:
        device = _lock_device(session, actor.device_id)
        project_waiting(session, device, now=now)
    return _answer(candidates, fresh, device_id=actor.device_id, now=now)


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


_KEY = sa.select(Device.public_key, Device.algorithm).where(Device.id == sa.bindparam("device_id"))


def _device_key(device_id: UUID) -> PublicKey:
    with transaction() as session:
        row = session.execute(_KEY, {"device_id": device_id}).one()
    return PublicKey.from_spki(row.public_key, algorithm=row.algorithm)


def _lock_device(session: Session, device_id: UUID) -> Device:
    """Serialise the pushes of one phone; others do not wait."""
    return session.get_one(Device, device_id, with_for_update={"key_share": True}, populate_existing=True)


def make_receipt(signer: Signer, *, item_id: UUID, sha256: bytes, now: datetime) -> dict[str, Any]:
    """Sign the promise that these bytes are stored."""
    promised = {"item_id": str(item_id), "item_sha256": sha256.hex(), "received_at": write_instant(now)}
    signature = base64.b64encode(signer.sign(RECEIPT, canonical(promised))).decode()
    return {**promised, "keyid": signer.keyid, "sig": signature}


def _store(candidates: Sequence[Candidate], *, device_id: UUID, now: datetime) -> set[UUID]:
    """Write what is new into the inbox and commit it; return its ids. What is known stays as it is."""
    signer = current_signer()
    with transaction() as session:
        device = _lock_device(session, device_id)
        stored = _stored_digests(session, device_id, [one.pushed.id for one in candidates])
        admissions = admit(candidates, stored)
        new = [one for one, what in zip(candidates, admissions, strict=True) if what == "new"]
        odd = [one for one, what in zip(candidates, admissions, strict=True) if what == "conflicting"]
        flags = _chain_flags(session, device, new)
        rows = [
            _row(one, chain, device=device, signer=signer, now=now)
            for one, chain in zip(new, flags, strict=True)
        ]
        if rows:
            session.execute(sa.insert(Item), rows)
            _advance(session, device)
        if odd:
            _keep_conflicts(session, odd, device_id=device_id, signer=signer, now=now)
    return {one.pushed.id for one in new}


def _stored_digests(session: Session, device_id: UUID, ids: list[UUID]) -> dict[UUID, bytes]:
    rows = session.execute(
        sa.select(Item.item_id, Item.sha256).where(Item.device_id == device_id, Item.item_id.in_(ids))
    )
    return {item_id: sha256 for item_id, sha256 in rows}


def _chain_flags(session: Session, device: Device, new: Sequence[Candidate]) -> list[tuple[str, ...]]:
    """Compare the new links with their neighbours, stored or new."""
    links = [Link(seq=one.pushed.seq, prev=one.pushed.prev, digest=one.digest) for one in new]
    wanted = {seq for link in links for seq in (link.seq - 1, link.seq)}
    known: dict[int, list[bytes]] = {}
    neighbours = sa.select(Item.seq, Item.sha256).where(Item.device_id == device.id, Item.seq.in_(wanted))
    for seq, sha256 in session.execute(neighbours):
        known.setdefault(seq, []).append(sha256)
    return judge_links(links, known)


def _row(
    one: Candidate, chain: tuple[str, ...], *, device: Device, signer: Signer, now: datetime
) -> dict[str, Any]:
    envelope = one.pushed.envelope
    flags = [*one.flags, *chain]
    if device.revoked_at is not None:
        flags.append("key_revoked")
    return {
        "device_id": device.id,
        "item_id": one.pushed.id,
        "seq": one.pushed.seq,
        "prev": one.pushed.prev,
        "sha256": one.digest,
        "type": one.item.type if one.item else "unreadable",
        "visit_id": _visit_of(one),
        "payload_type": envelope.payload_type,
        "payload": envelope.payload,
        "signatures": [
            {"keyid": each.keyid, "sig": base64.b64encode(each.sig).decode()} for each in envelope.signatures
        ],
        "received_at": now,
        "receipt": make_receipt(signer, item_id=one.pushed.id, sha256=one.digest, now=now),
        "outcome": "quarantined" if one.problem else "received",
        "flags": flags,
        "problem": one.problem,
    }


def _visit_of(one: Candidate) -> UUID | None:
    value = one.item.body.get("visit_id") if one.item else None
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _keep_conflicts(
    session: Session, odd: Sequence[Candidate], *, device_id: UUID, signer: Signer, now: datetime
) -> None:
    rows = [
        {
            "device_id": device_id,
            "item_id": one.pushed.id,
            "sha256": one.digest,
            "payload_type": one.pushed.envelope.payload_type,
            "payload": one.pushed.envelope.payload,
            "signatures": [
                {"keyid": each.keyid, "sig": base64.b64encode(each.sig).decode()}
                for each in one.pushed.envelope.signatures
            ],
            "received_at": now,
            "receipt": make_receipt(signer, item_id=one.pushed.id, sha256=one.digest, now=now),
        }
        for one in odd
    ]
    statement = insert(ConflictingItem).values(rows)
    session.execute(statement.on_conflict_do_nothing())


def _advance(session: Session, device: Device) -> None:
    """Move the number up to which nothing is missing."""
    seqs = session.scalars(
        sa.select(Item.seq)
        .where(Item.device_id == device.id, Item.seq > device.acked_seq)
        .distinct()
        .order_by(Item.seq)
    )
    for seq in seqs:
        if seq != device.acked_seq + 1:
            break
        device.acked_seq = seq


def _answer(
    candidates: Sequence[Candidate], fresh: set[UUID], *, device_id: UUID, now: datetime
) -> dict[str, Any]:
    """Say what is stored under each pushed id: read back, so that a repeat hears what the first one heard."""
    ids = [one.pushed.id for one in candidates]
    with transaction() as session:
        stored = {
            row.item_id: row
            for row in session.execute(
                sa.select(
                    Item.item_id, Item.sha256, Item.outcome, Item.flags, Item.problem, Item.receipt
                ).where(Item.device_id == device_id, Item.item_id.in_(ids))
            )
        }
        conflicts = _conflict_receipts(session, device_id, stored, candidates)
        acked, missing = _progress(session, device_id)
    outcomes = [
        _outcome(
            one,
            stored[one.pushed.id],
            conflict=conflicts.get((one.pushed.id, one.digest)),
            is_fresh=one.pushed.id in fresh,
        )
        for one in candidates
    ]
    return {
        "outcomes": outcomes,
        "ack_seq": acked,
        "missing": missing,
        "durable_through": acked,
        "anchor": make_anchor(current_signer(), device_id=device_id, now=now),
    }


def _outcome(one: Candidate, row: Any, *, conflict: dict[str, Any] | None, is_fresh: bool) -> dict[str, Any]:
    if row.sha256 != one.digest:
        problem = {"slug": "other-bytes", "detail": "Another item is stored under this id; both are kept."}
        return {
            "id": str(one.pushed.id),
            "outcome": "conflicting",
            "flags": [],
            "problem": problem,
            "receipt": conflict,
        }
    outcome = ANSWERED.get(row.outcome, row.outcome)
    if outcome == "applied" and not is_fresh:
        outcome = "duplicate"
    return {
        "id": str(one.pushed.id),
        "outcome": outcome,
        "flags": row.flags,
        "problem": row.problem,
        "receipt": row.receipt,
    }


def _conflict_receipts(
    session: Session, device_id: UUID, stored: dict[UUID, Any], candidates: Sequence[Candidate]
) -> dict[tuple[UUID, bytes], dict[str, Any]]:
    ids = {one.pushed.id for one in candidates if stored[one.pushed.id].sha256 != one.digest}
    if not ids:
        return {}
    rows = session.execute(
        sa.select(ConflictingItem.item_id, ConflictingItem.sha256, ConflictingItem.receipt).where(
            ConflictingItem.device_id == device_id, ConflictingItem.item_id.in_(ids)
        )
    )
    return {(item_id, sha256): receipt for item_id, sha256, receipt in rows}


def _progress(session: Session, device_id: UUID) -> tuple[int, list[tuple[int, int]]]:
    """Return the number up to which nothing is missing, and the ranges missing above it."""
    acked = session.scalar(sa.select(Device.acked_seq).where(Device.id == device_id)) or 0
    above = session.scalars(
        sa.select(Item.seq)
        .where(Item.device_id == device_id, Item.seq > acked)
        .distinct()
        .order_by(Item.seq)
        .limit(5000)
    ).all()
    if not above:
        return acked, []
    shifted = [seq - acked for seq in above]
    gaps = missing_ranges(shifted, highest=shifted[-1])
    return acked, [(first + acked, last + acked) for first, last in gaps]


@dataclass(frozen=True, slots=True)
class Status:
    """Where a phone's submissions stand."""

    acked_seq: int
    missing: list[tuple[int, int]]
    quarantined: list[UUID]
    held: list[UUID]


def status(*, actor: Actor) -> Status:
    """Say what of this phone is stored, missing, held or quarantined."""
    assert actor.device_id is not None
    with transaction() as session:
        acked, missing = _progress(session, actor.device_id)
        rows = session.execute(
            sa.select(Item.item_id, Item.outcome).where(
                Item.device_id == actor.device_id, Item.outcome.in_(["held", "quarantined"])
            )
        ).all()
    return Status(
        acked_seq=acked,
        missing=missing,
        quarantined=[row.item_id for row in rows if row.outcome == "quarantined"],
        held=[row.item_id for row in rows if row.outcome == "held"],
    )


def quarantine(raw: bytes, *, actor: Actor, now: datetime) -> dict[str, Any]:
    """Keep bytes that cannot be read as an item; the receipt names their SHA-256."""
    release_connection()
    assert actor.device_id is not None
    sha256, submission_id = hashlib.sha256(raw).digest(), uuid7()
    row = {
        "id": submission_id,
        "device_id": actor.device_id,
        "sha256": sha256,
        "content": raw,
        "received_at": now,
        "receipt": make_receipt(current_signer(), item_id=submission_id, sha256=sha256, now=now),
    }
    with transaction() as session:
        session.execute(insert(RawSubmission).values(row).on_conflict_do_nothing())
        kept = session.scalars(
            sa.select(RawSubmission.receipt).where(
                RawSubmission.device_id == actor.device_id, RawSubmission.sha256 == sha256
            )
        ).one()
    return {"receipt": kept}

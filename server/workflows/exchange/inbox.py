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
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from server.authority import Actor
from server.bulk import any_of, insert_rows
from server.database import db, release_connection, transaction
from server.errors import Fault, Invalid, Malformed
from server.models.people import Device
from server.models.visits import ConflictingItem, Item, RawSubmission
from server.signing import RECEIPT, Signer, canonical, current_signer
from server.workflows.exchange.anchors import make_anchor
from server.workflows.exchange.answers import Progress, outcomes_of, progress_of
from server.workflows.exchange.forks import UNREADABLE, flag_other_sides
from server.workflows.exchange.projections import project
from sync import protocol
from sync.admission import Candidate, admit, examine
from sync.chain import Link, judge_links
from sync.envelope import PublicKey
from sync.protocol import Envelope, PushBatch, PushedItem, uuid7
from sync.wire import WireFault, read_batch, write_instant


def push(raw: bytes, *, actor: Actor, now: datetime) -> dict[str, Any]:
    """Store and apply a batch; return the answer of the protocol: one outcome and receipt per item.

    Raises Malformed for bytes that are no JSON, Invalid (with pointers) for JSON that is no batch; then
    nothing was stored, and the phone bisects.
    """
    batch = _decode(raw)
    assert actor.device_id is not None
    taken = take_in(batch.items, device_id=actor.device_id, now=now)
    return {
        "outcomes": taken.outcomes,
        "ack_seq": taken.progress.acked_seq,
        "missing": taken.progress.missing,
        "durable_through": taken.progress.acked_seq,
        "anchor": make_anchor(current_signer(), device_id=actor.device_id, now=now),
    }


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of items, one outcome each, and how far their phone's record is complete."""

    outcomes: list[dict[str, Any]]
    progress: Progress


def take_in(items: Sequence[PushedItem], *, device_id: UUID, now: datetime) -> Taken:
    """Store and apply items of a phone, whichever way they came."""
    key = _device_key(device_id)
    release_connection()
    candidates = [examine(pushed, device_id=device_id, key=key) for pushed in items]
    fresh, progress = _store(candidates, device_id=device_id, now=now)
    records = {one.digest: one.item for one in candidates if one.item}
    told = project(
        device_id,
        now=now,
        records=records,
        then=lambda session: outcomes_of(session, candidates, fresh=fresh, device_id=device_id),
    )
    return Taken(told, progress)


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
def _device_key(device_id: UUID) -> PublicKey:
    """Return a phone's key. It never changes: a phone with another key enrols as another device."""
    row = db.session.execute(
        sa.select(Device.public_key, Device.algorithm).where(Device.id == device_id)
    ).one()
    return PublicKey.from_spki(row.public_key, algorithm=row.algorithm)


_LOCK: Final = (
    sa.select(Device.id, Device.acked_seq, Device.revoked_at)
    .where(Device.id == sa.bindparam("device_id"))
    .with_for_update(key_share=True)
)


def make_receipt(signer: Signer, *, item_id: UUID, sha256: bytes, now: datetime) -> dict[str, Any]:
    """Sign the promise that these bytes are stored."""
    promised = {"item_id": str(item_id), "item_sha256": sha256.hex(), "received_at": write_instant(now)}
    signature = base64.b64encode(signer.sign(RECEIPT, canonical(promised))).decode()
    return {**promised, "keyid": signer.keyid, "sig": signature}


def _store(candidates: Sequence[Candidate], *, device_id: UUID, now: datetime) -> tuple[set[UUID], Progress]:
    """Write what is new into the inbox and commit it; what is known stays as it is.

    Returns the new ids, and how far the phone's record is complete.
    """
    signer = current_signer()
    with transaction() as session:
        device = session.execute(_LOCK, {"device_id": device_id}).one()
        neighbours = _neighbours(session, device_id, candidates)
        admissions = admit(candidates, {row.item_id: row.sha256 for row in neighbours})
        new = [one for one, what in zip(candidates, admissions, strict=True) if what == "new"]
        odd = [one for one, what in zip(candidates, admissions, strict=True) if what == "conflicting"]
        rows = [
            _row(one, chain, device=device, signer=signer, now=now)
            for one, chain in zip(new, _chain_flags(neighbours, new), strict=True)
        ]
        insert_rows(session, Item, rows)
        flag_other_sides(session, rows)
        if odd:
            _keep_conflicts(session, odd, device_id=device_id, signer=signer, now=now)
        progress = progress_of(session, device_id, acked=device.acked_seq)
        if progress.acked_seq > device.acked_seq:
            advanced = sa.update(Device).where(Device.id == device_id).values(acked_seq=progress.acked_seq)
            session.execute(advanced.execution_options(synchronize_session=False))
    return {one.pushed.id for one in new}, progress


def _neighbours(session: Session, device_id: UUID, candidates: Sequence[Candidate]) -> Sequence[Any]:
    """Return what is stored under the candidates' ids, at their numbers and at those before and after."""
    ids = {one.pushed.id for one in candidates}
    seqs = {one.pushed.seq + step for one in candidates for step in (-1, 0, 1)}
    wanted = {"device_id": device_id, "ids": list(ids), "seqs": list(seqs)}
    return session.execute(_NEIGHBOURS, wanted).all()


_NEIGHBOURS: Final = sa.select(Item.item_id, Item.seq, Item.prev, Item.sha256, Item.type).where(
    Item.device_id == sa.bindparam("device_id"),
    sa.or_(any_of(Item.item_id, "ids"), any_of(Item.seq, "seqs")),
)


def _chain_flags(neighbours: Sequence[Any], new: Sequence[Candidate]) -> list[tuple[str, ...]]:
    """Compare the new links with their neighbours, stored or new."""
    links = [Link(seq=one.pushed.seq, prev=one.pushed.prev, digest=one.digest) for one in new]
    known: dict[int, list[bytes]] = {}
    prevs: dict[int, list[bytes | None]] = {}
    unsigned = {one.digest for one in new if one.item is None}
    for row in neighbours:
        known.setdefault(row.seq, []).append(row.sha256)
        if row.type == UNREADABLE:
            unsigned.add(row.sha256)
        else:
            prevs.setdefault(row.seq, []).append(row.prev)
    return judge_links(links, known, prevs=prevs, unsigned=unsigned)


def _row(
    one: Candidate, chain: tuple[str, ...], *, device: Any, signer: Signer, now: datetime
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
        "type": one.item.type if one.item else UNREADABLE,
        "visit_id": visit_named_by(one.item),
        "payload_type": envelope.payload_type,
        "payload": envelope.payload,
        "signatures": _signatures(envelope),
        "received_at": now,
        "receipt": make_receipt(signer, item_id=one.pushed.id, sha256=one.digest, now=now),
        "outcome": "quarantined" if one.problem else "received",
        "flags": flags,
        "problem": one.problem,
    }


def _signatures(envelope: Envelope) -> list[dict[str, str]]:
    return [{"keyid": each.keyid, "sig": base64.b64encode(each.sig).decode()} for each in envelope.signatures]


def visit_named_by(record: protocol.Item | None) -> UUID | None:
    """Return the visit an item names, whatever its type."""
    value = record.body.get("visit_id") if record else None
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
            "signatures": _signatures(one.pushed.envelope),
            "received_at": now,
            "receipt": make_receipt(signer, item_id=one.pushed.id, sha256=one.digest, now=now),
        }
        for one in odd
    ]
    statement = insert(ConflictingItem).values(rows)
    session.execute(statement.on_conflict_do_nothing())


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

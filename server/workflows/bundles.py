"""What does a bank take home to check one visit on its own machine?

A zip with the items as the phones signed them, the media, the permit, decisions, findings, who looked, and
proofs that all of it is in the tamper-evident log. Of what was erased it holds the erasure.
`server.ledger.bundle` checks it. Rows are read in one snapshot; no transaction is open while media are
copied.
"""

import base64
import hashlib
import json
import zipfile
from collections.abc import Iterable
from datetime import datetime
from typing import IO, Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.authority import Actor
from server.database import release_connection, snapshot, transaction
from server.errors import NotFound
from server.ledger.bundle import BUNDLE, MANIFEST
from server.ledger.bundle_records import TEXTS
from server.media.store import MediaStore
from server.models.access import AccessEntry
from server.models.dispatch import Assignment
from server.models.evidence import Evidence
from server.models.people import Device
from server.models.visits import Account, FieldReport, Item, Visit
from server.rules.json_form import stamp
from server.signing import current_signer
from server.workflows.bundle_records import Parts, erased_by, records_of
from server.workflows.transparency.proofs import leaves_about, prove_subjects, to_json
from server.workflows.transparency.shelf import origin_of


def write_bundle(
    visit_id: UUID, target: IO[bytes], *, store: MediaStore, actor: Actor, now: datetime
) -> None:
    """Write a visit's bundle to a file; the look is logged first, so that it is in the bundle itself."""
    _log_look(visit_id, actor=actor, now=now)
    with snapshot() as session:
        parts, subjects, media = _gather(session, visit_id)
        leaves = leaves_about(session, subjects)
    parts["proofs.json"] = to_json(prove_subjects(subjects, only=leaves, now=now))
    release_connection()
    digests: dict[str, str] = {}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, value in parts.items():
            digests[name] = _write(archive, name, [json.dumps(value, ensure_ascii=False).encode()])
        for name, key in media.items():
            digests[name] = _write(archive, name, store.read(key))
        archive.writestr(MANIFEST, json.dumps(_manifest(visit_id, digests, now=now)))


def _write(archive: zipfile.ZipFile, name: str, pieces: Iterable[bytes]) -> str:
    """Write one part and return its digest; memory stays flat whatever its size."""
    hashed = hashlib.sha256()
    with archive.open(name, "w", force_zip64=True) as part:
        for piece in pieces:
            hashed.update(piece)
            part.write(piece)
    return hashed.hexdigest()


def _manifest(visit_id: UUID, digests: dict[str, str], *, now: datetime) -> dict[str, Any]:
    signer = current_signer()
    body = {
        "v": 1,
        "visit_id": str(visit_id),
        "made_at": stamp(now),
        "origin": origin_of(signer),
        "server_key": base64.b64encode(signer.public_spki).decode(),
        "parts": digests,
    }
    return signer.seal(BUNDLE, body)


def _log_look(visit_id: UUID, *, actor: Actor, now: datetime) -> None:
    with transaction() as session:
        if session.scalar(sa.select(Visit.id).where(Visit.id == visit_id)) is None:
            raise NotFound("visit-unknown", "There is no visit with this id.")
        session.add(
            AccessEntry(
                at=now,
                staff_id=actor.staff_id,
                action="visit.bundle",
                entity_kind="visit",
                entity_id=visit_id,
                fields=["accounts.narrative", "evidence.content"],
            )
        )


def _gather(session: Session, visit_id: UUID) -> tuple[Parts, list[UUID], dict[str, str]]:
    """Return the parts, the subjects whose leaves prove them, and each media part's key in the store."""
    visit = session.get_one(Visit, visit_id)
    items = session.scalars(
        sa.select(Item)
        .where(sa.tuple_(Item.device_id, Item.item_id).in_(_told(visit)), sa.not_(erased_by(Item.item_id)))
        .order_by(Item.device_id, Item.seq)
    ).all()
    evidence = session.scalars(
        sa.select(Evidence).where(Evidence.visit_id == visit_id).order_by(Evidence.id)
    ).all()
    assignment = session.get(Assignment, visit.assignment_id) if visit.assignment_id else None
    decision_ids = [assignment.decision_id] if assignment else []
    parts: Parts = {
        "items.json": [_item(item) for item in items],
        "devices.json": _devices(session, {item.device_id for item in items}),
        "evidence.json": [_evidence(one) for one in evidence],
        **records_of(session, visit, evidence=[one.id for one in evidence], decisions=decision_ids),
    }
    if assignment is not None and assignment.permit:
        parts["permit.json"] = assignment.permit
    named = [row["id"] for part in TEXTS for row in parts[part]]
    subjects = [*(item.item_id for item in items), *(one.id for one in evidence), *map(UUID, named)]
    media = {_file(one): one.storage_key for one in evidence if one.storage_key is not None}
    return parts, subjects, media


def _told(visit: Visit) -> sa.CompoundSelect[tuple[UUID, UUID]]:
    """Say which items tell of a visit: those that name it, and those that anything of it was made from."""
    sources = (
        sa.select(Item.device_id, Item.item_id).where(Item.visit_id == visit.id),
        sa.select(Account.device_id, Account.item_id).where(Account.visit_id == visit.id),
        sa.select(FieldReport.device_id, FieldReport.item_id).where(FieldReport.visit_id == visit.id),
        sa.select(Evidence.device_id, Evidence.promised_item).where(Evidence.visit_id == visit.id),
        *(
            sa.select(Visit.device_id, made_of).where(Visit.id == visit.id)
            for made_of in (Visit.started_item, Visit.ended_item)
        ),
    )
    return sa.union(*sources)


def _item(item: Item) -> dict[str, Any]:
    return {
        "item_id": str(item.item_id),
        "device_id": str(item.device_id),
        "type": item.type,
        "received_at": stamp(item.received_at),
        "outcome": item.outcome,
        "flags": item.flags,
        "envelope": {
            "payloadType": item.payload_type,
            "payload": base64.b64encode(item.payload).decode(),
            "signatures": item.signatures,
        },
        "receipt": item.receipt,
    }


def _devices(session: Session, ids: set[UUID]) -> list[dict[str, Any]]:
    return [
        {
            "device_id": str(device.id),
            "staff_id": str(device.staff_id),
            "algorithm": device.algorithm,
            "public_key": base64.b64encode(device.public_key).decode(),
            "revoked_at": None if device.revoked_at is None else stamp(device.revoked_at),
        }
        for device in session.scalars(sa.select(Device).where(Device.id.in_(ids)).order_by(Device.id))
    ]


def _file(one: Evidence) -> str:
    return f"media/{one.id}"


def _evidence(one: Evidence) -> dict[str, Any]:
    return {
        "evidence_id": str(one.id),
        "device_id": str(one.device_id),
        "kind": one.kind,
        "purpose": one.purpose,
        "mime": one.mime,
        "sha256": None if one.sha256 is None else one.sha256.hex(),
        "size_bytes": one.size_bytes,
        "state": one.state,
        "inspection": one.inspection,
        "file": None if one.storage_key is None else _file(one),
    }

"""How does what a phone could not send reach the office by other means?

Anybody may hand in a rescue bundle: the phone that sealed it vouches for it, whoever carries it. It is read
twice: once to the end, so that a bad one is imported not at all; then its items go through the same inbox as
a push of that phone, and its files through the same completion as uploads. Handing it in twice changes
nothing and is answered the same.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, Final
from uuid import UUID

import sqlalchemy as sa

from server.authority import Actor, Role
from server.database import db, release_connection, transaction
from server.errors import DomainError, Invalid, Unavailable
from server.media.store import MediaStore, StaleWriter
from server.models.access import AccessEntry
from server.models.people import Device
from server.signing import current_signer
from server.workflows.exchange import inbox
from server.workflows.uploads import creating, receiving
from server.workflows.uploads.finishing import TakenOver
from server.workflows.uploads.grant import WantedUpload
from sync.envelope import PublicKey
from sync.manifest import CarriedFile, Manifest, RescueFault
from sync.protocol import PushedItem
from sync.rescue import FileStream, check_bundle, open_bundle

ITEMS_AT_ONCE: Final = 50
BYTES_AT_ONCE: Final = 8 * 1024**2
PIECE: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class CarriedOutcome:
    """What became of one file: stored, begun (other volumes, or the phone itself, bring the rest), waiting
    (for the part before it) or refused."""

    evidence_id: UUID
    outcome: str
    problem: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a bundle: outcome and receipt of each item, as after a push, and of each file."""

    bundle_id: UUID
    device_id: UUID
    volume: int
    volumes: int
    outcomes: list[dict[str, Any]]
    files: list[CarriedOutcome]


def import_bundle(source: BinaryIO, *, store: MediaStore, actor: Actor, now: datetime) -> Imported:
    """Take a bundle in, whoever carries it. Raises Invalid for a bad one, and then nothing of it was kept.

    `source` must be seekable. Only the phone's own visitor and the office are told flags and problems. What
    the phone could not put in is named as absent, with its reason.
    """
    openers = [current_signer().rescue]
    try:
        manifest = check_bundle(source, openers=openers, key_of=_key_of)
        owner = _owner(manifest, actor=actor, now=now)
        source.seek(0)
        bundle = open_bundle(source, openers=openers, key_of=_key_of)
        release_connection()
        outcomes: list[dict[str, Any]] = []
        files: list[CarriedOutcome] = []
        for part in _grouped(bundle.contents()):
            if isinstance(part, FileStream):
                files.append(_take_file(part, owner=owner, store=store, now=now))
            else:
                outcomes += inbox.take_in(part, device_id=manifest.device_id, now=now).outcomes
    except RescueFault as fault:
        raise Invalid(fault.slug, fault.detail) from None
    files += [
        CarriedOutcome(one.evidence_id, "absent", {"slug": "not-carried", "detail": one.why})
        for one in manifest.absent
    ]
    is_theirs = actor.staff_id == owner.staff_id or actor.has(*_OFFICE)
    return Imported(
        bundle_id=manifest.bundle_id,
        device_id=manifest.device_id,
        volume=manifest.volume,
        volumes=manifest.volumes,
        outcomes=[_told(one, is_theirs=is_theirs) for one in outcomes],
        files=files,
    )


_OFFICE: Final = (Role.DISPATCHER, Role.SUPERVISOR, Role.AUDITOR, Role.ADMIN)


def _key_of(device_id: UUID) -> PublicKey | None:
    row = db.session.execute(
        sa.select(Device.public_key, Device.algorithm).where(Device.id == device_id)
    ).first()
    release_connection()  # the whole bundle is read next
    return None if row is None else PublicKey.from_spki(row.public_key, algorithm=row.algorithm)


def _owner(manifest: Manifest, *, actor: Actor, now: datetime) -> Actor:
    """Log who carries what, and return the visitor in whose phone's name it is taken in."""
    carried = {
        "bundle_id": str(manifest.bundle_id),
        "volume": manifest.volume,
        "items": len(manifest.items),
        "files": len(manifest.files),
        "absent": [str(one.evidence_id) for one in manifest.absent],
        "carried_by_device": None if actor.device_id is None else str(actor.device_id),
    }
    with transaction() as session:
        staff_id = session.scalar(sa.select(Device.staff_id).where(Device.id == manifest.device_id))
        session.add(
            AccessEntry(
                at=now,
                staff_id=actor.staff_id,
                action="rescue.import",
                entity_kind="device",
                entity_id=manifest.device_id,
                request=carried,
            )
        )
    return Actor(staff_id=staff_id, roles=frozenset({Role.VISITOR}), device_id=manifest.device_id)


def _grouped(contents: Iterator[PushedItem | FileStream]) -> Iterator[Sequence[PushedItem] | FileStream]:
    """Yield items in batches of bounded number and size, and each file by itself."""
    batch: list[PushedItem] = []
    size = 0
    for part in contents:
        is_full = len(batch) == ITEMS_AT_ONCE or size >= BYTES_AT_ONCE
        if batch and (is_full or isinstance(part, FileStream)):
            yield batch
            batch, size = [], 0
        if isinstance(part, FileStream):
            yield part
        else:
            batch.append(part)
            size += len(part.envelope.payload)
    if batch:
        yield batch


def _take_file(part: FileStream, *, owner: Actor, store: MediaStore, now: datetime) -> CarriedOutcome:
    """Go on with the upload of a file where it stands. A refusal concerns this file alone."""
    file = part.file
    try:
        outcome = _append(part, file, owner=owner, store=store, now=now)
    except Unavailable:
        raise
    except (TakenOver, StaleWriter):
        outcome = "begun"  # by the phone itself, which sends it at this moment
    except DomainError as refused:
        problem = {"slug": refused.slug, "detail": refused.detail}
        return CarriedOutcome(file.evidence_id, "refused", problem)
    return CarriedOutcome(file.evidence_id, outcome)


def _append(part: FileStream, file: CarriedFile, *, owner: Actor, store: MediaStore, now: datetime) -> str:
    wanted = WantedUpload(
        evidence_id=file.evidence_id,
        sha256=bytes.fromhex(file.sha256),
        length=file.size_bytes,
        filename=file.filename,
        mime=file.mime,
        raw_metadata="",
    )
    grant = creating.create(wanted, brings_bytes=False, actor=owner, now=now)
    if grant.is_complete:
        return "stored"
    if grant.offset < file.start:
        return "waiting"
    passed = min(grant.offset - file.start, file.length)
    _skip(part, passed)
    if passed < file.length or grant.length == grant.offset:
        rest = file.length - passed
        body = receiving.InPieces(part)
        grant = receiving.receive(grant, body, announced=rest, checksum=None, store=store, now=now)
    return "stored" if grant.is_complete else "begun"


def _skip(part: FileStream, count: int) -> None:
    while count:
        count -= len(part.read(min(count, PIECE)))


def _told(outcome: dict[str, Any], *, is_theirs: bool) -> dict[str, Any]:
    """Say what an item has become, the same at every import; what is wrong with it, to whom it concerns."""
    told = outcome | {"outcome": "applied" if outcome["outcome"] == "duplicate" else outcome["outcome"]}
    return told if is_theirs else told | {"flags": [], "problem": None}

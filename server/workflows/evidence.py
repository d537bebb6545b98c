"""What becomes of evidence once its bytes are here, and who may look at it?

Auditors look through links that live five minutes; every look is written to the access log. What the bytes
show is read by `inspection`; here, an upload's segments are cleared away.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

import sqlalchemy as sa

from server.authority import Actor, Role
from server.database import db, release_connection, transaction
from server.errors import Forbidden, Gone, NotFound
from server.jobs import task
from server.media import rendering
from server.media.store import Segment
from server.models.access import AccessEntry
from server.models.evidence import Evidence, Upload, UploadSegment
from server.models.people import Staff
from server.signing import current_signer
from server.storage import current_store

Part = Literal["content", "thumbnail", "rendition", "waveform"]
LINK_LIFETIME = timedelta(minutes=5)
MAY_LOOK = (Role.AUDITOR, Role.SUPERVISOR)
_PURPOSE = "evidence-link"
_TOKEN = re.compile(r"(\d{1,12})\.([0-9a-f-]{36})\.([0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class Link:
    """Permission for one person to look at one piece of evidence until `expires_at`."""

    evidence_id: UUID
    token: str
    expires_at: datetime
    has_thumbnail: bool
    has_rendition: bool
    has_waveform: bool


@dataclass(frozen=True, slots=True)
class Viewing:
    """What an opened link shows."""

    evidence_id: UUID
    key: str
    mime: str
    sha256: bytes | None
    peaks: list[int]
    duration_seconds: float | None


def make_link(evidence_id: UUID, *, actor: Actor, now: datetime) -> Link:
    """Let this person look at stored evidence for five minutes. Raises NotFound while there are no bytes."""
    evidence = _stored(evidence_id)
    expires_at = now + LINK_LIFETIME
    expires = int(expires_at.timestamp())
    seal = current_signer().mac(_PURPOSE, f"{evidence_id}.{expires}.{actor.staff_id}")
    return Link(
        evidence_id=evidence_id,
        token=f"{expires}.{actor.staff_id}.{seal}",
        expires_at=datetime.fromtimestamp(expires, UTC),
        has_thumbnail=evidence.thumbnail_key is not None,
        has_rendition=evidence.rendition_key is not None,
        has_waveform=bool(_peaks(evidence)),
    )


def open_link(evidence_id: UUID, part: Part, *, token: str, byte_range: str | None, now: datetime) -> Viewing:
    """Check a link and log the look. Forbidden for a wrong or expired link, NotFound for a missing part."""
    staff_id = _verify(evidence_id, token, now=now)
    with transaction() as session:
        roles = session.scalar(sa.select(Staff.roles).where(Staff.id == staff_id, Staff.left_at.is_(None)))
        if not set(roles or ()) & {role.value for role in MAY_LOOK}:
            raise Forbidden("link-withdrawn", "The person this link was made for may not look any more.")
        evidence = _stored(evidence_id)
        viewing = _viewing(evidence, part)
        looked: dict[str, object] = {"range": byte_range} if byte_range else {}
        session.add(
            AccessEntry(
                at=now,
                staff_id=staff_id,
                action=f"evidence.{part}",
                entity_kind="evidence",
                entity_id=evidence_id,
                request=looked,
            )
        )
    return viewing


@task("discard_segments")
def discard_segments(*, now: datetime, upload_id: str) -> None:
    """Clear away the staged bytes of an upload that has ended, however it ended."""
    upload = db.session.get(Upload, UUID(upload_id))
    if upload is None or upload.state == "open":
        return
    rows = db.session.scalars(sa.select(UploadSegment).where(UploadSegment.upload_id == upload.id)).all()
    segments = [Segment(start=row.start, size_bytes=row.size_bytes, key=row.key) for row in rows]
    release_connection()
    current_store().discard(upload_id, segments)
    with transaction() as session:
        session.execute(sa.delete(UploadSegment).where(UploadSegment.upload_id == UUID(upload_id)))


def _stored(evidence_id: UUID) -> Evidence:
    evidence = db.session.get(Evidence, evidence_id)
    if evidence is None:
        raise NotFound("evidence-unknown", "There is no such evidence.")
    if evidence.state == "erased":
        raise Gone("evidence-erased", "Its time was over and it was erased; `erasures` says by which rule.")
    if evidence.storage_key is None:
        raise NotFound("evidence-not-here", "Its bytes have not arrived (yet).", state=evidence.state)
    return evidence


def _viewing(evidence: Evidence, part: Part) -> Viewing:
    key, mime = evidence.storage_key, _shown_mime(evidence)
    if part == "thumbnail":
        key, mime = evidence.thumbnail_key, "image/jpeg"
    if part == "rendition":
        key, mime = evidence.rendition_key, "image/jpeg" if evidence.thumbnail_key else rendering.MIME
    peaks = _peaks(evidence)
    if key is None or (part == "waveform" and not peaks):
        raise NotFound(f"no-{part}", f"This evidence has no {part}.")
    sound = (evidence.inspection or {}).get("sound") or {}
    return Viewing(
        evidence_id=evidence.id,
        key=key,
        mime=mime,
        sha256=bytes.fromhex(key.split("/")[1]) if key.startswith("evidence/") else None,
        peaks=peaks,
        duration_seconds=sound.get("duration_seconds"),
    )


def _shown_mime(evidence: Evidence) -> str:
    """What the bytes were found to be; a phone's label alone is never trusted with a browser."""
    return (evidence.inspection or {}).get("sniffed_mime") or "application/octet-stream"


def _peaks(evidence: Evidence) -> list[int]:
    return ((evidence.inspection or {}).get("sound") or {}).get("peaks") or []


def _verify(evidence_id: UUID, token: str, *, now: datetime) -> UUID:
    """Return whom the link was made for."""
    parts = _TOKEN.fullmatch(token)
    if parts is None:
        raise Forbidden("link-invalid", "This link is not one of ours. Ask for a new one.")
    expires, staff_id, seal = parts.groups()
    if not current_signer().has_made(seal, _PURPOSE, f"{evidence_id}.{expires}.{staff_id}"):
        raise Forbidden("link-invalid", "This link is not one of ours. Ask for a new one.")
    if now.timestamp() >= int(expires):
        raise Forbidden("link-expired", "This link has expired. Ask for a new one.")
    return UUID(staff_id)

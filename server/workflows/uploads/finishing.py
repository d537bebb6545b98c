"""When all bytes are here: are they the promised file, and what follows from that?

The digest is verified on what the store holds. Then one transaction completes the upload, records the
evidence and enqueues its inspection; until it commits, the offset still lacks the last bytes, so a crash
anywhere only makes the phone send those again. An object that nothing names yet may be collected as an orphan
at any moment: the commit makes sure that it was not, else the segments are assembled again.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from server.database import db, release_connection, transaction
from server.errors import Conflict, Gone
from server.jobs import enqueue
from server.media.store import Assembled, MediaStore, Segment, SegmentMissing, StoreUnavailable
from server.models.evidence import Evidence, Upload, UploadSegment
from server.models.storage import count_collections, may_be_named
from server.workflows.uploads.grant import Grant

_TRIES: Final = 3


class _Collected(Exception):
    """What was assembled may have been collected before anything could name it: assemble it again."""


def finish(grant: Grant, uncounted: list[Segment], *, store: MediaStore, now: datetime) -> Grant:
    """Verify the whole file's digest and make it evidence; all of that or nothing.

    Safe to repeat after a crash anywhere: until the commit the offset still lacks the last bytes.
    """
    segments, expected = [*_counted_segments(grant), *uncounted], _expected_digest(grant)
    for _ in range(_TRIES):
        collections = count_collections(db.session())
        release_connection()
        try:
            found = store.assemble(str(grant.id), segments, expected=expected)
        except SegmentMissing as lost:
            give_up(grant)
            raise lost_here() from lost
        try:
            is_right = _record(grant, found, collections=collections, now=now)
        except _Collected:
            continue
        if is_right:
            return replace(grant, offset=found.size_bytes, state="complete")
        raise Conflict(
            "digest-mismatch",
            "These bytes are not the file that was promised. They were set aside; create the upload again.",
            actual_sha256=found.sha256.hex(),
        )
    raise StoreUnavailable("The same bytes are just being cleared away; try again.")


def taken_over() -> Conflict:
    """What an older request is told."""
    return Conflict("taken-over", "A newer request continues this upload; HEAD tells its offset.")


def lost_here() -> Gone:
    """What the phone is told when acknowledged bytes are not there any more."""
    return Gone("upload-lost", "A part of this upload was lost here. Create the upload again.")


def _counted_segments(grant: Grant) -> list[Segment]:
    """Return the segments that count, in order; only for the newest request."""
    if db.session.scalar(sa.select(Upload.fence).where(Upload.id == grant.id)) != grant.fence:
        raise taken_over()
    rows = db.session.scalars(
        sa.select(UploadSegment).where(UploadSegment.upload_id == grant.id).order_by(UploadSegment.start)
    )
    return [Segment(start=row.start, size_bytes=row.size_bytes, key=row.key) for row in rows]


def _expected_digest(grant: Grant) -> bytes | None:
    """The promise's digest if it is here, else what the upload announced, else None."""
    promised = db.session.scalar(sa.select(Evidence.sha256).where(Evidence.id == grant.evidence_id))
    return promised or grant.sha256


def give_up(grant: Grant) -> None:
    """Close an upload whose staged bytes the store has lost, so that the phone starts a new one."""
    with transaction() as session:
        session.execute(
            sa.update(Upload).where(Upload.id == grant.id, Upload.state == "open").values(state="expired")
        )
        enqueue("discard_segments", upload_id=str(grant.id))


def _record(grant: Grant, found: Assembled, *, collections: int, now: datetime) -> bool:
    """Complete the upload and its evidence; False when the bytes are not the promised ones.

    Not fenced: bytes that were verified are right, whoever sent them last. Locks evidence before upload, as
    creation does.
    """
    with transaction() as session:
        if not may_be_named(session, found.key, since=collections):
            raise _Collected
        evidence = session.get_one(Evidence, grant.evidence_id, with_for_update=True, populate_existing=True)
        upload = session.get_one(Upload, grant.id, with_for_update=True, populate_existing=True)
        if upload.state == "complete":
            return True
        Grant.of(upload).refuse_gone()
        enqueue("discard_segments", upload_id=str(grant.id))
        if not found.matches or evidence.sha256 not in (None, found.sha256):
            upload.state = "mismatched"
            _record_mismatch(evidence)
            return False
        upload.state = "complete"
        upload.length = upload.upload_offset = found.size_bytes
        _record_evidence(evidence, upload, found, now=now)
        return True


def _record_mismatch(evidence: Evidence) -> None:
    """A wrong file never takes the place of a right one that came before."""
    if evidence.state in ("stored", "verified"):
        return
    evidence.state = "mismatched"
    if evidence.visit_id is not None:
        visit_id = str(evidence.visit_id)
        enqueue("reconcile_visit", queueing_lock=f"reconcile-{visit_id}", visit_id=visit_id)


def _record_evidence(evidence: Evidence, upload: Upload, found: Assembled, *, now: datetime) -> None:
    if evidence.state in ("stored", "verified"):
        return
    evidence.state = "stored" if evidence.sha256 is None else "verified"
    evidence.storage_key = found.key
    evidence.stored_at = now
    evidence.size_bytes = found.size_bytes
    evidence.mime = evidence.mime or upload.mime
    enqueue("inspect_evidence", evidence_id=str(evidence.id))

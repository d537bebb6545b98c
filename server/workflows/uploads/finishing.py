"""When all bytes are here: are they the promised file, and what follows from that?

The digest is verified on what the store holds. Then one transaction completes the upload, records the
evidence and enqueues its inspection; until it commits, the offset still lacks the last bytes, so a crash
anywhere only makes the phone send those again. An object that nothing names yet may be collected as an orphan
at any moment: the commit makes sure that it was not, else the segments are assembled again.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from server.database import db, transaction
from server.driver import run, run_alone, run_each
from server.errors import Conflict, DomainError, Gone
from server.jobs import enqueue, task
from server.media.store import Assembled, MediaStore, Segment, SegmentMissing, StoreUnavailable
from server.models.evidence import Upload
from server.models.storage import asking_what_is_collected, may_be_named
from server.storage import current_store
from server.workflows.uploads.grant import GRANTED, Grant

_TRIES: Final = 3
LEFT_FOR: Final = timedelta(hours=1)
_LEFT: Final = f"""
    SELECT {GRANTED} FROM uploads
    WHERE state = 'open' AND upload_offset = length AND created_at < %(before)s
    ORDER BY expires_at LIMIT 1000
"""

log = structlog.get_logger()


class _Collected(Exception):
    """What was assembled may have been collected before anything could name it: assemble it again."""


def finish(grant: Grant, uncounted: list[Segment], *, store: MediaStore, now: datetime) -> Grant:
    """Verify the whole file's digest and make it evidence; all of that or nothing.

    Safe to repeat after a crash anywhere: until the commit the offset still lacks the last bytes.
    """
    for _ in range(_TRIES):
        standing = _standing(grant)
        try:
            segments = [*standing.segments, *uncounted]
            found = store.assemble(str(grant.id), segments, expected=standing.expected)
        except SegmentMissing as lost:
            give_up(grant)
            raise lost_here() from lost
        try:
            is_right = _record(grant, found, collections=standing.collections, now=now)
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


@task("finish_left", every="53 * * * *")
def finish_left(*, now: datetime) -> None:
    """Finish uploads that are all here, but whose request died before it could: nobody may ask again."""
    for row in run_alone(db.engine, _LEFT, {"before": now - LEFT_FOR}):
        try:
            finish(Grant.of(row), [], store=current_store(), now=now)
        except DomainError as refused:
            log.warning("upload.left_unfinished", upload_id=str(row.id), why=refused.slug)


class TakenOver(Conflict):
    """A newer request continues this upload: what an older one is told."""

    def __init__(self) -> None:
        super().__init__("taken-over", "A newer request continues this upload; HEAD tells its offset.")


def lost_here() -> Gone:
    """What the phone is told when acknowledged bytes are not there any more."""
    return Gone("upload-lost", "A part of this upload was lost here. Create the upload again.")


@dataclass(frozen=True, slots=True)
class _Standing:
    """What counts already of an upload, the digest its bytes must have (if any is known), and since when."""

    segments: list[Segment]
    expected: bytes | None
    collections: int


_STANDING: Final = """
    SELECT upload.fence, coalesce(evidence.sha256, upload.sha256) AS expected, kept.*,
           (SELECT coalesce(max(id), 0) FROM collections) AS collections
    FROM uploads upload
    LEFT JOIN evidence ON evidence.id = upload.evidence_id
    CROSS JOIN LATERAL (
        SELECT array_agg(start ORDER BY start) AS starts, array_agg(size_bytes ORDER BY start) AS sizes,
               array_agg(key ORDER BY start) AS keys
        FROM upload_segments WHERE upload_id = upload.id
    ) AS kept
    WHERE upload.id = %(id)s
"""


def _standing(grant: Grant) -> _Standing:
    """Ask in one statement, in no transaction; only the newest request is answered."""
    row = next(iter(run_alone(db.engine, _STANDING, {"id": grant.id})), None)
    if row is None or row.fence != grant.fence:
        raise TakenOver
    kept = zip(row.starts or (), row.sizes or (), row.keys or (), strict=True)
    segments = [Segment(start=start, size_bytes=size, key=key) for start, size, key in kept]
    return _Standing(segments, row.expected, row.collections)


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
        _, (collected,), (evidence,), (upload,) = run_each(
            session,
            *asking_what_is_collected(found.key),
            (_LOCK_EVIDENCE, {"id": grant.evidence_id}),
            (_LOCK_UPLOAD, {"id": grant.id}),
        )
        if not may_be_named(collected, since=collections):
            raise _Collected
        if upload.state == "complete":
            return True
        Grant.of(upload).refuse_gone()
        enqueue("discard_segments", upload_id=str(grant.id))
        is_right = found.matches and evidence.sha256 in (None, found.sha256)
        if not is_right:
            run(session, _MARK_MISMATCHED, {"id": grant.id})
            _record_mismatch(session, evidence)
        else:
            _record_evidence(session, grant, evidence, found, mime=upload.mime, now=now)
        return is_right


_LOCK_EVIDENCE: Final = "SELECT id, visit_id, state, sha256 FROM evidence WHERE id = %(id)s FOR UPDATE"
_LOCK_UPLOAD: Final = f"SELECT mime, {GRANTED} FROM uploads WHERE id = %(id)s FOR UPDATE"
_MARK_MISMATCHED: Final = "UPDATE uploads SET state = 'mismatched' WHERE id = %(id)s"
_COMPLETE: Final = """
    UPDATE uploads SET state = 'complete', length = %(size)s, upload_offset = %(size)s WHERE id = %(id)s
"""
_SPOIL: Final = "UPDATE evidence SET state = 'mismatched' WHERE id = %(id)s"
_STORE: Final = """
    UPDATE evidence SET state = %(state)s, storage_key = %(key)s, stored_at = %(now)s, size_bytes = %(size)s,
        mime = coalesce(nullif(mime, ''), %(mime)s)
    WHERE id = %(id)s
"""


def _record_mismatch(session: Session, evidence: Any) -> None:
    """A wrong file never takes the place of a right one that came before."""
    if evidence.state in ("stored", "verified"):
        return
    run(session, _SPOIL, {"id": evidence.id})
    if evidence.visit_id is not None:
        visit_id = str(evidence.visit_id)
        enqueue("reconcile_visit", queueing_lock=f"reconcile-{visit_id}", visit_id=visit_id)


def _record_evidence(
    session: Session, grant: Grant, evidence: Any, found: Assembled, *, mime: str, now: datetime
) -> None:
    completed = (_COMPLETE, {"id": grant.id, "size": found.size_bytes})
    if evidence.state in ("stored", "verified"):
        run(session, *completed)
        return
    stored = {
        "id": evidence.id,
        "state": "stored" if evidence.sha256 is None else "verified",
        "key": found.key,
        "now": now,
        "size": found.size_bytes,
        "mime": mime,
    }
    run_each(session, completed, (_STORE, stored))
    enqueue("inspect_evidence", evidence_id=str(evidence.id))

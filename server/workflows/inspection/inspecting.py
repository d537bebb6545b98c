"""What do evidence's bytes show, and are they the promised ones?

A broken file is a result. No transaction is held while the store or a decoder works.
"""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.database import db, release_connection, transaction
from server.jobs import enqueue, task
from server.media.inspect import inspect
from server.media.inspection import Inspection
from server.media.rendering import needs_rendition
from server.media.store import MediaStore, evidence_key
from server.models.evidence import Evidence, Upload
from server.models.prints import PicturePrint, SoundPrint
from server.speech import current_transcriber
from server.storage import current_store
from server.workflows.inspection.files import compare_later, local_copy, reconcile_later


@task("inspect_evidence")
def inspect_evidence(*, now: datetime, evidence_id: str) -> None:
    """Read what the bytes show and store it; a broken file is a result. Reconciles its visit afterwards."""
    evidence = db.session.get(Evidence, UUID(evidence_id))
    if evidence is None or evidence.storage_key is None:
        return
    key, claimed_mime = evidence.storage_key, evidence.mime or ""
    release_connection()
    store = current_store()
    with local_copy(store, key) as path:
        found = inspect(path, claimed_mime=claimed_mime)
    keep_inspection(UUID(evidence_id), found, key=key, now=now)


def keep_inspection(evidence_id: UUID, found: Inspection, *, key: str, now: datetime) -> None:
    """Store what was found in the bytes under `key`, and set going what follows from it."""
    store = current_store()
    thumbnail_key = _put(store, f"thumbnails/{evidence_id}", found.thumbnail)
    rendition_key = _put(store, f"renditions/{evidence_id}", found.display)
    name = str(evidence_id)
    with transaction() as session:
        evidence = session.get_one(Evidence, evidence_id, with_for_update=True, populate_existing=True)
        if evidence.storage_key != key:
            return
        evidence.inspection = found.to_json()
        _keep_prints(session, evidence.id, found)
        evidence.thumbnail_key = thumbnail_key
        if needs_rendition(found):
            enqueue("render_recording", queueing_lock=f"render-{name}", evidence_id=name)
        else:
            evidence.rendition_key = rendition_key
        if found.sound is not None and current_transcriber() is not None:
            enqueue("transcribe_evidence", queueing_lock=f"transcribe-{name}", evidence_id=name)
        evidence.inspected_at = now
        reconcile_later(evidence)
        compare_later(evidence)


@task("settle_evidence")
def settle_evidence(*, now: datetime, evidence_id: str) -> None:
    """Compare bytes that came first with the promise that came later."""
    with transaction() as session:
        evidence = session.get(Evidence, UUID(evidence_id), with_for_update=True, populate_existing=True)
        if evidence is None or evidence.storage_key is None or evidence.sha256 is None:
            return
        if evidence.storage_key == evidence_key(evidence.sha256):
            evidence.state = "verified"
        elif evidence.state == "stored":
            evidence.state = "mismatched"
            done = sa.update(Upload).where(Upload.evidence_id == evidence.id, Upload.state == "complete")
            session.execute(done.values(state="mismatched"))
        reconcile_later(evidence)
        compare_later(evidence)


def _keep_prints(session: Session, evidence_id: UUID, found: Inspection) -> None:
    """Replace what later visits' evidence is compared with."""
    session.execute(sa.delete(PicturePrint).where(PicturePrint.evidence_id == evidence_id))
    if found.perceptual_bits is not None:
        session.add(PicturePrint(evidence_id=evidence_id, bits=found.perceptual_bits))
    session.execute(sa.delete(SoundPrint).where(SoundPrint.evidence_id == evidence_id))
    if found.landmarks:
        session.add(
            SoundPrint(
                evidence_id=evidence_id, keys=found.landmarks.rare, landmarks=found.landmarks.to_bytes()
            )
        )


def _put(store: MediaStore, key: str, content: bytes | None) -> str | None:
    """Keep a picture that was made of evidence; return its key, if there is one."""
    if content is None:
        return None
    store.put(key, content, mime="image/jpeg")
    return key

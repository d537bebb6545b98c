"""What was said? A job of its own after the inspection, because it takes longer than all else together.

Without an engine nothing happens; with one, recordings that came before it are caught up with. When words
arrive, the visit is judged again.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from server.database import db, release_connection, transaction
from server.jobs import enqueue_each, task
from server.media.rendering import render
from server.media.store import ObjectMissing, ObjectUnreadable
from server.media.transcriber import Recording, Transcriber, Transcription, TranscriptionFailed
from server.models.evidence import Evidence
from server.models.storage import Rot
from server.models.transcripts import Transcript, TranscriptSegment
from server.speech import current_transcriber
from server.storage import current_store
from server.workflows.inspection.files import local_copy, reconcile_later
from server.workflows.storage.looking import look_at, write_down

CATCH_UP = 200


@task("transcribe_evidence")
def transcribe_evidence(*, now: datetime, evidence_id: str) -> None:
    """Have a recording heard and keep the words. An engine that is away makes the job come again."""
    engine = current_transcriber()
    evidence = db.session.get(Evidence, UUID(evidence_id), populate_existing=True)
    if engine is None or evidence is None or evidence.storage_key is None:
        return
    key, inspection = evidence.storage_key, evidence.inspection or {}
    if inspection.get("sound") is None:
        return
    release_connection()
    try:
        heard, failed = _hear(engine, key, inspection)
    except (ObjectMissing, ObjectUnreadable):
        write_down(look_at(current_store(), key), now=now)  # heard once it is mended
        return
    keep_transcript(UUID(evidence_id), heard, key=key, engine=engine.name, failed=failed, now=now)


def keep_transcript(
    evidence_id: UUID, heard: Transcription, *, key: str, engine: str, failed: str | None, now: datetime
) -> None:
    """Store what an engine heard in the bytes under `key` in place of what was heard before; judge again."""
    with transaction() as session:
        evidence = session.get_one(Evidence, evidence_id, with_for_update=True, populate_existing=True)
        if evidence.storage_key != key:
            return
        session.execute(sa.delete(Transcript).where(Transcript.evidence_id == evidence.id))
        transcript = Transcript(
            evidence_id=evidence.id, engine=engine, language=heard.language, made_at=now, failed=failed
        )
        session.add(transcript)
        session.flush()
        session.add_all(
            TranscriptSegment(
                evidence_id=evidence.id,
                number=number,
                start_seconds=words.start,
                end_seconds=words.end,
                text=words.text,
                confidence=words.confidence,
            )
            for number, words in enumerate(heard.words)
        )
        reconcile_later(evidence)


@task("transcribe_missing", every="*/10 * * * *")
def transcribe_missing(*, now: datetime) -> None:
    """Catch up with recordings that nobody has heard yet: they came before there was an engine."""
    if current_transcriber() is None:
        return
    with transaction() as session:
        waiting = session.scalars(
            sa.select(Evidence.id)
            .outerjoin(Transcript, Transcript.evidence_id == Evidence.id)
            .where(
                Transcript.evidence_id.is_(None),
                Evidence.kind.in_(("audio", "video")),
                Evidence.state == "verified",
                Evidence.inspection["sound"].astext.is_not(None),
                ~sa.exists().where(Rot.key == Evidence.storage_key, Rot.mended_at.is_(None)),
            )
            .order_by(Evidence.id.desc())
            .limit(CATCH_UP)
        ).all()
        enqueue_each(
            "transcribe_evidence", {f"transcribe-{one}": {"evidence_id": str(one)} for one in waiting}
        )


def _hear(engine: Transcriber, key: str, inspection: dict[str, Any]) -> tuple[Transcription, str | None]:
    """Decode a recording in a child process and have it heard; say why there are no words, if so."""
    nothing = Transcription(())
    speech = [(start, until) for start, until in inspection["sound"]["speech"]]
    if not speech:
        return nothing, None
    with local_copy(current_store(), key) as path:
        decoded = path.with_name(f"decoded.{engine.wants}")
        if not render(path, decoded, mime=inspection["sniffed_mime"]):
            return nothing, "It cannot be decoded."
        try:
            return engine.transcribe(Recording(decoded, speech)), None
        except TranscriptionFailed as fault:
            return nothing, str(fault)

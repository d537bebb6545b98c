"""From an uploaded recording to words that the reconciliation reads: a real engine, real speech."""

from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from server.database import db, transaction
from server.demo.scenes import encode, make_recording
from server.jobs import run_worker
from server.media.transcriber import (
    Recording,
    TranscriberUnavailable,
    Transcription,
    TranscriptionFailed,
)
from server.models.evidence import Evidence
from server.models.storage import Rot
from server.models.transcripts import Transcript, TranscriptSegment
from server.storage import current_store
from server.workflows.inspection import transcribing
from tests.api.test_evidence import a_stored, inspected
from tests.api.tus import Uploader
from tests.builders import now
from tests.media.speech import resampled, speak
from tests.media.sphinx import SphinxTranscriber

SAID = "please pay five thousand today"


def speech() -> bytes:
    return encode(resampled(*speak(SAID, words_a_minute=130), 48_000), container="webm")


def transcript_of(evidence_id: UUID) -> Transcript | None:
    db.session.rollback()
    return db.session.get(Transcript, evidence_id, populate_existing=True)


class Broken:
    """An engine that fails as it is told."""

    name, wants = "broken", "wav"

    def __init__(self, fault: Exception) -> None:
        self._fault = fault

    def transcribe(self, recording: Recording) -> Transcription:
        raise self._fault


def test_an_uploaded_recording_is_heard_by_itself_and_its_words_are_kept_encrypted(
    app: Flask, uploader: Uploader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.extensions, "transcriber", SphinxTranscriber(tmp_path, words=SAID))
    evidence_id = a_stored(uploader, speech())

    run_worker(app, until_idle=True)

    made = transcript_of(evidence_id)
    assert made is not None
    assert (made.engine, made.language, made.failed) == ("pocketsphinx", "en", None)
    (segment,) = db.session.scalars(sa.select(TranscriptSegment)).all()
    assert segment.text == SAID
    assert 0 <= segment.start_seconds < 0.5 < segment.end_seconds
    raw = db.session.execute(sa.text("SELECT text FROM transcript_segments")).scalar_one()
    assert b"thousand" not in bytes(raw)


def test_without_an_engine_nothing_waits_and_one_that_comes_later_catches_up(
    app: Flask, uploader: Uploader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence_id = a_stored(uploader, speech())
    run_worker(app, until_idle=True)
    transcribing.transcribe_missing(now=now())
    transcribing.transcribe_evidence(now=now(), evidence_id=str(evidence_id))
    assert transcript_of(evidence_id) is None

    monkeypatch.setitem(app.extensions, "transcriber", SphinxTranscriber(tmp_path, words=SAID))
    with transaction() as session:
        session.execute(sa.update(Evidence).values(kind="audio", state="verified"))
    transcribing.transcribe_missing(now=now())
    run_worker(app, until_idle=True)

    assert transcript_of(evidence_id) is not None


def test_a_recording_in_which_nobody_speaks_has_an_empty_transcript(
    app: Flask, uploader: Uploader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.extensions, "transcriber", Broken(AssertionError("nobody need be asked")))
    evidence_id = inspected(a_stored(uploader, make_recording(seconds=3, speech=False))).id

    transcribing.transcribe_evidence(now=now(), evidence_id=str(evidence_id))

    made = transcript_of(evidence_id)
    assert made is not None
    assert made.failed is None


def test_an_engine_that_is_away_makes_the_job_come_again_and_one_that_refuses_is_recorded(
    app: Flask, uploader: Uploader, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence_id = inspected(a_stored(uploader, make_recording(seconds=5, speech=True))).id

    monkeypatch.setitem(app.extensions, "transcriber", Broken(TranscriberUnavailable("away")))
    with pytest.raises(TranscriberUnavailable):
        transcribing.transcribe_evidence(now=now(), evidence_id=str(evidence_id))
    assert transcript_of(evidence_id) is None

    monkeypatch.setitem(app.extensions, "transcriber", Broken(TranscriptionFailed("too long")))
    transcribing.transcribe_evidence(now=now(), evidence_id=str(evidence_id))
    made = transcript_of(evidence_id)
    assert made is not None
    assert made.failed == "too long"


def test_a_recording_that_the_store_has_lost_is_rot_and_not_tried_for_ever(
    app: Flask, uploader: Uploader, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = inspected(a_stored(uploader, speech()))
    with transaction() as session:
        session.execute(sa.update(Evidence).values(kind="audio", state="verified"))
        session.execute(sa.text("DELETE FROM procrastinate_jobs"))
    monkeypatch.setitem(app.extensions, "transcriber", Broken(TranscriptionFailed("is never asked")))
    current_store().remove(found.storage_key or "")

    for _ in range(2):
        transcribing.transcribe_missing(now=now())
        run_worker(app, until_idle=True)

    db.session.rollback()
    asked = "SELECT status::text FROM procrastinate_jobs WHERE task_name = 'transcribe_evidence'"
    assert db.session.scalars(sa.text(asked)).all() == ["succeeded"]
    assert db.session.scalars(sa.select(Rot.kind)).all() == ["missing"]

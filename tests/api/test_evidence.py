"""What becomes of uploaded evidence, and who may look at it: links, ranges, the access log."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any
from uuid import UUID

import av
import pytest
import sqlalchemy as sa
from flask import Flask
from PIL import Image
from werkzeug.test import TestResponse

from server.authority import Role
from server.database import db, transaction
from server.demo.scenes import make_photo, make_recording
from server.jobs import run_worker
from server.media.store import StoreUnavailable
from server.models.access import AccessEntry
from server.models.evidence import Evidence, Upload, UploadSegment
from server.models.prints import PicturePrint
from server.workflows import evidence as workflow
from server.workflows.inspection import inspecting, rendering
from sync.protocol import uuid7
from tests.api.tus import Uploader
from tests.builders import Cast, now
from tests.office import Stopped

TAKEN = datetime(2026, 11, 24, 2, 3, 4, tzinfo=UTC)


def a_stored(uploader: Uploader, content: bytes) -> UUID:
    """Upload this content as evidence of its own and return its id."""
    uploader.evidence_id = uuid7()
    assert uploader.create(content, body=content).status_code == 201
    return uploader.evidence_id


def inspected(evidence_id: UUID) -> Evidence:
    inspecting.inspect_evidence(now=now(), evidence_id=str(evidence_id))
    return row(evidence_id)


def row(evidence_id: UUID) -> Evidence:
    db.session.rollback()
    return db.session.get_one(Evidence, evidence_id, populate_existing=True)


@dataclass
class Looking:
    """An auditor with a link in hand."""

    links: dict[str, Any]
    app: Flask

    def at(self, part: str, **headers: str) -> TestResponse:
        return self.app.test_client().get(self.links[part], headers=headers)


def a_link(app: Flask, cast: Cast, evidence_id: UUID, *, role: Role = Role.AUDITOR) -> Looking:
    answer = cast.person(role).get(f"/api/v1/evidence/{evidence_id}/link")
    assert answer.status_code == 200, answer.text
    return Looking(links=answer.get_json(), app=app)


@pytest.fixture
def photo() -> bytes:
    return make_photo(seed=3, size=(640, 480), taken_at=TAKEN, position=(31.23, 121.47), accuracy_m=6)


def test_a_photo_is_inspected_hashed_and_drawn_small(uploader: Uploader, photo: bytes) -> None:
    found = inspected(a_stored(uploader, photo))

    assert found.inspection is not None
    assert found.inspection["image"]["taken_at"] == "2026-11-24T02:03:04+00:00"
    assert found.inspection["mislabelled"] is False
    looks = db.session.get_one(PicturePrint, found.id)
    assert looks.bits == f"{int(found.inspection['image']['perceptual_hash'], 16):0256b}"
    assert found.thumbnail_key == f"thumbnails/{found.id}"


def test_the_worker_inspects_and_clears_up_by_itself(app: Flask, uploader: Uploader, photo: bytes) -> None:
    evidence_id = a_stored(uploader, photo)

    run_worker(app, until_idle=True)

    found = row(evidence_id)
    assert found.inspection is not None
    assert found.inspection["failed"] is None
    upload_id = db.session.scalar(sa.select(Upload.id).where(Upload.evidence_id == evidence_id))
    assert not (app.extensions["media_store"].root / "uploads" / str(upload_id)).exists()


def test_a_recording_is_measured_and_heard(uploader: Uploader) -> None:
    found = inspected(a_stored(uploader, make_recording(seconds=5, speech=True)))

    assert found.inspection is not None
    assert found.inspection["sound"]["duration_seconds"] == pytest.approx(5, abs=0.05)
    assert found.inspection["sound"]["speech_seconds"] > 3
    assert found.inspection["mislabelled"] is True
    assert found.thumbnail_key is None
    assert db.session.get(PicturePrint, found.id) is None


def test_a_broken_photo_is_kept_and_its_inspection_says_why(
    app: Flask, cast: Cast, uploader: Uploader, photo: bytes
) -> None:
    found = inspected(a_stored(uploader, photo[:2000]))

    assert found.inspection is not None
    assert "truncated" in found.inspection["failed"]
    assert a_link(app, cast, found.id).at("content").data == photo[:2000]


def test_a_recording_that_not_every_browser_plays_gets_a_copy_that_does(
    app: Flask, cast: Cast, uploader: Uploader
) -> None:
    evidence_id = a_stored(uploader, make_recording(seconds=5, speech=True))
    run_worker(app, until_idle=True)

    looking = a_link(app, cast, evidence_id)
    answer = looking.at("rendition")

    assert answer.mimetype == "audio/mpeg"
    with av.open(BytesIO(answer.data), "r", format="mp3") as played:
        seconds = sum(frame.samples / frame.sample_rate for frame in played.decode(audio=0))
    assert seconds == pytest.approx(5, abs=0.2)
    assert looking.at("content", Range="bytes=0-3").data == b"\x1a\x45\xdf\xa3"


def test_what_every_browser_plays_gets_no_copy(app: Flask, cast: Cast, uploader: Uploader) -> None:
    evidence_id = a_stored(uploader, make_recording(seconds=2, speech=False, container="m4a"))
    run_worker(app, until_idle=True)

    assert a_link(app, cast, evidence_id).links["rendition"] is None


def test_a_large_or_turned_photo_is_shown_small_and_upright(
    app: Flask, cast: Cast, uploader: Uploader
) -> None:
    turned = inspected(a_stored(uploader, make_photo(seed=1, size=(800, 600), orientation=6))).id
    large = inspected(a_stored(uploader, make_photo(seed=1, size=(3000, 2000)))).id

    shown = [Image.open(BytesIO(a_link(app, cast, one).at("rendition").data)) for one in (turned, large)]

    assert [picture.size for picture in shown] == [(600, 800), (2048, 1365)]
    assert not shown[0].getexif()


def test_rendering_a_recording_that_cannot_be_played_changes_nothing(uploader: Uploader) -> None:
    broken = inspected(a_stored(uploader, make_recording(seconds=3, speech=False, container="m4a")[:9000]))

    rendering.render_recording(now=now(), evidence_id=str(broken.id))

    assert row(broken.id).rendition_key is None


def test_inspecting_twice_changes_nothing(uploader: Uploader, photo: bytes) -> None:
    evidence_id = a_stored(uploader, photo)

    first = dict(inspected(evidence_id).inspection or {})
    again = inspected(evidence_id)

    assert again.inspection == first


def test_inspecting_what_is_not_there_does_nothing(app: Flask, uploader: Uploader) -> None:
    uploader.created(b"not sent yet")

    inspecting.inspect_evidence(now=now(), evidence_id=str(uploader.evidence_id))
    inspecting.inspect_evidence(now=now(), evidence_id=str(uuid7()))

    assert row(uploader.evidence_id).inspected_at is None


def test_a_store_that_is_away_makes_the_job_come_again(
    app: Flask, uploader: Uploader, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence_id = a_stored(uploader, photo)

    def away(*_: object) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(app.extensions["media_store"], "copy_to", away)
    with pytest.raises(StoreUnavailable):
        inspecting.inspect_evidence(now=now(), evidence_id=str(evidence_id))


@pytest.mark.parametrize(("matches", "state"), [(True, "verified"), (False, "mismatched")])
def test_a_promise_that_comes_after_the_bytes_settles_them(
    uploader: Uploader, photo: bytes, matches: bool, state: str
) -> None:
    evidence_id = a_stored(uploader, photo)
    promised = hashlib.sha256(photo if matches else b"another").digest()
    with transaction() as session:
        session.execute(sa.update(Evidence).values(sha256=promised, promised_item=uuid7()))

    inspecting.settle_evidence(now=now(), evidence_id=str(evidence_id))

    assert row(evidence_id).state == state


def test_bytes_that_a_late_promise_refutes_can_be_replaced(uploader: Uploader, photo: bytes) -> None:
    evidence_id = a_stored(uploader, b"the wrong file")
    with transaction() as session:
        session.execute(
            sa.update(Evidence).values(sha256=hashlib.sha256(photo).digest(), promised_item=uuid7())
        )
    inspecting.settle_evidence(now=now(), evidence_id=str(evidence_id))

    assert uploader.create(photo, body=photo).status_code == 201

    assert row(evidence_id).state == "verified"


def test_staged_bytes_are_cleared_once_the_upload_is_over_and_not_before(
    app: Flask, uploader: Uploader
) -> None:
    at = uploader.created(b"x" * 1000)
    uploader.patch(at, 0, b"x" * 400)
    upload_id = at.rpartition("/")[2]

    workflow.discard_segments(now=now(), upload_id=upload_id)
    uploader.patch(at, 400, b"x" * 600)
    workflow.discard_segments(now=now(), upload_id=upload_id)
    workflow.discard_segments(now=now(), upload_id=upload_id)

    assert row(uploader.evidence_id).storage_key is not None
    assert db.session.scalar(sa.select(sa.func.count()).select_from(UploadSegment)) == 0
    assert not (app.extensions["media_store"].root / "uploads" / upload_id).exists()


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.SUPERVISOR])
def test_auditors_and_supervisors_see_the_original_bytes(
    app: Flask, cast: Cast, uploader: Uploader, photo: bytes, role: Role
) -> None:
    evidence_id = inspected(a_stored(uploader, photo)).id

    answer = a_link(app, cast, evidence_id, role=role).at("content")

    assert (answer.status_code, answer.data, answer.mimetype) == (200, photo, "image/jpeg")
    assert answer.headers["Content-Disposition"] == f'inline; filename="{evidence_id}.jpg"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["ETag"] == f'"{hashlib.sha256(photo).hexdigest()}"'


@pytest.mark.parametrize("role", [Role.DISPATCHER, Role.VISITOR, Role.ADMIN])
def test_others_get_no_link(cast: Cast, uploader: Uploader, photo: bytes, role: Role) -> None:
    evidence_id = a_stored(uploader, photo)

    assert cast.person(role).get(f"/api/v1/evidence/{evidence_id}/link").status_code == 403


def test_a_stranger_gets_neither_link_nor_bytes(
    app: Flask, stranger: Any, uploader: Uploader, photo: bytes
) -> None:
    evidence_id = a_stored(uploader, photo)

    assert stranger.get(f"/api/v1/evidence/{evidence_id}/link").status_code == 401
    assert stranger.get(f"/api/v1/evidence/{evidence_id}/content").status_code == 422
    assert stranger.get(f"/api/v1/evidence/{evidence_id}/content?token=guess").status_code == 403


RANGES = {
    "the first byte": ("bytes=0-0", 206, slice(0, 1)),
    "the middle": ("bytes=1000-1999", 206, slice(1000, 2000)),
    "from here on": ("bytes=1000-", 206, slice(1000, None)),
    "the last ten": ("bytes=-10", 206, slice(-10, None)),
    "beyond the end": ("bytes=1000-99999999", 206, slice(1000, None)),
    "two ranges": ("bytes=0-1,5-6", 200, slice(None)),
    "another unit": ("seconds=0-1", 200, slice(None)),
    "nonsense": ("bytes=x-y", 200, slice(None)),
}


@pytest.mark.parametrize("name", list(RANGES))
def test_a_player_may_ask_for_a_range(
    app: Flask, cast: Cast, uploader: Uploader, photo: bytes, name: str
) -> None:
    asked, status, part = RANGES[name]

    answer = a_link(app, cast, a_stored(uploader, photo)).at("content", Range=asked)

    assert (answer.status_code, answer.data) == (status, photo[part])
    assert answer.headers["Content-Length"] == str(len(answer.data))
    assert ("Content-Range" in answer.headers) == (status == 206)


def test_a_range_after_the_end_is_416(app: Flask, cast: Cast, uploader: Uploader, photo: bytes) -> None:
    answer = a_link(app, cast, a_stored(uploader, photo)).at("content", Range=f"bytes={len(photo)}-")

    assert (answer.status_code, answer.mimetype) == (416, "application/problem+json")
    assert answer.headers["Content-Range"] == f"bytes */{len(photo)}"


def test_a_range_of_another_version_is_answered_with_the_whole(
    app: Flask, cast: Cast, uploader: Uploader, photo: bytes
) -> None:
    looking = a_link(app, cast, a_stored(uploader, photo))

    other = looking.at("content", **{"Range": "bytes=0-9", "If-Range": '"another"'})
    same = looking.at("content", **{"Range": "bytes=0-9", "If-Range": other.headers["ETag"]})

    assert (other.status_code, same.status_code) == (200, 206)


def test_the_thumbnail_and_the_waveform_are_behind_the_same_link(
    app: Flask, cast: Cast, uploader: Uploader, photo: bytes
) -> None:
    picture = a_link(app, cast, inspected(a_stored(uploader, photo)).id)
    sound = a_link(app, cast, inspected(a_stored(uploader, make_recording(seconds=3, speech=True))).id)

    assert picture.at("thumbnail").data.startswith(b"\xff\xd8")
    assert picture.links["waveform"] is None
    assert sound.links["thumbnail"] is None
    waveform = sound.at("waveform").get_json()
    assert len(waveform["peaks"]) == 30
    assert waveform["duration_seconds"] == pytest.approx(3, abs=0.05)


def test_asking_for_a_part_that_is_not_there_is_404(
    app: Flask, cast: Cast, uploader: Uploader, photo: bytes
) -> None:
    looking = a_link(app, cast, a_stored(uploader, photo))
    looking.links["thumbnail"] = looking.links["content"].replace("/content", "/thumbnail")

    assert looking.at("thumbnail").status_code == 404


def test_what_is_not_inspected_or_not_a_picture_is_handed_out_as_a_download(
    app: Flask, cast: Cast, uploader: Uploader
) -> None:
    page = b"<script>alert(document.domain)</script>"

    answer = a_link(app, cast, inspected(a_stored(uploader, page)).id).at("content")

    assert answer.mimetype == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment")


def test_every_look_is_logged_with_who_what_and_when(
    app: Flask, cast: Cast, uploader: Uploader, photo: bytes
) -> None:
    evidence_id = inspected(a_stored(uploader, photo)).id
    looking = a_link(app, cast, evidence_id)

    looking.at("content", Range="bytes=0-9")
    looking.at("thumbnail")

    entries = db.session.scalars(sa.select(AccessEntry).order_by(AccessEntry.at)).all()
    assert [(entry.action, entry.entity_id) for entry in entries] == [
        ("evidence.content", evidence_id),
        ("evidence.thumbnail", evidence_id),
    ]
    assert {entry.staff_id for entry in entries} == {cast.person(Role.AUDITOR).staff.id}
    assert entries[0].request == {"range": "bytes=0-9"}


def test_a_link_works_for_five_minutes_and_for_one_piece_of_evidence(
    app: Flask, cast: Cast, uploader: Uploader, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, other = a_stored(uploader, photo), a_stored(uploader, b"another file")
    given = now()
    monkeypatch.setitem(app.extensions, "clock", Stopped(at=given))
    looking = a_link(app, cast, first)

    elsewhere = looking.links["content"].replace(str(first), str(other))
    assert app.test_client().get(elsewhere).status_code == 403

    monkeypatch.setitem(app.extensions, "clock", Stopped(at=given + timedelta(minutes=4, seconds=59)))
    assert looking.at("content").status_code == 200
    monkeypatch.setitem(app.extensions, "clock", Stopped(at=given + timedelta(minutes=5, seconds=1)))
    late = looking.at("content")
    assert (late.status_code, late.get_json()["type"]) == (403, "/problems/link-expired")


def test_a_link_ends_when_its_holder_leaves(app: Flask, cast: Cast, uploader: Uploader, photo: bytes) -> None:
    looking = a_link(app, cast, a_stored(uploader, photo))
    with transaction() as session:
        session.merge(cast.person(Role.AUDITOR).staff).left_at = now()

    assert looking.at("content").status_code == 403


def test_unknown_evidence_and_evidence_without_bytes_are_404(cast: Cast, uploader: Uploader) -> None:
    uploader.created(b"not sent yet")
    auditor = cast.person(Role.AUDITOR)

    assert auditor.get(f"/api/v1/evidence/{uuid7()}/link").status_code == 404
    assert auditor.get("/api/v1/evidence/none/link").status_code == 404
    expected = auditor.get(f"/api/v1/evidence/{uploader.evidence_id}/link")
    assert (expected.status_code, expected.get_json()["state"]) == (404, "uploading")

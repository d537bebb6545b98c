"""Uploads that are cut, overtaken, repeated or hit by a fault: no received byte is lost or doubled."""

import hashlib
import tracemalloc
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from server.database import db, transaction
from server.media.store import StoreUnavailable
from server.models.evidence import Evidence, Upload
from server.workflows.uploads import creating, finishing, receiving
from sync.protocol import uuid7
from tests.api.tus import (
    BYTES,
    CONTENT,
    CutBody,
    Uploader,
    checksum,
    evidence_of,
    jobs,
    problem_of,
    stored,
)
from tests.builders import now


def test_a_lost_201_leads_to_the_same_upload(uploader: Uploader) -> None:
    first, again = uploader.created(CONTENT), uploader.created(CONTENT)

    assert first == again
    assert uploader.created(CONTENT + b"other") != first


def test_a_lost_final_204_is_seen_by_head_and_an_empty_patch_is_welcome(uploader: Uploader) -> None:
    at = uploader.created(CONTENT)
    uploader.patch(at, 0, CONTENT)

    assert uploader.offset(at) == len(CONTENT)
    assert uploader.patch(at, len(CONTENT), b"").status_code == 204
    assert uploader.patch(at, 0, CONTENT).status_code == 409
    assert uploader.created(CONTENT) == at
    assert jobs("inspect_evidence") == 1


def test_a_chunk_cut_short_counts_without_a_checksum_and_not_with_one(uploader: Uploader) -> None:
    at = uploader.created(CONTENT)

    uploader.patch(at, 0, CutBody(CONTENT, after=300, reset=False))
    assert uploader.offset(at) == 300

    rest = CONTENT[300:]
    uploader.patch(at, 300, CutBody(rest, after=300, reset=True), Upload_Checksum=checksum(rest))
    assert uploader.offset(at) == 300


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
def test_cut_at_every_byte_every_received_byte_is_kept(
    app: Flask, uploader: Uploader, monkeypatch: pytest.MonkeyPatch, reset: bool
) -> None:
    monkeypatch.setattr(receiving, "SEGMENT_BYTES", 8)
    monkeypatch.setattr(receiving, "PIECE_BYTES", 3)
    content = CONTENT[:40]
    for after in range(len(content) + 1):
        uploader.evidence_id = uuid7()
        at = uploader.created(content)

        uploader.patch(at, 0, CutBody(content, after=after, reset=reset))

        assert uploader.offset(at) == after
        uploader.patch(at, after, content[after:])
        assert stored(app, uploader) == content


@given(cuts=st.lists(st.tuples(st.integers(0, 200), st.booleans(), st.booleans()), max_size=6))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_breaks_the_file_arrives_whole(
    app: Flask, uploader: Uploader, cuts: list[tuple[int, bool, bool]]
) -> None:
    uploader.evidence_id = uuid7()
    content = CONTENT[:600]
    at = uploader.created(content)
    for after, reset, is_checked in cuts:
        offset = uploader.offset(at)
        rest = content[offset:]
        headers = {"Upload_Checksum": checksum(rest)} if is_checked else {}
        uploader.patch(at, offset, CutBody(rest, after=after, reset=reset), **headers)

    uploader.patch(at, uploader.offset(at), content[uploader.offset(at) :])

    assert stored(app, uploader) == content


def test_an_older_request_can_write_no_more_once_somebody_asked_head(app: Flask, uploader: Uploader) -> None:
    at = uploader.created(CONTENT)

    class Overtaken(CutBody):
        """The phone asks HEAD on a new connection while its old PATCH is still alive."""

        def read(self, size: int = -1) -> bytes:
            piece = super().read(min(size, 200))
            if len(self._left) < 600:
                assert uploader.offset(at) == 0
            return piece

    answer = uploader.patch(at, 0, Overtaken(CONTENT, after=len(CONTENT), reset=False))

    assert (answer.status_code, problem_of(answer)) == (409, "taken-over")
    assert (uploader.offset(at), evidence_of(uploader).storage_key) == (0, None)
    assert uploader.patch(at, 0, CONTENT).status_code == 204


def test_of_two_patches_at_one_offset_the_newer_one_wins(
    app: Flask, uploader: Uploader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "SEGMENT_BYTES", 100)
    monkeypatch.setattr(receiving, "PIECE_BYTES", 50)
    at = uploader.created(CONTENT)
    answers = []

    class Rival(CutBody):
        def read(self, size: int = -1) -> bytes:
            if len(self._left) <= 900 and not answers:
                reached = uploader.offset(at)
                answers.append(uploader.patch(at, reached, CONTENT[reached : reached + 300]))
            return super().read(size)

    older = uploader.patch(at, 0, Rival(CONTENT, after=len(CONTENT), reset=False))

    assert [answer.status_code for answer in answers] in ([204], [409])
    assert older.status_code == 409
    offset = uploader.offset(at)
    uploader.patch(at, offset, CONTENT[offset:])
    assert stored(app, uploader) == CONTENT


def test_a_crash_between_the_final_put_and_the_commit_loses_nothing(
    app: Flask, uploader: Uploader, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = uploader.created(CONTENT)
    uploader.patch(at, 0, CONTENT[:600])

    class PowerCut(Exception):
        """The process ends here."""

    def crash(*_: object, **__: object) -> bool:
        raise PowerCut

    with monkeypatch.context() as broken:
        broken.setattr(finishing, "_record", crash)
        assert uploader.patch(at, 600, CONTENT[600:]).status_code == 500

    assert uploader.offset(at) == 600
    assert uploader.patch(at, 600, CONTENT[600:]).status_code == 204
    assert stored(app, uploader) == CONTENT


def test_an_upload_whose_staged_bytes_are_lost_is_gone_and_can_be_made_anew(
    app: Flask, uploader: Uploader
) -> None:
    at = uploader.created(CONTENT)
    uploader.patch(at, 0, CONTENT[:600])
    app.extensions["media_store"].discard(at.rpartition("/")[2], [])

    assert uploader.patch(at, 600, CONTENT[600:]).status_code == 410
    assert uploader.head(at).status_code == 410
    again = uploader.created(CONTENT)
    uploader.patch(again, uploader.offset(again), CONTENT)

    assert stored(app, uploader) == CONTENT


def test_a_full_disk_is_503_and_what_came_before_stays(
    app: Flask, uploader: Uploader, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = uploader.created(CONTENT)
    uploader.patch(at, 0, CONTENT[:600])

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("server.media.disk.os.pwrite", full)
        answer = uploader.patch(at, 600, CONTENT[600:])

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert uploader.offset(at) == 600


@pytest.mark.parametrize("cuts", [(), (600,)], ids=["whole", "in pieces"])
def test_no_database_connection_is_held_while_bytes_arrive_or_the_store_works(
    app: Flask, uploader: Uploader, monkeypatch: pytest.MonkeyPatch, cuts: tuple[int, ...]
) -> None:
    at = uploader.created(CONTENT)
    held: list[int] = []

    def watch() -> None:
        held.append(db.engine.pool.checkedout())  # pyright: ignore[reportAttributeAccessIssue]

    class Watched(CutBody):
        def read(self, size: int = -1) -> bytes:
            watch()
            return super().read(size)

    store = app.extensions["media_store"]
    for step in ("keep", "append_segment", "assemble"):
        take = getattr(store, step)
        monkeypatch.setattr(store, step, lambda *args, take=take, **told: (watch(), take(*args, **told))[1])

    for start, stop in zip((0, *cuts), (*cuts, len(CONTENT)), strict=True):
        piece = CONTENT[start:stop]
        uploader.patch(at, start, Watched(piece, after=len(piece), reset=False))

    assert len(held) > 1 + len(cuts)
    assert set(held) == {0}
    assert stored(app, uploader) == CONTENT


def test_memory_stays_flat_whatever_the_size(uploader: Uploader) -> None:
    size = 48 * 1024 * 1024

    class Endless(CutBody):
        """Sends zeros without holding them."""

        def __init__(self) -> None:
            super().__init__(b"", after=0, reset=False)
            self.announced = size
            self.left = size

        def read(self, size: int = -1) -> bytes:
            size = min(size, self.left)
            self.left -= size
            return bytes(size)

    digest = hashlib.sha256(bytes(size)).hexdigest()
    at = uploader.created(b"", sha256=digest, Upload_Length=str(size))
    tracemalloc.start()
    answer = uploader.patch(at, 0, Endless())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, str(size))
    assert peak < 8 * 1024 * 1024


@pytest.mark.parametrize(("method", "status"), [("HEAD", 423), ("PATCH", 503)])
def test_while_the_database_is_away_no_client_gives_its_upload_up(
    uploader: Uploader, monkeypatch: pytest.MonkeyPatch, method: str, status: int
) -> None:
    at = uploader.created(CONTENT)

    def away(*_: object, **__: object) -> None:
        raise OperationalError("UPDATE uploads", {}, Exception("server closed the connection"))

    monkeypatch.setattr(creating, "resume", away)
    answer = uploader.call(method, at, headers={"Upload-Offset": "0", "Content-Type": BYTES}, data=b"x")

    assert (answer.status_code, answer.headers["Retry-After"]) == (status, "5")


def no_room(*_: object, **__: object) -> None:
    raise StoreUnavailable("The media disk cannot take more.")


@pytest.fixture
def all_here(app: Flask, uploader: Uploader, monkeypatch: pytest.MonkeyPatch) -> str:
    """An upload all of whose bytes count, told its length at the end, when the store had no room."""
    at = uploader.created(CONTENT, Upload_Length=None, Upload_Defer_Length="1", sha256=None)
    uploader.patch(at, 0, CONTENT)
    with monkeypatch.context() as full:
        full.setattr(app.extensions["media_store"], "assemble", no_room)
        ended = uploader.patch(at, len(CONTENT), b"", Upload_Length=str(len(CONTENT)))
        asked = uploader.head(at)
    assert (ended.status_code, asked.status_code, asked.headers["Retry-After"]) == (503, 423, "5")
    assert evidence_of(uploader).storage_key is None
    return at


def test_whoever_asks_for_an_upload_that_is_all_here_finishes_it(
    app: Flask, uploader: Uploader, all_here: str
) -> None:
    assert uploader.offset(all_here) == len(CONTENT)

    assert stored(app, uploader) == CONTENT
    assert jobs("inspect_evidence") == 1


def test_what_is_all_here_is_finished_though_nobody_asks_again(
    app: Flask, uploader: Uploader, all_here: str
) -> None:
    creating.expire_uploads(now=now() + timedelta(days=8))

    finishing.finish_left(now=now() + timedelta(minutes=50))
    assert evidence_of(uploader).storage_key is None  # its request may still be alive
    finishing.finish_left(now=now() + timedelta(hours=2))

    assert stored(app, uploader) == CONTENT
    assert jobs("discard_segments") == 1


def test_what_is_all_here_can_be_asked_for_after_its_time(
    app: Flask, uploader: Uploader, all_here: str
) -> None:
    with transaction() as session:
        session.execute(sa.update(Upload).values(expires_at=now() - timedelta(days=1)))

    assert uploader.offset(all_here) == len(CONTENT)

    assert stored(app, uploader) == CONTENT


def test_other_bytes_that_are_all_here_are_set_aside_and_stop_nobody(
    app: Flask, uploader: Uploader, all_here: str
) -> None:
    with transaction() as session:
        other = hashlib.sha256(b"another").digest()
        session.execute(sa.update(Evidence).values(sha256=other))

    finishing.finish_left(now=now() + timedelta(hours=2))

    assert uploader.head(all_here).status_code == 410
    assert evidence_of(uploader).state == "mismatched"


def test_a_file_without_bytes_is_finished_by_the_creation_that_comes_again(
    app: Flask, uploader: Uploader, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setattr(app.extensions["media_store"], "assemble", no_room)
        assert uploader.create(b"").status_code == 503

    at = uploader.created(b"")

    assert stored(app, uploader) == b""
    assert uploader.offset(at) == 0

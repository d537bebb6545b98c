"""A file that one request brings as a whole: the short way promises what the long one does."""

import hashlib

import pytest
from flask import Flask

from server.media.store import evidence_key
from server.workflows.uploads import receiving, whole
from tests.api.tus import CONTENT, CutBody, Uploader, evidence_of, jobs, stored

KEY = evidence_key(hashlib.sha256(CONTENT).digest())


def is_staged(app: Flask, at: str) -> bool:
    return app.extensions["media_store"].has_staged(at.rpartition("/")[2])


@pytest.mark.parametrize("sha256", ["right", None], ids=["digest told", "digest not told"])
@pytest.mark.parametrize("is_created_with_it", [True, False])
def test_a_whole_file_becomes_evidence_and_nothing_is_staged(
    app: Flask, uploader: Uploader, sha256: str | None, is_created_with_it: bool
) -> None:
    if is_created_with_it:
        answer = uploader.create(CONTENT, sha256=sha256, body=CONTENT)
    else:
        answer = uploader.patch(uploader.created(CONTENT, sha256=sha256), 0, CONTENT)

    at = uploader.created(CONTENT, sha256=sha256)
    assert answer.headers["Upload-Offset"] == str(len(CONTENT))
    assert (evidence_of(uploader).storage_key, evidence_of(uploader).mime) == (KEY, "image/jpeg")
    assert stored(app, uploader) == CONTENT
    assert not is_staged(app, at)
    assert (jobs("inspect_evidence"), jobs("discard_segments")) == (1, 0)


def test_a_crash_between_the_put_and_the_commit_leaves_the_offset_where_it_was(
    app: Flask, uploader: Uploader, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = uploader.created(CONTENT)

    class PowerCut(Exception):
        """The process ends here."""

    def crash(*_: object, **__: object) -> bool:
        raise PowerCut

    with monkeypatch.context() as broken:
        broken.setattr(whole, "run_holding", crash)
        assert uploader.patch(at, 0, CONTENT).status_code == 500
    assert app.extensions["media_store"].size(KEY) == len(CONTENT)
    assert uploader.offset(at) == 0

    assert uploader.patch(at, 0, CONTENT).status_code == 204
    assert stored(app, uploader) == CONTENT
    assert jobs("inspect_evidence") == 1


def test_the_right_file_a_second_time_changes_nothing(app: Flask, uploader: Uploader) -> None:
    uploader.create(CONTENT, body=CONTENT)
    stored_at = evidence_of(uploader).stored_at

    uploader.create(CONTENT, sha256=None, body=CONTENT)

    assert evidence_of(uploader).stored_at == stored_at
    assert jobs("inspect_evidence") == 1


def test_what_came_slowly_is_kept_on_the_way(
    app: Flask, uploader: Uploader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(receiving, "PIECE_BYTES", 100)
    at = uploader.created(CONTENT)
    seen = []

    class Watched(CutBody):
        def read(self, size: int = -1) -> bytes:
            piece = super().read(min(size, 100))
            seen.append(is_staged(app, at))
            return piece

    answer = uploader.patch(at, 0, Watched(CONTENT, after=len(CONTENT), reset=False))

    assert answer.status_code == 204
    assert (seen[0], seen[-1]) == (False, True)
    assert stored(app, uploader) == CONTENT

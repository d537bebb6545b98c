"""The same uploads on an S3 store: bytes end where they should and a crash costs nothing."""

import secrets

import pytest
from flask import Flask

from server.database import db
from server.media.opening import open_store
from server.media.store import MediaStore
from server.models.evidence import Evidence
from server.workflows import evidence
from server.workflows.uploads import finishing
from tests.api.tus import Uploader
from tests.builders import a_handset, a_visitor, now
from tests.object_stores import BUCKET, moto_s3, rclone_s3

__all__ = ["moto_s3", "rclone_s3"]
CONTENT = bytes(range(256)) * 12 * 1024


@pytest.fixture(params=["rclone", "moto"])
def bucket(request: pytest.FixtureRequest, app: Flask, monkeypatch: pytest.MonkeyPatch) -> MediaStore:
    keys: dict[str, str] = request.getfixturevalue(f"{request.param}_s3")
    store = open_store(f"s3://{BUCKET}/{secrets.token_hex(4)}", **keys)
    monkeypatch.setitem(app.extensions, "media_store", store)
    return store


def test_three_megabytes_in_two_parts_become_one_object(app: Flask, bucket: MediaStore) -> None:
    uploader = Uploader(app, a_handset(a_visitor()))
    at = uploader.created(CONTENT)

    uploader.patch(at, 0, CONTENT[:1_500_000])
    uploader.patch(at, 1_500_000, CONTENT[1_500_000:])
    evidence.discard_segments(now=now(), upload_id=at.rpartition("/")[2])

    key = db.session.get_one(Evidence, uploader.evidence_id, populate_existing=True).storage_key
    assert key is not None
    assert b"".join(bucket.read(key)) == CONTENT


def test_a_crash_between_the_final_put_and_the_commit_costs_one_segment(
    app: Flask, bucket: MediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploader = Uploader(app, a_handset(a_visitor()))
    at = uploader.created(CONTENT)

    class PowerCut(Exception):
        """The process ends here."""

    def crash(*_: object, **__: object) -> bool:
        raise PowerCut

    uploader.patch(at, 0, CONTENT[:1000])
    with monkeypatch.context() as broken:
        broken.setattr(finishing, "_record", crash)
        assert uploader.patch(at, 1000, CONTENT[1000:]).status_code == 500

    offset = uploader.offset(at)
    assert len(CONTENT) - 1024 * 1024 <= offset < len(CONTENT)
    assert uploader.patch(at, offset, CONTENT[offset:]).status_code == 204
    assert uploader.offset(at) == len(CONTENT)

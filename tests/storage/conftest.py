"""Evidence on each kind of store: a disk, and two S3 implementations."""

import secrets
from pathlib import Path

import pytest
from flask import Flask

from server.media.opening import open_store
from tests.api.tus import Uploader
from tests.builders import a_handset, a_visitor
from tests.object_stores import BUCKET, moto_s3, rclone_s3
from tests.storage.shelf import Shelf

__all__ = ["moto_s3", "rclone_s3"]


@pytest.fixture(params=["disk", "rclone", "moto"])
def shelf(
    request: pytest.FixtureRequest, app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Shelf:
    """The app on an empty store of its own."""
    if request.param == "disk":
        store = open_store(str(tmp_path / "media"))
    else:
        keys: dict[str, str] = request.getfixturevalue(f"{request.param}_s3")
        store = open_store(f"s3://{BUCKET}/{secrets.token_hex(4)}", **keys)
    monkeypatch.setitem(app.extensions, "media_store", store)
    return Shelf(app, store)


@pytest.fixture
def uploader(app: Flask) -> Uploader:
    """A qualified visitor's handset."""
    return Uploader(app, a_handset(a_visitor()))


@pytest.fixture
def disk(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """The app on an empty disk store."""
    store = open_store(str(tmp_path / "media"))
    monkeypatch.setitem(app.extensions, "media_store", store)
    return Shelf(app, store)

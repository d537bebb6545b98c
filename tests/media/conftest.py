"""Stores to run the contract on: a disk, and two S3 implementations served on this machine."""

import secrets
from pathlib import Path

import pytest

from server.media.opening import open_store
from server.media.store import MediaStore
from tests.object_stores import BUCKET, moto_s3, rclone_s3

__all__ = ["moto_s3", "rclone_s3"]


@pytest.fixture(params=["disk", "rclone", "moto"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> MediaStore:
    """Each implementation in turn, empty: S3 stores get a prefix of their own."""
    if request.param == "disk":
        return open_store(str(tmp_path / "media"))
    keys: dict[str, str] = request.getfixturevalue(f"{request.param}_s3")
    return open_store(f"s3://{BUCKET}/{secrets.token_hex(4)}", **keys)

"""An examiner, and stores to run the contract on: a disk, and two S3 implementations of this machine."""

import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from server.media.examine import examine
from server.media.inspection import Inspection
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


@pytest.fixture
def examined(tmp_path: Path) -> Callable[..., Inspection]:
    """Examine bytes in this process, without the child's start-up time."""

    def run(content: bytes, claimed_mime: str = "") -> Inspection:
        path = tmp_path / "evidence"
        path.write_bytes(content)
        return examine(path, claimed_mime=claimed_mime)

    return run

"""On a bucket with Object Lock evidence stays until its day, and whoever would remove it is told which."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from server.media.access import S3Access
from server.media.opening import open_store, open_stores
from server.media.s3 import S3Store
from server.media.store import ObjectLocked, ObjectMissing, Retention, evidence_key
from tests.object_stores import BUCKET

MIB = 1024 * 1024
SMALL, LARGE = b"a photo" * 1000, b"a recording." * MIB
LOCKED = "locked"


@pytest.fixture(scope="module")
def vault(moto_s3: dict[str, str]) -> dict[str, str]:
    """A bucket with Object Lock, which makes it a versioned one."""
    client = boto3.client(
        "s3",
        endpoint_url=moto_s3["endpoint"],
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )
    client.create_bucket(Bucket=LOCKED, ObjectLockEnabledForBucket=True)
    return moto_s3


def opened(access: dict[str, str], name: str, *, days: int = 730, mode: str = "GOVERNANCE") -> S3Store:
    retention = Retention(days=days, mode=mode)
    store = open_stores(f"s3://{LOCKED}/{name}", retention=retention, access=S3Access(**access))
    assert isinstance(store, S3Store)
    return store


def store_whole(store: S3Store, content: bytes, *, upload: str = "u1") -> str:
    segments = [
        store.append_segment(upload, start=start, content=content[start : start + MIB], fence=1)
        for start in range(0, len(content), MIB)
    ]
    done = store.assemble(upload, segments, expected=hashlib.sha256(content).digest())
    store.discard(upload, segments)
    assert done.matches
    return done.key


def lock_of(store: S3Store, key: str) -> tuple[str | None, datetime | None]:
    told: dict[str, Any] = store.client.head_object(Bucket=LOCKED, Key=store.prefix + key)
    return told.get("ObjectLockMode"), told.get("ObjectLockRetainUntilDate")


def versions_below(store: S3Store, folder: str) -> int:
    told = store.client.list_object_versions(Bucket=LOCKED, Prefix=f"{store.prefix}{folder}/")
    return len(told.get("Versions", ())) + len(told.get("DeleteMarkers", ()))


def in_days(days: int) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("mode", ["GOVERNANCE", "COMPLIANCE"])
def test_evidence_is_stored_with_its_lock_and_cannot_be_removed(
    vault: dict[str, str], content: bytes, mode: str
) -> None:
    store = opened(vault, f"kept-{mode}-{len(content)}", mode=mode)

    key = store_whole(store, content)

    found_mode, until = lock_of(store, key)
    assert found_mode == mode
    assert until is not None and in_days(729) < until <= in_days(730)
    with pytest.raises(ObjectLocked) as refusal:
        store.remove(key)
    assert f"{until:%Y-%m-%d}" in refusal.value.detail
    assert b"".join(store.read(key)) == content


def test_segments_leave_nothing_behind_in_a_versioned_bucket(vault: dict[str, str]) -> None:
    store = opened(vault, "segments")

    store_whole(store, SMALL)

    assert versions_below(store, "uploads") == 0
    assert versions_below(store, "evidence") == 1


def test_what_is_made_of_evidence_is_not_locked_and_goes_without_a_trace(vault: dict[str, str]) -> None:
    store = opened(vault, "derived")
    store.put("thumbnails/one", b"first", mime="image/jpeg")
    store.put("thumbnails/one", b"second", mime="image/jpeg")

    store.remove("thumbnails/one")
    store.remove("thumbnails/one")

    assert versions_below(store, "thumbnails") == 0
    with pytest.raises(ObjectMissing):
        store.size("thumbnails/one")


def test_a_name_that_begins_like_another_does_not_go_with_it(vault: dict[str, str]) -> None:
    store = opened(vault, "names")
    store.put("thumbnails/one", b"first", mime="image/jpeg")
    store.put("thumbnails/one-more", b"second", mime="image/jpeg")

    store.remove("thumbnails/one")

    assert b"".join(store.read("thumbnails/one-more")) == b"second"


def test_the_same_bytes_sent_again_are_locked_for_as_long_as_new_ones(vault: dict[str, str]) -> None:
    earlier, now = opened(vault, "again", days=10), opened(vault, "again", days=730)
    key = store_whole(earlier, SMALL)

    store_whole(now, SMALL, upload="u2")

    until = lock_of(now, key)[1]
    assert until is not None and until > in_days(729)
    store_whole(earlier, SMALL, upload="u3")
    assert lock_of(now, key)[1] == until


def test_evidence_that_moves_in_from_another_store_is_locked_too(vault: dict[str, str]) -> None:
    store, key = opened(vault, "moved"), evidence_key(hashlib.sha256(SMALL).digest())

    store.take(key, iter((SMALL,)), size_bytes=len(SMALL), sha256=hashlib.sha256(SMALL).digest())

    assert lock_of(store, key)[0] == "GOVERNANCE"


def test_with_no_days_nothing_is_locked(vault: dict[str, str]) -> None:
    store = opened(vault, "unlocked", days=0)
    key = store_whole(store, SMALL)

    assert lock_of(store, key) == (None, None)
    store.remove(key)

    assert versions_below(store, "evidence") == 0


def test_a_bucket_without_object_lock_is_used_as_ever(moto_s3: dict[str, str]) -> None:
    store = open_store(f"s3://{BUCKET}/plain", **moto_s3)
    assert isinstance(store, S3Store)

    key = store_whole(store, SMALL)

    assert not store.locking.is_on
    store.remove(key)
    with pytest.raises(ObjectMissing):
        store.size(key)

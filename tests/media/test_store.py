"""The contract of every MediaStore, run on disk, rclone serve s3 and moto."""

import hashlib
import random
import shutil
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import boto3
import pytest

from server.media.opening import open_store
from server.media.store import (
    MediaStore,
    ObjectLocked,
    ObjectMissing,
    Segment,
    SegmentMissing,
    StaleWriter,
    StoreUnavailable,
    evidence_key,
)

MIB = 1024 * 1024
ANY_KEYS = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}


def some_bytes(size: int, *, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def upload(store: MediaStore, key: str, content: bytes, *, piece: int = MIB) -> list[Segment]:
    return [
        store.append_segment(key, start=start, content=content[start : start + piece], fence=1)
        for start in range(0, len(content), piece)
    ]


def whole(store: MediaStore, key: str) -> bytes:
    return b"".join(store.read(key))


@pytest.mark.parametrize("size", [0, 1, 70_000, 3 * MIB, 19 * MIB + 7])
def test_segments_become_one_object_named_by_its_digest(store: MediaStore, size: int) -> None:
    content = some_bytes(size)
    sha256 = hashlib.sha256(content).digest()

    done = store.assemble("u1", upload(store, "u1", content), expected=sha256)

    assert (done.key, done.sha256, done.size_bytes, done.matches) == (
        evidence_key(sha256),
        sha256,
        size,
        True,
    )
    assert whole(store, done.key) == content
    assert store.size(done.key) == size


def test_without_a_promised_digest_the_actual_one_names_the_object(store: MediaStore) -> None:
    content = some_bytes(100_000)

    done = store.assemble("u1", upload(store, "u1", content, piece=30_000), expected=None)

    assert done.matches
    assert done.key == evidence_key(hashlib.sha256(content).digest())


@pytest.mark.parametrize("size", [5_000, 9 * MIB])
def test_other_bytes_than_promised_go_to_quarantine_and_never_become_evidence(
    store: MediaStore, size: int
) -> None:
    promised = hashlib.sha256(b"the promised bytes").digest()
    content = some_bytes(size)

    done = store.assemble("u1", upload(store, "u1", content), expected=promised)

    assert not done.matches
    assert done.key == "quarantine/u1"
    assert whole(store, done.key) == content
    with pytest.raises(ObjectMissing):
        store.size(evidence_key(promised))


@pytest.mark.parametrize("size", [0, 1, 3 * MIB])
def test_a_whole_file_is_kept_under_its_digest_again_and_again(store: MediaStore, size: int) -> None:
    content = some_bytes(size)
    sha256 = hashlib.sha256(content).digest()

    kept = {store.keep(memoryview(content), expected=expected) for expected in (sha256, None)}

    assert kept == {sha256}
    assert whole(store, evidence_key(sha256)) == content
    assert [one.key for one in store.walk("evidence")] == [evidence_key(sha256)]


def test_a_whole_file_that_is_not_the_expected_one_is_not_kept(store: MediaStore) -> None:
    content = some_bytes(3 * MIB)

    kept = store.keep(memoryview(content), expected=hashlib.sha256(b"another").digest())

    assert kept is None
    assert list(store.walk("evidence")) == []
    assert store.tidy(before=datetime.now(UTC) + timedelta(days=1)) == 0


def test_assembling_again_after_a_crash_gives_the_same_object(store: MediaStore) -> None:
    content = some_bytes(2 * MIB)
    segments = upload(store, "u1", content)
    first = store.assemble("u1", segments, expected=None)

    again = store.assemble("u1", segments, expected=first.sha256)
    store.discard("u1", segments)
    store.discard("u1", segments)

    assert again == first
    assert whole(store, first.key) == content


def test_the_same_file_uploaded_twice_is_kept_once_and_survives_both_clean_ups(store: MediaStore) -> None:
    content = some_bytes(9 * MIB)
    for key in ("u1", "u2"):
        segments = upload(store, key, content)
        done = store.assemble(key, segments, expected=hashlib.sha256(content).digest())
        store.discard(key, segments)

        assert done.matches
        assert whole(store, done.key) == content


def test_writing_to_an_upload_that_became_evidence_leaves_the_evidence_alone(store: MediaStore) -> None:
    content = some_bytes(10_000)
    segments = upload(store, "u1", content, piece=5_000)
    done = store.assemble("u1", segments, expected=None)

    store.append_segment("u1", start=5_000, content=b"x" * 5_000, fence=2)

    assert whole(store, done.key) == content


def test_a_lost_segment_is_noticed_and_nothing_is_assembled(store: MediaStore) -> None:
    segments = upload(store, "u1", some_bytes(3000), piece=1000)
    store.discard("u1", segments)

    with pytest.raises(SegmentMissing):
        store.assemble("u1", segments, expected=None)


def test_segments_that_do_not_follow_one_another_are_refused(store: MediaStore) -> None:
    first, second, third = upload(store, "u1", some_bytes(3000), piece=1000)

    with pytest.raises(SegmentMissing) as lost:
        store.assemble("u1", [first, third], expected=None)

    assert lost.value.facts["start"] == 1000
    assert second.start == 1000


def test_an_older_writer_never_changes_what_a_newer_one_wrote(store: MediaStore) -> None:
    ours = store.append_segment("u1", start=0, content=b"new bytes", fence=5)
    with suppress(StaleWriter):
        store.append_segment("u1", start=0, content=b"old bytes", fence=4)

    done = store.assemble("u1", [ours], expected=None)

    assert whole(store, done.key) == b"new bytes"


def test_rewriting_the_same_offset_with_a_newer_fence_wins(store: MediaStore) -> None:
    store.append_segment("u1", start=0, content=b"cut off here", fence=1)

    kept = store.append_segment("u1", start=0, content=b"whole", fence=2)

    assert whole(store, store.assemble("u1", [kept], expected=None).key) == b"whole"


@pytest.mark.parametrize(
    ("start", "stop"), [(0, None), (0, 10), (5, 999_999), (700_000, 700_001), (999_999, None)]
)
def test_ranges_are_the_same_bytes(store: MediaStore, start: int, stop: int | None) -> None:
    content = some_bytes(1_000_000)
    key = store.assemble("u1", upload(store, "u1", content), expected=None).key

    assert b"".join(store.read(key, start=start, stop=stop)) == content[start:stop]


def test_a_thumbnail_is_replaced_as_a_whole(store: MediaStore) -> None:
    store.put("thumbnails/one", b"first, and longer", mime="image/jpeg")
    store.put("thumbnails/one", b"second", mime="image/jpeg")

    copy = BytesIO()
    store.copy_to("thumbnails/one", copy)

    assert copy.getvalue() == b"second"


def test_a_removed_object_is_gone_and_may_be_removed_again(store: MediaStore) -> None:
    key = store.assemble("u1", upload(store, "u1", some_bytes(1000)), expected=None).key
    store.put("thumbnails/one", b"small", mime="image/jpeg")

    for _ in range(2):
        store.remove(key)

    with pytest.raises(ObjectMissing):
        store.size(key)
    assert whole(store, "thumbnails/one") == b"small"


def test_a_versioned_bucket_hides_nothing_and_a_locked_object_is_said_to_be_locked(
    moto_s3: dict[str, str],
) -> None:
    client = boto3.client("s3", endpoint_url=moto_s3["endpoint"], region_name="us-east-1", **ANY_KEYS)
    client.create_bucket(Bucket="vault", ObjectLockEnabledForBucket=True)
    store = open_store("s3://vault", **moto_s3)
    for content in (b"first", b"second"):
        store.put("thumbnails/one", content, mime="image/jpeg")
    until = datetime.now(UTC) + timedelta(days=1)
    client.put_object(
        Bucket="vault", Key="thumbnails/two", Body=b"kept",
        ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until,
    )  # fmt: skip

    store.remove("thumbnails/one")
    with pytest.raises(ObjectLocked):
        store.remove("thumbnails/two")

    left = client.list_object_versions(Bucket="vault")
    assert [one["Key"] for one in left.get("Versions", [])] == ["thumbnails/two"]
    assert "DeleteMarkers" not in left
    assert whole(store, "thumbnails/two") == b"kept"


def test_an_unknown_object_is_missing_at_once(store: MediaStore) -> None:
    for ask in (store.size, store.read):
        with pytest.raises(ObjectMissing):
            ask("evidence/" + "0" * 64)


@pytest.mark.parametrize(
    "key", ["../etc/passwd", "evidence/../../x", "evidence", "/evidence/aa", "evidence/a.b"]
)
def test_no_key_leads_out_of_the_store(store: MediaStore, key: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        store.size(key)


def test_a_store_says_whether_it_can_be_used(store: MediaStore) -> None:
    store.check()


def test_a_store_that_is_not_there_says_so(moto_s3: dict[str, str], tmp_path: Path) -> None:
    disk = open_store(str(tmp_path / "media"))
    shutil.rmtree(tmp_path / "media")

    for missing in (disk, open_store("s3://no-such-bucket", **moto_s3)):
        with pytest.raises(StoreUnavailable):
            missing.check()


@pytest.mark.parametrize("url", ["", "s3://", "ftp://somewhere/media"])
def test_a_setting_that_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not a media store"):
        open_store(url)

"""What the S3 store does when the service answers 409, 412 or 503, or succeeds without saying so.

Answers are put in front of a real server's (moto): the first N requests of an operation do not reach it, or
reach it and their answer is lost.
"""

import hashlib
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.exceptions import ReadTimeoutError

from server.media.opening import open_store
from server.media.s3 import S3Store
from server.media.store import StoreUnavailable, evidence_key
from tests.object_stores import BUCKET

SMALL = b"a photo" * 1000
LARGE = secrets.token_bytes(1024) * 9 * 1024


@pytest.fixture
def s3(moto_s3: dict[str, str]) -> S3Store:
    store = open_store(f"s3://{BUCKET}/{secrets.token_hex(4)}", **moto_s3)
    assert isinstance(store, S3Store)
    return store


class Answer:
    """A raw HTTP answer as botocore expects one."""

    def __init__(self, status: int, code: str) -> None:
        body = f"<Error><Code>{code}</Code><Message>said the test</Message></Error>".encode()
        self.response = AWSResponse("http://test", status, {}, _Raw(body))


class _Raw:
    def __init__(self, body: bytes) -> None:
        self.body = body

    def stream(self, **_: Any) -> list[bytes]:
        return [self.body]


def interfere(
    store: S3Store, operation: str, *, times: int, reply: Callable[[AWSRequest], AWSResponse]
) -> list[int]:
    """Answer the first `times` requests of an operation ourselves; the list grows with each one."""
    seen: list[int] = []

    def before_send(request: AWSRequest, **_: Any) -> AWSResponse | None:
        if len(seen) >= times:
            return None
        seen.append(1)
        return reply(request)

    store.client.meta.events.register(f"before-send.s3.{operation}", before_send)
    return seen


def say(status: int, code: str) -> Callable[[AWSRequest], AWSResponse]:
    return lambda _: Answer(status, code).response


def succeed_silently(store: S3Store) -> Callable[[AWSRequest], AWSResponse]:
    """Carry the request out, then lose the answer as a read time-out does."""

    def reply(request: AWSRequest) -> AWSResponse:
        store.client._endpoint.http_session.send(request)
        raise ReadTimeoutError(endpoint_url=request.url)

    return reply


def store_whole(store: S3Store, content: bytes) -> str:
    segment = store.append_segment("u1", start=0, content=content, fence=1)
    done = store.assemble("u1", [segment], expected=hashlib.sha256(content).digest())
    assert done.matches
    return done.key


@pytest.mark.parametrize(("status", "code"), [(503, "SlowDown"), (500, "InternalError")])
def test_a_busy_store_is_asked_again(s3: S3Store, status: int, code: str) -> None:
    interfere(s3, "PutObject", times=1, reply=say(status, code))

    key = store_whole(s3, SMALL)

    assert b"".join(s3.read(key)) == SMALL


def test_a_store_that_stays_busy_is_reported_as_unavailable_not_as_a_fault(s3: S3Store) -> None:
    interfere(s3, "PutObject", times=99, reply=say(503, "SlowDown"))

    with pytest.raises(StoreUnavailable) as refusal:
        s3.append_segment("u1", start=0, content=SMALL, fence=1)

    assert refusal.value.retry_after


@pytest.mark.parametrize(
    ("operation", "content"),
    [("PutObject", SMALL), ("CompleteMultipartUpload", LARGE)],
    ids=["small", "large"],
)
def test_a_race_with_a_twin_is_settled_by_trying_again(s3: S3Store, operation: str, content: bytes) -> None:
    segment = s3.append_segment("u1", start=0, content=content, fence=1)
    seen = interfere(s3, operation, times=2, reply=say(409, "ConditionalRequestConflict"))

    done = s3.assemble("u1", [segment], expected=hashlib.sha256(content).digest())

    assert len(seen) == 2
    assert b"".join(s3.read(done.key)) == content


@pytest.mark.parametrize(
    ("operation", "content"),
    [("PutObject", SMALL), ("CompleteMultipartUpload", LARGE)],
    ids=["small", "large"],
)
def test_a_time_out_after_success_ends_in_success(s3: S3Store, operation: str, content: bytes) -> None:
    segment = s3.append_segment("u1", start=0, content=content, fence=1)
    seen = interfere(s3, operation, times=1, reply=succeed_silently(s3))

    done = s3.assemble("u1", [segment], expected=hashlib.sha256(content).digest())

    assert seen
    assert b"".join(s3.read(done.key)) == content


def test_rotten_bytes_under_the_same_address_are_replaced(s3: S3Store) -> None:
    key = evidence_key(hashlib.sha256(SMALL).digest())
    s3.put(key, b"rot" + SMALL[3:], mime="application/octet-stream")

    assert store_whole(s3, SMALL) == key
    assert b"".join(s3.read(key)) == SMALL


def test_a_mismatch_leaves_no_unfinished_multipart_upload_behind(s3: S3Store) -> None:
    segment = s3.append_segment("u1", start=0, content=LARGE, fence=1)

    done = s3.assemble("u1", [segment], expected=hashlib.sha256(b"other").digest())

    assert not done.matches
    assert "Uploads" not in s3.client.list_multipart_uploads(Bucket=BUCKET, Prefix=s3.prefix)


def test_segments_that_were_written_but_never_counted_are_discarded_too(s3: S3Store) -> None:
    s3.append_segment("u1", start=0, content=b"counted", fence=1)
    s3.append_segment("u1", start=7, content=b"never counted", fence=1)

    s3.discard("u1", [])

    assert s3.client.list_objects_v2(Bucket=BUCKET, Prefix=f"{s3.prefix}uploads/u1")["KeyCount"] == 0

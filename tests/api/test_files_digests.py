"""Only the promised bytes ever become evidence."""

import hashlib

import pytest
from flask import Flask

from server.media.store import evidence_key
from tests.api.tus import (
    CONTENT,
    Uploader,
    evidence_of,
    problem_of,
    promise,
    stored,
)


def test_bytes_that_are_not_the_promised_file_never_show_as_complete(app: Flask, uploader: Uploader) -> None:
    promised = hashlib.sha256(b"the promised photo").digest()
    promise(uploader, promised)
    at = uploader.created(CONTENT, sha256=promised.hex())

    answer = uploader.patch(at, 0, CONTENT)

    assert (answer.status_code, problem_of(answer)) == (409, "digest-mismatch")
    assert uploader.head(at).status_code == 410
    assert evidence_of(uploader).state == "mismatched"
    quarantined = app.extensions["media_store"].read(f"quarantine/{at.rpartition('/')[2]}")
    assert b"".join(quarantined) == CONTENT


def test_after_two_mismatches_the_third_creation_is_refused_for_good(uploader: Uploader) -> None:
    wrong = hashlib.sha256(b"another photo").hexdigest()
    for _ in range(2):
        uploader.patch(uploader.created(CONTENT, sha256=wrong), 0, CONTENT)

    answer = uploader.create(CONTENT, sha256=wrong)

    assert (answer.status_code, problem_of(answer)) == (422, "digest-mismatch-again")


@pytest.mark.parametrize("content", [b"", CONTENT], ids=["zero length", "with upload"])
def test_a_mismatch_at_creation_is_never_a_success(uploader: Uploader, content: bytes) -> None:
    answer = uploader.create(content, sha256=hashlib.sha256(b"other").hexdigest(), body=content)

    assert answer.status_code == 409


def test_after_a_mismatch_the_right_file_can_still_arrive(app: Flask, uploader: Uploader) -> None:
    right = hashlib.sha256(CONTENT).digest()
    promise(uploader, right)
    garbled = b"x" + CONTENT[1:]
    uploader.patch(uploader.created(CONTENT), 0, garbled)

    uploader.patch(uploader.created(CONTENT), 0, CONTENT)

    assert evidence_of(uploader).state == "verified"
    assert stored(app, uploader) == CONTENT


def test_media_after_its_promise_is_verified(uploader: Uploader) -> None:
    promise(uploader, hashlib.sha256(CONTENT).digest())

    uploader.patch(uploader.created(CONTENT, sha256=None), 0, CONTENT)

    evidence = evidence_of(uploader)
    assert (evidence.state, evidence.kind) == ("verified", "photo")
    assert evidence.storage_key == evidence_key(hashlib.sha256(CONTENT).digest())


def test_another_digest_than_promised_is_refused_before_a_byte_is_sent(uploader: Uploader) -> None:
    promise(uploader, hashlib.sha256(b"the promised photo").digest())

    answer = uploader.create(CONTENT)

    assert (answer.status_code, problem_of(answer)) == (422, "digest-not-promised")

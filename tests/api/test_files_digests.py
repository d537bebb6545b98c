"""Only the promised bytes ever become evidence."""

import hashlib

import pytest
from flask import Flask

from server.media.store import evidence_key
from tests.api.tus import (
    CONTENT,
    Phone,
    evidence_of,
    problem_of,
    promise,
    stored,
)


def test_bytes_that_are_not_the_promised_file_never_show_as_complete(app: Flask, phone: Phone) -> None:
    promised = hashlib.sha256(b"the promised photo").digest()
    promise(phone, promised)
    at = phone.created(CONTENT, sha256=promised.hex())

    answer = phone.patch(at, 0, CONTENT)

    assert (answer.status_code, problem_of(answer)) == (409, "digest-mismatch")
    assert phone.head(at).status_code == 410
    assert evidence_of(phone).state == "mismatched"
    quarantined = app.extensions["media_store"].read(f"quarantine/{at.rpartition('/')[2]}")
    assert b"".join(quarantined) == CONTENT


def test_after_two_mismatches_the_third_creation_is_refused_for_good(phone: Phone) -> None:
    wrong = hashlib.sha256(b"another photo").hexdigest()
    for _ in range(2):
        phone.patch(phone.created(CONTENT, sha256=wrong), 0, CONTENT)

    answer = phone.create(CONTENT, sha256=wrong)

    assert (answer.status_code, problem_of(answer)) == (422, "digest-mismatch-again")


@pytest.mark.parametrize("content", [b"", CONTENT], ids=["zero length", "with upload"])
def test_a_mismatch_at_creation_is_never_a_success(phone: Phone, content: bytes) -> None:
    answer = phone.create(content, sha256=hashlib.sha256(b"other").hexdigest(), body=content)

    assert answer.status_code == 409


def test_after_a_mismatch_the_right_file_can_still_arrive(app: Flask, phone: Phone) -> None:
    right = hashlib.sha256(CONTENT).digest()
    promise(phone, right)
    garbled = b"x" + CONTENT[1:]
    phone.patch(phone.created(CONTENT), 0, garbled)

    phone.patch(phone.created(CONTENT), 0, CONTENT)

    assert evidence_of(phone).state == "verified"
    assert stored(app, phone) == CONTENT


def test_media_after_its_promise_is_verified(phone: Phone) -> None:
    promise(phone, hashlib.sha256(CONTENT).digest())

    phone.patch(phone.created(CONTENT, sha256=None), 0, CONTENT)

    evidence = evidence_of(phone)
    assert (evidence.state, evidence.kind) == ("verified", "photo")
    assert evidence.storage_key == evidence_key(hashlib.sha256(CONTENT).digest())


def test_another_digest_than_promised_is_refused_before_a_byte_is_sent(phone: Phone) -> None:
    promise(phone, hashlib.sha256(b"the promised photo").digest())

    answer = phone.create(CONTENT)

    assert (answer.status_code, problem_of(answer)) == (422, "digest-not-promised")

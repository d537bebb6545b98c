"""Only the promised bytes ever become evidence."""

import hashlib
from uuid import UUID

import pytest
from flask import Flask

from server.media.store import evidence_key
from server.workflows.inspection.inspecting import settle_evidence
from tests.api.tus import (
    CONTENT,
    Uploader,
    evidence_of,
    problem_of,
    promise,
    stored,
)
from tests.builders import a_handset, a_visitor, now
from tests.security.hostile import Forger


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


def test_a_promise_claims_what_another_phone_of_its_visitor_brought_before_it(app: Flask) -> None:
    old = Forger.with_a_visit(app)
    promised = old.evidence_body(sha256=hashlib.sha256(CONTENT).hexdigest(), size_bytes=len(CONTENT))
    new = Uploader(app, a_handset(old.staff), evidence_id=UUID(promised["evidence_id"]))
    assert new.create(CONTENT, body=CONTENT).status_code == 201

    (told,) = old.push([old.next_item("visit.evidence", promised)])
    settle_evidence(now=now(), evidence_id=promised["evidence_id"])

    assert (told["outcome"], told["flags"]) == ("applied", [])
    evidence = evidence_of(new)
    assert (evidence.visit_id, evidence.state) == (old.visit_id, "verified")
    assert evidence.device_id == old.handset.device.id


def test_a_promise_claims_nothing_that_a_colleague_brought(app: Flask) -> None:
    victim = Forger.with_a_visit(app)
    theirs = Uploader(app, a_handset(a_visitor()))
    assert theirs.create(CONTENT, body=CONTENT).status_code == 201

    (told,) = victim.push(
        [victim.next_item("visit.evidence", victim.evidence_body(evidence_id=str(theirs.evidence_id)))]
    )

    assert told["flags"] == ["evidence_promised_twice"]
    assert evidence_of(theirs).visit_id is None

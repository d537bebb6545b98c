"""tus 1.0.0 at /api/v1/files: what each request answers, and what never happens to a byte."""

import hashlib
from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from server.authority import Role
from server.database import db, transaction
from server.media.store import evidence_key
from server.models.evidence import Evidence, Upload
from server.workflows.uploads import finishing, grant, receiving
from sync.protocol import uuid7
from tests.api.tus import BYTES, FILES, CutBody, Phone, checksum, metadata
from tests.builders import a_handset, a_visitor

CONTENT = b"the first photo of the door " * 40


@pytest.fixture
def phone(app: Flask) -> Phone:
    return Phone(app, a_handset(a_visitor()))


def evidence_of(phone: Phone) -> Evidence:
    db.session.rollback()
    return db.session.get_one(Evidence, phone.evidence_id, populate_existing=True)


def stored(app: Flask, phone: Phone) -> bytes:
    key = evidence_of(phone).storage_key
    assert key is not None
    return b"".join(app.extensions["media_store"].read(key))


def jobs(name: str) -> int:
    db.session.rollback()
    counted = sa.text("SELECT count(*) FROM procrastinate_jobs WHERE task_name = :name")
    return db.session.execute(counted, {"name": name}).scalar_one()


def problem_of(answer: TestResponse) -> str:
    """The slug of a problem."""
    return answer.get_json()["type"].removeprefix("/problems/")


def promise(phone: Phone, sha256: bytes) -> None:
    """Write the row that the promise item of this evidence makes."""
    with transaction() as session:
        session.merge(
            Evidence(
                id=phone.evidence_id,
                device_id=phone.handset.device.id,
                promised_item=uuid7(),
                kind="photo",
                sha256=sha256,
            )
        )


def test_options_says_what_the_server_can_do_to_anybody(app: Flask) -> None:
    answer = app.test_client().options(FILES)

    assert answer.status_code == 204
    assert answer.headers["Tus-Version"] == "1.0.0"
    assert "checksum" in answer.headers["Tus-Extension"]
    assert answer.headers["Tus-Checksum-Algorithm"] == "sha1,sha256"
    assert "Tus-Resumable" not in answer.headers
    assert "Upload-Offset" in answer.headers["Access-Control-Expose-Headers"]


def test_a_file_sent_in_three_parts_becomes_stored_evidence(app: Flask, phone: Phone) -> None:
    at = phone.created(CONTENT)

    offsets = [
        int(phone.patch(at, start, CONTENT[start : start + 400]).headers["Upload-Offset"])
        for start in range(0, len(CONTENT), 400)
    ]

    assert offsets == [400, 800, len(CONTENT)]
    assert stored(app, phone) == CONTENT
    assert evidence_of(phone).state == "stored"
    assert jobs("inspect_evidence") == 1


def test_head_tells_offset_length_and_the_metadata_as_sent(phone: Phone) -> None:
    at = phone.created(CONTENT)
    phone.patch(at, 0, CONTENT[:500])

    answer = phone.head(at)

    assert answer.headers["Upload-Offset"] == "500"
    assert answer.headers["Upload-Length"] == str(len(CONTENT))
    assert "filename ZG9vci5qcGc=" in answer.headers["Upload-Metadata"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Tus-Resumable"] == "1.0.0"


def test_creation_with_upload_takes_the_bytes_along(app: Flask, phone: Phone) -> None:
    answer = phone.create(CONTENT, body=CONTENT)

    assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, str(len(CONTENT)))
    assert stored(app, phone) == CONTENT


def test_an_empty_file_is_complete_when_it_is_created(app: Flask, phone: Phone) -> None:
    assert phone.create(b"").status_code == 201
    assert stored(app, phone) == b""


def test_a_length_may_be_told_later(app: Flask, phone: Phone) -> None:
    at = phone.created(CONTENT, Upload_Length=None, Upload_Defer_Length="1", sha256=None)
    assert phone.head(at).headers["Upload-Defer-Length"] == "1"

    phone.patch(at, 0, CONTENT[:100])
    phone.patch(at, 100, CONTENT[100:], Upload_Length=str(len(CONTENT)))

    assert stored(app, phone) == CONTENT


def test_a_lost_201_leads_to_the_same_upload(phone: Phone) -> None:
    first, again = phone.created(CONTENT), phone.created(CONTENT)

    assert first == again
    assert phone.created(CONTENT + b"other") != first


def test_a_lost_final_204_is_seen_by_head_and_an_empty_patch_is_welcome(phone: Phone) -> None:
    at = phone.created(CONTENT)
    phone.patch(at, 0, CONTENT)

    assert phone.offset(at) == len(CONTENT)
    assert phone.patch(at, len(CONTENT), b"").status_code == 204
    assert phone.patch(at, 0, CONTENT).status_code == 409
    assert phone.created(CONTENT) == at
    assert jobs("inspect_evidence") == 1


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_a_right_chunk_checksum_is_accepted(phone: Phone, algorithm: str) -> None:
    at = phone.created(CONTENT)

    answer = phone.patch(at, 0, CONTENT[:700], Upload_Checksum=checksum(CONTENT[:700], algorithm))

    assert (answer.status_code, phone.offset(at)) == (204, 700)


def test_a_wrong_chunk_checksum_is_460_and_nothing_of_the_chunk_counts(app: Flask, phone: Phone) -> None:
    at = phone.created(CONTENT)

    answer = phone.patch(at, 0, CONTENT, Upload_Checksum=checksum(b"other bytes"))

    assert answer.status_code == 460
    assert phone.offset(at) == 0
    assert phone.patch(at, 0, CONTENT, Upload_Checksum=checksum(CONTENT)).status_code == 204
    assert stored(app, phone) == CONTENT


def test_a_chunk_cut_short_counts_without_a_checksum_and_not_with_one(phone: Phone) -> None:
    at = phone.created(CONTENT)

    phone.patch(at, 0, CutBody(CONTENT, after=300, reset=False))
    assert phone.offset(at) == 300

    rest = CONTENT[300:]
    phone.patch(at, 300, CutBody(rest, after=300, reset=True), Upload_Checksum=checksum(rest))
    assert phone.offset(at) == 300


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
def test_cut_at_every_byte_every_received_byte_is_kept(
    app: Flask, phone: Phone, monkeypatch: pytest.MonkeyPatch, reset: bool
) -> None:
    monkeypatch.setattr(receiving, "SEGMENT_BYTES", 8)
    monkeypatch.setattr(receiving, "PIECE_BYTES", 3)
    content = CONTENT[:40]
    for after in range(len(content) + 1):
        phone.evidence_id = uuid7()
        at = phone.created(content)

        phone.patch(at, 0, CutBody(content, after=after, reset=reset))

        assert phone.offset(at) == after
        phone.patch(at, after, content[after:])
        assert stored(app, phone) == content


@given(cuts=st.lists(st.tuples(st.integers(0, 200), st.booleans(), st.booleans()), max_size=6))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_breaks_the_file_arrives_whole(
    app: Flask, phone: Phone, cuts: list[tuple[int, bool, bool]]
) -> None:
    phone.evidence_id = uuid7()
    content = CONTENT[:600]
    at = phone.created(content)
    for after, reset, is_checked in cuts:
        offset = phone.offset(at)
        rest = content[offset:]
        headers = {"Upload_Checksum": checksum(rest)} if is_checked else {}
        phone.patch(at, offset, CutBody(rest, after=after, reset=reset), **headers)

    phone.patch(at, phone.offset(at), content[phone.offset(at) :])

    assert stored(app, phone) == content


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


def test_an_older_request_can_write_no_more_once_somebody_asked_head(app: Flask, phone: Phone) -> None:
    at = phone.created(CONTENT)

    class Overtaken(CutBody):
        """The phone asks HEAD on a new connection while its old PATCH is still alive."""

        def read(self, size: int = -1) -> bytes:
            piece = super().read(min(size, 200))
            if len(self._left) < 600:
                assert phone.offset(at) == 0
            return piece

    answer = phone.patch(at, 0, Overtaken(CONTENT, after=len(CONTENT), reset=False))

    assert (answer.status_code, problem_of(answer)) == (409, "taken-over")
    assert phone.offset(at) == 0
    assert phone.patch(at, 0, CONTENT).status_code == 204


def test_of_two_patches_at_one_offset_the_newer_one_wins(
    app: Flask, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "SEGMENT_BYTES", 100)
    monkeypatch.setattr(receiving, "PIECE_BYTES", 50)
    at = phone.created(CONTENT)
    answers = []

    class Rival(CutBody):
        def read(self, size: int = -1) -> bytes:
            if len(self._left) <= 900 and not answers:
                reached = phone.offset(at)
                answers.append(phone.patch(at, reached, CONTENT[reached : reached + 300]))
            return super().read(size)

    older = phone.patch(at, 0, Rival(CONTENT, after=len(CONTENT), reset=False))

    assert [answer.status_code for answer in answers] in ([204], [409])
    assert older.status_code == 409
    offset = phone.offset(at)
    phone.patch(at, offset, CONTENT[offset:])
    assert stored(app, phone) == CONTENT


def test_a_crash_between_the_final_put_and_the_commit_loses_nothing(
    app: Flask, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = phone.created(CONTENT)
    phone.patch(at, 0, CONTENT[:600])

    class PowerCut(Exception):
        """The process ends here."""

    def crash(*_: object, **__: object) -> bool:
        raise PowerCut

    with monkeypatch.context() as broken:
        broken.setattr(finishing, "_record", crash)
        assert phone.patch(at, 600, CONTENT[600:]).status_code == 500

    assert phone.offset(at) == 600
    assert phone.patch(at, 600, CONTENT[600:]).status_code == 204
    assert stored(app, phone) == CONTENT


def test_an_upload_whose_staged_bytes_are_lost_is_gone_and_can_be_made_anew(app: Flask, phone: Phone) -> None:
    at = phone.created(CONTENT)
    phone.patch(at, 0, CONTENT[:600])
    app.extensions["media_store"].discard(at.rpartition("/")[2], [])

    assert phone.patch(at, 600, CONTENT[600:]).status_code == 410
    assert phone.head(at).status_code == 410
    again = phone.created(CONTENT)
    phone.patch(again, phone.offset(again), CONTENT)

    assert stored(app, phone) == CONTENT


def test_a_full_disk_is_503_and_what_came_before_stays(
    app: Flask, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = phone.created(CONTENT)
    phone.patch(at, 0, CONTENT[:600])

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("server.media.disk.os.pwrite", full)
        answer = phone.patch(at, 600, CONTENT[600:])

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert phone.offset(at) == 600


def test_method_override_reaches_clients_that_cannot_patch(app: Flask, phone: Phone) -> None:
    at = phone.created(CONTENT)
    headers = {"X-HTTP-Method-Override": "PATCH", "Upload-Offset": "0", "Content-Type": BYTES}

    assert phone.call("POST", at, headers=headers, data=CONTENT).status_code == 204
    assert stored(app, phone) == CONTENT


def test_an_unfinished_upload_can_be_given_up_and_promised_or_complete_ones_cannot(phone: Phone) -> None:
    at = phone.created(CONTENT)
    assert phone.call("DELETE", at).status_code == 204
    assert phone.head(at).status_code == 410

    again = phone.created(CONTENT)
    phone.patch(again, 0, CONTENT)
    assert phone.call("DELETE", again).status_code == 403

    phone.evidence_id = uuid7()
    promise(phone, hashlib.sha256(CONTENT).digest())
    assert phone.call("DELETE", phone.created(CONTENT)).status_code == 403


def test_an_upload_expires_and_its_successor_starts_afresh(phone: Phone) -> None:
    at = phone.created(CONTENT)
    phone.patch(at, 0, CONTENT[:100])
    with transaction() as session:
        session.execute(sa.update(Upload).values(expires_at=Upload.expires_at - timedelta(days=8)))

    assert phone.head(at).status_code == 410
    assert phone.offset(phone.created(CONTENT)) == 0
    assert jobs("discard_segments") == 1


WRONG = {
    "another protocol version": (412, {"Tus-Resumable": "0.2.2"}),
    "no protocol version": (412, {"Tus-Resumable": None}),
    "another content type": (415, {"Content-Type": "application/octet-stream"}),
    "no offset": (400, {"Upload-Offset": None}),
    "a negative offset": (400, {"Upload-Offset": "-1"}),
    "an offset that is no number": (400, {"Upload-Offset": "²"}),
    "a huge offset": (400, {"Upload-Offset": "9" * 40}),
    "an offset before the bytes": (409, {"Upload-Offset": "1"}),
    "an unknown checksum algorithm": (400, {"Upload-Checksum": "md5 AAAA"}),
    "a checksum that is no digest": (400, {"Upload-Checksum": "sha1 !!!"}),
    "another length": (409, {"Upload-Length": "7"}),
}


@pytest.mark.parametrize("name", list(WRONG))
def test_a_wrong_header_is_refused_and_nothing_is_written(phone: Phone, name: str) -> None:
    status, headers = WRONG[name]
    at = phone.created(CONTENT)

    answer = phone.call(
        "PATCH", at, headers={"Upload-Offset": "0", "Content-Type": BYTES, **headers}, data=CONTENT
    )

    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert answer.headers["Tus-Resumable"] == "1.0.0"
    assert answer.headers.get("Tus-Version") == ("1.0.0" if status == 412 else None)
    assert phone.offset(at) == 0


def test_more_bytes_than_the_length_are_refused_unread(phone: Phone) -> None:
    at = phone.created(CONTENT)

    assert phone.patch(at, 0, CONTENT + b"!").status_code == 413
    assert phone.offset(at) == 0


UNWELCOME = {
    "no length": (400, {"Upload-Length": None}),
    "two lengths": (400, {"Upload-Defer-Length": "1"}),
    "a wrong deferral": (400, {"Upload-Length": None, "Upload-Defer-Length": "2"}),
    "a length that is no number": (400, {"Upload-Length": "many"}),
    "a length beyond the limit": (413, {"Upload-Length": str(grant.MAX_BYTES + 1)}),
    "a concatenation": (400, {"Upload-Concat": "partial"}),
    "no metadata": (422, {"Upload-Metadata": None}),
    "metadata that is no base64": (400, {"Upload-Metadata": "evidence_id ???"}),
    "metadata with a NUL": (400, {"Upload-Metadata": metadata(evidence_id="a\0b")}),
    "an evidence id that is none": (422, {"Upload-Metadata": metadata(evidence_id="door")}),
    "a digest that is none": (422, {"Upload-Metadata": metadata(evidence_id=str(uuid7()), sha256="abc")}),
    "metadata without end": (400, {"Upload-Metadata": metadata(evidence_id="x" * 9000)}),
}


@pytest.mark.parametrize("name", list(UNWELCOME))
def test_a_wrong_creation_is_refused_with_a_problem(phone: Phone, name: str) -> None:
    status, headers = UNWELCOME[name]
    right = {"Upload-Length": "10", "Upload-Metadata": metadata(evidence_id=str(uuid7()))}

    answer = phone.call("POST", FILES, headers=right | headers)

    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")


def test_all_faults_of_the_metadata_are_listed(phone: Phone) -> None:
    headers = {"Upload-Length": "1", "Upload-Metadata": metadata(evidence_id="x", sha256="y")}

    answer = phone.call("POST", FILES, headers=headers)

    assert [fault["pointer"] for fault in answer.get_json()["errors"]] == ["/evidence_id", "/sha256"]


def test_a_stranger_and_an_office_worker_cannot_upload(app: Flask, cast, stranger) -> None:
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "1", "Upload-Metadata": "x"}

    assert stranger.post(FILES, headers=headers).status_code == 401
    assert cast.person(Role.DISPATCHER).post(FILES, headers=headers).status_code == 403


def test_another_visitor_s_upload_and_evidence_are_out_of_reach(app: Flask, phone: Phone) -> None:
    at = phone.created(CONTENT)
    other = Phone(app, a_handset(a_visitor()), evidence_id=phone.evidence_id)

    assert other.head(at).status_code == 404
    assert other.patch(at, 0, CONTENT).status_code == 404
    assert other.call("DELETE", at).status_code == 404
    assert other.create(CONTENT).status_code == 403
    assert phone.offset(at) == 0


def test_a_visitor_s_new_phone_may_send_what_the_old_one_promised(app: Flask) -> None:
    visitor = a_visitor()
    old = Phone(app, a_handset(visitor))
    old.created(CONTENT)
    new = Phone(app, a_handset(visitor), evidence_id=old.evidence_id)

    assert new.create(CONTENT, body=CONTENT).status_code == 201


def test_a_revoked_phone_may_still_hand_in_what_it_holds(app: Flask, phone: Phone) -> None:
    with transaction() as session:
        session.merge(phone.handset.device).revoked_at = phone.handset.device.enrolled_at

    assert phone.create(CONTENT, body=CONTENT).status_code == 201


@pytest.mark.parametrize("upload_id", [str(UUID(int=7)), "not-a-uuid"])
def test_an_unknown_upload_is_404(phone: Phone, upload_id: str) -> None:
    assert phone.head(f"{FILES}/{upload_id}").status_code == 404

"""tus 1.0.0 at /api/v1/files: what each request answers when all is well."""

import hashlib
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from server.database import transaction
from server.models.evidence import Upload
from sync.protocol import uuid7
from tests.api.tus import (
    BYTES,
    CONTENT,
    FILES,
    Phone,
    checksum,
    evidence_of,
    jobs,
    promise,
    stored,
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

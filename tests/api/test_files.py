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
    Uploader,
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


def test_a_file_sent_in_three_parts_becomes_stored_evidence(app: Flask, uploader: Uploader) -> None:
    at = uploader.created(CONTENT)

    offsets = [
        int(uploader.patch(at, start, CONTENT[start : start + 400]).headers["Upload-Offset"])
        for start in range(0, len(CONTENT), 400)
    ]

    assert offsets == [400, 800, len(CONTENT)]
    assert stored(app, uploader) == CONTENT
    assert evidence_of(uploader).state == "stored"
    assert jobs("inspect_evidence") == 1


def test_head_tells_offset_length_and_the_metadata_as_sent(uploader: Uploader) -> None:
    at = uploader.created(CONTENT)
    uploader.patch(at, 0, CONTENT[:500])

    answer = uploader.head(at)

    assert answer.headers["Upload-Offset"] == "500"
    assert answer.headers["Upload-Length"] == str(len(CONTENT))
    assert "filename ZG9vci5qcGc=" in answer.headers["Upload-Metadata"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Tus-Resumable"] == "1.0.0"


def test_creation_with_upload_takes_the_bytes_along(app: Flask, uploader: Uploader) -> None:
    answer = uploader.create(CONTENT, body=CONTENT)

    assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, str(len(CONTENT)))
    assert stored(app, uploader) == CONTENT


def test_an_empty_file_is_complete_when_it_is_created(app: Flask, uploader: Uploader) -> None:
    assert uploader.create(b"").status_code == 201
    assert stored(app, uploader) == b""


def test_a_length_may_be_told_later(app: Flask, uploader: Uploader) -> None:
    at = uploader.created(CONTENT, Upload_Length=None, Upload_Defer_Length="1", sha256=None)
    assert uploader.head(at).headers["Upload-Defer-Length"] == "1"

    uploader.patch(at, 0, CONTENT[:100])
    uploader.patch(at, 100, CONTENT[100:], Upload_Length=str(len(CONTENT)))

    assert stored(app, uploader) == CONTENT


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_a_right_chunk_checksum_is_accepted(uploader: Uploader, algorithm: str) -> None:
    at = uploader.created(CONTENT)

    answer = uploader.patch(at, 0, CONTENT[:700], Upload_Checksum=checksum(CONTENT[:700], algorithm))

    assert (answer.status_code, uploader.offset(at)) == (204, 700)


def test_a_wrong_chunk_checksum_is_460_and_nothing_of_the_chunk_counts(
    app: Flask, uploader: Uploader
) -> None:
    at = uploader.created(CONTENT)

    answer = uploader.patch(at, 0, CONTENT, Upload_Checksum=checksum(b"other bytes"))

    assert answer.status_code == 460
    assert uploader.offset(at) == 0
    assert uploader.patch(at, 0, CONTENT, Upload_Checksum=checksum(CONTENT)).status_code == 204
    assert stored(app, uploader) == CONTENT


def test_method_override_reaches_clients_that_cannot_patch(app: Flask, uploader: Uploader) -> None:
    at = uploader.created(CONTENT)
    headers = {"X-HTTP-Method-Override": "PATCH", "Upload-Offset": "0", "Content-Type": BYTES}

    assert uploader.call("POST", at, headers=headers, data=CONTENT).status_code == 204
    assert stored(app, uploader) == CONTENT


def test_an_unfinished_upload_can_be_given_up_and_promised_or_complete_ones_cannot(
    uploader: Uploader,
) -> None:
    at = uploader.created(CONTENT)
    assert uploader.call("DELETE", at).status_code == 204
    assert uploader.head(at).status_code == 410

    again = uploader.created(CONTENT)
    uploader.patch(again, 0, CONTENT)
    assert uploader.call("DELETE", again).status_code == 403

    uploader.evidence_id = uuid7()
    promise(uploader, hashlib.sha256(CONTENT).digest())
    assert uploader.call("DELETE", uploader.created(CONTENT)).status_code == 403


def test_an_upload_expires_and_its_successor_starts_afresh(uploader: Uploader) -> None:
    at = uploader.created(CONTENT)
    uploader.patch(at, 0, CONTENT[:100])
    with transaction() as session:
        session.execute(sa.update(Upload).values(expires_at=Upload.expires_at - timedelta(days=8)))

    assert uploader.head(at).status_code == 410
    assert uploader.offset(uploader.created(CONTENT)) == 0
    assert jobs("discard_segments") == 1

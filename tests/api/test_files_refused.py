"""What an upload is refused for, and to whom."""

from uuid import UUID

import pytest
from flask import Flask

from server.authority import Role
from server.database import transaction
from server.workflows.uploads import grant
from sync.protocol import uuid7
from tests.api.tus import BYTES, CONTENT, FILES, Uploader, metadata
from tests.builders import a_handset, a_visitor

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
    "a checksum beyond ASCII": (400, {"Upload-Checksum": "sha1 é"}),
    "another length": (409, {"Upload-Length": "7"}),
}


@pytest.mark.parametrize("name", list(WRONG))
def test_a_wrong_header_is_refused_and_nothing_is_written(uploader: Uploader, name: str) -> None:
    status, headers = WRONG[name]
    at = uploader.created(CONTENT)

    answer = uploader.call(
        "PATCH", at, headers={"Upload-Offset": "0", "Content-Type": BYTES, **headers}, data=CONTENT
    )

    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert answer.headers["Tus-Resumable"] == "1.0.0"
    assert answer.headers.get("Tus-Version") == ("1.0.0" if status == 412 else None)
    assert uploader.offset(at) == 0


def test_more_bytes_than_the_length_are_refused_unread(uploader: Uploader) -> None:
    at = uploader.created(CONTENT)

    assert uploader.patch(at, 0, CONTENT + b"!").status_code == 413
    assert uploader.offset(at) == 0


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
def test_a_wrong_creation_is_refused_with_a_problem(uploader: Uploader, name: str) -> None:
    status, headers = UNWELCOME[name]
    right = {"Upload-Length": "10", "Upload-Metadata": metadata(evidence_id=str(uuid7()))}

    answer = uploader.call("POST", FILES, headers=right | headers)

    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")


def test_all_faults_of_the_metadata_are_listed(uploader: Uploader) -> None:
    headers = {"Upload-Length": "1", "Upload-Metadata": metadata(evidence_id="x", sha256="y")}

    answer = uploader.call("POST", FILES, headers=headers)

    assert [fault["pointer"] for fault in answer.get_json()["errors"]] == ["/evidence_id", "/sha256"]


def test_a_stranger_and_an_office_worker_cannot_upload(app: Flask, cast, stranger) -> None:
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "1", "Upload-Metadata": "x"}

    assert stranger.post(FILES, headers=headers).status_code == 401
    assert cast.person(Role.DISPATCHER).post(FILES, headers=headers).status_code == 403


def test_another_visitor_s_upload_and_evidence_are_out_of_reach(app: Flask, uploader: Uploader) -> None:
    at = uploader.created(CONTENT)
    other = Uploader(app, a_handset(a_visitor()), evidence_id=uploader.evidence_id)

    assert other.head(at).status_code == 404
    assert other.patch(at, 0, CONTENT).status_code == 404
    assert other.call("DELETE", at).status_code == 404
    assert other.create(CONTENT).status_code == 403
    assert uploader.offset(at) == 0


def test_a_visitor_s_new_phone_may_send_what_the_old_one_promised(app: Flask) -> None:
    visitor = a_visitor()
    old = Uploader(app, a_handset(visitor))
    old.created(CONTENT)
    new = Uploader(app, a_handset(visitor), evidence_id=old.evidence_id)

    assert new.create(CONTENT, body=CONTENT).status_code == 201


def test_a_revoked_phone_may_still_hand_in_what_it_holds(app: Flask, uploader: Uploader) -> None:
    with transaction() as session:
        session.merge(uploader.handset.device).revoked_at = uploader.handset.device.enrolled_at

    assert uploader.create(CONTENT, body=CONTENT).status_code == 201


@pytest.mark.parametrize("upload_id", [str(UUID(int=7)), "not-a-uuid"])
def test_an_unknown_upload_is_404(uploader: Uploader, upload_id: str) -> None:
    assert uploader.head(f"{FILES}/{upload_id}").status_code == 404

"""Uploads over a network that breaks, from a client we did not write: tuspy against the real server."""

import hashlib
import io
import socket
import threading
from dataclasses import dataclass
from uuid import UUID

import pytest
from flask import Flask
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError, TusUploadFailed
from tusclient.uploader.uploader import Uploader

from server.database import db
from server.models.evidence import Evidence
from sync.protocol import uuid7
from tests.api.breaking import BreakingProxy, CutRequest, LoseAnswer
from tests.api.tus import BYTES, FILES, metadata
from tests.builders import Handset, a_handset, a_visitor

MIB = 1024 * 1024


@dataclass
class Tuspy:
    """An unmodified tuspy, pointed at the breaking network."""

    handset: Handset
    network: BreakingProxy
    evidence_id: UUID

    def uploader(self, content: bytes, *, chunk_size: int = MIB, checksum: bool = False) -> Uploader:
        client = TusClient(f"http://127.0.0.1:{self.network.port}{FILES}", headers=self.handset.headers)
        told = {"evidence_id": str(self.evidence_id), "sha256": hashlib.sha256(content).hexdigest()}
        return client.uploader(
            file_stream=io.BytesIO(content),
            metadata=told,
            chunk_size=chunk_size,
            retries=20,
            retry_delay=0,
            upload_checksum=checksum,
        )


@pytest.fixture
def tuspy(app: Flask, network: BreakingProxy) -> Tuspy:
    return Tuspy(handset=a_handset(a_visitor()), network=network, evidence_id=uuid7())


def stored(app: Flask, evidence_id: UUID) -> bytes | None:
    """What the store has as this evidence, or None."""
    db.session.rollback()
    key = db.session.get_one(Evidence, evidence_id, populate_existing=True).storage_key
    return None if key is None else b"".join(app.extensions["media_store"].read(key))


def some_bytes(size: int) -> bytes:
    return hashlib.shake_256(str(size).encode()).digest(size)


@pytest.mark.parametrize("checksum", [False, True], ids=["plain", "with checksums"])
def test_an_unmodified_tuspy_uploads(app: Flask, tuspy: Tuspy, checksum: bool) -> None:
    content = some_bytes(3 * MIB + 17)

    tuspy.uploader(content, checksum=checksum).upload()

    assert stored(app, tuspy.evidence_id) == content


@pytest.mark.parametrize("ending", ["fin", "rst"])
@pytest.mark.parametrize("checksum", [False, True], ids=["plain", "with checksums"])
def test_an_upload_cut_at_many_places_arrives_whole(
    app: Flask, tuspy: Tuspy, network: BreakingProxy, ending, checksum: bool
) -> None:
    content = some_bytes(2 * MIB)
    uploader = tuspy.uploader(content, checksum=checksum)
    uploader.set_url(uploader.create_url())
    for after in (1, 300, 700, 701, 5_000, 64 * 1024, 200_000, 500_001):
        network.faults += [CutRequest(after, ending)]

    uploader.upload()

    assert network.broken == 8
    assert stored(app, tuspy.evidence_id) == content


def test_a_lost_201_and_a_lost_final_204_cost_no_second_upload(
    app: Flask, tuspy: Tuspy, network: BreakingProxy
) -> None:
    content = some_bytes(300_000)
    network.faults += [LoseAnswer()]
    with pytest.raises(TusCommunicationError):
        tuspy.uploader(content).create_url()
    uploader = tuspy.uploader(content)
    uploader.set_url(uploader.create_url())
    network.faults += [LoseAnswer()]

    uploader.upload()

    assert network.broken == 2
    assert stored(app, tuspy.evidence_id) == content
    assert uploader.offset == len(content)


def test_a_wrong_file_fails_with_words_and_never_completes(app: Flask, tuspy: Tuspy) -> None:
    uploader = tuspy.uploader(b"the promised file")
    uploader.set_url(uploader.create_url())
    uploader.file_stream = io.BytesIO(b"another file here")
    uploader.retries = 0

    with pytest.raises(TusUploadFailed) as failed:
        uploader.upload()

    assert b"digest-mismatch" in (failed.value.response_content or b"")
    assert stored(app, tuspy.evidence_id) is None


def test_a_stalled_old_connection_does_not_keep_the_phone_from_going_on(app: Flask, tuspy: Tuspy) -> None:
    content = some_bytes(400_000)
    uploader = tuspy.uploader(content)
    uploader.set_url(uploader.create_url())
    assert uploader.url is not None
    stalled = _begin_patch(tuspy, uploader.url, content, send=100_000)

    uploader.upload()

    stalled.close()
    assert stored(app, tuspy.evidence_id) == content


def test_of_many_patches_at_one_offset_one_wins_and_the_file_is_right(app: Flask, tuspy: Tuspy) -> None:
    content = some_bytes(2 * MIB + 5)
    first = tuspy.uploader(content)
    first.set_url(first.create_url())
    racers = [tuspy.uploader(content, chunk_size=700_000) for _ in range(4)]
    assert first.url is not None
    for racer in racers:
        racer.set_url(first.url)
        racer.retries = 200

    threads = [threading.Thread(target=racer.upload) for racer in racers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert stored(app, tuspy.evidence_id) == content
    assert {racer.offset for racer in racers} == {len(content)}


def _begin_patch(tuspy: Tuspy, url: str, content: bytes, *, send: int) -> socket.socket:
    """Open a PATCH, send a part of its body and then fall silent, the connection left open."""
    connection = socket.create_connection(("127.0.0.1", tuspy.network.port))
    path = url.partition("/api")[2]
    head = (
        f"PATCH /api{path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {tuspy.handset.token}\r\n"
        f"Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Type: {BYTES}\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    connection.sendall(head.encode() + content[:send])
    return connection


def test_creation_through_the_network_keeps_what_arrived_with_a_cut_post(
    app: Flask, tuspy: Tuspy, network: BreakingProxy
) -> None:
    content = some_bytes(200_000)
    told = metadata(evidence_id=str(tuspy.evidence_id), sha256=hashlib.sha256(content).hexdigest())
    head = (
        f"POST {FILES} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {tuspy.handset.token}\r\n"
        f"Tus-Resumable: 1.0.0\r\nUpload-Length: {len(content)}\r\nUpload-Metadata: {told}\r\n"
        f"Content-Type: {BYTES}\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    network.faults += [CutRequest(len(head) + 150_000)]
    with socket.create_connection(("127.0.0.1", network.port)) as connection, pytest.raises(OSError):
        connection.sendall(head.encode() + content)
        connection.recv(1000)
        raise ConnectionResetError  # a FIN reached us before the RST: the same loss

    tuspy.uploader(content).upload()

    assert stored(app, tuspy.evidence_id) == content

"""A file is hashed while it is written, and what is hashed is what lies on the disk."""

import hashlib
import os
import random
import threading
from pathlib import Path

import pytest

from server.media.disk import DiskStore
from server.media.hashing import MOST_RUNS, WORTH_HELP_BYTES, hashed_meanwhile
from server.media.store import Segment

MIB = 1024 * 1024


def sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


@pytest.mark.parametrize("size", [0, 1, WORTH_HELP_BYTES - 1, WORTH_HELP_BYTES, 3 * MIB])
def test_the_digest_is_complete_when_the_block_has_ended(size: int) -> None:
    content, digest = os.urandom(size), hashlib.sha256()

    with hashed_meanwhile(digest, content):
        pass

    assert digest.digest() == sha256(content)


def test_many_at_once_each_get_their_own_digest() -> None:
    contents = [os.urandom(MIB + number) for number in range(16)]
    together, found = threading.Barrier(len(contents)), dict[int, bytes]()

    def hash_one(number: int) -> None:
        digest = hashlib.sha256()
        together.wait()
        with hashed_meanwhile(digest, contents[number]):
            pass
        found[number] = digest.digest()

    threads = [threading.Thread(target=hash_one, args=(number,)) for number in range(len(contents))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == {number: sha256(content) for number, content in enumerate(contents)}


class Slow:
    """A digest that takes its time, and says whether it is at work."""

    def __init__(self) -> None:
        self.begun, self.may_end, self.has_ended = threading.Event(), threading.Event(), False

    def update(self, content: bytes, /) -> None:
        self.begun.set()
        self.may_end.wait(10)
        self.has_ended = True


def test_a_write_that_fails_waits_for_the_hashing_before_it_gives_its_bytes_back() -> None:
    slow, content = Slow(), bytes(WORTH_HELP_BYTES)

    with pytest.raises(OSError, match="disk"), hashed_meanwhile(slow, content):
        slow.begun.wait(10)
        slow.may_end.set()
        raise OSError("no room on the disk")

    assert slow.has_ended


def test_whoever_finds_the_helper_busy_hashes_alone_and_waits_for_nobody() -> None:
    slow, content, digest = Slow(), os.urandom(WORTH_HELP_BYTES), hashlib.sha256()

    with hashed_meanwhile(slow, content):
        slow.begun.wait(10)
        with hashed_meanwhile(digest, content):
            pass
        alone = digest.digest()
        slow.may_end.set()

    assert alone == sha256(content)


def test_what_another_process_wrote_in_between_is_what_is_hashed(tmp_path: Path) -> None:
    """Two stores on one folder are two processes: a newer request is served by the other."""
    ours, theirs = DiskStore(tmp_path), DiskStore(tmp_path)
    ours.append_segment("u1", start=0, content=b"a" * MIB, fence=1)
    theirs.append_segment("u1", start=0, content=b"b" * MIB, fence=2)

    done = ours.assemble("u1", [Segment(0, MIB, "uploads/u1")], expected=sha256(b"b" * MIB))

    assert done.matches
    assert b"".join(ours.read(done.key)) == b"b" * MIB


def test_the_digest_is_that_of_the_bytes_whoever_wrote_which_piece_in_which_order(tmp_path: Path) -> None:
    seed = 20261127
    chance = random.Random(seed)
    for number in range(60):
        stores, upload = [DiskStore(tmp_path), DiskStore(tmp_path)], f"u{number}"
        content, fence, reached, segments = bytearray(), 1, 0, list[Segment]()
        for _ in range(chance.randint(1, 6)):
            fence += chance.random() < 0.4
            if reached and chance.random() < 0.3:  # what was written and never counted is written again
                lost = segments.pop()
                reached = lost.start
                del content[reached:]
            piece = chance.randbytes(chance.choice([1, 1000, WORTH_HELP_BYTES + 1]))
            writer = chance.choice(stores)
            segments.append(writer.append_segment(upload, start=reached, content=piece, fence=fence))
            content += piece
            reached += len(piece)

        done = chance.choice(stores).assemble(upload, segments, expected=None)

        assert done.sha256 == sha256(bytes(content)), f"seed {seed}, upload {number}"
        assert b"".join(stores[0].read(done.key)) == bytes(content)


def test_uploads_that_nobody_finishes_take_no_memory_for_ever(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    uploads = [f"u{number}" for number in range(MOST_RUNS + 5)]
    for upload in uploads:
        store.append_segment(upload, start=0, content=upload.encode(), fence=1)

    found = {
        upload: store.assemble(upload, [Segment(0, len(upload), f"uploads/{upload}")], expected=None).sha256
        for upload in uploads
    }

    assert found == {upload: sha256(upload.encode()) for upload in uploads}

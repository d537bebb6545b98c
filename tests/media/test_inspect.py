"""What inspection says of broken, hostile and mislabelled files, and how the child process ends."""

import os
import random
import struct
import sys
import zlib
from pathlib import Path

import pytest

from server.demo.scenes import draw_doorway, make_photo, make_recording
from server.media import children
from server.media.examine import examine
from server.media.inspect import inspect
from tests.media.pieces import BUND, TAKEN, a_photo_with_exif, in_format, saved


@pytest.mark.parametrize(
    ("claimed", "really"),
    [("image/png", "image/jpeg"), ("audio/webm", "image/jpeg"), ("text/plain", "image/jpeg")],
)
def test_a_mislabelled_file_is_read_as_what_it_is_and_flagged(examined, claimed: str, really: str) -> None:
    found = examined(make_photo(seed=1, size=(320, 240)), claimed)

    assert (found.sniffed_mime, found.mislabelled) == (really, True)
    assert found.image is not None


@pytest.mark.parametrize("claimed", ["", "application/octet-stream", "image/jpeg; q=1", "IMAGE/JPG"])
def test_no_label_and_a_synonym_are_not_wrong_labels(examined, claimed: str) -> None:
    assert not examined(make_photo(seed=1, size=(320, 240)), claimed).mislabelled


def a_png_bomb() -> bytes:
    """Half a kilobyte that claims 60,000 x 60,000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(9000)))
        + chunk(b"IEND", b"")
    )


BROKEN = {
    "a decompression bomb": (a_png_bomb, "too many pixels"),
    "a truncated photo": (lambda: make_photo(seed=1)[:3000], "truncated"),
    "a truncated HEIC": (lambda: in_format("image/heic")[:9000], "broken"),
    "noise that begins like a JPEG": (lambda: b"\xff\xd8\xff\xe0" + random.Random(1).randbytes(5000), ""),
    "noise that begins like a PNG": (lambda: b"\x89PNG\r\n\x1a\n" + random.Random(1).randbytes(5000), ""),
    "noise that begins like a WebP": (
        lambda: b"RIFF\x00\x20\x00\x00WEBP" + random.Random(1).randbytes(5000),
        "",
    ),
    "noise that begins like a webm": (lambda: b"\x1a\x45\xdf\xa3" + random.Random(1).randbytes(5000), ""),
    "noise that begins like an ogg": (lambda: b"OggS" + random.Random(1).randbytes(5000), ""),
    "noise that begins like a wav": (
        lambda: b"RIFF\x00\x20\x00\x00WAVE" + random.Random(1).randbytes(5000),
        "",
    ),
    "an m4a without its index": (lambda: make_recording(seconds=3, speech=False, container="m4a")[:9000], ""),
    "text": (lambda: b"this is no picture", "known here"),
    "nothing at all": (lambda: b"", "known here"),
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_a_broken_or_hostile_file_is_a_result_that_says_why(examined, name: str) -> None:
    make, why = BROKEN[name]

    found = examined(make())

    assert found.failed
    assert why in found.failed
    assert found.image is None


@pytest.mark.parametrize("seed", range(12))
def test_flipped_bits_never_raise(examined, seed: int) -> None:
    chance = random.Random(seed)
    sources = [
        make_photo(seed=1, size=(320, 240), taken_at=TAKEN, position=BUND),
        make_recording(seconds=1, speech=True, container=chance.choice(["webm", "ogg", "m4a", "wav"])),
    ]
    for content in sources:
        damaged = bytearray(content)
        for _ in range(20):
            damaged[chance.randrange(12, len(damaged))] ^= 1 << chance.randrange(8)

        examined(bytes(damaged)).to_json()


def test_the_stored_form_survives_the_trip_through_the_child(tmp_path: Path) -> None:
    path = tmp_path / "photo"
    path.write_bytes(a_photo_with_exif())

    inside = examine(path, claimed_mime="image/jpeg")
    outside = inspect(path, claimed_mime="image/jpeg")

    assert outside == inside
    assert outside.to_json() == inside.to_json()


def test_a_file_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "recording"
    os.mkfifo(path)  # reading it never comes to an end, however fast the machine

    assert (
        inspect(path, claimed_mime="audio/webm", wall_seconds=0.01).failed == "Inspecting it took too long."
    )


def test_a_decoder_that_is_killed_is_a_result_and_a_defect_of_ours_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "photo"
    path.write_bytes(make_photo(seed=1, size=(320, 240)))
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nkill -SEGV $$\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    children.close_all()  # else one that another test left warm would read it

    killed = inspect(path, claimed_mime="image/jpeg")
    program.write_text("#!/bin/sh\necho 'ImportError: no decoder' >&2; exit 1\n")
    defect = inspect(path, claimed_mime="image/jpeg")

    assert killed.failed is not None
    assert "signal 11" in killed.failed
    assert defect.failed == "Inspecting it failed: ImportError: no decoder"
    assert "no decoder" in caplog.text


def test_text_that_the_database_cannot_hold_is_cleaned(tmp_path: Path) -> None:
    path = tmp_path / "photo"
    path.write_bytes(saved(draw_doorway(1, size=(320, 240)), "JPEG"))
    found = examine(path, claimed_mime="image/\0jpeg\ud800")

    stored = found.to_json()

    assert stored["claimed_mime"] == "image/jpeg?"

"""Read an untrusted file inside limits: what the child process of `inspect` does.

It leaves the Inspection as JSON and what it made of the file (pictures to show, landmarks) in a folder. The
process bounds its own memory, processor time and output before it opens the file, so a hostile file can end
this process but nothing else.
"""

import json
import resource
import struct
import zlib
from dataclasses import replace
from pathlib import Path

from av.error import FFmpegError
from PIL import Image, UnidentifiedImageError

from server.media.audio import examine_sound
from server.media.images import examine_image
from server.media.inspection import DISPLAY, FOUND, LANDMARKS, THUMBNAIL, Inspection
from server.media.sniffing import IMAGES, SNIFF_BYTES, is_mislabelled, sniff

MEMORY_BYTES = 2 * 1024**3
CPU_SECONDS = 600
OUTPUT_BYTES = 16 * 1024**2
_UNREADABLE = (
    OSError, ValueError, SyntaxError, EOFError, RuntimeError, IndexError, KeyError, TypeError, AttributeError,
    ArithmeticError, struct.error, zlib.error,
)  # fmt: skip
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)


def examine(path: Path, *, claimed_mime: str) -> Inspection:
    """Return what can be read from a file. A broken file is a result, not an error."""
    with path.open("rb") as file:
        family = sniff(file.read(SNIFF_BYTES))
    found = Inspection(
        claimed_mime=claimed_mime,
        size_bytes=path.stat().st_size,
        sniffed_mime=family.mime if family else None,
        mislabelled=is_mislabelled(claimed_mime, family),
    )
    if family is None:
        return replace(found, failed="It is not a photo, recording, video or PDF that is known here.")
    if family in IMAGES:
        return _examine_image(path, found)
    if family.reader is None:
        return found
    return _examine_sound(path, family.reader, found)


def _examine_image(path: Path, found: Inspection) -> Inspection:
    try:
        image, thumbnail, display = examine_image(path)
    except _BOMBS:
        return replace(
            found, failed="It unfolds into too many pixels (a decompression bomb, or over 120 megapixels)."
        )
    except UnidentifiedImageError:
        return replace(found, failed="The picture is broken: it begins like one, but is none.")
    except MemoryError:
        return replace(found, failed="It needs more memory than an inspection may use.")
    except _UNREADABLE as fault:
        return replace(found, failed=f"The picture is broken: {fault}.")
    return replace(found, image=image, thumbnail=thumbnail, display=display)


def _examine_sound(path: Path, reader: str, found: Inspection) -> Inspection:
    try:
        heard = examine_sound(path, reader=reader)
    except MemoryError:
        return replace(found, failed="It needs more memory than an inspection may use.")
    except FFmpegError as fault:
        return replace(found, failed=f"The recording is broken: {fault.strerror}.")
    except _UNREADABLE as fault:
        return replace(found, failed=f"The recording is broken: {fault}.")
    sniffed = str(found.sniffed_mime)
    if heard.video is not None:
        sniffed = sniffed.replace("audio/", "video/")
    return replace(
        found,
        sniffed_mime=sniffed,
        failed=heard.failed,
        sound=heard.sound,
        video=heard.video,
        landmarks=heard.landmarks,
    )


def bound(*, output_bytes: int = OUTPUT_BYTES) -> None:
    """Bound this process for good: nothing it opens afterwards can take more."""
    for limit, value in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_FSIZE, output_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))


def main(path: str, claimed_mime: str, folder: str) -> None:
    """Examine one file and leave the result for the parent."""
    bound()
    found = examine(Path(path), claimed_mime=claimed_mime)
    landmarks = None if found.landmarks is None else found.landmarks.to_bytes()
    made = {THUMBNAIL: found.thumbnail, DISPLAY: found.display, LANDMARKS: landmarks}
    for name, content in {FOUND: json.dumps(found.to_json()).encode(), **made}.items():
        if content is not None:
            (Path(folder) / name).write_bytes(content)

"""Inspect one evidence file safely: whatever it is, the answer is an Inspection and the worker lives.

The decoders run in a child process (`examine`) with limits on memory, processor time and output; here is
only what becomes of its answer. Knows files, not stores: the worker copies the bytes to a file first.
"""

import json
import logging
import tempfile
from dataclasses import replace
from pathlib import Path

from server.media import children
from server.media.inspection import DISPLAY, FOUND, LANDMARKS, THUMBNAIL, Inspection
from server.media.landmarks import Landmarks

log = logging.getLogger(__name__)

WALL_SECONDS = 900
_MIME_LIMIT = 100


def inspect(path: Path, *, claimed_mime: str, wall_seconds: float = WALL_SECONDS) -> Inspection:
    """Return what a file is and shows. Never raises because of the file's content."""
    label = claimed_mime.replace("\0", "")[:_MIME_LIMIT]
    with tempfile.TemporaryDirectory(prefix="inspect-") as folder:
        ended = children.run("examine", str(path), label, folder, wall_seconds=wall_seconds)
        if ended.status is None:
            return _gave_up(path, label, "Inspecting it took too long.")
        if ended.status:
            return _gave_up(path, label, _why(ended.status, ended.said))
        found, thumbnail, display, landmarks = (
            _made(folder, name) for name in (FOUND, THUMBNAIL, DISPLAY, LANDMARKS)
        )
        return replace(
            Inspection.from_json(json.loads(found or b"{}")),
            thumbnail=thumbnail,
            display=display,
            landmarks=None if landmarks is None else Landmarks.from_bytes(landmarks),
        )


def _made(folder: str, name: str) -> bytes | None:
    path = Path(folder) / name
    return path.read_bytes() if path.exists() else None


def _why(status: int, said: bytes) -> str:
    if status < 0:
        return f"Inspecting it ended by signal {-status}: it needs too much, or breaks a decoder."
    log.error("an inspection ended with status %d: %s", status, said.decode("utf-8", "replace"))
    last = said.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no reason given"]
    return f"Inspecting it failed: {last[0][:300]}"


def _gave_up(path: Path, claimed_mime: str, why: str) -> Inspection:
    return Inspection(claimed_mime=claimed_mime, size_bytes=path.stat().st_size, failed=why)

"""Inspect one evidence file safely: whatever it is, the answer is an Inspection and the worker lives.

The decoders run in a child process (`examine`) with limits on memory, processor time and output; here is
only the waiting. Knows files, not stores: the worker copies the bytes to a temporary file first.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from server.media.inspection import DISPLAY, LANDMARKS, THUMBNAIL, Inspection
from server.media.landmarks import Landmarks

log = logging.getLogger(__name__)

WALL_SECONDS = 900
_MIME_LIMIT = 100


def inspect(path: Path, *, claimed_mime: str, wall_seconds: float = WALL_SECONDS) -> Inspection:
    """Return what a file is and shows. Never raises because of the file's content."""
    label = claimed_mime.replace("\0", "")[:_MIME_LIMIT]
    with tempfile.TemporaryDirectory(prefix="inspect-") as folder:
        command = [sys.executable, "-m", "server.media.examine", str(path), label, folder]
        try:
            done = subprocess.run(
                command, env=child_environment(), capture_output=True, timeout=wall_seconds, check=False
            )
        except subprocess.TimeoutExpired:
            return _gave_up(path, label, "Inspecting it took too long.")
        if done.returncode != 0:
            return _gave_up(path, label, _why(done.returncode, done.stderr))
        thumbnail, display, landmarks = (_made(folder, name) for name in (THUMBNAIL, DISPLAY, LANDMARKS))
        return replace(
            Inspection.from_json(json.loads(done.stdout)),
            thumbnail=thumbnail,
            display=display,
            landmarks=None if landmarks is None else Landmarks.from_bytes(landmarks),
        )


def _made(folder: str, name: str) -> bytes | None:
    path = Path(folder) / name
    return path.read_bytes() if path.exists() else None


def child_environment() -> dict[str, str]:
    """The child gets our modules and one thread per library, and none of our secrets."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",  # each arena reserves address space, and that is what is limited
    }


def _why(returncode: int, stderr: bytes) -> str:
    if returncode < 0:
        return f"Inspecting it ended by signal {-returncode}: it needs too much, or breaks a decoder."
    log.error("an inspection ended with status %d: %s", returncode, stderr[-4000:].decode("utf-8", "replace"))
    last = stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no reason given"]
    return f"Inspecting it failed: {last[0][:300]}"


def _gave_up(path: Path, claimed_mime: str, why: str) -> Inspection:
    return Inspection(claimed_mime=claimed_mime, size_bytes=path.stat().st_size, failed=why)

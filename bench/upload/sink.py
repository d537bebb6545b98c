"""What could gunicorn's threads do at most? A sink that hashes, synchronises and renames, and knows nothing.

It answers the same requests as a tus server, without database, resuming, checks or rights: a limit, not a
product. `gunicorn "bench.upload.sink:build('FOLDER')"`.
"""

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from uuid import uuid4

PIECE_BYTES = 256 * 1024
Answer = Callable[[str, list[tuple[str, str]]], Any]


def build(folder: str) -> Callable[[dict[str, Any], Answer], Iterable[bytes]]:
    """Return the application, keeping what it is sent in this folder."""
    root = Path(folder)

    def sink(environ: dict[str, Any], answer: Answer) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "POST":
            name = uuid4().hex
            size = _keep(environ, root / name) if int(environ.get("CONTENT_LENGTH") or 0) else 0
            told = [("Location", f"/files/{name}"), ("Upload-Offset", str(size)), ("Content-Length", "0")]
            answer("201 Created", told)
        elif environ["REQUEST_METHOD"] == "PATCH":
            size = _keep(environ, root / environ["PATH_INFO"].rpartition("/")[2])
            answer("204 No Content", [("Upload-Offset", str(size)), ("Content-Length", "0")])
        else:
            answer("404 Not Found", [("Content-Length", "0")])
        return []

    return sink


def _keep(environ: dict[str, Any], target: Path) -> int:
    """Hash a body while it is written, synchronise it, give it its name, synchronise that."""
    fresh = target.with_suffix(".fresh")
    left, digest = int(environ["CONTENT_LENGTH"]), hashlib.sha256()
    with fresh.open("xb", buffering=0) as file:
        while left and (piece := environ["wsgi.input"].read(min(PIECE_BYTES, left))):
            digest.update(piece)
            file.write(piece)
            left -= len(piece)
        os.fsync(file.fileno())
        size = file.tell()
    fresh.replace(target)
    descriptor = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return size

"""What are the parts of this file, byte for byte, and can they be unpacked at all?

A bundle is a zip that anybody may have packed again. Whatever unpacking says of bytes that are not what was
packed becomes `Spoiled`, here and nowhere else: what checks the parts has no such fault to fear.
"""

import hashlib
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

MOST_JSON_BYTES: Final = 256 * 1024 * 1024
PIECE_BYTES: Final = 256 * 1024


class NoBundle(ValueError):
    """The file cannot be read as a bundle at all; the message says why."""


class Spoiled(Exception):
    """These bytes cannot be unpacked."""


@contextmanager
def open_parts(path: Path) -> Iterator["Parts"]:
    """Open a file's parts. NoBundle when it has none."""
    try:
        with _unpacking():
            archive = zipfile.ZipFile(path)
    except Spoiled as fault:
        raise NoBundle(f"the file cannot be read as a bundle: {fault}") from None
    with archive:
        yield Parts(archive)


class Parts:
    """The parts of one open file, by name."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.names = frozenset(archive.namelist())

    def read(self, name: str) -> bytes:
        """Return a small part. KeyError when it is not there, Spoiled, NoBundle when it is too large."""
        if self._archive.getinfo(name).file_size > MOST_JSON_BYTES:
            raise NoBundle(f"{name} is larger than such a part may be")
        with _unpacking():
            return self._archive.read(name)

    def sha256(self, name: str) -> str:
        """Return the digest of a part of any size, in hex. KeyError, Spoiled."""
        hashed = hashlib.sha256()
        with _unpacking(), self._archive.open(name) as part:
            while piece := part.read(PIECE_BYTES):
                hashed.update(piece)
        return hashed.hexdigest()


# RuntimeError: packed with a password or in a way that nobody knows. ValueError: an impossible name or place.
_SAID_OF_SPOILED: Final = (
    zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, OSError, RuntimeError, ValueError,
)  # fmt: skip


@contextmanager
def _unpacking() -> Iterator[None]:
    """Say Spoiled for all that zipfile and its decoders say of bytes they cannot read."""
    try:
        yield
    except _SAID_OF_SPOILED as error:
        raise Spoiled(str(error) or "it ends too soon") from error

"""What did the log's head look like, in the log's own words?

A checkpoint (C2SP tlog-checkpoint) is a signed note (C2SP signed-note) of three lines: origin, tree size,
root hash. Ed25519 only. Text that does not verify is not returned, so nobody can read it by mistake.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sync.merkle import HASH_BYTES

ED25519: Final = b"\x01"
MOST_BYTES: Final = 16_384
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_NAME: Final = re.compile(r"[^\s+]+")


class CheckpointFault(ValueError):
    """The note is no checkpoint of this log; the message says why."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: `root` is the RFC 6962 hash of its first `size` leaves."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The note's text, which is what is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def log_name(keyid: str) -> str:
    """Return the origin of the log that the office's key of this id signs: another key is another log."""
    return f"fieldvisit/{keyid}"


def sign_checkpoint(checkpoint: Checkpoint, *, key: Ed25519PrivateKey) -> str:
    """Return the signed note. The key's name is the log's origin."""
    if not _NAME.fullmatch(checkpoint.origin):
        raise ValueError("a log's origin must not be empty nor hold spaces or a plus sign")
    signature = key.sign(checkpoint.text.encode())
    line = base64.b64encode(key_id(checkpoint.origin, key.public_key()) + signature).decode()
    return f"{checkpoint.text}\n— {checkpoint.origin} {line}\n"


def open_checkpoint(note: str, *, origin: str, key: Ed25519PublicKey) -> Checkpoint:
    """Return what a note says once this key's signature was verified; signatures of others are ignored.

    CheckpointFault for a note that is not signed by the key, or not by this log, or not well formed.
    """
    text, lines = _split(note)
    name_and_id = (origin, key_id(origin, key))
    ours = [signature for name, ident, signature in map(_signature, lines) if (name, ident) == name_and_id]
    if not ours:
        raise CheckpointFault("no signature of the log's key")
    for signature in ours:
        try:
            key.verify(signature, text.encode())
        except InvalidSignature:
            raise CheckpointFault("the log's signature does not verify") from None
    checkpoint = _read(text)
    if checkpoint.origin != origin:
        raise CheckpointFault("a checkpoint of another log")
    return checkpoint


def key_id(name: str, key: Ed25519PublicKey) -> bytes:
    """Return the four bytes by which a note's signature line names its key."""
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return hashlib.sha256(name.encode() + b"\n" + ED25519 + raw).digest()[:4]


def _split(note: str) -> tuple[str, list[str]]:
    if len(note) > MOST_BYTES:
        raise CheckpointFault("longer than a checkpoint may be")
    if any(character < " " and character != "\n" for character in note):
        raise CheckpointFault("control characters")
    text, blank, signed = note.rpartition("\n\n")
    if not blank or not signed.endswith("\n"):
        raise CheckpointFault("no signatures after a blank line")
    return text + "\n", signed.splitlines()


def _signature(line: str) -> tuple[str, bytes, bytes]:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "—" or not _NAME.fullmatch(parts[1]):
        raise CheckpointFault("a signature line that is none")
    decoded = _decode(parts[2])
    return parts[1], decoded[:4], decoded[4:]


def _read(text: str) -> Checkpoint:
    lines = text.split("\n")[:-1]
    if len(lines) < 3 or not all(lines):
        raise CheckpointFault("fewer than three lines, or an empty one")
    origin, size, root = lines[0], lines[1], _decode(lines[2])
    if not _SIZE.fullmatch(size):
        raise CheckpointFault("a tree size that is no number")
    if len(root) != HASH_BYTES:
        raise CheckpointFault("a root hash that has not 32 bytes")
    return Checkpoint(origin, int(size), root)


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise CheckpointFault("broken base64") from None

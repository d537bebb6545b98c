"""What do tus's request headers say? Each reader returns a value or raises a problem naming it."""

import base64
import binascii
import hashlib
from uuid import UUID

from flask import request

from server.errors import Fault, Invalid, Malformed
from server.workflows.uploads import receiving
from server.workflows.uploads.grant import WantedUpload
from sync.wire import is_storable

ALGORITHMS = ("sha1", "sha256")
_METADATA_LIMIT = 4096
_TEXT_LIMIT = 255


def wanted_upload() -> WantedUpload:
    """Read what a creation announces."""
    raw = request.headers.get("Upload-Metadata", "")
    told = _metadata(raw)
    length = number("Upload-Length")
    deferred = request.headers.get("Upload-Defer-Length")
    if (length is None) == (deferred is None) or deferred not in (None, "1"):
        raise Malformed("length-needed", "Send either Upload-Length or Upload-Defer-Length: 1.")
    faults: list[Fault] = []
    evidence_id = _evidence_id(told, faults)
    sha256 = _sha256(told, faults)
    if faults or evidence_id is None:
        raise Invalid("metadata-faults", "Correct Upload-Metadata as listed in `errors`.", faults=faults)
    return WantedUpload(
        evidence_id=evidence_id,
        sha256=sha256,
        length=length,
        filename=told.get("filename", "")[:_TEXT_LIMIT],
        mime=told.get("filetype", "")[:_TEXT_LIMIT] or "application/octet-stream",
        raw_metadata=raw,
    )


def _metadata(raw: str) -> dict[str, str]:
    """Read "key base64,key base64" (section "Upload-Metadata")."""
    if len(raw) > _METADATA_LIMIT or not raw.isascii():
        raise Malformed(
            "metadata-unreadable", f"Upload-Metadata is ASCII, at most {_METADATA_LIMIT} characters."
        )
    told: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in raw.split(","))):
        key, _, encoded = pair.partition(" ")
        try:
            value = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            raise Malformed("metadata-unreadable", f"The value of `{key}` is not base64 of text.") from None
        if key in told or not is_storable(value):
            raise Malformed("metadata-unreadable", f"`{key}` comes twice or has a NUL character.")
        told[key] = value
    return told


def _evidence_id(told: dict[str, str], faults: list[Fault]) -> UUID | None:
    try:
        return UUID(told.get("evidence_id", ""))
    except ValueError:
        faults.append(Fault("/evidence_id", "Name the evidence this file is, as a UUID."))
        return None


def _sha256(told: dict[str, str], faults: list[Fault]) -> bytes | None:
    if not told.get("sha256"):
        return None
    try:
        digest = bytes.fromhex(told["sha256"])
    except ValueError:
        digest = b""
    if len(digest) != hashlib.sha256().digest_size:
        faults.append(Fault("/sha256", "Give the SHA-256 of the whole file as 64 hex digits."))
        return None
    return digest


def number(header: str, *, required: bool = False) -> int | None:
    """Read a header that is a non-negative integer."""
    text = request.headers.get(header)
    if text is None and not required:
        return None
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise Malformed("header-not-a-number", f"{header} must be a whole number from 0.", header=header)
    return int(text)


def checksum() -> receiving.Checksum | None:
    """Read Upload-Checksum (section "Checksum")."""
    text = request.headers.get("Upload-Checksum")
    if text is None:
        return None
    algorithm, _, encoded = text.partition(" ")
    if algorithm not in ALGORITHMS:
        known = ", ".join(ALGORITHMS)
        raise Malformed(
            "checksum-unsupported", f"Upload-Checksum may use: {known}.", algorithm=algorithm[:20]
        )
    try:
        digest = base64.b64decode(encoded, validate=True)
    except ValueError:  # binascii.Error is one; letters beyond ASCII raise a plain one
        digest = b""
    if len(digest) != hashlib.new(algorithm, usedforsecurity=False).digest_size:
        raise Malformed("checksum-unreadable", f"Give `{algorithm}` and the digest in base64.")
    return receiving.Checksum(algorithm=algorithm, digest=digest)

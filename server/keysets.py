"""Which keys read what is kept encrypted, which one writes, and how do they change under running processes?

A keyset is Tink's JSON. Its keys stand in the order in which they were made, so it shows by itself how far a
rotation has come (`stage_of`). Where keysets are kept in a file (KEYSETS_FILE: a JSON object, a member each),
a running process looks at it twice a second and whenever it meets a key it does not know; an environment
variable never changes under a process, so there the operator restarts everything between the stages.
"""

import json
import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Final, Generic, Literal, TypeVar

import structlog
import tink
from tink import aead, cleartext_keyset_handle, prf

PII: Final = "PII_KEYSET"
LOOKUP: Final = "LOOKUP_KEYSET"
FILE: Final = "KEYSETS_FILE"
TEMPLATES: Final = {PII: aead.aead_key_templates.AES256_GCM, LOOKUP: prf.prf_key_templates.HMAC_SHA256}
LOOK_EVERY_SECONDS: Final = 0.5
Primitive = TypeVar("Primitive")
Stage = Literal["settled", "added", "rotating"]

log = structlog.get_logger()


class BadKeysets(Exception):
    """The keysets cannot be read or written; the message says what to mend."""


def new_keyset(name: str) -> str:
    """Make a keyset of one key: to encrypt with, or to look up by."""
    aead.register()
    prf.register()
    lines: list[str] = []

    class Lines:
        def write(self, text: str) -> int:
            lines.append(text)
            return len(text)

        def flush(self) -> None:
            return

    handle = tink.new_keyset_handle(TEMPLATES[name])
    cleartext_keyset_handle.write(tink.JsonKeysetWriter(Lines()), handle)  # pyright: ignore[reportArgumentType]
    return json.dumps(json.loads("".join(lines)))


def primary_of(keyset: str) -> int:
    """Return the number of the key that writes."""
    return int(json.loads(keyset)["primaryKeyId"])


def older_of(keyset: str) -> list[int]:
    """Return the numbers of the keys that only read."""
    read = json.loads(keyset)
    return [key["keyId"] for key in read["key"] if key["keyId"] != read["primaryKeyId"]]


def prefix_of(number: int) -> bytes:
    """Return what every ciphertext, and every kept digest, of a key begins with."""
    return b"\x01" + number.to_bytes(4)


def stage_of(keyset: str) -> Stage:
    """Say how far a rotation has come.

    `settled`: one key. `added`: the newest key reads but does not write yet. `rotating`: the newest key
    writes, older ones still read.
    """
    read = json.loads(keyset)
    if len(read["key"]) == 1:
        return "settled"
    return "rotating" if read["key"][-1]["keyId"] == read["primaryKeyId"] else "added"


def with_new_key(keyset: str, *, made: str) -> str:
    """Add the key of a freshly made keyset. It reads; what writes stays as it was."""
    read, (key,) = json.loads(keyset), json.loads(made)["key"]
    taken = {one["keyId"] for one in read["key"]}
    while key["keyId"] in taken:
        key["keyId"] = 1 + secrets.randbelow(2**32 - 1)
    return json.dumps({**read, "key": [*read["key"], key]})


def with_newest_writing(keyset: str) -> str:
    """Let the newest key write."""
    read = json.loads(keyset)
    return json.dumps({**read, "primaryKeyId": read["key"][-1]["keyId"]})


def only(keyset: str, numbers: set[int], *, primary: int) -> str:
    """Return a keyset of some of the keys."""
    keys = [key for key in json.loads(keyset)["key"] if key["keyId"] in numbers]
    return json.dumps({"primaryKeyId": primary, "key": keys})


@dataclass(frozen=True, slots=True)
class KeysetFile:
    """A JSON object with a keyset a member, and perhaps other members, which are left alone."""

    path: Path

    def read(self, name: str) -> str:
        """Return a keyset. BadKeysets when there is none."""
        found = self._members().get(name)
        if not found:
            raise BadKeysets(f"{self.path} has no member {name}; `make-secrets` prints one.")
        return found if isinstance(found, str) else json.dumps(found)

    def names(self) -> set[str]:
        """Return what is in it."""
        return set(self._members())

    def write(self, keysets: Mapping[str, str]) -> None:
        """Replace keysets. Whoever reads meanwhile sees all of the old file or all of the new one."""
        known = self._members() if self.path.exists() else {}
        replace_file(self.path, json.dumps({**known, **keysets}))

    def _members(self) -> dict[str, Any]:
        try:
            read = json.loads(self.path.read_text())
        except OSError as fault:
            raise BadKeysets(f"The keysets cannot be read: {fault}") from None
        except ValueError:
            raise BadKeysets(f"{self.path} is no JSON object of keysets.") from None
        if not isinstance(read, dict):
            raise BadKeysets(f"{self.path} is no JSON object of keysets.")
        return read

    def signature(self) -> tuple[int, int, int] | None:
        """Return what changes whenever the file is replaced; None while it cannot be looked at."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size


def replace_file(path: Path, content: str) -> None:
    """Put a private file in a file's place, durable and whole, under the same owner and mode."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            if path.exists():
                _like(path, file.fileno())
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    except OSError as fault:
        draft.unlink(missing_ok=True)
        raise BadKeysets(f"{path} cannot be replaced: {fault}") from None


def _like(path: Path, draft: int) -> None:
    found = path.stat()
    os.fchmod(draft, found.st_mode & 0o777)
    if (found.st_uid, found.st_gid) != (os.geteuid(), os.getegid()):
        os.fchown(draft, found.st_uid, found.st_gid)


@dataclass(slots=True)
class Ring(Generic[Primitive]):
    """A keyset in use: what it opens to, kept in step with the file it came from."""

    name: str
    text: str = field(repr=False)
    file: KeysetFile | None
    open: Callable[[str], Primitive]
    _primitive: Primitive = field(init=False, repr=False)
    _seen: tuple[int, int, int] | None = field(init=False, default=None)
    _look_at: float = field(init=False, default=0.0)
    _lock: Lock = field(init=False, repr=False, default_factory=Lock)

    def __post_init__(self) -> None:
        self._primitive = self.open(self.text)

    def primitive(self) -> Primitive:
        """Return what the keyset opens to, at most half a second old."""
        if self.file is not None and time.monotonic() >= self._look_at:
            self.look_again()
        return self._primitive

    def look_again(self) -> None:
        """Read the file now, if it was replaced."""
        if self.file is None:
            return
        with self._lock:
            self._look_at = time.monotonic() + LOOK_EVERY_SECONDS
            signature = self.file.signature()
            if signature is not None and signature != self._seen:
                self._read(self.file, signature)

    def _read(self, file: KeysetFile, signature: tuple[int, int, int]) -> None:
        try:
            text = file.read(self.name)
            primitive = self._primitive if text == self.text else self.open(text)
        except (BadKeysets, tink.TinkError) as fault:
            # What this process already knows still reads and writes; a broken file must not stop visits.
            log.error("keysets.unreadable", which=self.name, fault=type(fault).__name__)
            return
        self._seen, self.text, self._primitive = signature, text, primitive

"""How does what a phone could not send travel by other means: a stick, a chat, a colleague?

A rescue bundle is one file: items exactly as they would be pushed and the files they promise, locked for the
office alone and vouched for by the phone's own key. Anybody may carry it and hand it in, twice too: an item
is known by its id and digest, a file by its evidence id and digest. No token is in it, so a revoked phone or
an expired token is no obstacle. Reader and writer hold one piece of 64 KiB in memory, and one item.

The format, byte by byte, stands in `sync/README.md`.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any, Final, Protocol
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from sync.envelope import DeviceKey, PublicKey, digest
from sync.manifest import CarriedFile, CarriedItem, Manifest, RescueFault, read_manifest, write_manifest
from sync.protocol import Envelope, PushedItem
from sync.strongbox import PIECE, SUITE, BoxKey, BoxOpener, Locker, LockFault, Source, Target, Unlocker
from sync.wire import Reader, WireFault, parse, read_envelope, write_envelope, write_pushed

__all__ = [
    "Bundle",
    "CarriedFile",
    "CarriedItem",
    "FileStream",
    "Manifest",
    "RescueFault",
    "check_bundle",
    "open_bundle",
    "read_rescue_key",
    "rescue_key_body",
    "write_bundle",
]

MANIFEST: Final = "application/vnd.fieldvisit.rescue+json"
RESCUE_KEY: Final = "application/vnd.fieldvisit.rescue-key+json"
PURPOSE: Final = b"fieldvisit-rescue-v1"
MAGIC: Final = b"fieldvisit rescue\n"
VERSION: Final = 1
MAX_HEADER: Final = 4096
MAX_MANIFEST: Final = 32 * 1024**2
MAX_ITEM: Final = 48 * 1024**2  # what the envelope of the largest item takes
MANIFEST_RECORD, ITEM_RECORD, FILE_RECORD = b"M", b"I", b"F"


class Content(Source, Protocol):
    """A file whose bytes travel."""

    def seek(self, offset: int, /) -> object: ...

    def close(self) -> object: ...


KeyOf = Callable[[UUID], PublicKey | None]


# The office's rescue key, as phones learn it.


def rescue_key_body(key: BoxKey) -> dict[str, Any]:
    """Return what the office signs (as RESCUE_KEY) and hands to its phones."""
    return {"v": 1, "suite": SUITE, "public_key": base64.b64encode(key.raw).decode()}


def read_rescue_key(envelope: Envelope, *, server_key: PublicKey) -> BoxKey | None:
    """Return the key that the office signed; None for a suite that this phone does not know yet.

    Raises WireFault for one that the office did not sign: whoever could slip in a key could read the bundle.
    """
    if envelope.payload_type != RESCUE_KEY or not server_key.has_sealed(envelope):
        raise WireFault("/rescue_key", "is not signed by the office")
    told = Reader(parse(envelope.payload), "/rescue_key")
    if told.text("suite") != SUITE:
        return None
    try:
        return BoxKey.from_raw(told.base64("public_key"))
    except ValueError:
        raise WireFault("/rescue_key", "is not a key") from None


# Writing.


def write_bundle(
    target: Target,
    manifest: Manifest,
    *,
    recipient: BoxKey,
    sender: DeviceKey,
    items: Iterable[PushedItem],
    open_file: Callable[[CarriedFile], Content],
) -> None:
    """Write a whole bundle. Raises RescueFault if items or files are not what the manifest says."""
    ephemeral = X25519PrivateKey.generate()
    preface = _preface(ephemeral.public_key().public_bytes_raw(), recipient)
    target.write(preface)
    locker = Locker(target, recipient=recipient, ephemeral=ephemeral, context=_context(preface))
    sealed = sender.seal(MANIFEST, write_manifest(manifest))
    _write_record(locker, MANIFEST_RECORD, _dump(write_envelope(sealed)))
    for named, item in zip(manifest.items, items, strict=True):
        _require_item(named, item)
        _write_record(locker, ITEM_RECORD, _dump(write_pushed(item)))
    for file in manifest.files:
        locker.write(FILE_RECORD + file.length.to_bytes(8, "big"))
        with closing(open_file(file)) as content:
            content.seek(file.start)
            _copy(content, locker, file)
    locker.finish()


def _preface(ephemeral: bytes, recipient: BoxKey) -> bytes:
    header = _dump(
        {
            "suite": SUITE,
            "recipient": recipient.keyid,
            "ephemeral": base64.b64encode(ephemeral).decode(),
        }
    )
    return MAGIC + bytes([VERSION]) + len(header).to_bytes(4, "big") + header


def _context(preface: bytes) -> bytes:
    return PURPOSE + b"\n" + hashlib.sha256(preface).digest()


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _write_record(locker: Locker, kind: bytes, content: bytes) -> None:
    locker.write(kind + len(content).to_bytes(8, "big"))
    locker.write(content)


def _copy(content: Source, locker: Locker, file: CarriedFile) -> None:
    rest, sha256 = file.length, hashlib.sha256()
    while rest and (piece := content.read(min(rest, PIECE))):
        locker.write(piece)
        sha256.update(piece)
        rest -= len(piece)
    if rest or sha256.hexdigest() != file.part_sha256:
        raise RescueFault("bundle-inconsistent", f"The file {file.evidence_id} changed while it was written.")


def _require_item(named: CarriedItem, item: PushedItem) -> None:
    sha256 = digest(item.envelope.payload_type, item.envelope.payload)
    if (item.id, item.seq, sha256) != (named.id, named.seq, named.sha256):
        raise RescueFault("bundle-inconsistent", f"Item {named.id} is not the one the manifest names.")


# Reading.


class FileStream:
    """One carried file, or a part of it. What is read may be kept only once the end was reached."""

    def __init__(self, file: CarriedFile, source: "_Records") -> None:
        self.file = file
        self._source = source
        self._rest = file.length
        self._sha256 = hashlib.sha256()
        self._is_passed = False

    def read(self, size: int = PIECE, /) -> bytes:
        """Return up to `size` bytes, nothing at the end. Raises RescueFault where the bundle is bad."""
        if self._is_passed:
            raise RuntimeError("the bundle is further on; read each file before asking for the next")
        piece = self._source.read(min(size, self._rest), what=f"file {self.file.evidence_id}")
        self._sha256.update(piece)
        self._rest -= len(piece)
        if not self._rest and self._sha256.hexdigest() != self.file.part_sha256:
            raise RescueFault(
                "bundle-inconsistent",
                f"File {self.file.evidence_id} has another SHA-256 than the manifest names.",
            )
        return piece

    def drain(self) -> None:
        """Read to the end, keeping nothing."""
        while self.read():
            pass
        self._is_passed = True


class Bundle:
    """An opened bundle: `manifest` is vouched for by `sender`; `contents` follow in the manifest's order."""

    def __init__(self, manifest: Manifest, sender: PublicKey, records: "_Records") -> None:
        self.manifest = manifest
        self.sender = sender
        self._records = records

    def contents(self) -> Iterator[PushedItem | FileStream]:
        """Yield each item, then each file. To be called once.

        An item is yielded whole and checked or not at all; a file is checked when its last byte was read,
        and before anything after it is yielded. Raises RescueFault, naming what it was in the middle of.
        """
        for named in self.manifest.items:
            what = f"item {named.id} (number {named.seq})"
            raw = self._records.read_record(ITEM_RECORD, most=MAX_ITEM, what=what)
            item = _read_pushed(raw, what)
            _require_item(named, item)
            yield item
        for file in self.manifest.files:
            what = f"file {file.evidence_id}"
            if self._records.read_head(FILE_RECORD, what=what) != file.length:
                raise RescueFault("bundle-inconsistent", f"The {what} has another length than it should.")
            stream = FileStream(file, self._records)
            yield stream
            stream.drain()
        if self._records.read_some(1, what="end"):
            raise RescueFault("bundle-inconsistent", "Something follows the last file.")


def _read_pushed(raw: bytes, what: str) -> PushedItem:
    try:
        told = Reader(parse(raw))
        return PushedItem(
            id=told.uuid("id"),
            seq=told.integer("seq", least=1),
            prev=told.optional_digest("prev"),
            envelope=read_envelope(told.within("envelope")),
        )
    except WireFault as fault:
        raise RescueFault("bundle-inconsistent", f"The {what} cannot be read: {fault}") from None


class _Records:
    """The plain stream inside the lock, as records: a kind, a length, the content."""

    def __init__(self, unlocker: Unlocker) -> None:
        self._unlocker = unlocker

    def read_some(self, size: int, *, what: str) -> bytes:
        try:
            return self._unlocker.read(size)
        except LockFault as fault:
            slug = "bundle-cut" if fault.is_cut else "bundle-changed"
            raise RescueFault(slug, f"The bundle cannot be read at {what}: {fault.detail}.") from None

    def read(self, size: int, *, what: str) -> bytes:
        """Return at least one byte of what must still come (none if `size` is 0)."""
        piece = self.read_some(size, what=what) if size else b""
        if size and not piece:
            raise RescueFault("bundle-inconsistent", f"The bundle ends within {what}.")
        return piece

    def read_whole(self, size: int, *, what: str) -> bytes:
        parts, rest = [], size
        while rest:
            parts.append(self.read(rest, what=what))
            rest -= len(parts[-1])
        return b"".join(parts)

    def read_head(self, kind: bytes, *, what: str) -> int:
        head = self.read_whole(9, what=what)
        if head[:1] != kind:
            raise RescueFault("bundle-inconsistent", f"Something else stands where {what} should be.")
        return int.from_bytes(head[1:], "big")

    def read_record(self, kind: bytes, *, most: int, what: str) -> bytes:
        size = self.read_head(kind, what=what)
        if size > most:
            raise RescueFault("bundle-inconsistent", f"The {what} has {size} bytes; {most} are allowed.")
        return self.read_whole(size, what=what)


def open_bundle(source: Source, *, openers: Sequence[BoxOpener], key_of: KeyOf) -> Bundle:
    """Open a bundle and check who vouches for it; `key_of` names the key a device was enrolled with.

    Raises RescueFault with a slug and a detail that says what to do.
    """
    header, context = _read_preface(source)
    opener = next((one for one in openers if one.public.keyid == header.text("recipient")), None)
    if opener is None:
        raise RescueFault("bundle-for-another", "The bundle is locked for another office, or an older key.")
    try:
        unlocker = Unlocker(source, opener=opener, ephemeral=header.base64("ephemeral"), context=context)
    except LockFault as fault:
        raise RescueFault("bundle-changed", f"The bundle cannot be opened: {fault.detail}.") from None
    records = _Records(unlocker)
    raw = records.read_record(MANIFEST_RECORD, most=MAX_MANIFEST, what="its manifest")
    try:
        envelope = read_envelope(Reader(parse(raw), "/manifest"))
        manifest = read_manifest(envelope.payload)
    except WireFault as fault:
        raise RescueFault("bundle-inconsistent", f"The manifest cannot be read: {fault}") from None
    sender = key_of(manifest.device_id)
    if sender is None:
        raise RescueFault("sender-unknown", f"No phone {manifest.device_id} was ever enrolled here.")
    if envelope.payload_type != MANIFEST or not sender.has_sealed(envelope):
        raise RescueFault("sender-unproven", f"Phone {manifest.device_id} did not sign this bundle.")
    return Bundle(manifest, sender, records)


def check_bundle(source: Source, *, openers: Sequence[BoxOpener], key_of: KeyOf) -> Manifest:
    """Read a bundle from beginning to end and return its manifest, or raise RescueFault: nothing is kept.

    An importer that checks first and then reads again imports a bad bundle not at all.
    """
    bundle = open_bundle(source, openers=openers, key_of=key_of)
    for _ in bundle.contents():
        pass
    return bundle.manifest


def _read_preface(source: Source) -> tuple[Reader, bytes]:
    """Read what stands in front of the locked stream; return the header and what the lock is bound to."""
    fixed = _read_exactly(source, len(MAGIC) + 5)
    if not fixed.startswith(MAGIC):
        raise RescueFault("not-a-bundle", "This is no rescue bundle.")
    if fixed[len(MAGIC)] != VERSION:
        raise RescueFault("bundle-too-new", "This bundle is of a later version; update the office's server.")
    size = int.from_bytes(fixed[-4:], "big")
    if size > MAX_HEADER:
        raise RescueFault("bundle-changed", "The bundle's header was changed.")
    raw = _read_exactly(source, size, after=fixed)
    try:
        header = Reader(parse(raw), "/header")
        if header.text("suite") != SUITE:
            raise RescueFault("bundle-too-new", "This bundle is locked in a way this server does not know.")
        header.text("recipient")
        header.base64("ephemeral")
    except WireFault as fault:
        raise RescueFault("bundle-changed", f"The bundle's header was changed: {fault}") from None
    return header, _context(fixed + raw)


def _read_exactly(source: Source, size: int, *, after: bytes = b"") -> bytes:
    """Return the next bytes; RescueFault where there are fewer. `after` is what stood before them."""
    read = b""
    while len(read) < size and (more := source.read(size - len(read))):
        read += more
    if len(read) < size:
        begins = (after + read)[: len(MAGIC)]
        slug = "bundle-cut" if begins and MAGIC.startswith(begins) else "not-a-bundle"
        raise RescueFault(slug, "This is no rescue bundle, or only its first bytes.")
    return read

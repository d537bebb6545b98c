"""Is this file what the agency's server held of one visit, and is it what the phone recorded?

Checks an evidence bundle with nothing but the file itself: no server, no database, no network. Every part is
held against the signed manifest, every item against its phone's key and the server's receipt, every file
against the digest the phone signed, and all of them against the tamper-evident log. Names exactly what does
not fit, and goes on to the end whatever it finds. Building bundles is `server.workflows.bundles`.
"""

import base64
import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from server.ledger.bundle_parts import NoBundle, Parts, Spoiled, open_parts
from server.ledger.bundle_records import TEXTS, faults_of, lines_of
from sync.checkpoint import Checkpoint, CheckpointFault, open_checkpoint
from sync.envelope import KeyFault, PublicKey, digest, pae
from sync.merkle import is_included, leaf_hash
from sync.protocol import RECEIPT, Envelope
from sync.wire import Reader, WireFault, parse, read_envelope

BUNDLE: Final = "application/vnd.fieldvisit.bundle+json"
MANIFEST: Final = "manifest.json"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that does not fit. `part` is a place in the bundle, `what` a sentence about it."""

    part: str
    what: str


@dataclass(slots=True)
class Report:
    """What was checked (kind -> how many) and what does not fit."""

    visit_id: str = ""
    server_key: str = ""
    checkpoint: Checkpoint | None = None
    checked: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    faults: list[Fault] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Whether nothing was found."""
        return not self.faults

    def says(self, part: str, what: str) -> None:
        """Note that something does not fit."""
        self.faults.append(Fault(part, what))


def verify(path: Path, *, server_key: str | None = None) -> Report:
    """Check a bundle. `server_key` (a keyid) is the key it must be signed with; None: whichever it names.

    NoBundle when the file is no bundle. Everything else is in the report.
    """
    with open_parts(path) as parts:
        return _Verifier(parts).verify(server_key)


class _Verifier:
    """One run over one open bundle."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.report = Report()
        self.logged: dict[str, set[tuple[str, ...]]] = defaultdict(set)
        self.rows: dict[str, list[Reader]] = {}

    def verify(self, known_key: str | None) -> Report:
        manifest, envelope = self._manifest()
        self.report.visit_id = str(manifest.get("visit_id"))
        key = self._server_key(manifest, envelope, known_key)
        self._parts(manifest)
        self._log(manifest, key)
        devices = self._devices()
        promised = self._items(devices, key)
        self._missing()
        self._evidence(promised)
        self._permit(key)
        for part, kind in TEXTS.items():
            self._texts(part, kind, key)
        return self.report

    # The whole.

    def _manifest(self) -> tuple[dict[str, Any], Envelope]:
        try:
            envelope = read_envelope(Reader(parse(self.parts.read(MANIFEST))))
            manifest = Reader(parse(envelope.payload)).value
            parts = Reader(manifest).within("parts").value
        except KeyError:
            raise NoBundle("there is no manifest in it") from None
        except (WireFault, Spoiled) as fault:
            raise NoBundle(f"its manifest cannot be read: {fault}") from None
        if manifest.get("v") != 1 or not isinstance(parts, dict):
            raise NoBundle("it is of a version that this program does not know")
        return manifest, envelope

    def _server_key(self, manifest: Mapping[str, Any], envelope: Envelope, known: str | None) -> PublicKey:
        try:
            key = PublicKey.from_spki(base64.b64decode(str(manifest.get("server_key"))), algorithm="ed25519")
        except (KeyFault, ValueError):
            raise NoBundle("its manifest names no server key") from None
        self.report.server_key = key.keyid
        if known is not None and key.keyid != known:
            self.report.says(MANIFEST, f"signed with the key {key.keyid}, not with {known}")
        if envelope.payload_type != BUNDLE or not key.has_sealed(envelope):
            self.report.says(MANIFEST, "the server's signature does not verify")
        return key

    def _parts(self, manifest: Mapping[str, Any]) -> None:
        """Hold every part against the manifest: altered, missing, added."""
        there = self.parts.names - {MANIFEST}
        listed: Mapping[str, Any] = manifest["parts"]
        for name in sorted(there - set(listed)):
            self.report.says(name, "is not in the manifest: it was added")
        for name, told in sorted(listed.items()):
            if name not in there:
                self.report.says(name, "is in the manifest but not in the bundle: it was removed")
            elif self._sha256(name) != told:
                self.report.says(name, "is not what the manifest says: it was altered")
            self.report.checked["parts"] += 1

    def _sha256(self, name: str) -> str:
        try:
            return self.parts.sha256(name)
        except Spoiled:
            return "unreadable"

    def _rows(self, name: str) -> list[Reader]:
        """Return the rows of a JSON part; none, and a fault, where it cannot be read."""
        if name not in self.rows:
            self.rows[name] = self._read_rows(name)
        return self.rows[name]

    def _read_rows(self, name: str) -> list[Reader]:
        try:
            value = parse(self.parts.read(name))
        except (KeyError, Spoiled):
            return []  # named by the manifest already
        except WireFault as fault:
            self.report.says(name, f"cannot be read: {fault.detail}")
            return []
        if not isinstance(value, list):
            self.report.says(name, "is not a list")
            return []
        return [Reader(row) for row in value if isinstance(row, dict)]

    # The log.

    def _log(self, manifest: Mapping[str, Any], key: PublicKey) -> None:
        """Open the signed head and hold every leaf's record, entry and path against it."""
        part = "proofs.json"
        try:
            proofs = Reader(parse(self.parts.read(part)))
            head = self._head(proofs.text("checkpoint"), str(manifest.get("origin")), key)
            leaves = proofs.array("leaves")
        except (KeyError, WireFault, Spoiled):
            self.report.says(part, "cannot be read: nothing is proven to be in the log")
            return
        if head is None:
            return
        for number, leaf in enumerate(leaves):
            try:
                self._leaf(Reader(leaf), head)
            except (WireFault, ValueError):
                self.report.says(f"{part}/leaves/{number}", "cannot be read")

    def _head(self, note: str, origin: str, key: PublicKey) -> Checkpoint | None:
        assert isinstance(key.key, Ed25519PublicKey)
        try:
            head = open_checkpoint(note, origin=origin, key=key.key)
        except CheckpointFault as fault:
            self.report.says("proofs.json/checkpoint", f"is no head of the log: {fault}")
            return None
        self.report.checkpoint = head
        return head

    def _leaf(self, leaf: Reader, head: Checkpoint) -> None:
        index, entry = leaf.integer("index"), bytes.fromhex(leaf.text("entry"))
        part = f"log leaf {index}"
        path = [bytes.fromhex(str(one)) for one in leaf.array("path")]
        self.report.checked["leaves"] += 1
        if not is_included(leaf_hash(entry), index=index, size=head.size, root=head.root, proof=path):
            self.report.says(part, "is not in the log whose head is signed")
            return
        record, salt = leaf.value.get("record"), leaf.value.get("salt")
        if record is None or salt is None:
            return  # erased: the entry stays, what it stood for does not
        if hashlib.sha256(bytes.fromhex(str(salt)) + str(record).encode()).digest() != entry:
            self.report.says(part, "has a record that is not the one that was logged")
            return
        kind, *lines = str(record).split("\n")
        self.logged[kind].add(tuple(lines))

    def _is_logged(self, kind: str, *lines: str) -> bool:
        return any(record[: len(lines)] == lines for record in self.logged[kind])

    # The visit.

    def _devices(self) -> dict[str, PublicKey]:
        devices: dict[str, PublicKey] = {}
        for row in self._rows("devices.json"):
            try:
                spki = base64.b64decode(row.text("public_key"))
                key = PublicKey.from_spki(spki, algorithm=row.text("algorithm"))
                devices[row.text("device_id")] = key
            except (KeyFault, ValueError) as fault:
                self.report.says(f"device {row.value.get('device_id')}", str(fault))
        return devices

    def _items(self, devices: Mapping[str, PublicKey], key: PublicKey) -> dict[str, str]:
        """Check every item; return what they promise: evidence id -> SHA-256."""
        promised: dict[str, str] = {}
        seen: dict[str, list[tuple[int, bytes, bytes | None]]] = defaultdict(list)
        for row in self._rows("items.json"):
            part = f"item {row.value.get('item_id')}"
            self.report.checked["items"] += 1
            try:
                envelope = read_envelope(row.within("envelope"))
                told = digest(envelope.payload_type, envelope.payload)
                device_id = row.text("device_id")
                self._item(part, row, envelope, told=told, device=devices.get(device_id), server=key)
                item = Reader(parse(envelope.payload))
                if not self._is_of_the_visit(item.within("body")):
                    self.report.says(part, "is of another visit")
                seen[device_id].append((item.integer("seq"), told, item.optional_digest("prev")))
                if item.text("type") == "visit.evidence":
                    body = item.within("body")
                    promised[body.text("evidence_id")] = body.text("sha256")
            except (WireFault, ValueError) as fault:
                self.report.says(part, f"cannot be read: {fault}")
        for links in seen.values():
            self._chain(sorted(links, key=lambda link: link[0]))
        return promised

    def _item(
        self,
        part: str,
        row: Reader,
        envelope: Envelope,
        *,
        told: bytes,
        device: PublicKey | None,
        server: PublicKey,
    ) -> None:
        if device is None:
            self.report.says(part, "is of a phone whose key is not in the bundle")
        elif not device.has_sealed(envelope):
            self.report.says(part, "the phone's signature does not verify: it was altered")
        receipt = row.within("receipt").value
        promise = {name: receipt.get(name) for name in ("item_id", "item_sha256", "received_at")}
        signed = json.dumps(promise, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        if not server.has_signed(pae(RECEIPT, signed), base64.b64decode(str(receipt.get("sig")))):
            self.report.says(part, "the server's receipt does not verify")
        elif promise["item_sha256"] != told.hex():
            self.report.says(part, "the receipt is of other bytes")
        if not self._is_logged("item", row.text("device_id"), row.text("item_id"), told.hex()):
            self.report.says(part, "is not in the log as it stands here")

    def _chain(self, links: Sequence[tuple[int, bytes, bytes | None]]) -> None:
        """Hold neighbours of one phone's chain against each other; other visits' items lie between."""
        for (before, told, _), (seq, _, prev) in pairwise(links):
            if seq == before + 1 and prev != told:
                self.report.says(f"item number {seq}", "does not continue the one before: a broken chain")

    def _is_of_the_visit(self, body: Reader) -> bool:
        try:
            return UUID(str(body.value.get("visit_id"))) == UUID(self.report.visit_id)
        except ValueError:
            return False

    def _missing(self) -> None:
        """Name items that a judgement of the visit was told of and that are not here, if none were erased."""
        if self._rows("erasures.json"):
            return
        here = {str(row.value.get("item_id")) for row in self._rows("items.json")}
        for row in self._rows("runs.json"):
            try:
                since = Reader(parse(row.text("text").encode())).within("since").value
                told = {str(one["item_id"]) for one in since.get("items", ())}
            except (WireFault, KeyError, TypeError):
                continue  # no text that was ever logged: named with the other records
            for item_id in sorted(told - here):
                self.report.says(f"item {item_id}", "was there when the visit was judged and is not here")

    def _evidence(self, promised: Mapping[str, str]) -> None:
        listed: set[str] = set()
        known = self._promised_by_office()
        for row in self._rows("evidence.json"):
            evidence_id, sha256 = str(row.value.get("evidence_id")), row.value.get("sha256")
            part = f"evidence {evidence_id}"
            listed.add(evidence_id)
            self.report.checked["evidence"] += 1
            if evidence_id in promised and promised[evidence_id] != sha256:
                self.report.says(part, "is not the file whose digest the phone signed")
            is_known = evidence_id in promised or known is None or evidence_id in known
            if not is_known and row.value.get("state") != "erased":
                self.report.says(part, "is promised by nobody: what promised it was removed")
            if row.value.get("file") is None:
                # It never arrived, and `state` says so: then nothing was logged of it.
                if self._is_logged("evidence", str(row.value.get("device_id")), evidence_id):
                    self.report.says(part, "was logged when it had come, and its file is not here")
                continue
            if self._media(str(row.value["file"])) != promised.get(evidence_id, sha256):
                self.report.says(part, "the bytes are not those the phone captured")
            if row.value.get("state") == "verified" and not self._is_logged(
                "evidence", str(row.value.get("device_id")), evidence_id, str(sha256)
            ):
                self.report.says(part, "is not in the log as it stands here")
        for evidence_id in sorted(set(promised) - listed):
            self.report.says(f"evidence {evidence_id}", "was promised by the phone and is not listed")

    def _promised_by_office(self) -> set[str] | None:
        """Return which evidence corrections promise; None in a bundle from before it held them."""
        if "corrections.json" not in self.parts.names:
            return None
        promised: set[str] = set()
        for row in self._rows("corrections.json"):
            try:
                written = Reader(parse(read_envelope(row.within("envelope")).payload))
                promised.add(str(written.within("body").value.get("evidence_id")))
            except WireFault:
                continue  # named with the other records
        return promised

    def _media(self, name: str) -> str:
        try:
            return self._sha256(name)
        except KeyError:
            return "missing"

    def _permit(self, key: PublicKey) -> None:
        if "permit.json" not in self.parts.names:
            return
        try:
            is_ours = key.has_sealed(read_envelope(Reader(parse(self.parts.read("permit.json")))))
        except (WireFault, Spoiled):
            is_ours = False
        self.report.checked["permits"] += 1
        if not is_ours:
            self.report.says("permit.json", "the server's signature does not verify")

    def _texts(self, part: str, kind: str, server: PublicKey) -> None:
        """Hold what was decided, and who looked, against what was logged; undecided findings are not."""
        seen: set[tuple[str, ...]] = set()
        for row in self._rows(part):
            self.report.checked[f"{kind} records"] += 1
            if row.value.get("text") is None:
                continue
            seen.add(lines_of(row)[:-1])
            name = f"{kind} {row.value.get('id')}"
            for what in faults_of(part, row, server=server):
                self.report.says(name, what)
            if not self._is_logged(kind, *lines_of(row)):
                self.report.says(name, "is not what was logged")
        if part in self.parts.names and not self._rows("erasures.json"):
            self._left_out(kind, seen)

    def _left_out(self, kind: str, seen: Collection[tuple[str, ...]]) -> None:
        """Name what was logged and stands in no row, as if it had never been decided or said.

        `seen` are the ids of rows that have a text: whether it is the right one is asked of each row.
        """
        for record in sorted(self.logged[kind]):
            if not any(record[:length] in seen for length in range(1, len(record))):
                about = next((line for line in record if line != self.report.visit_id), "")
                self.report.says(f"{kind} {about}", "was logged, and what was logged is not here")


def sentences(report: Report) -> Iterator[str]:
    """Tell a report as a person reads it, one sentence a line."""
    yield f"Evidence bundle of visit {report.visit_id}, signed with the server key {report.server_key}."
    if report.checkpoint is not None:
        yield f"Log {report.checkpoint.origin} at {report.checkpoint.size} leaves."
    yield "Checked: " + ", ".join(f"{count} {what}" for what, count in sorted(report.checked.items())) + "."
    for fault in report.faults:
        yield f"ALTERED  {fault.part}: {fault.what}."
    yield "Nothing was altered." if report.is_sound else f"{len(report.faults)} things do not fit."

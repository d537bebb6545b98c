"""What does an app on a visitor's phone call?

`Phone` keeps a folder: the outbox, the device key, the captured files. It records items offline, answers
"may I knock now?" from the permit alone, and syncs when there is a network. Clocks are handed in, so that
an app gives its native ones and a test gives any. `sync/README.md` is the manual.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar
from uuid import UUID

import httpx

from sync.cancelling import CancelToken
from sync.claims import claims_of
from sync.client import Report, SyncClient
from sync.connection import Reason, SyncFault
from sync.door import NOTHING, REMEMBERED, AtTheDoor, Obstacle, obstacles, remember, settle, turning_back
from sync.enrolling import ENROL, EnrolmentRefused, enrol
from sync.envelope import DeviceKey, PublicKey, digest
from sync.events import Listener, ignore
from sync.outbox import Outbox, QueuedFile, Sealed
from sync.pace import Pace
from sync.protocol import ITEM, PERMIT, Clock, Item, uuid7
from sync.receipts import take_answer
from sync.rescue import RescueFault, read_rescue_key
from sync.rescuing import Export, Sender
from sync.shelf import Shelf, Shelved
from sync.store import PhoneFull, sync_folder, write_durably
from sync.timekeeping import Clocks, Timekeeper, server_time
from sync.wire import Reader, WireFault, parse, read_envelope, read_item, write_clock, write_item

__all__ = ["ENROL", "Clocks", "EnrolmentRefused", "Held", "Phone", "PhoneFull", "claims_of"]

MOST_ITEM_BYTES: Final = 20 * 1024**2  # as base64 it is still what a reader of the wire takes
DRAFT_KEY: Final = "device.key.draft"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Held:
    """One assignment the phone holds, with its permit opened and verified."""

    id: UUID
    rev: int
    body: dict[str, Any]
    permit: dict[str, Any]


class Phone:
    """One enrolled phone. Use from one thread; others open their own `Phone` on the same folder.

    `most_media_bytes` bounds what captured files may take on the disk (None: as much as there is).
    """

    def __init__(self, folder: Path, *, clocks: Clocks, most_media_bytes: int | None = None) -> None:
        self.folder = folder
        self.media = folder / "media"
        self.media.mkdir(parents=True, exist_ok=True)
        self.outbox = Outbox(folder / "outbox.sqlite")
        self.time = Timekeeper(clocks, self.outbox)
        self.shelf = Shelf(self.media, self.outbox.files, most_bytes=most_media_bytes)
        self.key = self._key()
        self.pace = Pace()

    def close(self) -> None:
        """Close the outbox."""
        self.outbox.close()

    def _key(self) -> DeviceKey:
        """Read the device key, making it at the first start. It never leaves this folder."""
        path = self.folder / "device.key"
        if not path.exists():
            draft = self.folder / DRAFT_KEY
            draft.touch(mode=0o600)
            write_durably(draft, DeviceKey.generate().to_der())
            draft.replace(path)
            sync_folder(self.folder)
        return DeviceKey.from_der(path.read_bytes())

    # Enrolment.

    @property
    def is_enrolled(self) -> bool:
        """Whether the office knows this phone."""
        return self.outbox.fact("device_id") is not None

    def enrol(self, code: str, *, http: httpx.Client) -> None:
        """Enrol with a one-time code. Safe to repeat when the answer was lost.

        Raises EnrolmentRefused, or SyncFault when it was not the office that answered.
        """
        self.outbox.remember(**enrol(self.key, code, http=http))

    @property
    def device_id(self) -> UUID:
        return UUID(self.outbox.fact("device_id"))

    @property
    def staff_id(self) -> UUID:
        return UUID(self.outbox.fact("staff_id"))

    @property
    def server_key(self) -> PublicKey:
        spki = base64.b64decode(self.outbox.fact("server_key"))
        return PublicKey.from_spki(spki, algorithm="ed25519")

    # Time.

    def read_clock(self) -> Clock:
        """Take the raw readings of this moment, with the newest anchor the phone holds."""
        return self.time.read()

    def estimate_now(self) -> datetime:
        """Return the office's time if an anchor of this boot tells it, else what the wall clock says."""
        return self.time.estimate()

    # What the phone holds.

    def today(self) -> list[Held]:
        """Return the assignments on this phone whose permit is the office's; others are no permission."""
        held = []
        for entity_id, rev, body in self.outbox.entities("assignment"):
            try:
                permit = self._open_permit(body)
            except WireFault:
                continue
            held.append(Held(id=entity_id, rev=rev, body=body, permit=permit))
        return held

    def _open_permit(self, body: Mapping[str, Any]) -> dict[str, Any]:
        envelope = read_envelope(Reader(body).within("permit"))
        if envelope.payload_type != PERMIT or not self.server_key.has_sealed(envelope):
            raise WireFault("/permit", "is not signed by the office")
        return Reader(parse(envelope.payload)).value

    def may_enter_now(self, held: Held, *, team: Sequence[UUID]) -> list[str]:
        """Compare the permit with now, with who is here and with what this phone did; why not (empty: go)."""
        return [obstacle.why for obstacle in self.before_the_door(held, team=team)]

    def before_the_door(
        self, held: Held, *, team: Sequence[UUID], checklist: Mapping[str, bool] | None = None
    ) -> tuple[Obstacle, ...]:
        """Return every condition that fails, each with its rule and what to do (`sync.door`)."""
        carried = next((one.permit.get("permit_id") for one in self.today() if one.id == held.id), None)
        here = AtTheDoor(self.estimate_now(), team, carried, checklist)
        permit = held.permit | {"assignment_id": str(held.id)}
        return obstacles(permit, here, memory=self.outbox.fact("door") or NOTHING)

    def turn_back(self, held: Held, found: Sequence[Obstacle]) -> UUID | None:
        """Record that the team did not knock; None where the obstacles end by themselves."""
        item = turning_back(held.permit | {"assignment_id": str(held.id)}, found)
        return None if item is None else self.record(*item)

    # What the visitor does.

    def record(
        self,
        type_: str,
        body: dict[str, Any],
        *,
        file: QueuedFile | None = None,
        remembering: Mapping[str, Any] | None = None,
    ) -> UUID:
        """Append one signed item to the chain, durable when this returns; its id.

        What `remembering` names is remembered with it, or neither is. Raises ValueError for what the office
        could not read (a NUL, an item too large, readings of a clock that are none): once signed it could not
        be mended.

        Raises PhoneFull when there is no room even after dropping what the office has for good; then nothing
        was recorded and nothing that waits was touched.
        """
        item_id = uuid7()
        clock = self.read_clock()
        facts = dict(remembering or {})

        def seal(seq: int, prev: bytes | None) -> Sealed:
            if type_ in REMEMBERED:
                facts["door"] = self._memory_of(type_, body)
            item = Item(
                item_id=item_id,
                device_id=self.device_id,
                staff_id=self.staff_id,
                seq=seq,
                prev=prev,
                type=type_,
                seen_seq=(self.outbox.fact("seen") or {}).get(f"staff:{self.staff_id}", 0),
                clock=clock,
                body=body,
            )
            payload = write_item(item)
            read_item(payload)  # what the office could not read is refused while somebody can mend it
            if len(payload) > MOST_ITEM_BYTES:
                raise ValueError(f"an item may have {MOST_ITEM_BYTES} bytes; put large things into files")
            envelope = self.key.seal(ITEM, payload)
            return Sealed(item_id, type_, digest(ITEM, envelope.payload), envelope)

        self._with_room(lambda: self.outbox.append(seal, file=file, facts=facts))
        return item_id

    def _memory_of(self, type_: str, body: dict[str, Any]) -> Any:
        """Return what the phone remembers for its next door once this item is recorded."""
        permits = [held.permit | {"assignment_id": str(held.id)} for held in self.today()]
        memory = self.outbox.fact("door") or NOTHING
        return remember(memory, type_=type_, body=body, permits=permits, at=self.estimate_now())

    def _with_room(self, write: Callable[[], T]) -> T:
        """Write; if there is no room, drop what the office has for good and try once more."""
        try:
            return write()
        except PhoneFull:
            self.make_room()
        return write()

    def make_room(self) -> int:
        """Delete files and payloads that the office has for good; return how many files went."""
        anchor = self.outbox.fact("anchor")
        return 0 if anchor is None else self.outbox.release(now=server_time(anchor), is_short=True)

    def start_visit(
        self,
        held: Held,
        *,
        team: Sequence[UUID],
        position: dict[str, Any] | None,
        checklist: Mapping[str, bool] | None = None,
    ) -> UUID:
        """Check in; return the visit's id."""
        visit_id = uuid7()
        self.record(
            "visit.started",
            {
                "visit_id": str(visit_id),
                "assignment_id": str(held.id),
                "permit_id": held.permit["permit_id"],
                "position": position,
                "team": [str(member) for member in team],
                "checklist": dict(checklist or {}),
            },
        )
        return visit_id

    def capture(
        self,
        content: bytes | BinaryIO,
        *,
        visit_id: UUID,
        kind: str,
        purpose: str,
        mime: str,
        captured: tuple[Clock, Clock] | None = None,
        position: dict[str, Any] | None = None,
        is_urgent: bool = False,
    ) -> UUID:
        """Keep a photo or recording and promise it by digest; return the evidence id.

        The file is on the disk before the promise is signed. A large one is given as an open file and copied
        piece by piece. `is_urgent` (an incident) lets it go before others. Raises PhoneFull like `record`;
        then nothing of it stays. Of a stream that cannot be read twice it is raised before room was made.
        """
        shelved = self._shelve(content)
        begin, end = captured or (self.read_clock(), self.read_clock())
        promise = {
            "visit_id": str(visit_id),
            "evidence_id": str(shelved.evidence_id),
            "kind": kind,
            "purpose": purpose,
            "sha256": shelved.sha256,
            "size_bytes": shelved.size_bytes,
            "mime": mime,
            "captured": {"from": write_clock(begin), "until": write_clock(end)},
            "position": position,
        }
        file = QueuedFile(
            shelved.evidence_id, shelved.path, shelved.sha256, shelved.size_bytes, mime, None, is_urgent
        )
        try:
            self.record("visit.evidence", promise, file=file)
        except PhoneFull:
            self.shelf.take_back(shelved)
            raise
        return shelved.evidence_id

    def _shelve(self, content: bytes | BinaryIO) -> Shelved:
        if isinstance(content, bytes):
            return self._with_room(lambda: self.shelf.put(content))
        if not content.seekable():
            return self._shelve_stream(content)
        begin = content.tell()

        def put() -> Shelved:
            content.seek(begin)
            return self.shelf.put(content)

        return self._with_room(put)

    def _shelve_stream(self, content: BinaryIO) -> Shelved:
        """Keep what can be read once: where it found no room, its beginning is gone with the first try."""
        try:
            return self.shelf.put(content)
        except PhoneFull:
            self.make_room()
            raise

    def end_visit(self, visit_id: UUID, *, position: dict[str, Any] | None) -> None:
        """Check out."""
        self.record("visit.ended", {"visit_id": str(visit_id), "position": position})

    def write_account(
        self, visit_id: UUID, *, claims: dict[str, Any], narrative: str, amends: UUID | None = None
    ) -> UUID:
        """Write the account of a visit, or a later revision of it; return the revision's id."""
        account_id = uuid7()
        self.record(
            "visit.account",
            {
                "visit_id": str(visit_id),
                "account_id": str(account_id),
                "parent": None if amends is None else str(amends),
                "claims": claims,
                "narrative": narrative,
            },
        )
        return account_id

    def findings(self) -> list[dict[str, Any]]:
        """Return what the office found in this visitor's visits and told them: each may be replied to."""
        return [body for _, _, body in self.outbox.entities("finding")]

    def reply(self, finding: Mapping[str, Any], text: str) -> UUID:
        """Answer a finding; the reply is signed like every record. Its deadline is `reply_due_at`."""
        body = {"finding_id": finding["id"], "visit_id": finding["visit_id"], "text": text}
        return self.record("finding.replied", body)

    # Network.

    def connect(
        self, http: httpx.Client, *, on_event: Listener = ignore, cancel: CancelToken | None = None
    ) -> SyncClient:
        """Return a client for this phone over a connection; each request carries the phone's token."""
        if self.outbox.fact("server_key") is None:
            detail = "this phone is not enrolled; enrol it with a code from the office"
            raise SyncFault(detail, is_transient=False, reason=Reason.SIGN_IN)
        return SyncClient(
            outbox=self.outbox,
            http=http,
            server_key=self.server_key,
            read_clock=self.read_clock,
            on_anchor=self._keep_anchor,
            on_doubt=self._doubt,
            monotonic_ms=self.time.clocks.monotonic_ms,
            on_event=on_event,
            token=self.outbox.fact("token"),
            cancel=cancel or CancelToken(),
            pace=self.pace,
        )

    def _keep_anchor(self, anchor: dict[str, Any], rtt_ms: int) -> None:
        """Keep the office's time, and date by it what the phone remembers for its doors."""
        self.time.keep_anchor(anchor, rtt_ms)
        by, memory = server_time(anchor), self.outbox.fact("door")
        if memory is None or settle(memory, by=by) == memory:
            return
        with self.outbox.store.atomically():  # another session may record an arrival
            self.outbox.store.note({"door": settle(self.outbox.fact("door"), by=by)})

    def _doubt(self, type_: str, body: dict[str, str], facts: dict[str, Any]) -> bool:
        """Record what is wrong at the office. A full phone says it another time, and goes on syncing."""
        try:
            self.record(type_, body, remembering=facts)
        except PhoneFull:
            return False
        return True

    def sync(
        self, http: httpx.Client, *, on_event: Listener = ignore, cancel: CancelToken | None = None
    ) -> Report:
        """Run one session. Raises SyncFault when cut off, Cancelled when asked to; calling again goes on.

        Raises PhoneFull at its end if something that came had no room; all that needed none was done.
        """
        return self.connect(http, on_event=on_event, cancel=cancel).session()

    # Without a network.

    def export_rescue(
        self,
        folder: Path,
        *,
        most_bytes: int | None = None,
        on_event: Listener = ignore,
        cancel: CancelToken | None = None,
    ) -> list[Path]:
        """Write everything unsent into rescue bundles; return them. Works revoked, expired and offline.

        Raises RescueFault when the office's rescue key never reached this phone.
        """
        sealed = self.outbox.fact("rescue_key")
        recipient = sealed and read_rescue_key(read_envelope(Reader(sealed)), server_key=self.server_key)
        if not recipient:
            raise RescueFault("no-rescue-key", "This phone never got the office's rescue key; sync once.")
        sender = Sender(self.key, self.device_id, self.staff_id)
        export = Export(
            self.outbox,
            sender,
            recipient,
            self.read_clock(),
            most_bytes=most_bytes,
            cancel=cancel or CancelToken(),
            on_event=on_event,
        )
        return export.write(folder)

    def take_receipts(self, answer: bytes) -> int:
        """Take the answer that an imported bundle got, however it came back; return how many items it frees.

        Each receipt is checked as after a push. Raises WireFault, and then none was taken.
        """
        return take_answer(answer, self.outbox, server_key=self.server_key)

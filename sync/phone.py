"""What does an app on a visitor's phone call?

`Phone` keeps a folder: the outbox, the device key, the captured files. It records items offline, answers
"may I knock now?" from the permit alone, and syncs when there is a network. Clocks are handed in, so that
an app gives its native ones and a test gives any.
"""

import base64
import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx

from sync.client import Progress, Report, SyncClient
from sync.door import NOTHING, REMEMBERED, AtTheDoor, Obstacle, obstacles, remember, turning_back
from sync.envelope import DeviceKey, PublicKey, digest
from sync.outbox import Outbox, QueuedFile, Sealed
from sync.protocol import ITEM, PERMIT, Clock, Item, uuid7
from sync.wire import Reader, WireFault, parse, read_envelope, write_clock, write_instant, write_item

ENROL: Final = b"fieldvisit-enrol-v1\n"


@dataclass(frozen=True, slots=True)
class Clocks:
    """The phone's clocks: wall time, a monotonic count of milliseconds, and which boot it counts."""

    wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic_ms: Callable[[], int] = lambda: time.monotonic_ns() // 1_000_000
    boot_id: Callable[[], str] = lambda: "process-" + str(os.getpid())
    tz: str = "+08:00"


@dataclass(frozen=True, slots=True)
class Held:
    """One assignment the phone holds, with its permit opened and verified."""

    id: UUID
    rev: int
    body: dict[str, Any]
    permit: dict[str, Any]


class EnrolmentRefused(Exception):
    """The office does not accept this phone; the message is the office's."""


class Phone:
    """One enrolled phone. Use from one thread."""

    def __init__(self, folder: Path, *, clocks: Clocks) -> None:
        self.folder = folder
        self.clocks = clocks
        self.media = folder / "media"
        self.media.mkdir(parents=True, exist_ok=True)
        self.outbox = Outbox(folder / "outbox.sqlite")
        self.key = self._key()

    def close(self) -> None:
        """Close the outbox."""
        self.outbox.close()

    def _key(self) -> DeviceKey:
        """Read the device key, making it at the first start. It never leaves this folder."""
        path = self.folder / "device.key"
        if not path.exists():
            draft = self.folder / "device.key.draft"
            draft.touch(mode=0o600)
            _write_durably(draft, DeviceKey.generate().to_der())
            draft.replace(path)
            _sync_folder(self.folder)
        return DeviceKey.from_der(path.read_bytes())

    # Enrolment.

    @property
    def is_enrolled(self) -> bool:
        """Whether the office knows this phone."""
        return self.outbox.fact("device_id") is not None

    def enrol(self, code: str, *, http: httpx.Client) -> None:
        """Enrol with a one-time code. Safe to repeat when the answer was lost."""
        code = code.strip().upper()
        proof = self.key.sign(ENROL + code.encode() + b"\n" + self.key.spki)
        answer = http.post(
            "/api/v1/devices",
            json={
                "code": code,
                "public_key": base64.b64encode(self.key.spki).decode(),
                "algorithm": self.key.algorithm,
                "proof": base64.b64encode(proof).decode(),
            },
        )
        if answer.status_code != 201:
            raise EnrolmentRefused(answer.text[:500])
        told = answer.json()
        self.outbox.remember(
            device_id=told["device_id"],
            staff_id=told["staff_id"],
            token=told["token"],
            server_key=told["server_key"],
        )

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
        anchor = self.outbox.fact("anchor") or {}
        return Clock(
            wall=self.clocks.wall(),
            tz=self.clocks.tz,
            monotonic_ms=self.clocks.monotonic_ms(),
            boot_id=self.clocks.boot_id(),
            anchor=anchor.get("token"),
            anchor_monotonic_ms=anchor.get("monotonic_ms"),
            anchor_boot_id=anchor.get("boot_id"),
            rtt_ms=anchor.get("rtt_ms"),
        )

    def _keep_anchor(self, anchor: dict[str, Any], rtt_ms: int) -> None:
        readings = {
            "monotonic_ms": self.clocks.monotonic_ms(),
            "boot_id": self.clocks.boot_id(),
            "rtt_ms": max(rtt_ms, 0),
        }
        self.outbox.remember(anchor={**anchor, **readings})

    def estimate_now(self) -> datetime:
        """Return the office's time if an anchor of this boot tells it, else what the wall clock says."""
        anchor = self.outbox.fact("anchor")
        if anchor is None or anchor["boot_id"] != self.clocks.boot_id():
            return self.clocks.wall()
        elapsed = timedelta(milliseconds=self.clocks.monotonic_ms() - anchor["monotonic_ms"])
        return Reader(anchor).instant("server_time") + elapsed

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

    def record(self, type_: str, body: dict[str, Any], *, file: QueuedFile | None = None) -> UUID:
        """Append one signed item to the chain, durable when this returns; its id."""
        item_id = uuid7()
        clock = self.read_clock()
        seen = (self.outbox.fact("seen") or {}).get(f"staff:{self.staff_id}", 0)
        if type_ in REMEMBERED:
            permits = [held.permit | {"assignment_id": str(held.id)} for held in self.today()]
            memory = self.outbox.fact("door") or NOTHING
            at = self.estimate_now()
            self.outbox.remember(door=remember(memory, type_=type_, body=body, permits=permits, at=at))

        def seal(seq: int, prev: bytes | None) -> Sealed:
            item = Item(
                item_id=item_id,
                device_id=self.device_id,
                staff_id=self.staff_id,
                seq=seq,
                prev=prev,
                type=type_,
                seen_seq=seen,
                clock=clock,
                body=body,
            )
            envelope = self.key.seal(ITEM, write_item(item))
            return Sealed(item_id, type_, digest(ITEM, envelope.payload), envelope)

        self.outbox.append(seal, file=file)
        return item_id

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
        content: bytes,
        *,
        visit_id: UUID,
        kind: str,
        purpose: str,
        mime: str,
        captured: tuple[Clock, Clock] | None = None,
        position: dict[str, Any] | None = None,
    ) -> UUID:
        """Keep a photo or recording and promise it by digest; return the evidence id.

        The file is on the disk before the promise is signed.
        """
        evidence_id = uuid7()
        path = self.media / str(evidence_id)
        _write_durably(path, content)
        _sync_folder(self.media)
        sha256 = hashlib.sha256(content).hexdigest()
        begin, end = captured or (self.read_clock(), self.read_clock())
        self.record(
            "visit.evidence",
            {
                "visit_id": str(visit_id),
                "evidence_id": str(evidence_id),
                "kind": kind,
                "purpose": purpose,
                "sha256": sha256,
                "size_bytes": len(content),
                "mime": mime,
                "captured": {"from": write_clock(begin), "until": write_clock(end)},
                "position": position,
            },
            file=QueuedFile(evidence_id, path, sha256, len(content), mime, None),
        )
        return evidence_id

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

    # Network.

    def connect(self, http: httpx.Client, *, progress: Progress | None = None) -> SyncClient:
        """Return a client for this phone over a connection; the token is added here."""
        http.headers["Authorization"] = f"Bearer {self.outbox.fact('token')}"
        return SyncClient(
            outbox=self.outbox,
            http=http,
            server_key=self.server_key,
            read_clock=self.read_clock,
            on_anchor=self._keep_anchor,
            monotonic_ms=self.clocks.monotonic_ms,
            progress=progress or (lambda event, facts: None),
        )

    def sync(self, http: httpx.Client, *, progress: Progress | None = None) -> Report:
        """Run one session. Raises SyncFault when cut off; calling again goes on."""
        return self.connect(http, progress=progress).session()


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as target:
        target.write(content)
        target.flush()
        os.fsync(target.fileno())


def _sync_folder(folder: Path) -> None:
    """Make names in a folder survive a dead battery."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def claims_of(
    *, arrived_at: datetime, left_at: datetime, team: Sequence[UUID], met: str, outcome: str, **others: Any
) -> dict[str, Any]:
    """Build an account's structured claims; what is not said gets the cautious value."""
    return {
        "arrived_at": write_instant(arrived_at),
        "left_at": write_instant(left_at),
        "team_present": [str(member) for member in team],
        "met": met,
        "identity_shown": True,
        "recording_announced": True,
        "debt": "not_discussed",
        "promise": None,
        "letters": [],
        "outcome": outcome,
        **others,
    }

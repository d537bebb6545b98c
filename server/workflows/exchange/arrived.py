"""One stored item, read: what it says, when it happened, what it needs before it can be applied."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from server.signing import current_signer
from server.workflows.exchange.anchors import read_anchor
from sync import protocol
from sync.bodies import (
    AccountWritten,
    Body,
    ComplaintRaised,
    ContactLearned,
    ContactRefused,
    EvidencePromised,
    IncidentRaised,
    Reported,
    VisitEnded,
    VisitStarted,
    read_body,
)
from sync.clock import Anchor, Interval, locate
from sync.protocol import ITEM_TYPES


@dataclass(frozen=True, slots=True)
class Sender:
    """The phone an item came from, and whose it is. `left_at`: when that person left the agency.

    The rest says how far the phone's record goes, for a push: `durable_seq` is None while no backups are
    declared, `has_waiting` whether stored items were not applied yet.
    """

    device_id: UUID
    staff_id: UUID
    left_at: datetime | None
    revoked_at: datetime | None = None
    acked_seq: int = 0
    highest_seq: int = 0
    durable_seq: int | None = None
    has_waiting: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """What the inbox keeps about an item, beside its bytes. `flags` are those noted when it came in.

    `later`: an anchor that the phone got after it wrote the item, in the same boot.
    """

    device_id: UUID
    item_id: UUID
    sha256: bytes
    received_at: datetime
    flags: tuple[str, ...]
    later: Anchor | None


@dataclass(slots=True)
class Arrived:
    """A row of the inbox with its reading. `flags` grows while it is applied.

    `corrected_by`: who in the office wrote it in place of what the phone sent. `lacks_parent`: the account it
    amends is not here, and it is applied all the same.
    """

    row: Stored
    record: protocol.Item
    body: Body
    when: Interval
    sender: Sender
    flags: list[str] = field(default_factory=list)
    corrected_by: UUID | None = None
    lacks_parent: bool = False

    def flag(self, name: str) -> None:
        """Note something the office must see."""
        if name not in self.flags:
            self.flags.append(name)

    @property
    def visit_id(self) -> UUID | None:
        """The visit this item tells of."""
        if isinstance(self.body, VisitStarted | EvidencePromised | VisitEnded | AccountWritten | Reported):
            return self.body.visit_id
        return None

    @property
    def needs_visit(self) -> UUID | None:
        """The visit that must be known first."""
        if isinstance(self.body, EvidencePromised | VisitEnded | AccountWritten):
            return self.body.visit_id
        if isinstance(self.body, ComplaintRaised | IncidentRaised | ContactRefused | ContactLearned):
            return self.body.visit_id if self.body.case_id is None else None
        return None

    @property
    def needs_account(self) -> UUID | None:
        """The account revision that must be known first."""
        return self.body.parent if isinstance(self.body, AccountWritten) else None

    @property
    def gives_account(self) -> tuple[UUID, ...]:
        """The account revision that others may be waiting for."""
        return (self.body.account_id,) if isinstance(self.body, AccountWritten) else ()


@dataclass(slots=True)
class Result:
    """What became of one item. `arrived` is None when it could not be read."""

    row: Stored
    arrived: Arrived | None
    outcome: str = "applied"
    problem: dict[str, Any] | None = None

    @property
    def read(self) -> Arrived:
        """The item's reading; only asked of results that have one."""
        assert self.arrived is not None
        return self.arrived

    @property
    def visit_id(self) -> UUID | None:
        """The visit an applied item tells of."""
        return self.read.visit_id if self.outcome == "applied" else None

    @property
    def flags(self) -> list[str]:
        return self.arrived.flags if self.arrived else list(self.row.flags)


def place(clock: protocol.Clock, *, row: Stored, written: protocol.Clock) -> Interval:
    """Say when clock readings inside an item were taken; `written` are those of the item itself."""
    anchored = read_anchor(clock.anchor, current_signer(), device_id=row.device_id, now=row.received_at)
    later = row.later if clock.boot_id == written.boot_id else None
    return locate(clock, anchor_time=anchored, received_at=row.received_at, later=later)


def arrive(row: Stored, record: protocol.Item, *, sender: Sender) -> Arrived:
    """Read what a stored item says. WireFault when its body is not as its type has it."""
    when = place(record.clock, row=row, written=record.clock)
    body = read_body(record.type, record.body)
    arrived = Arrived(row=row, record=record, body=body, when=when, sender=sender, flags=list(row.flags))
    if record.type not in ITEM_TYPES:
        arrived.flag("unknown_type")
    if record.staff_id != sender.staff_id:
        arrived.flag("staff_mismatch")  # who the phone belongs to is ours to say, not the item's
    if not when.is_trusted:
        arrived.flag("clock_low_trust")
    if sender.left_at is not None and sender.left_at <= row.received_at:
        arrived.flag("staff_left")
    return arrived

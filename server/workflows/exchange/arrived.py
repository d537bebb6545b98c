"""One stored item, read: what it says, when it happened, what it needs before it can be applied."""

from dataclasses import dataclass, field
from uuid import UUID

from server.models.people import Device
from server.models.visits import Item
from sync import protocol
from sync.bodies import (
    AccountWritten,
    Body,
    EvidencePromised,
    Reported,
    VisitEnded,
    VisitStarted,
)
from sync.clock import Interval


@dataclass(slots=True)
class Arrived:
    """A row of the inbox with its reading. `flags` grows while it is applied."""

    row: Item
    record: protocol.Item
    body: Body
    when: Interval
    device: Device
    flags: list[str] = field(default_factory=list)

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
        return None

    @property
    def needs_account(self) -> UUID | None:
        """The account revision that must be known first."""
        return self.body.parent if isinstance(self.body, AccountWritten) else None

    @property
    def gives_account(self) -> tuple[UUID, ...]:
        """The account revision that others may be waiting for."""
        return (self.body.account_id,) if isinstance(self.body, AccountWritten) else ()

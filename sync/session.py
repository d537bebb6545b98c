"""What do the steps of one session share?

Pushing, pulling and sending files ask the same office, keep its anchors, and tell the same app what they did.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar
from uuid import UUID

from sync.connection import Connection, SyncFault
from sync.envelope import PublicKey
from sync.events import Listener, Stuck
from sync.outbox import Outbox
from sync.pace import Pace
from sync.pages import read_anchor
from sync.protocol import Clock
from sync.store import PhoneFull
from sync.wire import Reader, WireFault

T = TypeVar("T")


class Blocked(SyncFault):
    """One step does not get through although the office answers: the others are tried before it is said."""

    def __init__(self, fault: SyncFault) -> None:
        super().__init__(str(fault), is_transient=True, retry_after=fault.retry_after, reason=fault.reason)


@dataclass(slots=True)
class Report:
    """What one session did. `stuck` names items and files that need a person's help."""

    pushed: int = 0
    pulled: int = 0
    uploaded: int = 0
    flags: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Session:
    """One session of a phone; `offers_again` once something in it gave reason to push a second time.

    `trouble` is what one of its steps had alone, and what the session ends with.
    """

    outbox: Outbox
    office: Connection
    server_key: PublicKey
    read_clock: Callable[[], Clock]
    on_anchor: Callable[[dict[str, Any], int], None]
    on_doubt: Callable[[str, dict[str, str], dict[str, Any]], bool]
    monotonic_ms: Callable[[], int]
    on_event: Listener
    pace: Pace
    report: Report
    offers_again: bool = field(default=False, init=False)
    trouble: Blocked | PhoneFull | None = field(default=None, init=False)

    def stick(self, what: Literal["item", "file"], name: UUID, why: str) -> None:
        """Say that something needs a person."""
        self.report.stuck.append(str(name))
        self.on_event(Stuck(what, name, why))

    def needs_the_time(self) -> bool:
        """Whether no anchor is of this boot: the next one tells when that was which was written since."""
        clock = self.read_clock()
        return clock.anchor is not None and clock.anchor_boot_id != clock.boot_id

    def find_office(self) -> None:
        """Ask something small, which brings an anchor too.

        Raises SyncFault where nobody or somebody else answers: send nothing large.
        """
        sent = self.monotonic_ms()
        self.ask_status(lambda told: self.take_anchor(told.value.get("anchor"), sent))

    def ask_status(self, read: Callable[[Reader], T]) -> T | None:
        """Ask what a phone may always ask; None where this office does not tell it."""
        answer = self.office.send("GET", "/api/v1/sync/status")
        if answer.status_code in (403, 404) and answer.is_problem:
            return None
        return self.office.expect(answer, 200, read)

    def take_anchor(self, anchor: Any, sent: int) -> None:
        """Keep the anchor of a push: a phone that may only submit gets no other."""
        try:
            told = read_anchor(Reader(anchor))
        except WireFault:
            return
        self.on_anchor(told, self.monotonic_ms() - sent)

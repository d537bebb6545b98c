"""How does a phone sync over a network that keeps breaking?

One `session()` pushes the outbox, pulls the feed and sends what media is missing. Every step may be cut
off anywhere and is simply done again: the server answers a repeat with the same receipts, a page is
applied with its cursor, an upload goes on from the offset the server names. Nothing leaves the outbox
without a receipt whose signature was checked.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from sync.cancelling import CancelToken
from sync.connection import Connection, SyncFault
from sync.envelope import PublicKey
from sync.events import Listener, NoRoom, ignore
from sync.outbox import Outbox
from sync.pace import Pace
from sync.protocol import Clock
from sync.pulling import pull
from sync.pushing import push, push_again
from sync.session import Blocked, Report, Session
from sync.store import PhoneFull
from sync.timekeeping import server_time
from sync.turns import send_files

__all__ = ["Report", "SyncClient", "SyncFault", "server_time"]


@dataclass(slots=True)
class SyncClient:
    """One phone's connection to the office; `read_clock` gives raw readings, `on_anchor` gets anchors.

    `on_doubt` records an item of this type and body about the office itself, and these facts with it; False
    when there is no room for it now.
    `pace` goes from one client to the next. Use from one thread; `cancel` may be cancelled from any.
    """

    outbox: Outbox
    http: httpx.Client
    server_key: PublicKey
    read_clock: Callable[[], Clock]
    on_anchor: Callable[[dict[str, Any], int], None]
    on_doubt: Callable[[str, dict[str, str], dict[str, Any]], bool]
    monotonic_ms: Callable[[], int]
    on_event: Listener = ignore
    token: str | None = None
    cancel: CancelToken = field(default_factory=CancelToken)
    pace: Pace = field(default_factory=Pace)
    office: Connection = field(init=False)

    def __post_init__(self) -> None:
        self.office = Connection(self.http, token=self.token, cancel=self.cancel)

    def session(self) -> Report:
        """Push, pull, send media. Raises SyncFault or Cancelled; what was done before it stays done.

        Raises PhoneFull at its end if something had no room; what needs none was done all the same.
        """
        session = self._begin(Report())
        for step in (push, pull, push_again, send_files):
            self._do(step, session)
        self.tidy()
        if session.trouble is not None:
            raise session.trouble
        return session.report

    def _do(self, step: Callable[[Session], object], session: Session) -> None:
        """Do a step, and remember a trouble that is its own."""
        try:
            self._with_room(step, session)
        except Blocked as blocked:
            session.trouble = session.trouble or blocked
        except PhoneFull as full:
            session.trouble = session.trouble or full
            self.on_event(NoRoom(str(full)))

    # The steps alone.

    def push(self, report: Report) -> None:
        """Push everything that has no receipt, oldest first; items that stand aside last, each alone."""
        push(self._begin(report))

    def pull(self, report: Report) -> bool:
        """Pull until the feed has no more. True if the feed was started over, so that items wait again."""
        return pull(self._begin(report))

    def send_media(self, report: Report) -> None:
        """Send the files that are waiting, turn by turn; one that cannot go does not hold up the others."""
        send_files(self._begin(report))

    def tidy(self) -> None:
        """Drop what the office has kept for good long enough."""
        anchor = self.outbox.fact("anchor")
        if anchor is not None:
            self.outbox.release(now=server_time(anchor))

    def _begin(self, report: Report) -> Session:
        return Session(
            outbox=self.outbox,
            office=self.office,
            server_key=self.server_key,
            read_clock=self.read_clock,
            on_anchor=self.on_anchor,
            on_doubt=self.on_doubt,
            monotonic_ms=self.monotonic_ms,
            on_event=self.on_event,
            pace=self.pace,
            report=report,
        )

    def _with_room(self, step: Callable[[Session], object], session: Session) -> None:
        """Do a step; where there is no room make some and do it again. Raises PhoneFull if none is made."""
        try:
            step(session)
        except PhoneFull:
            if not self._make_room():
                raise
            step(session)

    def _make_room(self) -> bool:
        anchor = self.outbox.fact("anchor")
        return anchor is not None and self.outbox.make_room(now=server_time(anchor))

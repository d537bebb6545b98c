"""What time is it, by a phone whose wall clock anybody can turn?

The newest anchor (the office's time, signed) is kept with the readings at which it came. As long as the phone
is not started again, its monotonic clock carries the office's time on; after that the wall clock is all, but
it is never earlier than that anchor.
"""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sync.outbox import Outbox
from sync.protocol import Clock
from sync.wire import Reader

# Process ids come again, after a restart of the device most of all, and then its count begins anew.
_THIS_PROCESS: Final = "process-" + secrets.token_hex(8)
_NEVER_SLEEPING: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)


def _count_ns() -> int:
    """Count on while the device sleeps, which on Linux `time.monotonic` does not."""
    return time.monotonic_ns() if _NEVER_SLEEPING is None else time.clock_gettime_ns(_NEVER_SLEEPING)


def server_time(anchor: Mapping[str, Any]) -> datetime:
    """Return the server time an anchor states. Raises WireFault where it states none."""
    return Reader(anchor).instant("server_time")


@dataclass(frozen=True, slots=True)
class Clocks:
    """The phone's clocks: wall time, a count of milliseconds that goes on while the phone sleeps, and which
    boot it counts. Those that stand here take each process for a boot.
    """

    wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic_ms: Callable[[], int] = lambda: _count_ns() // 1_000_000
    boot_id: Callable[[], str] = lambda: _THIS_PROCESS
    tz: str = "+08:00"


@dataclass(frozen=True, slots=True)
class Timekeeper:
    """The phone's clocks with the anchor its outbox keeps."""

    clocks: Clocks
    outbox: Outbox

    def read(self) -> Clock:
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

    def keep_anchor(self, anchor: dict[str, Any], rtt_ms: int) -> None:
        """Remember an anchor with the readings at which it came."""
        readings = {
            "monotonic_ms": self.clocks.monotonic_ms(),
            "boot_id": self.clocks.boot_id(),
            "rtt_ms": max(rtt_ms, 0),
        }
        self.outbox.remember(anchor={**anchor, **readings})

    def estimate(self) -> datetime:
        """Return the office's time if an anchor of this boot tells it, else what the wall clock says."""
        anchor = self.outbox.fact("anchor")
        if anchor is None:
            return self.clocks.wall()
        if anchor["boot_id"] != self.clocks.boot_id():
            return max(self.clocks.wall(), server_time(anchor))
        elapsed = timedelta(milliseconds=max(self.clocks.monotonic_ms() - anchor["monotonic_ms"], 0))
        return server_time(anchor) + elapsed

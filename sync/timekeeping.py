"""What time is it, by a phone whose wall clock anybody can turn?

The newest anchor (the office's time, signed) is kept with the readings at which it came. As long as the phone
is not started again, its monotonic clock carries the office's time on; after that the wall clock is all.
"""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sync.outbox import Outbox
from sync.protocol import Clock
from sync.wire import Reader


def server_time(anchor: Mapping[str, Any]) -> datetime:
    """Return the server time an anchor states. Raises WireFault where it states none."""
    return Reader(anchor).instant("server_time")


@dataclass(frozen=True, slots=True)
class Clocks:
    """The phone's clocks: wall time, a monotonic count of milliseconds, and which boot it counts."""

    wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic_ms: Callable[[], int] = lambda: time.monotonic_ns() // 1_000_000
    boot_id: Callable[[], str] = lambda: "process-" + str(os.getpid())
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
        if anchor is None or anchor["boot_id"] != self.clocks.boot_id():
            return self.clocks.wall()
        elapsed = timedelta(milliseconds=self.clocks.monotonic_ms() - anchor["monotonic_ms"])
        return server_time(anchor) + elapsed

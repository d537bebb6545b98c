"""Which server time may a phone build its clock on?

An anchor carries the server's time under a MAC, bound to one phone: self-contained, nothing is stored.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from server.signing import Signer
from sync.clock import Anchor
from sync.protocol import Clock
from sync.wire import Reader, write_instant

PURPOSE: Final = "anchor"
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def make_anchor(signer: Signer, *, device_id: UUID, now: datetime) -> dict[str, Any]:
    """Return a fresh anchor for this phone."""
    milliseconds = (now - EPOCH) // timedelta(milliseconds=1)
    seal = signer.mac(PURPOSE, f"{milliseconds}.{device_id}")
    return {"token": f"a1.{milliseconds}.{device_id}.{seal}", "server_time": write_instant(now)}


def read_anchor(token: str | None, signer: Signer, *, device_id: UUID, now: datetime) -> datetime | None:
    """Return the server time of an anchor of ours for this phone; None for anything else."""
    said, _, seal = (token or "").rpartition(".")
    is_ours = signer.has_made(seal, PURPOSE, said.removeprefix("a1."))
    return anchor_said(token, device_id=device_id, now=now) if is_ours else None


def anchor_said(token: str | None, *, device_id: UUID, now: datetime) -> datetime | None:
    """Return the server time that stands in a phone's anchor, whoever made it."""
    match (token or "").split("."):
        case ["a1", milliseconds, device, _] if device == str(device_id) and milliseconds.isdecimal():
            anchored = EPOCH + timedelta(milliseconds=int(milliseconds))
            return anchored if anchored <= now else None
    return None


def later_anchor(written: Clock, pushed: Clock, *, anchored_at: datetime | None) -> Anchor | None:
    """Return the anchor of a push if its items need it: they were written before it came, in the same boot.

    `anchored_at` is the server time inside it, once its authenticity was checked.
    """
    count, boot = pushed.anchor_monotonic_ms, written.boot_id
    is_needed = written.anchor_boot_id != boot == pushed.boot_id == pushed.anchor_boot_id
    if anchored_at is None or count is None or not is_needed:
        return None
    return Anchor(anchored_at, count, pushed.rtt_ms)


def write_anchor(anchor: Anchor) -> dict[str, Any]:
    """Return it as the inbox keeps it."""
    counted = {"monotonic_ms": anchor.monotonic_ms, "rtt_ms": anchor.rtt_ms}
    return {"server_time": write_instant(anchor.server_time), **counted}


def kept_anchor(value: Any) -> Anchor | None:
    """Read it as the inbox kept it; None where there is none."""
    if value is None:
        return None
    told = Reader(value)
    return Anchor(told.instant("server_time"), told.integer("monotonic_ms"), told.optional_integer("rtt_ms"))

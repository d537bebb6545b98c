"""Which server time may a phone build its clock on?

An anchor carries the server's time under a MAC, bound to one phone: self-contained, nothing is stored.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from server.signing import Signer
from sync.wire import write_instant

PURPOSE: Final = "anchor"
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def make_anchor(signer: Signer, *, device_id: UUID, now: datetime) -> dict[str, Any]:
    """Return a fresh anchor for this phone."""
    milliseconds = (now - EPOCH) // timedelta(milliseconds=1)
    seal = signer.mac(PURPOSE, f"{milliseconds}.{device_id}")
    return {"token": f"a1.{milliseconds}.{device_id}.{seal}", "server_time": write_instant(now)}


def read_anchor(token: str | None, signer: Signer, *, device_id: UUID, now: datetime) -> datetime | None:
    """Return the server time of an anchor of ours for this phone; None for anything else."""
    match (token or "").split("."):
        case ["a1", milliseconds, device, seal] if device == str(device_id) and milliseconds.isdecimal():
            if not signer.has_made(seal, PURPOSE, f"{milliseconds}.{device}"):
                return None
            anchored = EPOCH + timedelta(milliseconds=int(milliseconds))
            return anchored if anchored <= now else None
    return None

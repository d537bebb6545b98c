"""Which files did a visit promise, and which are still to come?"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Promise:
    """One file that a signed item promised."""

    evidence_id: UUID
    sha256: bytes
    size_bytes: int


def still_missing(promises: Iterable[Promise], received: Iterable[tuple[UUID, bytes]]) -> list[Promise]:
    """Return the promises whose exact bytes have not been received, smallest first."""
    have = set(received)
    left = [promise for promise in promises if (promise.evidence_id, promise.sha256) not in have]
    return sorted(left, key=lambda promise: (promise.size_bytes, promise.evidence_id))

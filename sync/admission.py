"""What is each item of a pushed batch: new, a repeat, or other bytes under a known id?

Pure: given what is stored and the decoded batch, it says what to store. The server decides nothing
else about admission; what an item *means* is a later matter (store first, judge second).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from uuid import UUID

from sync.envelope import digest
from sync.protocol import ITEM, Envelope, Item, PushedItem
from sync.wire import WireFault, read_item

Admission = Literal["new", "duplicate", "conflicting"]


class Seal(Protocol):
    """A phone's key, as far as it is needed here."""

    def has_sealed(self, envelope: Envelope) -> bool:
        """Whether one of the envelope's signatures is by this key."""
        ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pushed item with its digest, and what could be read of it. `problem` is why it cannot be applied."""

    pushed: PushedItem
    digest: bytes
    item: Item | None
    problem: dict[str, Any] | None
    flags: tuple[str, ...] = ()


def examine(pushed: PushedItem, *, device_id: UUID, key: Seal) -> Candidate:
    """Check signature and form of one item. Whatever is wrong becomes a `problem`, never an exception."""
    name = digest(pushed.envelope.payload_type, pushed.envelope.payload)
    if pushed.envelope.payload_type != ITEM:
        return Candidate(pushed, name, None, _problem("payload-type-unknown", f"Items are sealed as {ITEM}."))
    if not key.has_sealed(pushed.envelope):
        return Candidate(
            pushed, name, None, _problem("signature-wrong", "No signature is by this phone's enrolled key.")
        )
    try:
        item = read_item(pushed.envelope.payload)
    except WireFault as fault:
        return Candidate(pushed, name, None, _problem("item-unreadable", fault.detail, pointer=fault.pointer))
    if item.device_id != device_id:
        return Candidate(
            pushed, name, None, _problem("item-of-another-device", "Each phone pushes its own items.")
        )
    wrapper = (pushed.id, pushed.seq, pushed.prev)
    flags = () if wrapper == (item.item_id, item.seq, item.prev) else ("wrapper_mismatch",)
    problem = (
        None if not flags else _problem("wrapper-mismatch", "id, seq or prev differ from the signed item.")
    )
    return Candidate(pushed, name, item, problem, flags)


def _problem(slug: str, detail: str, **facts: str) -> dict[str, Any]:
    return {"slug": slug, "detail": detail, **facts}


def admit(candidates: Sequence[Candidate], stored: Mapping[UUID, bytes]) -> list[Admission]:
    """Say what each candidate is, given the digests stored under their ids and earlier in the batch."""
    known = dict(stored)
    verdicts: list[Admission] = []
    for candidate in candidates:
        name = candidate.pushed.id
        if name not in known:
            known[name] = candidate.digest
            verdicts.append("new")
        else:
            verdicts.append("duplicate" if known[name] == candidate.digest else "conflicting")
    return verdicts

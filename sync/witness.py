"""Did the office's log only grow since this phone last looked?

A phone keeps the newest signed head of the log that it saw. The last page of a pull brings the head of today
and the proof that it grew out of the kept one. A log that lost leaves or rewrote them has no such proof,
whoever holds its signing key: phones with heads of many days are witnesses that a server cannot bribe.
"""

from dataclasses import dataclass
from typing import Final, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sync.checkpoint import MOST_BYTES, CheckpointFault, log_name, open_checkpoint
from sync.envelope import PublicKey
from sync.merkle import HASH_BYTES, is_consistent
from sync.wire import Reader, WireFault

HEAD: Final = "log_head"
"""Under this name a phone keeps the newest head it saw."""
MOST_HASHES: Final = 128
"""A proof between two trees of less than 2^63 leaves has fewer."""


@dataclass(frozen=True, slots=True)
class Head:
    """A head that the office signed, with its exact words."""

    size: int
    root: bytes
    note: str


@dataclass(frozen=True, slots=True)
class Growth:
    """What the office says of its log: its newest head, and the way there from the head of `since` leaves."""

    checkpoint: str
    since: int
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Doubt:
    """Two heads signed by the office of which the later did not grow out of the earlier.

    `shorter`: the log lost leaves, as after a restored backup. `rewritten`: it holds others in their place.
    Both notes are the office's own words, and nobody needs to trust the phone.
    """

    why: Literal["shorter", "rewritten"]
    held: str
    told: str


def open_head(note: str, *, key: PublicKey) -> Head:
    """Return what a head says. CheckpointFault when the office did not sign it."""
    if not isinstance(key.key, Ed25519PublicKey):
        raise CheckpointFault("the office's key is none that signs logs")
    told = open_checkpoint(note, origin=log_name(key.keyid), key=key.key)
    return Head(told.size, told.root, note)


def read_growth(told: Reader) -> Growth:
    """Read what a page says of the log. Raises WireFault."""
    proof = told.array("proof")
    if len(proof) > MOST_HASHES:
        raise WireFault(told.at("proof"), "is longer than any proof")
    return Growth(
        checkpoint=told.text("checkpoint", most=MOST_BYTES),
        since=told.integer("since"),
        proof=tuple(_read_hash(one, f"{told.at('proof')}/{n}") for n, one in enumerate(proof)),
    )


def _read_hash(value: object, pointer: str) -> bytes:
    try:
        found = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        found = b""
    if len(found) != HASH_BYTES:
        raise WireFault(pointer, "must be 64 hexadecimal digits")
    return found


def witness(kept: Head | None, told: Growth, *, key: PublicKey) -> Doubt | None:
    """Hold today's head against the kept one; None when all is well, or when there is nothing to compare.

    `told` answers a question that named the size of `kept`. Raises CheckpointFault when today's head is not
    signed by the office: that is no word of the office at all.
    """
    later = open_head(told.checkpoint, key=key)
    if kept is None:
        return None
    if later.size < kept.size:
        return Doubt("shorter", kept.note, later.note)
    grew = told.since == kept.size and is_consistent(
        size=kept.size, root=kept.root, later_size=later.size, later_root=later.root, proof=told.proof
    )
    return None if grew else Doubt("rewritten", kept.note, later.note)

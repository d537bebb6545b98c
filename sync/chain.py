"""Is a phone's record complete, in order, and of one phone?

Each item names the digest of the one before. Numbers show what is missing; digests show removal,
reordering and a cloned phone. Nothing is refused for it: a fork is accepted and flagged (protocol.md).
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from types import MappingProxyType

DIGEST_BYTES = 32
GAP = "chain_gap"
FORK = "chain_fork"


@dataclass(frozen=True, slots=True)
class Link:
    """The place of one item in its phone's chain."""

    seq: int
    prev: bytes | None
    digest: bytes


def flags_of(
    link: Link, *, at_seq: Sequence[bytes], before: Sequence[bytes], followers: Sequence[bytes | None] = ()
) -> tuple[str, ...]:
    """Say what is odd about a link.

    `at_seq` are the digests of the other items known with the same number, `before` those of the items
    with the number before, `followers` what the items with the number after name as theirs. Not knowing
    the predecessor (yet) is a gap; one that differs is a fork.
    """
    flags = []
    if any(other != link.digest for other in at_seq):
        flags.append(FORK)
    if followers and link.digest not in followers:
        flags.append(FORK)
    if link.seq == 1:
        if link.prev is not None:
            flags.append(FORK)
    elif link.prev is None or (before and link.prev not in before):
        flags.append(FORK)
    elif not before:
        flags.append(GAP)
    return tuple(dict.fromkeys(flags))


def judge_links(
    new: Sequence[Link],
    known: Mapping[int, Iterable[bytes]],
    *,
    prevs: Mapping[int, Sequence[bytes | None]] = MappingProxyType({}),
    unsigned: Set[bytes] = frozenset(),
) -> list[tuple[str, ...]]:
    """Return the flags of each new link.

    `known` maps numbers to the digests already stored, `prevs` to the predecessors those items name.
    `unsigned` are digests of what the phone's key did not sign: somebody else's bytes make no fork.
    """
    all_by_seq: dict[int, list[bytes]] = {seq: list(digests) for seq, digests in known.items()}
    for link in new:
        all_by_seq.setdefault(link.seq, []).append(link.digest)
    return [
        flags_of(
            link,
            at_seq=[one for one in all_by_seq[link.seq] if one not in unsigned],
            before=all_by_seq.get(link.seq - 1, []),
            followers=prevs.get(link.seq + 1, ()),
        )
        for link in new
    ]


def missing_ranges(present: Sequence[int], *, highest: int) -> list[tuple[int, int]]:
    """Return the ranges of numbers from 1 to `highest` that are not in `present` (sorted, distinct)."""
    ranges = []
    expected = 1
    for seq in [*present, highest + 1]:
        if seq > expected:
            ranges.append((expected, seq - 1))
        expected = seq + 1
    return ranges


def record_digest(digests: Iterable[bytes]) -> bytes:
    """Return one digest of many items: two sides that hold the same items have the same, in any order.

    That of no items is all zeros; that of two sets apart is the exclusive or of theirs.
    """
    total = 0
    for one in digests:
        total ^= int.from_bytes(one)
    return total.to_bytes(DIGEST_BYTES)

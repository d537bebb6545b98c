"""The tree as RFC 6962 section 2.1 defines it, word for word and slowly: what the tiles are held against."""

import hashlib
from collections.abc import Sequence


def tree_hash(entries: Sequence[bytes]) -> bytes:
    """MTH(D[n])."""
    if not entries:
        return hashlib.sha256().digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    middle = _split(len(entries))
    both = tree_hash(entries[:middle]) + tree_hash(entries[middle:])
    return hashlib.sha256(b"\x01" + both).digest()


def audit_path(index: int, entries: Sequence[bytes]) -> list[bytes]:
    """PATH(m, D[n])."""
    if len(entries) == 1:
        return []
    middle = _split(len(entries))
    if index < middle:
        return [*audit_path(index, entries[:middle]), tree_hash(entries[middle:])]
    return [*audit_path(index - middle, entries[middle:]), tree_hash(entries[:middle])]


def proof(size: int, entries: Sequence[bytes]) -> list[bytes]:
    """PROOF(m, D[n])."""
    return _subproof(size, entries, is_whole=True)


def _subproof(size: int, entries: Sequence[bytes], *, is_whole: bool) -> list[bytes]:
    if size == len(entries):
        return [] if is_whole else [tree_hash(entries)]
    middle = _split(len(entries))
    if size <= middle:
        return [*_subproof(size, entries[:middle], is_whole=is_whole), tree_hash(entries[middle:])]
    return [*_subproof(size - middle, entries[middle:], is_whole=False), tree_hash(entries[:middle])]


def _split(count: int) -> int:
    power = 1
    while power * 2 < count:
        power *= 2
    return power

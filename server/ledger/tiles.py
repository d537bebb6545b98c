"""How is a tree of any size kept so that growing it, and proving from it, touches little?

The tree's hashes stand in tiles as C2SP tlog-tiles cuts them: a tile holds up to 256 hashes of one level, and
each full tile is one hash of the tile level above (eight tree levels higher). A proof over millions of leaves
reads a handful of tiles. `Tiles` is where they are kept; this module only computes.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from sync.merkle import EMPTY_ROOT, HASH_BYTES, node_hash

HEIGHT: Final = 8
WIDTH: Final = 1 << HEIGHT

Place = tuple[int, int]
"""A tile's level and its number in that level, both from 0."""


class Tiles(Protocol):
    """Where tiles are kept."""

    def read(self, place: Place) -> bytes:
        """Return a tile's hashes, one after the other; empty for a tile that is not there yet."""
        ...


class TreeBroken(Exception):
    """Tiles are missing or too short for the size they should have: somebody altered them."""


def grow(tiles: Tiles, *, size: int, leaves: Sequence[bytes]) -> dict[Place, bytes]:
    """Append leaf hashes to a tree of `size` leaves; return the tiles that change, whole."""
    changed: dict[Place, bytes] = {}
    level, first, added = 0, size, list(leaves)
    while added:
        above: list[bytes] = []
        at = 0
        while at < len(added):
            number, taken = divmod(first + at, WIDTH)
            old = tiles.read((level, number))[: taken * HASH_BYTES]
            if len(old) < taken * HASH_BYTES:
                raise TreeBroken(f"tile {level}/{number} is shorter than its tree of {size} leaves")
            fitting = added[at : at + WIDTH - taken]
            tile = old + b"".join(fitting)
            changed[level, number] = tile
            if taken + len(fitting) == WIDTH:
                above.append(_fold(_hashes(tile)))
            at += len(fitting)
        level, first, added = level + 1, first // WIDTH, above
    return changed


def root(tiles: Tiles, size: int) -> bytes:
    """Return the root of the first `size` leaves (RFC 6962 2.1)."""
    return _range(tiles, 0, size) if size else EMPTY_ROOT


def inclusion_proof(tiles: Tiles, *, index: int, size: int) -> list[bytes]:
    """Return the path from a leaf to the root of the first `size` leaves (RFC 6962 2.1.1)."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size}")
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(_range(tiles, middle, high))
            high = middle
        else:
            path.append(_range(tiles, low, middle))
            low = middle
    return path[::-1]


def consistency_proof(tiles: Tiles, *, size: int, later_size: int) -> list[bytes]:
    """Return the proof that the first `size` leaves are the beginning of `later_size` (RFC 6962 2.1.2)."""
    if not 0 <= size <= later_size:
        raise ValueError(f"a tree of {later_size} does not grow out of one of {size}")
    if size in (0, later_size):
        return []
    path: list[bytes] = []
    low, high, is_whole = 0, later_size, True
    while size != high:
        middle = low + _split(high - low)
        if size <= middle:
            path.append(_range(tiles, middle, high))
            high = middle
        else:
            path.append(_range(tiles, low, middle))
            low, is_whole = middle, False
    if not is_whole:
        path.append(_range(tiles, low, high))
    return path[::-1]


def ways(size: int, *leaves: int) -> set[Place]:
    """Return the tiles on the ways from these leaves up to the root of the first `size` leaves.

    They hold all that the inclusion proof of such a leaf is made of. Where an earlier size ended, the last
    leaf then and the last leaf now are enough for the consistency proof: the hashes beside a way lie in its
    tiles.
    """
    levels = range((size.bit_length() + HEIGHT - 1) // HEIGHT)
    return {
        (level, leaf >> HEIGHT * (level + 1)) for level in levels for leaf in (*leaves, size - 1) if leaf >= 0
    }


class Kept:
    """Tiles that were read before, and no others."""

    def __init__(self, known: Mapping[Place, bytes]) -> None:
        self._known = known

    def read(self, place: Place) -> bytes:
        """Return a tile of these."""
        return self._known.get(place, b"")


class Cached:
    """Reads each tile once: the tiles of one proof, or of many proofs of one tree."""

    def __init__(self, tiles: Tiles, known: Mapping[Place, bytes] | None = None) -> None:
        self._tiles = tiles
        self._known = dict(known or {})

    def read(self, place: Place) -> bytes:
        """Return a tile, from memory if it was read before."""
        if place not in self._known:
            self._known[place] = self._tiles.read(place)
        return self._known[place]


def _split(width: int) -> int:
    """The largest power of two smaller than `width`."""
    return 1 << (width - 1).bit_length() - 1


def _range(tiles: Tiles, low: int, high: int) -> bytes:
    """Hash the leaves [low, high) as they hang together; `low` begins a subtree that holds them."""
    width = high - low
    if width & (width - 1) == 0:
        return _complete(tiles, low, width.bit_length() - 1)
    middle = low + _split(width)
    return node_hash(_range(tiles, low, middle), _range(tiles, middle, high))


def _complete(tiles: Tiles, low: int, height: int) -> bytes:
    """Hash the complete subtree of 2**height leaves that begins at `low`, from one tile."""
    level, inside = divmod(height, HEIGHT)
    number, first = divmod(low >> (level * HEIGHT), WIDTH)
    tile = tiles.read((level, number))
    hashes = _hashes(tile[first * HASH_BYTES : (first + (1 << inside)) * HASH_BYTES])
    if len(hashes) < 1 << inside:
        raise TreeBroken(f"tile {level}/{number} lacks hashes of the subtree at leaf {low}")
    return _fold(hashes)


def _fold(hashes: Sequence[bytes]) -> bytes:
    """Hash a complete row of a power of two up to its top."""
    row = list(hashes)
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


def _hashes(tile: bytes) -> list[bytes]:
    return [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]

"""The tree is RFC 6962's, whatever its size and however it grew; proofs prove, and only what is true."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.ledger.tiles import (
    WIDTH,
    Cached,
    Place,
    TreeBroken,
    consistency_proof,
    grow,
    inclusion_proof,
    root,
    ways,
)
from sync.merkle import EMPTY_ROOT, HASH_BYTES, is_consistent, is_included, leaf_hash
from tests.ledger import naive

# The eight entries and roots by which implementations of Certificate Transparency check each other.
ENTRIES = [
    bytes.fromhex(entry)
    for entry in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


class Shelf:
    """Tiles in memory."""

    def __init__(self) -> None:
        self.tiles: dict[Place, bytes] = {}

    def read(self, place: Place) -> bytes:
        return self.tiles.get(place, b"")


def a_tree(entries: list[bytes], *, batches: list[int] | None = None) -> Shelf:
    """Grow a tree of these entries, in batches of these sizes and then the rest."""
    shelf, size = Shelf(), 0
    for count in [*(batches or []), len(entries)]:
        leaves = [leaf_hash(entry) for entry in entries[size : size + count]]
        shelf.tiles |= grow(shelf, size=size, leaves=leaves)
        size += len(leaves)
    return shelf


def some_entries(count: int, *, seed: int = 0) -> list[bytes]:
    drawn = random.Random(seed)
    return [drawn.randbytes(32) for _ in range(count)]


def test_the_empty_tree_has_the_hash_of_nothing():
    assert root(Shelf(), 0) == EMPTY_ROOT == naive.tree_hash([])


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_that_other_implementations_agree_on(size: int):
    assert root(a_tree(ENTRIES), size).hex() == ROOTS[size - 1]


@pytest.mark.parametrize("size", [1, 2, 3, 255, 256, 257, 511, 512, 513, 700, 1025])
def test_every_proof_of_a_tree_is_the_one_of_the_rfc(size: int):
    entries = some_entries(size)
    shelf = Cached(a_tree(entries))

    for index in {0, 1, size // 2, size - 2, size - 1} & set(range(size)):
        assert inclusion_proof(shelf, index=index, size=size) == naive.audit_path(index, entries)
    for earlier in {1, 2, size // 2, 255, 256, 257, size - 1} & set(range(1, size)):
        built = consistency_proof(shelf, size=earlier, later_size=size)
        assert built == naive.proof(earlier, entries)


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 1500),
    batches=st.lists(st.integers(1, 400), max_size=6),
    data=st.data(),
)
def test_however_it_grew_every_leaf_and_every_earlier_head_can_be_proven(
    count: int, batches: list[int], data: st.DataObject
):
    entries = some_entries(count, seed=count)
    shelf = Cached(a_tree(entries, batches=batches))
    earlier = data.draw(st.integers(0, count))
    index = data.draw(st.integers(0, count - 1))

    head, before = root(shelf, count), root(shelf, earlier)

    assert head == naive.tree_hash(entries)
    assert before == naive.tree_hash(entries[:earlier])
    path = inclusion_proof(shelf, index=index, size=count)
    assert is_included(leaf_hash(entries[index]), index=index, size=count, root=head, proof=path)
    grown = consistency_proof(shelf, size=earlier, later_size=count)
    assert is_consistent(size=earlier, root=before, later_size=count, later_root=head, proof=grown)


class Asked:
    """A tree of any size of which only matters what is read."""

    def __init__(self) -> None:
        self.places: set[Place] = set()

    def read(self, place: Place) -> bytes:
        self.places.add(place)
        return bytes(WIDTH * HASH_BYTES)


@settings(max_examples=150, deadline=None)
@given(size=st.integers(1, 2**44) | st.integers(1, 70_000), data=st.data())
def test_a_proof_needs_the_tiles_on_its_ways_and_no_others(size: int, data: st.DataObject):
    index = data.draw(st.integers(0, size - 1))
    earlier = data.draw(st.integers(0, size))
    included, grown = Asked(), Asked()

    inclusion_proof(included, index=index, size=size)
    consistency_proof(grown, size=earlier, later_size=size)

    assert included.places <= ways(size, index)
    assert grown.places <= ways(size, earlier - 1)
    assert len(ways(size, index)) <= 2 * (size.bit_length() // 8 + 1)


@settings(max_examples=200, deadline=None)
@given(count=st.integers(2, 600), data=st.data())
def test_nothing_else_can_be_proven(count: int, data: st.DataObject):
    entries = some_entries(count, seed=count)
    shelf = Cached(a_tree(entries))
    index = data.draw(st.integers(0, count - 1))
    earlier = data.draw(st.integers(1, count - 1))
    head, before = root(shelf, count), root(shelf, earlier)
    path = inclusion_proof(shelf, index=index, size=count)
    grown = consistency_proof(shelf, size=earlier, later_size=count)
    altered = bytearray(data.draw(st.sampled_from([*path, *grown])))
    altered[data.draw(st.integers(0, 31))] ^= 1 << data.draw(st.integers(0, 7))
    bad = bytes(altered)
    was = next(one for one in [*path, *grown] if sum(a != b for a, b in zip(one, bad, strict=True)) == 1)
    leaf = leaf_hash(entries[index])
    other = (index + 1) % count

    assert not is_included(leaf_hash(b"forged"), index=index, size=count, root=head, proof=path)
    assert not is_included(leaf, index=other, size=count, root=head, proof=path)
    assert not is_included(leaf, index=index, size=count, root=head, proof=path[:-1])
    assert not is_included(leaf, index=index, size=count, root=head, proof=[*path, head])
    if was in path:
        swapped = [bad if one == was else one for one in path]
        assert not is_included(leaf, index=index, size=count, root=head, proof=swapped)
    if was in grown:
        swapped = [bad if one == was else one for one in grown]
        assert not is_consistent(size=earlier, root=before, later_size=count, later_root=head, proof=swapped)
    assert not is_consistent(size=earlier, root=head, later_size=count, later_root=head, proof=grown)
    assert not is_consistent(size=earlier, root=before, later_size=count, later_root=before, proof=grown)
    assert not is_consistent(size=count, root=head, later_size=earlier, later_root=before, proof=grown)


def test_a_rewritten_history_cannot_be_shown_to_grow_out_of_the_old_one():
    entries = some_entries(300)
    before = root(a_tree(entries), 300)
    rewritten = [*entries[:100], b"another story", *entries[101:], *some_entries(50, seed=1)]
    shelf = a_tree(rewritten)

    grown = consistency_proof(shelf, size=300, later_size=350)

    assert not is_consistent(size=300, root=before, later_size=350, later_root=root(shelf, 350), proof=grown)


@pytest.mark.parametrize("size", [0, -1, 10])
def test_a_leaf_outside_the_tree_has_no_proof(size: int):
    assert not is_included(leaf_hash(b""), index=10, size=size, root=EMPTY_ROOT, proof=[])


def test_a_tile_that_lost_hashes_is_named():
    shelf = a_tree(some_entries(600))
    shelf.tiles[0, 1] = shelf.tiles[0, 1][:-32]

    with pytest.raises(TreeBroken, match="tile 0/1"):
        inclusion_proof(shelf, index=300, size=600)


def test_growing_by_one_touches_one_tile_a_level():
    shelf = a_tree(some_entries(256 * 256 - 1))

    changed = grow(shelf, size=256 * 256 - 1, leaves=[leaf_hash(b"one more")])

    assert sorted(changed) == [(0, 255), (1, 0), (2, 0)]

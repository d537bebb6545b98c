"""A phone believes a log that grew, and doubts one that lost or changed what the phone has seen."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from sync.checkpoint import Checkpoint, CheckpointFault, log_name, sign_checkpoint
from sync.envelope import DeviceKey, PublicKey
from sync.merkle import leaf_hash
from sync.wire import Reader, WireFault
from sync.witness import Doubt, Growth, Head, open_head, read_growth, witness
from tests.ledger import naive

OFFICE = DeviceKey.generate()
KEY = PublicKey.from_spki(OFFICE.spki, algorithm="ed25519")
HASH = "ab" * 32


def leaves(count: int, *, changed: int | None = None) -> list[bytes]:
    return [f"{n}{'!' if n == changed else ''}".encode() for n in range(count)]


def note_of(entries: list[bytes], *, key: DeviceKey = OFFICE) -> str:
    origin = log_name(PublicKey.from_spki(key.spki, algorithm="ed25519").keyid)
    head = Checkpoint(origin, len(entries), naive.tree_hash(entries))
    assert isinstance(key.key, Ed25519PrivateKey)
    return sign_checkpoint(head, key=key.key)


def head_of(entries: list[bytes]) -> Head:
    return open_head(note_of(entries), key=KEY)


def growth_of(entries: list[bytes], *, since: int) -> Growth:
    proof = naive.proof(since, entries) if 0 < since < len(entries) else []
    return Growth(note_of(entries), since, tuple(proof))


@given(st.integers(1, 40), st.integers(0, 40))
def test_a_log_that_only_grew_is_never_doubted(size: int, more: int) -> None:
    told = growth_of(leaves(size + more), since=size)

    assert witness(head_of(leaves(size)), told, key=KEY) is None


@given(st.integers(1, 40), st.integers(0, 40), st.data())
def test_a_log_in_which_a_seen_leaf_changed_is_always_doubted(
    size: int, more: int, data: st.DataObject
) -> None:
    changed = data.draw(st.integers(0, size - 1))
    kept = head_of(leaves(size))

    told = growth_of(leaves(size + more, changed=changed), since=size)

    assert witness(kept, told, key=KEY) == Doubt("rewritten", kept.note, told.checkpoint)


def test_a_log_that_lost_leaves_is_doubted() -> None:
    kept = head_of(leaves(9))

    told = growth_of(leaves(8), since=8)

    assert witness(kept, told, key=KEY) == Doubt("shorter", kept.note, told.checkpoint)


@pytest.mark.parametrize(
    ("since", "proof"),
    [(4, ()), (5, tuple(naive.proof(5, leaves(9)))), (4, (leaf_hash(b"x"),)), (9, ())],
)
def test_a_growth_that_proves_something_else_is_doubted(since: int, proof: tuple[bytes, ...]) -> None:
    told = Growth(note_of(leaves(9)), since, proof)

    doubt = witness(head_of(leaves(4)), told, key=KEY)

    assert doubt is not None and doubt.why == "rewritten"


def test_the_first_head_a_phone_sees_is_taken_as_it_is() -> None:
    assert witness(None, growth_of(leaves(5), since=5), key=KEY) is None


def test_what_the_office_did_not_sign_is_no_word_of_the_office() -> None:
    stranger = DeviceKey.generate()

    with pytest.raises(CheckpointFault):
        witness(head_of(leaves(4)), Growth(note_of(leaves(9), key=stranger), 4, ()), key=KEY)
    with pytest.raises(CheckpointFault):
        witness(None, Growth("fieldvisit/x\n1\n\n", 4, ()), key=KEY)


def test_a_growth_is_read_from_a_page() -> None:
    told = read_growth(Reader({"checkpoint": "n", "since": 3, "proof": [HASH]}, "/log"))

    assert told == Growth("n", 3, (bytes.fromhex(HASH),))


@pytest.mark.parametrize(
    ("proof", "pointer"),
    [
        (["ab"], "/log/proof/0"),
        ([HASH, 7], "/log/proof/1"),
        (["zz" * 32], "/log/proof/0"),
        ([HASH] * 129, "/log/proof"),
    ],
)
def test_a_growth_that_is_none_names_its_place(proof: list[object], pointer: str) -> None:
    with pytest.raises(WireFault) as raised:
        read_growth(Reader({"checkpoint": "n", "since": 3, "proof": proof}, "/log"))

    assert raised.value.pointer == pointer

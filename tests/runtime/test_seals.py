"""The quick check of signatures says exactly what the slow one says."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from server.seals import QuickSeal, seal_of
from sync.envelope import DeviceKey, PublicKey
from sync.protocol import ITEM, Envelope, Signature

PHONE = DeviceKey(Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))
SLOW = PublicKey.from_spki(PHONE.spki, algorithm="ed25519")
QUICK = seal_of(SLOW)
ORDER = 2**252 + 27742317777372353535851937790883648493


def signed(payload: bytes, *signatures: bytes) -> Envelope:
    return Envelope(ITEM, payload, tuple(Signature("", one) for one in signatures))


@settings(deadline=None)
@given(st.binary(max_size=3000))
def test_what_the_phone_sealed_is_accepted_by_both(payload: bytes) -> None:
    envelope = PHONE.seal(ITEM, payload)

    assert isinstance(QUICK, QuickSeal)
    assert QUICK.has_sealed(envelope) and SLOW.has_sealed(envelope)


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=80), st.data())
def test_one_flipped_bit_is_refused_by_both(payload: bytes, data: st.DataObject) -> None:
    (signature,) = PHONE.seal(ITEM, payload).signatures
    whole = bytearray(signature.sig + payload)
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    whole[bit // 8] ^= 1 << bit % 8
    envelope = signed(bytes(whole[64:]), bytes(whole[:64]))

    assert (QUICK.has_sealed(envelope), SLOW.has_sealed(envelope)) == (False, False)


def malleable(payload: bytes) -> bytes:
    """The same signature with its scalar moved on by the group's order: RFC 8032 forbids it."""
    (signature,) = PHONE.seal(ITEM, payload).signatures
    scalar = int.from_bytes(signature.sig[32:], "little") + ORDER
    return signature.sig[:32] + scalar.to_bytes(32, "little")


@pytest.mark.parametrize(
    "signature",
    [b"", b"\x00" * 64, b"\x01" + b"\x00" * 63, b"\xff" * 64, b"\x01" * 63, b"\x01" * 65, malleable(b"x")],
    ids=["empty", "zeros", "identity", "ones", "short", "long", "malleable"],
)
def test_what_is_no_signature_is_refused_by_both(signature: bytes) -> None:
    envelope = signed(b"x", signature)

    assert (QUICK.has_sealed(envelope), SLOW.has_sealed(envelope)) == (False, False)


def test_one_good_signature_among_others_is_enough() -> None:
    (good,) = PHONE.seal(ITEM, b"x").signatures

    assert QUICK.has_sealed(signed(b"x", b"\x01" * 64, good.sig))
    assert not QUICK.has_sealed(signed(b"x"))


def test_keys_of_browsers_are_checked_as_before() -> None:
    browser = DeviceKey.generate("p256")
    key = PublicKey.from_spki(browser.spki, algorithm="p256")

    assert seal_of(key) is key

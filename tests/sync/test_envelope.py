"""Signatures: over exactly these bytes, by exactly this key."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from sync.envelope import Algorithm, DeviceKey, KeyFault, PublicKey, digest, keyid_of, pae
from sync.protocol import ITEM, Envelope, Signature

ALGORITHMS: list[Algorithm] = ["ed25519", "p256"]
KEYS = {algorithm: DeviceKey.generate(algorithm) for algorithm in ALGORITHMS}


def public(key: DeviceKey) -> PublicKey:
    return PublicKey.from_spki(key.spki, algorithm=key.algorithm)


def test_the_signed_bytes_are_those_of_the_dsse_specification() -> None:
    # The example of DSSE protocol v1.0.0.
    signed = pae("http://example.com/HelloWorld", b"hello world")

    assert signed == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_lengths_in_the_signed_bytes_count_bytes_not_characters() -> None:
    assert pae("狗", "猫".encode()) == "DSSEv1 3 狗 3 猫".encode()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_signature_is_64_raw_bytes_and_verifies(algorithm: Algorithm) -> None:
    key = KEYS[algorithm]

    signature = key.sign(b"message")

    assert len(signature) == 64
    assert public(key).has_signed(b"message", signature)
    assert not public(DeviceKey.generate(algorithm)).has_signed(b"message", signature)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(payload=st.binary(min_size=1, max_size=60), data=st.data())
def test_one_flipped_bit_anywhere_breaks_the_seal(
    algorithm: Algorithm, payload: bytes, data: st.DataObject
) -> None:
    sealed = KEYS[algorithm].seal(ITEM, payload)
    signature = sealed.signatures[0].sig
    bit = data.draw(st.integers(0, 8 * (len(payload) + len(signature)) - 1))
    everything = bytearray(payload + signature)
    everything[bit // 8] ^= 1 << bit % 8

    spoiled = Envelope(
        ITEM, bytes(everything[: len(payload)]), (Signature("x", bytes(everything[len(payload) :])),)
    )

    assert public(KEYS[algorithm]).has_sealed(sealed)
    assert not public(KEYS[algorithm]).has_sealed(spoiled)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(signature=st.binary(max_size=80))
def test_bytes_that_are_no_signature_are_refused_quietly(algorithm: Algorithm, signature: bytes) -> None:
    assert not public(KEYS[algorithm]).has_signed(b"message", signature)


def test_p256_in_der_is_not_taken_for_the_raw_form() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    der = key.sign(b"message", ec.ECDSA(hashes.SHA256()))

    assert not PublicKey.from_spki(spki, algorithm="p256").has_signed(b"message", der)


def test_a_seal_of_another_payload_type_is_another_seal() -> None:
    sealed = KEYS["ed25519"].seal(ITEM, b"{}")

    assert not public(KEYS["ed25519"]).has_sealed(Envelope("other", b"{}", sealed.signatures))
    assert digest(ITEM, b"{}") != digest("other", b"{}")


def test_the_key_id_is_a_hint_and_no_proof() -> None:
    key = KEYS["ed25519"]
    sealed = key.seal(ITEM, b"{}")
    renamed = Envelope(ITEM, b"{}", (Signature("someone else", sealed.signatures[0].sig),))

    assert public(key).has_sealed(renamed)
    assert sealed.signatures[0].keyid == keyid_of(key.spki)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_device_key_survives_its_storage(algorithm: Algorithm) -> None:
    assert DeviceKey.from_der(KEYS[algorithm].to_der()).spki == KEYS[algorithm].spki


def _spki(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("spki", "algorithm"),
    [
        (b"", "ed25519"),
        (b"not a key", "p256"),
        (KEYS["p256"].spki, "ed25519"),
        (KEYS["ed25519"].spki, "p256"),
        (KEYS["ed25519"].spki, "rsa"),
        (_spki(ec.generate_private_key(ec.SECP384R1())), "p256"),
        (_spki(rsa.generate_private_key(65537, 1024)), "ed25519"),
    ],
    ids=["empty", "noise", "p256-as-ed25519", "ed25519-as-p256", "unknown", "other-curve", "rsa"],
)
def test_a_key_of_another_kind_is_refused(spki: bytes, algorithm: str) -> None:
    with pytest.raises(KeyFault):
        PublicKey.from_spki(spki, algorithm=algorithm)

"""Who signed exactly these bytes?

DSSE (protocol v1.0.0) over Ed25519, or over P-256 with SHA-256 where the signature is raw r‖s as WebCrypto
makes it. The item digest, SHA-256 over the DSSE pre-authentication encoding, names an item for ever.
"""

import hashlib
from dataclasses import dataclass
from typing import Final, Literal, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

from sync.protocol import Envelope, Signature

Algorithm = Literal["ed25519", "p256"]
P256_HALF: Final = 32
SHA256: Final = ec.ECDSA(hashes.SHA256())
ED25519_PRIME: Final = 2**255 - 19
_ORDER_8: Final = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
# The y coordinates of the eight points of the curve whose order divides 8.
SMALL_ORDER: Final = frozenset({0, 1, ED25519_PRIME - 1, _ORDER_8, ED25519_PRIME - _ORDER_8})


class KeyFault(ValueError):
    """A key cannot be read, or is of another kind than it claims."""


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return DSSE's pre-authentication encoding: the bytes that are really signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def digest(payload_type: str, payload: bytes) -> bytes:
    """Return the digest that names an item: SHA-256 over its PAE."""
    return hashlib.sha256(pae(payload_type, payload)).digest()


def keyid_of(spki: bytes) -> str:
    """Return the first 16 hex digits of SHA-256 over a public key's SPKI DER."""
    return hashlib.sha256(spki).hexdigest()[:16]


def _fits_every_message(key: ed25519.Ed25519PublicKey) -> bool:
    """Whether a key is a point of small order: signatures that nobody made would verify under it."""
    encoded = int.from_bytes(key.public_bytes(Encoding.Raw, PublicFormat.Raw), "little")
    return encoded % (1 << 255) % ED25519_PRIME in SMALL_ORDER


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that can check signatures."""

    algorithm: str
    spki: bytes
    key: ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey

    @classmethod
    def from_spki(cls, spki: bytes, *, algorithm: str) -> Self:
        """Read SPKI DER; KeyFault when it is not a key of this algorithm."""
        try:
            key = load_der_public_key(spki)
        except (ValueError, UnsupportedAlgorithm):
            raise KeyFault("is not a public key (SPKI DER)") from None
        if algorithm == "ed25519" and isinstance(key, ed25519.Ed25519PublicKey):
            if _fits_every_message(key):
                raise KeyFault("is a key under which anybody can sign")
            return cls(algorithm=algorithm, spki=spki, key=key)
        is_p256 = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
        if algorithm == "p256" and is_p256 and isinstance(key, ec.EllipticCurvePublicKey):
            return cls(algorithm=algorithm, spki=spki, key=key)
        raise KeyFault(f"is not a key for {algorithm}")

    @property
    def keyid(self) -> str:
        return keyid_of(self.spki)

    def has_signed(self, message: bytes, signature: bytes) -> bool:
        """Whether this key made the signature over the message."""
        try:
            if isinstance(self.key, ed25519.Ed25519PublicKey):
                self.key.verify(signature, message)
                return True
            if len(signature) != 2 * P256_HALF:
                return False
            r, s = (int.from_bytes(half) for half in (signature[:P256_HALF], signature[P256_HALF:]))
            self.key.verify(encode_dss_signature(r, s), message, SHA256)
        except InvalidSignature:
            return False
        return True

    def has_sealed(self, envelope: Envelope) -> bool:
        """Whether one of the envelope's signatures is by this key. The keyid is a hint, not a proof."""
        message = pae(envelope.payload_type, envelope.payload)
        return any(self.has_signed(message, one.sig) for one in envelope.signatures)


@dataclass(frozen=True, slots=True, repr=False)
class DeviceKey:
    """A phone's own key. Lives and dies with the phone."""

    key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey

    @classmethod
    def generate(cls, algorithm: Algorithm = "ed25519") -> Self:
        """Make a new key."""
        if algorithm == "ed25519":
            return cls(ed25519.Ed25519PrivateKey.generate())
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def from_der(cls, der: bytes) -> Self:
        """Read a key that `to_der` wrote."""
        key = load_der_private_key(der, password=None)
        if not isinstance(key, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey):
            raise KeyFault("is not a device key")
        return cls(key)

    def to_der(self) -> bytes:
        """Write the private key, PKCS#8 DER, for the phone's own protected storage."""
        return self.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    @property
    def algorithm(self) -> Algorithm:
        return "ed25519" if isinstance(self.key, ed25519.Ed25519PrivateKey) else "p256"

    @property
    def spki(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, message: bytes) -> bytes:
        """Sign a message: 64 bytes with either algorithm."""
        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            return self.key.sign(message)
        r, s = decode_dss_signature(self.key.sign(message, SHA256))
        return r.to_bytes(P256_HALF) + s.to_bytes(P256_HALF)

    def seal(self, payload_type: str, payload: bytes) -> Envelope:
        """Wrap and sign exact bytes."""
        signature = Signature(keyid=keyid_of(self.spki), sig=self.sign(pae(payload_type, payload)))
        return Envelope(payload_type=payload_type, payload=payload, signatures=(signature,))

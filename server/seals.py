"""How are thousands of phones' signatures checked in a second?

Ed25519 by the BoringSSL that Tink brings: OpenSSL's verdict in half the time, and checking is what a push
costs most. Every other kind of key is checked by `sync.envelope`.
"""

import base64
import json
from dataclasses import dataclass
from typing import Any, Final, Self

import tink
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tink import signature

from sync.envelope import PublicKey, pae
from sync.protocol import Envelope, Signature

TYPE_URL: Final = "type.googleapis.com/google.crypto.tink.Ed25519PublicKey"
KEY_FIELD: Final = b"\x12\x20"
"""Tag and length of the key's 32 bytes in Tink's protobuf message."""


@dataclass(frozen=True, slots=True)
class QuickSeal:
    """A phone's Ed25519 key, ready to check many envelopes."""

    verifier: signature.PublicKeyVerify

    @classmethod
    def of(cls, key: Ed25519PublicKey) -> Self:
        """Make a key ready."""
        signature.register()
        raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
        data = {
            "typeUrl": TYPE_URL,
            "value": base64.b64encode(KEY_FIELD + raw).decode(),
            "keyMaterialType": "ASYMMETRIC_PUBLIC",
        }
        only = {"keyData": data, "status": "ENABLED", "keyId": 1, "outputPrefixType": "RAW"}
        keyset = json.dumps({"primaryKeyId": 1, "key": [only]})
        handle = tink.read_no_secret_keyset_handle(tink.JsonKeysetReader(keyset))
        return cls(handle.primitive(signature.PublicKeyVerify))

    def has_sealed(self, envelope: Envelope) -> bool:
        """Whether one of the envelope's signatures is by this key. The keyid is a hint, not a proof."""
        message = pae(envelope.payload_type, envelope.payload)
        return any(self._has_signed(message, one.sig) for one in envelope.signatures)

    def _has_signed(self, message: bytes, sig: bytes) -> bool:
        try:
            self.verifier.verify(sig, message)
        except tink.TinkError:
            return False
        return True


def stored_envelope(row: Any) -> Envelope:
    """Return the envelope of a row that keeps payload type, payload and signatures as the inbox does."""
    signatures = tuple(
        Signature(keyid=one["keyid"], sig=base64.b64decode(one["sig"])) for one in row.signatures
    )
    return Envelope(row.payload_type, row.payload, signatures)


def seal_of(key: PublicKey) -> QuickSeal | PublicKey:
    """Return what checks this key's envelopes quickest."""
    return QuickSeal.of(key.key) if isinstance(key.key, Ed25519PublicKey) else key

"""How does the server sign what it promises: receipts, permits, anchors and links?

One Ed25519 key signs DSSE envelopes; one HMAC key makes short tokens. Both come from the
configuration and are held by the app (`current_app.extensions["signer"]`); nothing here stores a key.
"""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import current_app

from sync.envelope import keyid_of, pae

RECEIPT: Final = "application/vnd.fieldvisit.receipt+json"
PERMIT: Final = "application/vnd.fieldvisit.permit+json"


def canonical(body: dict[str, Any]) -> bytes:
    """Encode what we sign: sorted keys, no spaces, UTF-8. Verifiers use the bytes, never re-encode."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True, slots=True, repr=False)
class Signer:
    """The server's keys. `keyid` is the first 16 hex digits of SHA-256 over the public key's SPKI DER."""

    key: Ed25519PrivateKey
    secret: bytes
    keyid: str
    public_spki: bytes

    @classmethod
    def from_seed(cls, seed: bytes, *, secret: bytes) -> "Signer":
        """Build the signer from a 32-byte Ed25519 seed and a secret for HMACs."""
        key = Ed25519PrivateKey.from_private_bytes(seed)
        spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return cls(key=key, secret=secret, keyid=keyid_of(spki), public_spki=spki)

    def sign(self, payload_type: str, payload: bytes) -> bytes:
        """Sign the payload's PAE; 64 bytes."""
        return self.key.sign(pae(payload_type, payload))

    def seal(self, payload_type: str, body: dict[str, Any]) -> dict[str, Any]:
        """Wrap a body in a signed DSSE envelope."""
        payload = canonical(body)
        signature = base64.b64encode(self.sign(payload_type, payload)).decode()
        return {
            "payloadType": payload_type,
            "payload": base64.b64encode(payload).decode(),
            "signatures": [{"keyid": self.keyid, "sig": signature}],
        }

    def mac(self, purpose: str, message: str) -> str:
        """Return 32 hex digits that only this server can make, bound to a purpose."""
        keyed = hmac.new(self.secret, f"{purpose}\n{message}".encode(), hashlib.sha256)
        return keyed.hexdigest()[:32]

    def has_made(self, mac: str, purpose: str, message: str) -> bool:
        """Whether `mac` is ours for this purpose and message; constant time."""
        return hmac.compare_digest(mac.encode(), self.mac(purpose, message).encode())


def current_signer() -> Signer:
    """Return the running app's signer."""
    return current_app.extensions["signer"]

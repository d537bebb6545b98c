"""How does the server sign what it promises: receipts, permits, anchors and links?

One Ed25519 key signs DSSE envelopes; one HMAC key makes short tokens. Both come from the
configuration and are held by the app (`current_app.extensions["signer"]`); nothing here stores a key.
A third key, derived from the first, opens the rescue bundles that phones lock for this office.
"""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import current_app

from sync.envelope import keyid_of, pae
from sync.rescue import PURPOSE, RESCUE_KEY, rescue_key_body
from sync.strongbox import BoxOpener

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
    rescue: BoxOpener
    _made: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def from_seed(cls, seed: bytes, *, secret: bytes) -> "Signer":
        """Build the signer from a 32-byte Ed25519 seed and a secret for HMACs."""
        key = Ed25519PrivateKey.from_private_bytes(seed)
        spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        rescue = BoxOpener.from_secret(seed, purpose=PURPOSE)
        return cls(key=key, secret=secret, keyid=keyid_of(spki), public_spki=spki, rescue=rescue)

    @property
    def rescue_key(self) -> dict[str, Any]:
        """What phones get to lock rescue bundles with, signed: nobody else can slip his own key in."""
        if RESCUE_KEY not in self._made:
            self._made[RESCUE_KEY] = self.seal(RESCUE_KEY, rescue_key_body(self.rescue.public))
        return self._made[RESCUE_KEY]

    def sign(self, payload_type: str, payload: bytes) -> bytes:
        """Sign the payload's PAE; 64 bytes."""
        return self.key.sign(pae(payload_type, payload))

    def has_signed(self, payload_type: str, payload: bytes, signature: bytes) -> bool:
        """Whether a signature is ours, of exactly this."""
        try:
            self.key.public_key().verify(signature, pae(payload_type, payload))
        except InvalidSignature:
            return False
        return True

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

"""What is stored: how many rows of a kind, and does an item verify?"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import sqlalchemy as sa
from flask import Flask

from server.database import db
from sync.envelope import PublicKey, digest, pae
from sync.protocol import RECEIPT, Envelope, Signature


@dataclass(frozen=True, slots=True)
class Server:
    """What anybody knows of the server: its public key."""

    key: PublicKey

    @classmethod
    def of(cls, app: Flask) -> Self:
        return cls(PublicKey.from_spki(app.extensions["signer"].public_spki, algorithm="ed25519"))


def stored(model: type[Any]) -> int:
    """How many rows of this kind there are now."""
    db.session.rollback()
    return db.session.scalar(sa.select(sa.func.count()).select_from(model)) or 0


def verify_item(one: Any, server: Server) -> Iterator[str]:
    """Whether the bytes that were signed stand there, by the phone's key, under a receipt of ours.

    Yield what is wrong with a row of `items`, given with its phone's `public_key` and `algorithm`."""
    signatures = tuple(Signature(each["keyid"], base64.b64decode(each["sig"])) for each in one.signatures)
    envelope = Envelope(one.payload_type, one.payload, signatures)
    key = PublicKey.from_spki(one.public_key, algorithm=one.algorithm)
    signed = {name: one.receipt[name] for name in ("item_id", "item_sha256", "received_at")}
    payload = json.dumps(signed, sort_keys=True, separators=(",", ":")).encode()
    if one.sha256 != digest(one.payload_type, one.payload) or not key.has_sealed(envelope):
        yield f"stored bytes are not those that were signed: {one.item_id}"
    if not server.key.has_signed(pae(RECEIPT, payload), base64.b64decode(one.receipt["sig"])):
        yield f"a stored receipt does not verify: {one.item_id}"
    if (signed["item_id"], signed["item_sha256"]) != (str(one.item_id), one.sha256.hex()):
        yield f"a stored receipt is for something else: {one.item_id}"

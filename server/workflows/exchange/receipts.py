"""What does the office promise when it has stored an item?"""

import base64
from datetime import datetime
from typing import Any
from uuid import UUID

from server.signing import RECEIPT, Signer
from sync.wire import write_instant


def make_receipt(signer: Signer, *, item_id: UUID, sha256: bytes, now: datetime) -> dict[str, Any]:
    """Sign the promise that these bytes are stored.

    Members stand as jsonb will give them back, so that a repeat gets the very same text.
    """
    return _receipt(signer, str(item_id), sha256.hex(), write_instant(now))


def _receipt(signer: Signer, item_id: str, sha256: str, received_at: str) -> dict[str, Any]:
    # What `canonical` makes of it, without the detour: no member can need an escape.
    promised = f'{{"item_id":"{item_id}","item_sha256":"{sha256}","received_at":"{received_at}"}}'
    signature = base64.b64encode(signer.sign(RECEIPT, promised.encode())).decode()
    return {
        "sig": signature,
        "keyid": signer.keyid,
        "item_id": item_id,
        "item_sha256": sha256,
        "received_at": received_at,
    }

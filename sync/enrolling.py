"""How does a phone become one of the office's?

With a one-time code and a signature over it: proof that the phone holds the key it brings. A lost answer is
asked for again with the same code.
"""

import base64
import json
from typing import Any, Final

import httpx

from sync.connection import Connection, SyncFault
from sync.envelope import DeviceKey, KeyFault, PublicKey
from sync.wire import Reader, WireFault

ENROL: Final = b"fieldvisit-enrol-v1\n"


class EnrolmentRefused(Exception):
    """The office does not accept this phone; the message is the office's."""


def enrol(key: DeviceKey, code: str, *, http: httpx.Client) -> dict[str, Any]:
    """Ask the office to accept this key; return the facts a phone keeps.

    Raises EnrolmentRefused, or SyncFault when it was not the office that answered.
    """
    code = code.strip().upper()
    proof = key.sign(ENROL + code.encode() + b"\n" + key.spki)
    wanted = {
        "code": code,
        "public_key": base64.b64encode(key.spki).decode(),
        "algorithm": key.algorithm,
        "proof": base64.b64encode(proof).decode(),
    }
    office = Connection(http)
    answer = office.send("POST", "/api/v1/devices", content=json.dumps(wanted).encode())
    if answer.is_problem and 400 <= answer.status_code < 500 and answer.status_code != 429:
        raise EnrolmentRefused(answer.content[:500].decode("utf-8", "replace"))
    return office.expect(answer, 201, _read_enrolled)


def _read_enrolled(told: Reader) -> dict[str, Any]:
    try:
        PublicKey.from_spki(told.base64("server_key"), algorithm="ed25519")
    except KeyFault as fault:
        raise WireFault("/server_key", str(fault)) from None
    return {
        "device_id": str(told.uuid("device_id")),
        "staff_id": str(told.uuid("staff_id")),
        "token": told.text("token", most=4096),
        "server_key": told.text("server_key"),
        "rescue_key": told.value.get("rescue_key"),
    }


__all__ = ["ENROL", "EnrolmentRefused", "SyncFault", "enrol"]

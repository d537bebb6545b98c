"""Did the office really promise that it stores this item?

A receipt is believed only when its signature verifies and it names the digest of exactly the item that was
sent. What else an answer says (outcomes of a later day, more members) is taken as it comes.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sync.envelope import PublicKey, pae
from sync.outbox import Outbox
from sync.protocol import RECEIPT, PushedItem
from sync.wire import Reader, WireFault, parse


@dataclass(frozen=True, slots=True)
class Told:
    """What the office said of one item. `outcome` and `flags` may be words this phone does not know.

    `why` is what is wrong with it, in words, or empty.
    """

    id: str
    outcome: str
    flags: list[str]
    receipt: dict[str, Any]
    why: str = ""


def require_receipt(receipt: Any, name: bytes, *, server_key: PublicKey) -> dict[str, Any]:
    """Return the receipt if the office signed it for the item with this digest; WireFault otherwise."""
    told = Reader(receipt, "/receipt")
    signed = {key: told.text(key) for key in ("item_id", "item_sha256", "received_at")}
    signature = told.base64("sig")
    payload = json.dumps(signed, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    if signed["item_sha256"] != name.hex():
        raise WireFault("/receipt/item_sha256", "is not the digest of the item")
    if not server_key.has_signed(pae(RECEIPT, payload), signature):
        raise WireFault("/receipt/sig", "does not verify")
    return told.value


def read_told(value: Any, pointer: str) -> Told:
    """Read one outcome, form only."""
    one = Reader(value, pointer)
    flags = one.value.get("flags")
    return Told(
        id=str(one.uuid("id")),
        outcome=one.text("outcome", most=100),
        flags=[flag for flag in flags if isinstance(flag, str)] if isinstance(flags, list) else [],
        receipt=one.within("receipt").value,
        why=_why(one.value.get("problem")),
    )


def _why(problem: Any) -> str:
    if not isinstance(problem, dict):
        return ""
    return " ".join(part for key in ("pointer", "detail") if isinstance(part := problem.get(key), str))


def read_outcomes(told: Reader, batch: Sequence[PushedItem]) -> list[Told]:
    """Read one outcome per pushed item, in their order."""
    outcomes = told.array("outcomes")
    if len(outcomes) != len(batch):
        raise WireFault("/outcomes", "are not as many as the items that were pushed")
    found = [read_told(value, f"/outcomes/{n}") for n, value in enumerate(outcomes)]
    for n, (one, item) in enumerate(zip(found, batch, strict=True)):
        if one.id != str(item.id):
            raise WireFault(f"/outcomes/{n}/id", "is not the item that was pushed")
    return found


def keep(outcomes: Iterable[Told], outbox: Outbox) -> None:
    """Write down what became of items whose receipts were checked: they need not be sent again."""
    outbox.acknowledge(
        {"id": one.id, "outcome": one.outcome, "flags": one.flags, "receipt": one.receipt} for one in outcomes
    )


def take_answer(answer: bytes, outbox: Outbox, *, server_key: PublicKey) -> int:
    """Take an answer of the office that came by another way; return how many items it was about.

    Raises WireFault for one that is not the office's, and then nothing of it is taken.
    """
    told = Reader(parse(answer))
    outcomes = [read_told(one, f"/outcomes/{n}") for n, one in enumerate(told.array("outcomes"))]
    ours = [(one, name) for one in outcomes if (name := outbox.digest_of(UUID(one.id))) is not None]
    for one, name in ours:
        require_receipt(one.receipt, name, server_key=server_key)
    keep([one for one, _ in ours], outbox)
    return len(ours)

"""What does an account claim became of its letters?

Claims come from phones: what is required was read on the wire, what is optional (`letter_id`, `relation`,
`name`, `signed`, `evidence_id`) is taken only if it has the right form. Pure.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

IN_PERSON: Final = frozenset({"handed_to_debtor", "handed_to_liable_person"})
LEFT: Final = frozenset({"mailbox", "under_door"})
"""Left where the debtor lives, nobody having been met (H8)."""
SERVED: Final = IN_PERSON | LEFT | {"sealed_to_adult_co_resident"}
"""Served by handing over or leaving (H21). A refusal or a call-back slip serves nothing."""


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """One letter of an account's claims."""

    template: str
    method: str
    recipient: str
    letter_id: UUID | None = None
    relation: str = ""
    name: str | None = None
    signed: bool | None = None
    evidence_id: UUID | None = None


def claimed_deliveries(claims: Mapping[str, Any]) -> Iterator[ClaimedDelivery]:
    """Read the letters of an account's claims (C6: to whom, how, and that it was left)."""
    for letter in claims.get("letters") or ():
        yield ClaimedDelivery(
            template=letter["template"],
            method=letter["delivery"],
            recipient=letter["recipient"],
            letter_id=_uuid(letter.get("letter_id")),
            relation=(_text(letter.get("relation")) or "")[:200],
            name=_text(letter.get("name")),
            signed=signed if isinstance(signed := letter.get("signed"), bool) else None,
            evidence_id=_uuid(letter.get("evidence_id")),
        )


def _text(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _uuid(value: object) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def serves(claimed: ClaimedDelivery, *, kind: str, met: str) -> bool:
    """Whether a claim, by its own words, serves a letter, so that the days after receipt begin (H21, AMB14).

    Handed over means to somebody who was met (H6); left means that nobody was (H8); a third party takes a
    sealed envelope only as an adult co-resident whose relation is written down (H19).
    """
    if kind == "callback_slip":
        return False
    match claimed.method:
        case "handed_to_debtor":
            return met == "debtor" and claimed.recipient == "debtor"
        case "handed_to_liable_person":
            return met == "liable_person" and claimed.recipient == "liable_person"
        case "sealed_to_adult_co_resident":
            return met == "third_party" and claimed.recipient == "co_resident" and claimed.relation != ""
        case _:
            return claimed.method in LEFT and met == "nobody"

"""What does an account claim became of its letters, and of which letter does it speak?

Claims come from phones: what is required was read on the wire, what is optional (`letter_id`, `relation`,
`name`, `signed`, `evidence_id`) is taken only if it has the right form. Pure.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar
from uuid import UUID

HANDED_TO: Final = {"handed_to_debtor": "debtor", "handed_to_liable_person": "liable_person"}
IN_PERSON: Final = frozenset(HANDED_TO)
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

    @property
    def receiver(self) -> str:
        """Return who is said to have it: whom it was handed to, else whom the account names."""
        return HANDED_TO.get(self.method, self.recipient)


class Carried(Protocol):
    """A letter that the team was given. `template` is the reference that claims name, too."""

    @property
    def id(self) -> UUID: ...
    @property
    def template(self) -> str: ...
    @property
    def recipient(self) -> str: ...


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


Letter = TypeVar("Letter", bound=Carried)


def letters_meant(claims: Sequence[ClaimedDelivery], carried: Iterable[Letter]) -> list[Letter | None]:
    """Say for each claim which letter it is about, each letter once; None: none of them, or none any more.

    One template may be addressed to debtor and guarantor. A claim that names a letter is about that one; the
    others are about one of their template: first about one addressed to who has it, then about any that is
    left, so that the order of the claims or letters accuses nobody and hides nothing.
    """
    left = list(carried)
    meant: list[Letter | None] = [None] * len(claims)
    for fits in (_is_named, _is_addressed, _is_alike):
        for place, claimed in enumerate(claims):
            if meant[place] is None:
                meant[place] = next((one for one in left if fits(claimed, one)), None)
                left = [one for one in left if one is not meant[place]]
    return meant


def _is_named(claimed: ClaimedDelivery, letter: Carried) -> bool:
    return claimed.letter_id == letter.id and claimed.template == letter.template


def _is_alike(claimed: ClaimedDelivery, letter: Carried) -> bool:
    return claimed.letter_id is None and claimed.template == letter.template


def _is_addressed(claimed: ClaimedDelivery, letter: Carried) -> bool:
    return _is_alike(claimed, letter) and claimed.receiver == letter.recipient


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

"""May anybody be visited there? (A4, A5, A18, D23, D24)

Only a verified address of the debtor or of another liable person; never one known through somebody who
refused contact.
"""

from collections.abc import Iterator
from typing import Any

from server.rules.check import Check, CheckAfterwards
from server.rules.facts import ActualVisit, CaseFacts, WantedVisit
from server.rules.pack import RulePack
from server.rules.verdict import Reason, a_reason

RULES = ("A5", "A18", "D23", "D24")


def address_may_be_visited(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """A5, A18, D23, D24: nothing here ends without a person's action."""
    yield from _judge_address(facts)


def _judge_address(facts: CaseFacts, **more: Any) -> Iterator[Reason]:
    address = facts.address
    if address is None or address.case_id != facts.case.id:
        yield a_reason("A18", "address-not-established", "block", address_id=address and address.id, **more)
        return
    if address.status == "unverified":
        yield a_reason("A5", "address-unverified", "block", address_id=address.id, **more)
    elif address.status != "verified":
        yield a_reason(
            "A18", "address-invalid", "block", address_id=address.id, status=address.status, **more
        )
    contact = address.contact
    if contact is not None and not contact.liable:
        yield a_reason("D23", "address-of-third-party", "block", contact_id=contact.id, **more)
    if contact is not None and contact.stop_contact:
        yield a_reason("D24", "contact-refused", "block", contact_id=contact.id, **more)


def sensitive_third_party(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """A4: somebody with a sensitive occupation lives there: a supervisor decides."""
    yield from _judge_third_parties(facts)


def _judge_third_parties(facts: CaseFacts, **more: Any) -> Iterator[Reason]:
    address = facts.address
    if address is None:
        return
    contacts = list(address.sensitive_neighbours)
    if address.contact is not None and address.contact.sensitive_occupation:
        contacts.append(address.contact.id)
    if contacts:
        yield a_reason("A4", "sensitive-third-party", "approval", contacts=sorted(set(contacts)), **more)


def place_that_was_visited(actual: ActualVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """The same on a visit that nobody assigned; an assigned one was judged by what was known before it.

    What is recorded now may have been learned at that very door (an invalid address, a refusal), so it is
    possible at most.
    """
    if actual.assignment_id is None:
        yield from _judge_address(facts, certainty="possible")
        yield from _judge_third_parties(facts, certainty="possible")


CHECKS = (Check(RULES, address_may_be_visited), Check(("A4",), sensitive_third_party))
AFTERWARDS = (CheckAfterwards((*RULES, "A4"), place_that_was_visited),)

"""Can the letters have gone where the account says, and might they?

What the permit carried, who was met and what was photographed are held against each claimed delivery. That
the debtor was handed a letter without being met is in `outcome`; the photo of a handover in `completeness`.
What no phone has promised yet may be promised until the evidence is due.
"""

from collections.abc import Iterator
from typing import Final

from server.letters.delivery import IN_PERSON, LEFT, ClaimedDelivery, claimed_deliveries, letters_meant
from server.reconcile.facts import LetterFact, Limits, VisitFacts
from server.reconcile.finding import Finding, Severity, cite_account

SEALED: Final = "sealed_to_adult_co_resident"
SHOWS_DELIVERY: Final = frozenset({"delivery", "letter"})


def _claimed(facts: VisitFacts) -> tuple[tuple[int, ClaimedDelivery], ...]:
    """Number the live account's letters."""
    return () if facts.account is None else tuple(enumerate(claimed_deliveries(facts.account.claims)))


def _met(facts: VisitFacts) -> str:
    return str(facts.account.claims.get("met")) if facts.account else ""


def _finding(
    facts: VisitFacts,
    check: str,
    rule: str,
    place: int,
    claimed: ClaimedDelivery,
    *,
    severity: Severity = "serious",
    **seen: object,
) -> Finding:
    observation = {"template": claimed.template, "delivery": claimed.method, **seen}
    return Finding(
        check=check,
        rule=rule,
        severity=severity,
        claim="letters",
        observation=observation,
        citation=cite_account(facts) | {"letter": place},
        about=str(place),
    )


def letter_not_on_permit(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """A letter was delivered that the team was not given: nobody writes letters of their own (H2)."""
    if facts.letters is None:
        return
    for place, claimed, letter in _meant(facts):
        if letter is None:
            carried = [one.template for one in facts.letters]
            yield _finding(facts, "letter-not-on-permit", "H2", place, claimed, carried=carried)


def wrong_recipient(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """A letter reached a liable person who was not met, or one it was not addressed to (H5, H6)."""
    for place, claimed, letter in _meant(facts):
        if claimed.method == "handed_to_liable_person" and _met(facts) != "liable_person":
            yield _finding(facts, "letter-wrong-recipient", "H6", place, claimed, met=_met(facts))
        elif claimed.method in IN_PERSON:
            to = _addressed_to(claimed, letter, facts)
            if to and claimed.receiver not in to:
                yield _finding(facts, "letter-wrong-recipient", "H5", place, claimed, addressed_to=to[0])


def _meant(facts: VisitFacts) -> Iterator[tuple[int, ClaimedDelivery, LetterFact | None]]:
    """Give each claim with the letter it is about."""
    claims = [claimed for _, claimed in _claimed(facts)]
    for place, letter in enumerate(letters_meant(claims, facts.letters or ())):
        yield place, claims[place], letter


def _addressed_to(claimed: ClaimedDelivery, letter: LetterFact | None, facts: VisitFacts) -> list[str]:
    """Return to whom the letter was addressed; of one that was not carried, to whom its template was."""
    if letter is not None:
        return [letter.recipient]
    return [one.recipient for one in facts.letters or () if one.template == claimed.template]


def left_although_met(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """Left in the mailbox or under the door although somebody was met (H8)."""
    for place, claimed in _claimed(facts):
        if claimed.method in LEFT and _met(facts) != "nobody":
            yield _finding(facts, "letter-left-although-met", "H8", place, claimed, met=_met(facts))


def left_at_unsure_address(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """More than a call-back slip was left where nobody knows that the debtor lives (H7)."""
    slips = {one.template for one in facts.letters or () if one.kind == "callback_slip"}
    for place, claimed in _claimed(facts):
        if facts.is_address_verified is False and claimed.method in LEFT and claimed.template not in slips:
            yield _finding(facts, "letter-at-unsure-address", "H7", place, claimed)


def left_without_photo(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """Left at the home without a photo of the closed envelope (H8)."""
    if not facts.is_evidence_due or any(one.purpose in SHOWS_DELIVERY for one in facts.evidence):
        return
    for place, claimed in _claimed(facts):
        if claimed.method in LEFT:
            yield _finding(facts, "letter-left-without-photo", "H8", place, claimed, severity="minor")


def sealed_to_nobody_known(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """A third party took the envelope, and the account does not say who they are to the debtor (C6, H19)."""
    for place, claimed in _claimed(facts):
        if claimed.method != SEALED:
            continue
        if claimed.recipient != "co_resident" or _met(facts) != "third_party":
            yield _finding(
                facts,
                "letter-sealed-to-other",
                "C6",
                place,
                claimed,
                recipient=claimed.recipient,
                met=_met(facts),
            )
        elif not claimed.relation:
            yield _finding(facts, "letter-sealed-without-relation", "H19", place, claimed)


def signature_missing(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """The account says that the letter was signed for, and there is no signature (B26)."""
    if not facts.is_evidence_due or any("signature" in (one.kind, one.purpose) for one in facts.evidence):
        return
    for place, claimed in _claimed(facts):
        if claimed.signed:
            yield _finding(facts, "letter-signature-missing", "B26", place, claimed)


def letters_unaccounted(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """Nobody was met, letters were carried, and the account does not say where they are (C6)."""
    if facts.account is None or not facts.letters or facts.account.claims.get("letters"):
        return
    if _met(facts) == "nobody" and facts.account.claims.get("outcome") != "turned_back":
        yield Finding(
            check="letters-unaccounted",
            rule="C6",
            severity="minor",
            claim="letters",
            observation={"carried": [one.template for one in facts.letters]},
            citation=cite_account(facts),
        )

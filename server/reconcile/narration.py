"""Does the narrative say what the boxes of the same account say?

A contradiction needs both sides to speak: what only one of them says is silence, or told as such. All that
the words allow is tried first: both halves of the day, every promise, every person.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from server.letters.delivery import claimed_deliveries
from server.reconcile.account import boxes, cite_words, local_clock, narrated
from server.reconcile.facts import Limits, VisitFacts
from server.reconcile.finding import Finding, Severity
from server.reconcile.narrative import Claim
from sync.bodies import claimed_stay

CONFIDENCE: Final = 0.8
DAY_MINUTES: Final = 24 * 60
HOUSEHOLD: Final = frozenset(
    f"third_party:{relation}" for relation in ("spouse", "parent", "child", "sibling", "relative", "family")
)
# What the boxes may say where the words tell of a delivery.
DELIVERED: Final[Mapping[str, frozenset[str]]] = {
    "mailbox": frozenset({"mailbox", "callback_slip"}),
    "under_door": frozenset({"under_door", "callback_slip"}),
    "handed_to_debtor": frozenset({"handed_to_debtor", "callback_slip", "refused"}),
    "handed_to_third_party": frozenset(
        {"sealed_to_adult_co_resident", "handed_to_liable_person", "callback_slip", "refused"}
    ),
    "refused": frozenset({"refused"}),
}
DISPUTES: Final[Mapping[str, str]] = {
    "identity": "D4",
    "transaction": "D8",
    "activation": "D8",
    "amount": "D11",
    "paid": "D18",
}


def _contradicts(
    facts: VisitFacts,
    claim: str,
    told: Sequence[Claim],
    *,
    says: Any,
    rule: str = "C14",
    severity: Severity = "serious",
    check: str = "narrative-contradicts",
) -> Finding:
    """Say which box the words contradict."""
    return Finding(
        check=check,
        rule=rule,
        severity=severity,
        claim=claim,
        observation={"account_says": says, "narrative_says": [one.value for one in told]},
        citation=cite_words(facts, *told),
        confidence=CONFIDENCE,
        about=claim,
    )


def times_contradict(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """The narrative names another time of arrival or departure than the boxes (C14)."""
    if facts.account is None:
        return
    arrived, left = claimed_stay(dict(facts.account.claims))
    for kind, claim, claimed in (("arrived", "arrived_at", arrived), ("left", "left_at", left)):
        told = [one for one in narrated(facts, "arrived", "left") if one.kind == kind]
        if told and not any(_may_be(one, local_clock(facts, claimed), limits.time) for one in told):
            yield _contradicts(facts, claim, told, says=local_clock(facts, claimed))


def _may_be(told: Claim, clock: str, tolerance: timedelta) -> bool:
    """Whether one reading of a narrated time is near a time of day; 左右 gives twice the room."""
    room = tolerance * 2 if told.is_approximate else tolerance
    at = _minutes(clock)
    apart = (abs(_minutes(one) - at) for one in told.value.split("|"))
    return any(min(gap, DAY_MINUTES - gap) <= room / timedelta(minutes=1) for gap in apart)


def _minutes(clock: str) -> int:
    at = datetime.strptime(clock, "%H:%M")
    return at.hour * 60 + at.minute


def promise_contradicts(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """The narrative tells of another promise than the boxes, or of one that they do not have (C14, C17)."""
    told = narrated(facts, "promise")
    claimed = boxes(facts).get("promise")
    if not told or facts.account is None:
        return
    if claimed is None:
        whole = [one for one in told if "-" not in one.value.split("@", 1)]
        if whole:
            yield _contradicts(
                facts,
                "promise",
                whole,
                says=None,
                rule="C17",
                severity="minor",
                check="promise-only-in-narrative",
            )
    elif not _is_told(told, int(claimed["amount_fen"]), str(claimed["due_on"]), facts):
        says = {"amount_fen": claimed["amount_fen"], "due_on": claimed["due_on"]}
        yield _contradicts(facts, "promise", told, says=says)


def _is_told(told: Sequence[Claim], fen: int, due: str, facts: VisitFacts) -> bool:
    """Whether the narrated promises may be the claimed one: one of them, or all of them together."""
    parts = [one.value.split("@", 1) for one in told]
    if any(amount in ("-", str(fen)) and day in ("-", due) for amount, day in parts):
        return True
    if any(one.is_approximate for one in narrated(facts, "amount")):
        return True
    amounts = [int(amount) for amount, _ in parts if amount != "-"]
    is_open = len(amounts) < len(parts)
    total = sum(amounts)
    return (
        len(parts) > 1 and due in {day for _, day in parts} and (total == fen or (is_open and total <= fen))
    )


def person_contradicts(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """The narrative tells that somebody else was met than the boxes say (C14)."""
    if facts.account is None:
        return
    met = boxes(facts)["met"]
    told = narrated(facts, "met", "absent")
    persons = {one.value for one in told if one.kind == "met"}
    is_away = any(one.kind == "absent" for one in told)
    against = {
        "nobody": persons & ({"debtor", "liable_person"} | HOUSEHOLD),
        "debtor": persons & {"nobody"} if "debtor" not in persons else set(),
        "third_party": persons & {"debtor"} if not is_away else set(),
        "liable_person": persons & {"nobody"} if not persons - {"nobody"} else set(),
    }[met]
    doubts = [one for one in told if one.value in against and one.kind == "met"]
    if met == "debtor" and "debtor" not in persons:
        doubts += [one for one in told if one.kind == "absent"]
    if met == "third_party" and persons == {"nobody"}:
        doubts = [one for one in told if one.value == "nobody"]
    if doubts:
        yield _contradicts(facts, "met", doubts, says=met)


def delivery_contradicts(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """The narrative delivers letters otherwise than the boxes, or ones that they do not have (C14, C17)."""
    if facts.account is None:
        return
    claimed = tuple(claimed_deliveries(facts.account.claims))
    methods = {one.method for one in claimed}
    told = narrated(facts, "delivery")
    acts = [one for one in told if one.value in DELIVERED]
    if not claimed and any(one.value not in ("refused",) for one in acts):
        yield _contradicts(
            facts,
            "letters",
            acts,
            says=[],
            rule="C17",
            severity="minor",
            check="delivery-only-in-narrative",
        )
    wrong = [one for one in acts if methods and not methods & DELIVERED[one.value]]
    if any(one.signed for one in claimed) and not any(one.value == "signed" for one in told):
        wrong += [one for one in told if one.value == "unsigned"]
    if wrong:
        yield _contradicts(facts, "letters", wrong, says=sorted(methods))


def posted(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """By its own words the team pasted a letter where others see it (H9)."""
    told = [one for one in narrated(facts, "delivery") if one.value == "posted"]
    if told:
        yield _contradicts(
            facts, "letters", told, says=None, rule="H9", severity="severe", check="letter-posted"
        )


def conduct_contradicts(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """The narrative denies that the badge was shown or the recording announced, or the boxes do (C14)."""
    told = narrated(facts, "conduct")
    said = {one.value for one in told}
    for box in ("identity_shown", "recording_announced"):
        if boxes(facts).get(box) and f"not_{box}" in said and box not in said:
            doubts = [one for one in told if one.value == f"not_{box}"]
            yield _contradicts(facts, box, doubts, says=True)
        elif boxes(facts).get(box) is False and box in said and f"not_{box}" not in said:
            doubts = [one for one in told if one.value == box]
            yield _contradicts(facts, box, doubts, says=False, severity="minor")


def debt_contradicts(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """The narrative says whether the debt is disputed otherwise than the boxes (C14)."""
    told = narrated(facts, "debt", "dispute")
    disputes = [one for one in told if one.kind == "dispute"]
    confirmed = [one for one in told if one.kind == "debt"]
    debt = boxes(facts).get("debt")
    if debt == "confirmed" and disputes and not confirmed:
        yield _contradicts(facts, "debt", disputes, says=debt)
    elif debt == "disputed" and confirmed and not disputes:
        yield _contradicts(facts, "debt", confirmed, says=debt)


def dispute_unreported(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """The narrative tells of a dispute that must stop collection, and no box does (D4, D8, D11, D18)."""
    told = boxes(facts)
    if not told or told.get("debt") == "disputed" or told.get("outcome") == "disputed":
        return
    for one in narrated(facts, "dispute"):
        if rule := DISPUTES.get(one.value):
            yield Finding(
                check="dispute-only-in-narrative",
                rule=rule,
                severity="minor",
                claim="debt",
                observation={"dispute": one.value, "account_says": told.get("debt")},
                citation=cite_words(facts, one),
                confidence=CONFIDENCE,
                about=one.value,
            )


def outcome_contradicts(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """The visit ended otherwise in words than in the boxes (C14)."""
    told = narrated(facts, "outcome", "promise", "met")
    outcome = boxes(facts).get("outcome")
    refused = [one for one in told if one.kind == "outcome"]
    promised = [one for one in told if one.kind == "promise" and "-" not in one.value.split("@", 1)]
    met = [one for one in told if one.value == "debtor"]
    against = {
        "promise": refused if not any(one.kind == "promise" for one in told) else [],
        "refused": promised if not refused else [],
        "not_home": met if not narrated(facts, "absent") else [],
    }.get(str(outcome), [])
    if against:
        yield _contradicts(facts, "outcome", against, says=outcome)

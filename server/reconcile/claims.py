"""How does each claim of the account stand: supported, contradicted or silent?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

from server.reconcile.facts import Limits, VisitFacts
from server.reconcile.finding import Finding
from server.reconcile.place import metres_between
from server.reconcile.recordings import covered_seconds, heard_through, spoken_seconds
from server.reconcile.transcripts import deaf, is_heard
from sync.bodies import claimed_stay

Mark = Literal["supported", "contradicted", "silent"]
CLAIMS: Final = (
    "arrived_at",
    "left_at",
    "team_present",
    "met",
    "identity_shown",
    "recording_announced",
    "debt",
    "letters",
    "promise",
    "outcome",
    "narrative",
)
DOUBTS: Final = 0.4  # a finding less sure than this leaves its claim silent
HEARD: Final = ("identity_shown", "recording_announced", "promise")


@dataclass(frozen=True, slots=True)
class ClaimMark:
    """One claim of the live account and what the evidence makes of it. `why`: why it is silent, if known."""

    claim: str
    mark: Mark
    why: str = ""


def mark_claims(facts: VisitFacts, findings: Sequence[Finding], limits: Limits) -> tuple[ClaimMark, ...]:
    """Mark every claim; what no check contradicts and nothing supports is silent."""
    if facts.account is None:
        return ()
    doubted = {one.claim for one in findings if one.severity != "note" and one.confidence >= DOUBTS}
    unheard = deaf(facts, limits)
    marks = []
    for claim in CLAIMS:
        support = SUPPORT.get(claim)
        if claim in doubted:
            marks.append(ClaimMark(claim, "contradicted"))
        elif (support is not None and support(facts, limits)) or (claim in HEARD and is_heard(facts, claim)):
            marks.append(ClaimMark(claim, "supported"))
        else:
            marks.append(ClaimMark(claim, "silent", why=unheard if claim in HEARD else ""))
    return tuple(marks)


def _arrival(facts: VisitFacts, limits: Limits) -> bool:
    """Server-anchored time, and a position at the address that no other program gave."""
    near = (
        facts.check_in is not None
        and not facts.check_in.mock
        and facts.address is not None
        and metres_between(facts.check_in, facts.address) <= limits.place_m + facts.check_in.accuracy_m
    )
    return facts.arrival.is_trusted and near


def _departure(facts: VisitFacts, limits: Limits) -> bool:
    """Server-anchored time, and recordings about as long as the claimed stay."""
    if facts.account is None or facts.departure is None or not facts.departure.is_trusted:
        return False
    arrived, left = claimed_stay(dict(facts.account.claims))
    return covered_seconds(heard_through(facts)) >= (left - arrived).total_seconds() * limits.recorded_share


def _team(facts: VisitFacts, limits: Limits) -> bool:
    claimed = frozenset(UUID(one) for one in (facts.account.claims if facts.account else {})["team_present"])
    return facts.assigned_team == facts.present_team == claimed


def _met(facts: VisitFacts, limits: Limits) -> bool:
    claims = facts.account.claims if facts.account else {}
    return claims.get("met") != "nobody" and spoken_seconds(facts) >= limits.speech_seconds


def _letters(facts: VisitFacts, limits: Limits) -> bool:
    claims = facts.account.claims if facts.account else {}
    shown = any(one.is_here and one.purpose in ("delivery", "letter") for one in facts.evidence)
    return bool(claims.get("letters")) and shown


SUPPORT: Final[dict[str, Callable[[VisitFacts, Limits], bool]]] = {
    "arrived_at": _arrival,
    "left_at": _departure,
    "team_present": _team,
    "met": _met,
    "letters": _letters,
}

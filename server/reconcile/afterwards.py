"""Which assignment rules did the visit break, judged on its actual times and team?"""

from collections.abc import Iterator

from server.reconcile.facts import Limits, VisitFacts
from server.reconcile.finding import Finding, Severity
from server.rules.verdict import Reason


def broken_rules(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """Turn the reasons of the rules' second judgement into findings.

    What hangs on the time is certain only where the server vouches for the time.
    """
    for reason in facts.broken_rules:
        if _is_hold(reason):
            continue  # judged below, where it is known what had reached the phone
        is_certain = _is_certain(reason, facts)
        severity: Severity = "severe" if reason.severity == "block" else "serious"
        if reason.severity == "warn":
            severity = "note"
        elif not is_certain:
            severity = "minor"
        yield Finding(
            check=reason.slug,
            rule=reason.rule,
            severity=severity,
            claim="",
            observation=dict(reason.facts) | ({} if is_certain else {"certainty": "possible"}),
            citation={"quotation": reason.quotation},
            confidence=1.0 if is_certain else 0.5,
            about=reason.rule,
        )


def visited_under_hold(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """A hold stood at the arrival: known on the phone, or not delivered to it yet.

    Only what the visitor could know counts against them; the other is for the office to see.
    """
    flagged = facts.flags & {"after_hold", "hold_not_delivered"}
    holds = [reason for reason in facts.broken_rules if _is_hold(reason)]
    if not flagged and not holds:
        return
    is_known = "after_hold" in facts.flags
    yield Finding(
        check="visited-under-hold",
        rule=holds[0].rule if holds else "D4",
        severity="severe" if is_known else "note",
        claim="",
        observation={"known_before_arrival": is_known, "holds": [dict(reason.facts) for reason in holds]},
        citation={"quotation": holds[0].quotation} if holds else {},
    )


def _is_certain(reason: Reason, facts: VisitFacts) -> bool:
    certainty = reason.facts.get("certainty")
    measured = facts.departure if reason.facts.get("moment") == "departure" else facts.arrival
    return certainty is None or (certainty == "certain" and (measured or facts.arrival).is_trusted)


def _is_hold(reason: Reason) -> bool:
    return reason.slug.startswith("hold-")

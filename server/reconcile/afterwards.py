"""Which assignment rules did the visit break, judged on its actual times and team?"""

from collections.abc import Iterator

from server.reconcile.facts import Limits, VisitFacts
from server.reconcile.finding import Finding, Severity


def broken_rules(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """Turn the reasons of the rules' second judgement into findings."""
    for reason in facts.broken_rules:
        is_certain = reason.facts.get("certainty") != "possible"
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
            observation=dict(reason.facts),
            citation={"quotation": reason.quotation},
            confidence=1.0 if is_certain else 0.5,
            about=reason.rule,
        )


def visited_under_hold(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """A hold stood at the arrival: known on the phone, or not delivered to it yet."""
    for flag, severity in (("after_hold", "severe"), ("hold_not_delivered", "note")):
        if flag in facts.flags:
            yield Finding(
                check="visited-under-hold",
                rule="D4",
                severity="severe" if severity == "severe" else "note",
                claim="",
                observation={"known_before_arrival": flag == "after_hold"},
                about=flag,
            )

"""Is what arrived what the phone captured, and the record of the phone whole?"""

from collections.abc import Iterator

from server.reconcile.facts import Limits, VisitFacts
from server.reconcile.finding import Finding, cite


def digest_mismatch(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """Other bytes came than the promise named (C14)."""
    for one in facts.evidence:
        if one.state == "mismatched":
            yield Finding(
                check="digest-mismatch",
                rule="C14",
                severity="severe",
                claim="",
                observation={"kind": one.kind, "purpose": one.purpose},
                citation=cite(one.id),
                about=str(one.id),
            )


def broken_chain(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """The phone's chain forks: two records under one number, so something was replaced (C17)."""
    if "chain_fork" in facts.flags:
        forked = sorted(
            (one for one in facts.items if one.is_forked), key=lambda one: (one.device_id, one.seq)
        )
        yield Finding(
            check="chain-fork",
            rule="C17",
            severity="severe",
            claim="",
            observation={"flag": "chain_fork"},
            citation={"item_id": str(forked[0].id), "device_id": str(forked[0].device_id)} if forked else {},
        )


def signature_invalid(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """A record counts although the phone's key did not sign it: somebody in the office accepted it (C14).

    Nothing proves who wrote it. That may be a broken phone, and it may be whoever holds the network.
    """
    for one in facts.items:
        if not one.is_signed:
            yield Finding(
                check="signature-invalid",
                rule="C14",
                severity="serious",
                claim="",
                observation={"type": one.type},
                citation={"item_id": str(one.id), "device_id": str(one.device_id)},
                about=str(one.id),
            )


def unreadable_evidence(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """A file arrived whole and cannot be read as what it claims to be (C12)."""
    for one in facts.evidence:
        if one.is_here and one.failed:
            yield Finding(
                check="evidence-unreadable",
                rule="C12",
                severity="serious",
                claim="",
                observation={"why": one.failed, "kind": one.kind},
                citation=cite(one.id),
                about=str(one.id),
            )

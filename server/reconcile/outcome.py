"""Can the visit have ended as the account says?"""

from collections.abc import Iterator
from itertools import pairwise

from server.reconcile.facts import Limits, VisitFacts
from server.reconcile.finding import Finding, cite, cite_account
from server.reconcile.recordings import heard_through, is_explained, is_more_to_come, spoken_seconds


def nobody_speaks(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """Somebody was met, yet nobody speaks in the recordings (C14): little where the recorder was broken."""
    if facts.account is None or facts.account.claims.get("met") in (None, "nobody"):
        return
    heard, speech = heard_through(facts), spoken_seconds(facts)
    if heard and speech < limits.speech_seconds and not is_more_to_come(facts):
        has_reason = all(is_explained(one, facts) for one in heard)
        yield Finding(
            check="nobody-speaks",
            rule="C14",
            severity="minor" if has_reason else "severe",
            claim="met",
            observation={"speech_seconds": round(speech, 1), "met": facts.account.claims["met"]}
            | ({"explained": True} if has_reason else {}),
            citation=cite(heard[0].id, second=0),
            confidence=0.3 if has_reason else 0.9,
        )


def not_entitled(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """A letter went to somebody who was not entitled to it by the account's own words (H5, AMB14)."""
    if facts.account is None:
        return
    met = facts.account.claims.get("met")
    for n, letter in enumerate(facts.account.claims.get("letters") or ()):
        to_debtor = letter["delivery"] == "handed_to_debtor"
        if (to_debtor and met != "debtor") or (letter["recipient"] == "nobody" and to_debtor):
            yield Finding(
                check="delivery-contradicts",
                rule="H6",
                severity="serious",
                claim="letters",
                observation={"delivery": letter["delivery"], "recipient": letter["recipient"], "met": met},
                citation=cite_account(facts) | {"letter": n},
                about=str(n),
            )


def amendment_reverses(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """A later revision says the opposite of an earlier one: for the auditor to know (C17).

    A second account that amends none takes the place of the one before as much as an amendment does.
    """
    by_id = {revision.id: revision for revision in facts.revisions}
    in_order = sorted(facts.revisions, key=lambda one: (one.received_at, one.id))
    for before, revision in pairwise((None, *in_order)):
        parent = by_id.get(revision.parent_id) if revision and revision.parent_id else before
        if revision is None or parent is None:
            continue
        changed = [
            name
            for name in ("met", "outcome", "debt", "promise", "letters", "arrived_at", "left_at")
            if parent.claims.get(name) != revision.claims.get(name)
        ]
        if changed:
            yield Finding(
                check="amendment-reverses",
                rule="C17",
                severity="note",
                claim=changed[0],
                observation={
                    "changed": changed,
                    "before": {name: parent.claims.get(name) for name in changed},
                    "after": {name: revision.claims.get(name) for name in changed},
                },
                citation={"account_id": str(revision.id)},
                about=str(revision.id),
            )

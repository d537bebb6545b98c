"""Is everything here that was promised, and that such a visit needs?"""

from collections.abc import Iterator

from server.reconcile.facts import HANDED_OVER, Limits, VisitFacts
from server.reconcile.finding import Finding, cite, cite_account


def evidence_missing(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """A promised file has not arrived although its time is over (C12)."""
    if not facts.is_evidence_due:
        return
    for one in facts.evidence:
        if one.state in ("expected", "uploading", "missing"):
            yield Finding(
                check="evidence-missing",
                rule="C12",
                severity="serious",
                claim="",
                observation={"kind": one.kind, "purpose": one.purpose, "state": one.state},
                citation=cite(one.id),
                about=str(one.id),
            )


def account_missing(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """No written account, or a late one (C13). One that was written in time and came late is a note.

    One that lies at the desk was written: while nobody has decided about it, its visitor owes none.
    """
    if facts.account_due_at is None:
        return
    earliest = min(facts.revisions, key=lambda one: (one.received_at, one.id), default=None)
    came = [*([] if earliest is None else [earliest.received_at]), *facts.accounts_aside]
    first = min(came, default=None)
    if (first or facts.judged_at) <= facts.account_due_at:
        return
    on_time = any(
        item.type == "visit.account" and item.when.is_trusted and item.when.latest <= facts.account_due_at
        for item in facts.items
    )
    yield Finding(
        check="account-missing" if first is None else "account-late",
        rule="C13",
        severity="serious" if first is None else "note" if on_time else "minor",
        claim="",
        observation={"due_at": facts.account_due_at, "received_at": first}
        | ({"written_in_time": True} if first is not None and on_time else {}),
        citation={} if earliest is None else {"account_id": str(earliest.id)},
    )


def required_evidence(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """The visit's outcome needs a kind of evidence that nobody promised (B8, B23, H4).

    A team mate's phone may have taken it, and promise it when it finds a network.
    """
    if facts.account is None or not facts.is_evidence_due:
        return
    have = {one.purpose for one in facts.evidence} | {one.kind for one in facts.evidence}
    wanted = [("badge", "B8"), ("audio", "B23")]
    if any(letter["delivery"] in HANDED_OVER for letter in facts.account.claims.get("letters") or ()):
        wanted.append(("delivery", "H4"))
    if facts.account.claims.get("outcome") == "turned_back":
        wanted = []
    for needed, rule in wanted:
        if needed not in have:
            yield Finding(
                check="evidence-not-taken",
                rule=rule,
                severity="minor",
                claim="outcome",
                observation={"needed": needed},
                citation=cite_account(facts),
                about=needed,
            )

"""Is the money that was said to be paid after a visit on the client's statement? (C3)"""

from collections.abc import Iterator

from server.reconcile.facts import Limits, VisitFacts
from server.reconcile.finding import Finding


def payment_unconfirmed(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """An entry of the office is not on the client's statement, or stands there with another amount (C3).

    What somebody of the team entered weighs; what the office did is for the auditor to know.
    """
    team = facts.present_team | (facts.assigned_team or frozenset())
    for one in facts.payments:
        is_theirs = one.recorded_by in team
        yield Finding(
            check="payment-unconfirmed",
            rule="C3",
            severity="serious" if is_theirs else "note",
            claim="",
            observation={
                "entered_fen": one.amount_fen,
                "statement_fen": one.statement_fen,
                "paid_on": one.paid_on.isoformat(),
                "entered_by_team": is_theirs,
            },
            citation={"payment_id": str(one.id)},
            confidence=0.7,
            about=str(one.id),
        )

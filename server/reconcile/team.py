"""Did the people go who were sent?"""

from collections.abc import Iterator
from uuid import UUID

from server.reconcile.facts import Limits, VisitFacts
from server.reconcile.finding import Finding


def team_differs(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """Those present at check-in, or in the account, are not those assigned (C14)."""
    if facts.assigned_team is not None and facts.present_team != facts.assigned_team:
        yield _differs("check_in", facts.present_team, facts.assigned_team)
    if facts.account is None:
        return
    claimed = frozenset(UUID(member) for member in facts.account.claims.get("team_present") or ())
    if claimed != facts.present_team:
        yield _differs("account", claimed, facts.present_team)


def _differs(where: str, present: frozenset[UUID], expected: frozenset[UUID]) -> Finding:
    return Finding(
        check="team-differs",
        rule="C14",
        severity="serious",
        claim="team_present",
        observation={
            "in": where,
            "missing": sorted(str(member) for member in expected - present),
            "extra": sorted(str(member) for member in present - expected),
        },
        about=where,
    )

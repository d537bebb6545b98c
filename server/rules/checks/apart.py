"""Is another team with this debtor at that time? (X7)

The house rules allow two visits a day (A3) and say nothing of the time between them (AMB23): one may begin
when the other's window has closed. At one time they would be a single visit by more people than may go
(A10), so the windows of a debtor's visits lie apart, whichever case, address or dispatcher they are from.
What counts is the debtor, as for the budget (AMB4): no record tells two debtors of one door from neighbours.
Phones keep to their windows, so after the fact there is nothing to add.
"""

from collections.abc import Iterator
from datetime import datetime

from server.rules.check import Check, CheckAfterwards
from server.rules.facts import CaseFacts, WantedVisit
from server.rules.pack import RulePack
from server.rules.periods import next_start_beside
from server.rules.verdict import Reason, a_reason


def next_start_alone(
    start: datetime, wanted: WantedVisit, facts: CaseFacts, pack: RulePack
) -> datetime | None:
    """The next start from which no other team is sent to the debtor during the whole visit."""
    windows = [(plan.start, plan.end) for plan in facts.reservations if plan.end is not None]
    return next_start_beside(start, wanted.window_end - wanted.window_start, windows)


def one_team_at_a_time(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """X7: the windows of one debtor's visits do not overlap; equal ends are apart."""
    allowed_from = next_start_alone(wanted.window_start, wanted, facts, pack)
    if allowed_from == wanted.window_start:
        return
    clash = next(
        plan
        for plan in facts.reservations
        if plan.end is not None and plan.start < wanted.window_end and wanted.window_start < plan.end
    )
    yield a_reason(
        "X7",
        "another-team-then",
        "block",
        allowed_from=allowed_from,
        assignment_id=clash.assignment_id,
        taken_from=clash.start,
        taken_until=clash.end,
    )


CHECKS = (Check(("X7",), one_team_at_a_time, next_start_alone),)
AFTERWARDS: tuple[CheckAfterwards, ...] = ()

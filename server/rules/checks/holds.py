"""Is the case stopped? (A7, and holds of the D class)

After the fact a hold counts by its own times. When a case was closed is not recorded (the hold of its payment
is), and an assigned visit may have closed it itself.
"""

from collections.abc import Iterator

from server.rules.check import Check, CheckAfterwards, certainty
from server.rules.facts import ActualVisit, CaseFacts, HoldFact, WantedVisit
from server.rules.pack import RulePack
from server.rules.verdict import Reason, a_reason
from sync.door import RULE_OF_STOP

RULES = tuple(dict.fromkeys(RULE_OF_STOP.values()))


def _slug(hold: HoldFact) -> str:
    return "hold-" + hold.reason.replace("_", "-")


def nothing_holds(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """One reason per open hold; only an instructed release ends it."""
    for hold in facts.holds:
        if hold.released_at is None or hold.released_at > facts.judged_at:
            rule = RULE_OF_STOP.get(hold.reason, "D9")
            about = {
                "hold_id": hold.id,
                "reason": hold.reason,
                "scope": hold.scope,
                "raised_at": hold.raised_at,
            }
            yield a_reason(rule, _slug(hold), "block", **about)


def case_is_open(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """D18: what is closed is not collected."""
    if facts.case.state != "open":
        yield a_reason("D18", "case-closed", "block", state=facts.case.state)


def nothing_held_at_arrival(actual: ActualVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """Holds that stood when the team arrived; whether they knew is the feed's to say, not ours."""
    for hold in facts.holds:
        is_possible = hold.raised_at < actual.arrival.latest
        is_certain = hold.raised_at <= actual.arrival.earliest
        if hold.released_at is not None:
            is_possible = is_possible and hold.released_at > actual.arrival.earliest
            is_certain = is_certain and hold.released_at > actual.arrival.latest
        if is_possible or is_certain:
            rule = RULE_OF_STOP.get(hold.reason, "D9")
            about = {"hold_id": hold.id, "reason": hold.reason, "raised_at": hold.raised_at}
            yield a_reason(rule, _slug(hold), "block", certainty=certainty(is_certain), **about)


def case_was_open(actual: ActualVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """D18 on a visit that nobody assigned: closed now, so possibly closed then."""
    if actual.assignment_id is None and facts.case.state != "open":
        yield a_reason("D18", "case-closed", "block", certainty="possible", state=facts.case.state)


CHECKS = (Check(RULES, nothing_holds), Check(("D18",), case_is_open))
AFTERWARDS = (CheckAfterwards(RULES, nothing_held_at_arrival), CheckAfterwards(("D18",), case_was_open))

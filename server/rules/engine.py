"""May this visit be assigned, and did that one keep the rules?

Runs every check and sums their reasons up. Pure and total: same facts, same verdict, and no facts that make
it raise. It never stores, loads or looks at a clock.
"""

from collections.abc import Sequence
from datetime import datetime

from server.rules.check import Check, CheckAfterwards
from server.rules.checks import (
    address,
    apart,
    balance,
    budget,
    days,
    ground,
    hardship,
    holds,
    qualification,
    review,
    team,
    window,
)
from server.rules.facts import ActualVisit, CaseFacts, WantedVisit
from server.rules.pack import RulePack
from server.rules.verdict import Reason, Verdict, collect

_SUBJECTS = (
    holds, address, window, days, budget, apart, hardship, team, qualification, review, balance, ground
)  # fmt: skip
_OF_THE_TEAM = (team, qualification)
CHECKS: tuple[Check, ...] = tuple(check for subject in _SUBJECTS for check in subject.CHECKS)
CASE_CHECKS: tuple[Check, ...] = tuple(
    check for subject in _SUBJECTS if subject not in _OF_THE_TEAM for check in subject.CHECKS
)
AFTERWARDS: tuple[CheckAfterwards, ...] = tuple(
    check for subject in _SUBJECTS for check in subject.AFTERWARDS
)
CHECKED_RULES = frozenset(rule for check in (*CHECKS, *AFTERWARDS) for rule in check.rules)
MOST_STEPS = 10_000

Spoken = Sequence[tuple[Check, tuple[Reason, ...]]]


def judge(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Verdict:
    """Say whether this visit may be assigned, with every reason why not."""
    return judge_by(CHECKS, wanted, facts, pack)


def judge_case(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Verdict:
    """Say whether anybody may make this visit: every reason that does not depend on who goes.

    The team of `wanted` and of `facts` is not looked at; it may be empty.
    """
    return judge_by(CASE_CHECKS, wanted, facts, pack)


def judge_by(checks: Sequence[Check], wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Verdict:
    """Say what these checks say of a visit, together."""
    spoken = [(check, tuple(check.judge(wanted, facts, pack))) for check in checks]
    return conclude(spoken, wanted, facts, pack)


def conclude(spoken: Spoken, wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Verdict:
    """Sum up what checks said of a visit; `spoken` also names every silent one that has a clock."""
    reasons = tuple(reason for _, said in spoken for reason in said)
    if not _blocks(reasons):
        allowed_from = wanted.window_start
    elif any(check.next_start is None and _blocks(said) for check, said in spoken):
        allowed_from = None
    else:
        start = max(wanted.window_start, facts.judged_at)
        asked = tuple(check for check, _ in spoken)
        allowed_from = _first_start(start, wanted, facts, pack, checks=asked)
    return collect(reasons, allowed_from=allowed_from, pack=pack.ident, judged_at=facts.judged_at)


def _blocks(reasons: tuple[Reason, ...]) -> bool:
    return any(reason.severity == "block" for reason in reasons)


def _first_start(
    start: datetime, wanted: WantedVisit, facts: CaseFacts, pack: RulePack, *, checks: tuple[Check, ...]
) -> datetime | None:
    """Return the earliest start, `start` or later, that every rule with a clock permits at once.

    Each rule pushes the start to the next instant it permits until none moves it. None of them skips a
    permitted instant, so what remains is the earliest. None: one of them never permits again by itself.
    """
    clocks = [check.next_start for check in checks if check.next_start is not None]
    for _ in range(MOST_STEPS):
        before = start
        for next_start in clocks:
            moved = next_start(start, wanted, facts, pack)
            if moved is None:
                return None
            start = moved
        if start == before:
            return start
    return None


def judge_afterwards(actual: ActualVisit, facts: CaseFacts, pack: RulePack) -> Verdict:
    """Say which rules a visit that took place broke; `facts["certainty"]` says certain or possible.

    `facts.arrivals` holds the debtor's visits, this one included or not, in any order: what counts is the
    order of actual time. Nothing is refused here.
    """
    reasons = tuple(reason for check in AFTERWARDS for reason in check.judge(actual, facts, pack))
    return collect(reasons, allowed_from=None, pack=pack.ident, judged_at=facts.judged_at)

"""What is a check?

One small function per rule. `Check` names the catalogue ids it can raise, so that the catalogue and the code
can be held to each other. A block that ends by itself also has a `Clock`: where the joint search for
`allowed_from` asks for the next start that this rule permits.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from server.rules.facts import ActualVisit, CaseFacts, WantedVisit
from server.rules.pack import RulePack
from server.rules.verdict import Reason

Judge = Callable[[WantedVisit, CaseFacts, RulePack], Iterator[Reason]]
JudgeAfterwards = Callable[[ActualVisit, CaseFacts, RulePack], Iterator[Reason]]
# The first instant, `start` or later, at which this rule lets the visit start; None: never by itself.
NextStart = Callable[[datetime, WantedVisit, CaseFacts, RulePack], datetime | None]


@dataclass(frozen=True, slots=True)
class Check:
    """One rule before the door. `next_start` is given when time alone can end its block."""

    rules: tuple[str, ...]
    judge: Judge
    next_start: NextStart | None = None


@dataclass(frozen=True, slots=True)
class CheckAfterwards:
    """One rule on what happened. Its reasons carry `certainty`: certain or possible."""

    rules: tuple[str, ...]
    judge: JudgeAfterwards


def was_in_hardship(actual: ActualVisit, facts: CaseFacts) -> bool:
    """Whether hardship was certainly known before the arrival; it may have been learned at that very door."""
    since = facts.case.hardship_since
    return bool(facts.case.hardship) and since is not None and since <= actual.arrival.earliest


def certainty(is_certain: bool) -> str:
    """Name how sure a reason after the fact is."""
    return "certain" if is_certain else "possible"

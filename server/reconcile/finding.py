"""What is a finding, and which of two is worse?"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from uuid import UUID

from server.reconcile.facts import Limits, VisitFacts

Severity = Literal["severe", "serious", "minor", "note"]
RANK: Final[Mapping[str, int]] = {"severe": 3, "serious": 2, "minor": 1, "note": 0}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not fit.

    `check` names the function, `rule` the house rule, `claim` the part of the account that is doubted
    ("" when none is), `citation` what to look at: evidence_id and second, item, or words. `about` tells
    two findings of one check apart and is stable over reruns.
    """

    check: str
    rule: str
    severity: Severity
    claim: str
    observation: Mapping[str, Any]
    citation: Mapping[str, Any] = field(default_factory=dict)
    confidence: float = 1.0
    about: str = ""

    @property
    def key(self) -> str:
        """The finding's name within its visit, the same at every rerun."""
        return f"{self.check}:{self.about}" if self.about else self.check

    @property
    def rank(self) -> int:
        """3 is worst."""
        return RANK[self.severity]


Check = Callable[[VisitFacts, Limits], Iterator[Finding]]


def cite_account(facts: VisitFacts) -> dict[str, str]:
    """Point at the live account, where there is one."""
    return {"account_id": str(facts.account.id)} if facts.account else {}


def cite_step(facts: VisitFacts, step: str) -> dict[str, str]:
    """Point at the record of the check-in or check-out, where it came."""
    item = facts.step_items.get(step)
    return {"item_id": str(item)} if item else {}


def cite(evidence_id: UUID, *, second: float | None = None) -> dict[str, Any]:
    """Point at a piece of evidence, and at a second in it."""
    return {"evidence_id": str(evidence_id)} | ({} if second is None else {"second": round(second, 1)})

"""What does a judgement say?

A `Reason` names one rule with its quotation, how strong it is, the facts it rests on and when it ends; a
`Verdict` holds all of them. The wire form is domain.md's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from server.rules.catalogue import quotation_of
from server.rules.json_form import stamp, to_json

Severity = Literal["block", "approval", "warn"]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a visit may not take place (block), needs a supervisor (approval), or needs care (warn).

    `allowed_from` is the first instant at which this reason alone would no longer hold; None: never
    without a person's action.
    """

    rule: str
    slug: str
    severity: Severity
    quotation: str
    facts: Mapping[str, Any]
    allowed_from: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the wire form."""
        return {
            "rule": self.rule,
            "slug": self.slug,
            "severity": self.severity,
            "quotation": self.quotation,
            "facts": dict(self.facts),
            "allowed_from": self.allowed_from and stamp(self.allowed_from),
        }


def a_reason(
    rule: str, slug: str, severity: Severity, *, allowed_from: datetime | None = None, **facts: Any
) -> Reason:
    """Build a reason with the rule's quotation; facts become plain JSON values."""
    return Reason(
        rule=rule,
        slug=slug,
        severity=severity,
        quotation=quotation_of(rule),
        facts={name: to_json(value) for name, value in facts.items()},
        allowed_from=allowed_from,
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """All reasons of one judgement.

    `allowed`: anybody who may dispatch may assign it. `needs_approval`: nothing blocks, but a supervisor
    has to approve. `allowed_from`: the earliest start at which no blocking reason holds.
    """

    allowed: bool
    needs_approval: bool
    reasons: tuple[Reason, ...]
    allowed_from: datetime | None
    pack: str
    judged_at: datetime

    @property
    def blocking(self) -> tuple[Reason, ...]:
        """The reasons that nobody may override."""
        return tuple(reason for reason in self.reasons if reason.severity == "block")

    @property
    def rules(self) -> frozenset[str]:
        """The ids of all rules that spoke."""
        return frozenset(reason.rule for reason in self.reasons)

    def to_json(self) -> dict[str, Any]:
        """Return the wire form."""
        return {
            "allowed": self.allowed,
            "needs_approval": self.needs_approval,
            "pack": self.pack,
            "judged_at": stamp(self.judged_at),
            "reasons": [reason.to_json() for reason in self.reasons],
            "allowed_from": self.allowed_from and stamp(self.allowed_from),
        }


def collect(
    reasons: tuple[Reason, ...], *, allowed_from: datetime | None, pack: str, judged_at: datetime
) -> Verdict:
    """Sum reasons up, the strongest first."""
    order = ("block", "approval", "warn")
    severities = {reason.severity for reason in reasons}
    return Verdict(
        allowed=severities <= {"warn"},
        needs_approval="approval" in severities and "block" not in severities,
        reasons=tuple(sorted(reasons, key=lambda reason: order.index(reason.severity))),
        allowed_from=allowed_from,
        pack=pack,
        judged_at=judged_at,
    )

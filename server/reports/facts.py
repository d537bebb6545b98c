"""What is known of one person's month when it is assessed?

Everything that a proposal rests on, and nothing that would have to be looked up again: a closed month keeps
these facts and is assessed from them for ever.
"""

from dataclasses import dataclass
from datetime import date
from typing import Literal
from uuid import UUID

from server.auditing.repeating import Measure

Kind = Literal["finding", "complaint", "fraud", "clock"]


@dataclass(frozen=True, slots=True)
class Breach:
    """A finding that an auditor confirmed, on a visit whose record this person signed.

    `measure`: what the breach desk wrote down (E8); None while no breach was opened from it.
    """

    finding_id: UUID
    visit_id: UUID
    rule: str
    check: str
    severity: str
    on: date
    measure: Measure | None = None


@dataclass(frozen=True, slots=True)
class Complained:
    """A serious complaint about this person that was upheld. `on_visit`: it was about a visit (E7)."""

    complaint_id: UUID
    on: date
    on_visit: bool


@dataclass(frozen=True, slots=True)
class Fraud:
    """A fraud that somebody proved, and the findings it was proved by. It is charged in the month of `on`."""

    fraud_id: UUID
    on: date
    finding_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class MissedClock:
    """A deadline of the new-case rules (F1-F4) that passed, and that a supervisor put down to this person."""

    case_id: UUID
    rule: str
    opened_on: date
    on: date


@dataclass(frozen=True, slots=True)
class Wage:
    """What a person earns in the month, and the least that the law of the place leaves them."""

    wage_fen: int
    minimum_fen: int


@dataclass(frozen=True, slots=True)
class PersonMonth:
    """One person, one month. `told_of`: checks that failed after a breach was opened for them (E8).

    `frauds` are those of the month, and those of others that one of its breaches proved.
    """

    staff_id: UUID
    branch: str
    month: date
    breaches: tuple[Breach, ...] = ()
    complaints: tuple[Complained, ...] = ()
    frauds: tuple[Fraud, ...] = ()
    missed: tuple[MissedClock, ...] = ()
    records_handled: int = 0
    told_of: frozenset[str] = frozenset()
    wage: Wage | None = None

    @property
    def is_blank(self) -> bool:
        """Whether nothing is held against the person."""
        return not (self.breaches or self.complaints or self.frauds or self.missed)

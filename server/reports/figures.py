"""What is counted in a report? Plain numbers, as the tables gave them."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class ByDay:
    """One day."""

    day: date
    visits: int = 0
    reviewed: int = 0
    paid_fen: int = 0
    promised_fen: int = 0


@dataclass(frozen=True, slots=True)
class ByCheck:
    """What one check found, by what became of it."""

    check: str
    rule: str
    confirmed: int
    open: int
    dismissed: int


@dataclass(frozen=True, slots=True)
class ByVisitor:
    """One visitor's visits, and what was found in them."""

    branch: str
    employee_number: str
    name: str
    visits: int
    confirmed: int
    open: int
    dismissed: int


@dataclass(frozen=True, slots=True)
class ByTeam:
    """What one team brought in for one client (F12)."""

    client: str
    team: str
    payments: int
    paid_fen: int
    promises_made: int
    promised_fen: int
    promises_kept: int
    promises_broken: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything counted in some days."""

    days: tuple[ByDay, ...]
    checks: tuple[ByCheck, ...]
    visitors: tuple[ByVisitor, ...]
    teams: tuple[ByTeam, ...]
    complaints: int = 0
    serious_complaints: int = 0
    holds: int = 0

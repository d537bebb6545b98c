"""What does a proposal say?

Every candidate is in it exactly once: as a stop, or left out for one reason.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from server.planning.problem import DUE_SOON, Problem

Due = Literal["overdue", "due_today", "due_soon", "due_later", "no_due_date"]
DUE_ORDER: Final[tuple[Due, ...]] = ("overdue", "due_today", "due_soon", "due_later", "no_due_date")
"""What falls due first is planned first; inside one of these the shortest way decides."""

Why = Literal[
    "blocked",
    "needs_approval",
    "no_point",
    "budget_used",
    "no_team",
    "team_too_large",
    "team_too_small",
    "team_barred",
    "no_team_free",
    "out_of_reach",
    "days_full",
]
WHY: Final[dict[Why, str]] = {
    "blocked": "A rule blocks it on this day.",
    "needs_approval": "Needs a supervisor's approval, and the plan was asked for without such cases.",
    "no_point": "Its address has no point on the map.",
    "budget_used": "Another stop of this plan uses what was left of the debtor's budget.",
    "no_team": "No team of this plan may go at all.",
    "team_too_large": "Every team has more members than may go there.",
    "team_too_small": "Every team has fewer members than must go there.",
    "team_barred": "No team of a fitting size may visit this client's debtors.",
    "no_team_free": "No team that may go is free at the hours at which the visit is allowed.",
    "out_of_reach": "Too far: no team could make it in its working hours, even without any other new stop.",
    "days_full": "Would fit alone, but the days are full of stops that fall due first or lie nearer.",
}


def explained(why: str) -> str:
    """Return a reason as a sentence."""
    return next(sentence for known, sentence in WHY.items() if known == why)


def due_of(due_at: datetime | None, problem: Problem) -> Due:
    """Say how pressing a deadline is on the day of the plan."""
    if due_at is None:
        return "no_due_date"
    if due_at < problem.begins:
        return "overdue"
    if due_at < problem.ends:
        return "due_today"
    return "due_soon" if due_at < problem.ends + DUE_SOON else "due_later"


@dataclass(frozen=True, slots=True)
class Stop:
    """A visit that is proposed, from `arrives` to `leaves`. `metres` and `travel_minutes`: the way to it.

    `waits_minutes`: between the way and the visit (a break, or the hours at which it is allowed); none before
    the first stop, to which the team sets out later instead.
    """

    case_id: UUID
    team_no: int
    arrives: datetime
    leaves: datetime
    metres: int
    travel_minutes: int
    waits_minutes: int
    due: Due
    needs_approval: bool


@dataclass(frozen=True, slots=True)
class TeamDay:
    """One team's day. `fault`: why it may not go at all. The way home and to appointments is counted in."""

    no: int
    stops: tuple[Stop, ...]
    metres: int = 0
    travel_minutes: int = 0
    sets_out: datetime | None = None
    is_back: datetime | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A candidate that is no stop, and the one reason why. `rule`, `slug`: the rule that speaks, if any."""

    case_id: UUID
    why: Why
    rule: str = ""
    slug: str = ""
    allowed_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class DayPlan:
    """The proposal."""

    teams: tuple[TeamDay, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def stops(self) -> tuple[Stop, ...]:
        """All stops, team by team."""
        return tuple(stop for team in self.teams for stop in team.stops)

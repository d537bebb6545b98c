"""What must be known to plan a day?

Frozen values that a workflow loads. Instants are aware; the planner itself counts in whole minutes, so a
visit starts at a full minute and a way takes full minutes, rounded up.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

Stretch = tuple[datetime, datetime]
DUE_SOON: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Point:
    """A place on WGS-84."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class TravelModel:
    """How long a way takes: its length as the crow flies at `kmh`, and on top of every way an overhead.

    `kmh` is therefore slower than the vehicle: roads bend. The overhead is for parking and stairs.
    """

    kmh: float = 15.0
    overhead_minutes: int = 5

    @property
    def metres_per_hour(self) -> int:
        """The speed as a whole number, so that minutes are counted without rounding errors."""
        return max(1, round(self.kmh * 1000))

    def minutes(self, metres: int) -> int:
        """Return the whole minutes a way takes."""
        return self.overhead_minutes + -(-metres * 60 // self.metres_per_hour)


@dataclass(frozen=True, slots=True)
class Member:
    """One person on the day. `taken`: leave, training, and visits whose place nobody knows.

    `can_lead`: qualified and carries an enrolled phone (X5). `is_trainee`: second member only (G5, G17).
    """

    id: UUID
    can_lead: bool
    is_qualified: bool
    is_trainee: bool = False
    taken: tuple[Stretch, ...] = ()


@dataclass(frozen=True, slots=True)
class Appointment:
    """A visit that somebody of the team is already assigned to: at this time, at this place."""

    start: datetime
    end: datetime
    point: Point


@dataclass(frozen=True, slots=True)
class Team:
    """Who goes together, from where, and when they work.

    `end`: where the day has to end; None: wherever the last visit is. `barred`: packs of values under which
    this team may visit nobody (a client may ask for more than the others).
    """

    no: int
    members: tuple[Member, ...]
    lead: UUID
    works: Stretch
    start: Point
    end: Point | None = None
    breaks: tuple[Stretch, ...] = ()
    appointments: tuple[Appointment, ...] = ()
    most_stops: int | None = None
    barred: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Stopped:
    """The rule that keeps a case from being planned. `allowed_from` None: never without a person's action."""

    rule: str
    slug: str
    allowed_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A case that might be visited. The whole visit lies in [opens, closes] and starts by `latest_start`.

    `blocked`: nobody may override it; `approval`: a supervisor may. `budget_left`: visits that the debtor may
    still receive on this day, over all their cases. `pack`: whose values judged it (`Team.barred`).
    """

    case_id: UUID
    debtor_id: UUID
    point: Point | None
    opens: datetime
    latest_start: datetime
    closes: datetime
    minutes: int
    due_at: datetime | None = None
    blocked: Stopped | None = None
    approval: Stopped | None = None
    is_hardship: bool = False
    budget_left: int = 1
    team_min: int = 1
    team_max: int = 2
    pack: str = ""

    @property
    def most_stops(self) -> int:
        """How many stops of one plan the debtor may receive as far as this case says (A3, A9)."""
        return min(self.budget_left, 1) if self.is_hardship else self.budget_left


@dataclass(frozen=True, slots=True)
class Problem:
    """A day to plan. `begins`: its first instant; nothing is planned before `now`.

    `with_approval`: cases that need a supervisor are planned too, and need one when the plan is accepted.
    """

    begins: datetime
    ends: datetime
    now: datetime
    teams: tuple[Team, ...]
    candidates: tuple[Candidate, ...]
    travel: TravelModel = field(default_factory=TravelModel)
    with_approval: bool = False

"""Which place has which number, and which minute is which instant?

Candidates come first, in the order of their ids; then each team's start, end and appointments.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from server.planning.distance import Places
from server.planning.problem import Candidate, Point, Problem, Stretch, Team
from server.planning.workday import HORIZON, Minutes

ONE_MINUTE: Final = timedelta(minutes=1)
Chosen = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Ends:
    """A team's own places. `end` None: the day ends at the last stop."""

    start: int
    end: int | None
    fixed: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """All places of a day with their hours, in minutes since the day began.

    A stop at a place begins between `opens` and `latest` and takes `minutes`. `kind` is, for candidates, the
    row of their duration in `durations`.
    """

    begins: datetime
    places: Places
    opens: Minutes
    latest: Minutes
    minutes: Minutes
    kind: Chosen
    durations: tuple[int, ...]
    ends: dict[int, Ends]

    def minute(self, at: datetime) -> int:
        """Return the minute of an instant, rounded up."""
        return _up(at, self.begins)

    def stretches(self, stretches: Sequence[Stretch], *, now: datetime) -> list[tuple[int, int]]:
        """Return stretches in whole minutes, from now on; never longer than they are."""
        first = _up(now, self.begins)
        whole = [(max(_up(start, self.begins), first), _down(end, self.begins)) for start, end in stretches]
        return [(start, end) for start, end in whole if start < end]

    def instant(self, minute: int) -> datetime:
        """Return the instant of a minute."""
        return self.begins + minute * ONE_MINUTE


def lay_out(problem: Problem, candidates: Sequence[Candidate], teams: Sequence[Team]) -> Board:
    """Number all places of a day. Every candidate has a point."""
    begins = problem.begins
    points: list[Point] = [one.point for one in candidates if one.point is not None]
    assert len(points) == len(candidates)
    hours = [(_up(one.opens, begins), _latest(one, begins), one.minutes) for one in candidates]
    ends: dict[int, Ends] = {}

    def add(point: Point, opens: int, latest: int, minutes: int) -> int:
        points.append(point)
        hours.append((opens, latest, minutes))
        return len(points) - 1

    for team in teams:
        start = add(team.start, 0, HORIZON, 0)
        end = None if team.end is None else add(team.end, 0, HORIZON, 0)
        fixed = []
        for one in sorted(team.appointments, key=lambda one: one.start):
            at = _down(one.start, begins)
            fixed.append(add(one.point, at, at, max(1, _up(one.end, begins) - at)))
        ends[team.no] = Ends(start, end, tuple(fixed))
    opens, latest, minutes = np.array(hours, dtype=np.int64).reshape(-1, 3).T
    durations, kind = np.unique(minutes[: len(candidates)], return_inverse=True)
    return Board(
        begins=begins,
        places=Places(points, problem.travel),
        opens=opens,
        latest=latest,
        minutes=minutes,
        kind=kind.astype(np.intp),
        durations=tuple(map(int, durations)),
        ends=ends,
    )


def _latest(one: Candidate, begins: datetime) -> int:
    return min(_down(one.latest_start, begins), _down(one.closes, begins) - one.minutes)


def _up(at: datetime, begins: datetime) -> int:
    return min(max(-((begins - at) // ONE_MINUTE), 0), HORIZON)


def _down(at: datetime, begins: datetime) -> int:
    return min(max((at - begins) // ONE_MINUTE, 0), HORIZON)

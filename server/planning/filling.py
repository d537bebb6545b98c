"""How do the teams' rounds fill up?

Inside one class of due dates the stop that costs the fewest metres more, at the best place of any round, is
taken next. What every team offers for every case is kept, so that after a stop only its own round is asked
again. Whoever visits a debtor makes that debtor's other stops too, so that two teams never meet there (X7).
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from server.planning.board import Board, Chosen
from server.planning.problem import Candidate, Problem, Team
from server.planning.teams import at_work, without
from server.planning.tours import FAR, Tour
from server.planning.workday import WorkClock


def begun(team: Team, board: Board, problem: Problem, *, most_stops: int | None = None) -> Tour:
    """Return a team's round with its appointments; where they cannot be kept, they only take their time."""
    ends, stretches = board.ends[team.no], at_work(team)
    clock = WorkClock(board.stretches(stretches, now=problem.now))
    tour = Tour(board, clock, start=ends.start, end=ends.end, fixed=ends.fixed, most_stops=most_stops)
    if tour.keeps_fixed:
        return tour
    taken = [(one.start, one.end) for one in team.appointments]
    rest = [part for stretch in stretches for part in without(stretch, taken)]
    clock = WorkClock(board.stretches(rest, now=problem.now))
    return Tour(board, clock, start=ends.start, end=ends.end, most_stops=most_stops)


class Filling:
    """The rounds of all teams, and which candidates are still open."""

    def __init__(
        self, problem: Problem, candidates: Sequence[Candidate], teams: Sequence[Team], board: Board
    ) -> None:
        self.candidates, self.teams, self.board = candidates, teams, board
        self.tours = [begun(team, board, problem, most_stops=team.most_stops) for team in teams]
        self.may_go = who_may_go(teams, candidates)
        self._still_may = self.may_go.copy()
        self.is_open = np.ones(len(candidates), dtype=bool)
        self.is_placed = np.zeros(len(candidates), dtype=bool)
        self._of_debtor: dict[UUID, list[int]] = defaultdict(list)
        for number, one in enumerate(candidates):
            self._of_debtor[one.debtor_id].append(number)

    def fill(self, chosen: Chosen, on_placed: Callable[[int], None]) -> None:
        """Make stops of as many of the chosen as fit, and shorten the rounds that changed."""
        placed, is_changed = 0, len(chosen) > 0 and len(self.tours) > 0
        while is_changed:
            changed: set[int] = set()
            offers = self._ask_all(chosen)
            while (best := offers.best()) is not None:
                team, at, place = best
                self._place(team, int(chosen[at]), place)
                offers.close(~(self._still_may[:, chosen] & self.is_open[chosen]))
                self._ask(offers, team, chosen)
                changed.add(team)
                placed += 1
                on_placed(placed)
            is_changed = any([self.tours[team].shorten() for team in sorted(changed)])

    def _ask_all(self, chosen: Chosen) -> "_Offers":
        offers = _Offers(len(self.tours), len(chosen))
        for team in range(len(self.tours)):
            self._ask(offers, team, chosen)
        return offers

    def _ask(self, offers: "_Offers", team: int, chosen: Chosen) -> None:
        metres, place = self.tours[team].offers(chosen)
        may = self._still_may[team, chosen] & self.is_open[chosen]
        offers.put(team, np.where(may, metres, FAR), place)

    def _place(self, team: int, number: int, place: int) -> None:
        """Make a candidate a stop, and close those for whom nothing of the debtor's budget is left.

        To the others the same team goes, or nobody.
        """
        self.tours[team].insert(number, place)
        self.is_placed[number] = True
        family = self._of_debtor[self.candidates[number].debtor_id]
        stops = [each for each in family if self.is_placed[each]]
        most = min(self.candidates[each].most_stops for each in stops)
        for each in family:
            may_one_more = len(stops) < min(most, self.candidates[each].most_stops)
            self.is_open[each] = may_one_more and not self.is_placed[each]
        others = np.arange(len(self.teams)) != team
        self._still_may[np.ix_(others, family)] = False


def who_may_go(teams: Sequence[Team], candidates: Sequence[Candidate]) -> NDArray[np.bool_]:
    """Say for each team and candidate whether its size and the client's pack let it go there (A10, X1)."""
    table = [
        [
            one.team_min <= len(team.members) <= one.team_max and one.pack not in team.barred
            for one in candidates
        ]
        for team in teams
    ]
    return np.array(table, dtype=bool).reshape(len(teams), len(candidates))


class _Offers:
    """For each team and each chosen candidate: the metres more, and the place in the round.

    Equals are taken in the order of teams and of case ids.
    """

    def __init__(self, teams: int, chosen: int) -> None:
        self._metres = np.full((teams, chosen), FAR)
        self._places = np.zeros((teams, chosen), dtype=np.intp)

    def put(self, team: int, metres: NDArray[np.int64], places: Chosen) -> None:
        """Note what a team offers now."""
        self._metres[team], self._places[team] = metres, places

    def close(self, closed: NDArray[np.bool_]) -> None:
        """Take candidates out, each for some of the teams."""
        self._metres[closed] = FAR

    def best(self) -> tuple[int, int, int] | None:
        """Return team, candidate and place of the fewest metres; None when nothing fits any more."""
        team, at = divmod(int(self._metres.argmin()), self._metres.shape[1])
        return None if self._metres[team, at] >= FAR else (team, at, int(self._places[team, at]))

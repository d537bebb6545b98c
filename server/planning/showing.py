"""How does a round read, with its ways, hours and waiting?"""

import itertools
from collections.abc import Sequence

from server.planning.filling import Filling
from server.planning.plan import Due, Stop, TeamDay
from server.planning.problem import Team
from server.planning.teams import fault_of
from server.planning.tours import Tour


def shown(team: Team, day: Filling, dues: Sequence[Due]) -> TeamDay:
    """Return a team's day. Appointments are no stops, the ways to them count."""
    fault = fault_of(team)
    if fault is not None:
        return TeamDay(no=team.no, stops=(), fault=fault)
    tour = day.tours[day.teams.index(team)]
    if not tour.order:
        return TeamDay(no=team.no, stops=())
    ways = _ways(tour, day)
    stops = [
        _stop(place, number, tour, day, way=ways[number], due=dues[place], team=team)
        for number, place in enumerate(tour.order)
        if place < len(day.candidates)
    ]
    clock, board = tour.clock, day.board
    leaves = tour.begins[-1] + int(board.minutes[tour.order[-1]])
    back = leaves if tour.end is None else int(clock.after(leaves, ways[-1][1]))
    return TeamDay(
        no=team.no,
        stops=tuple(stops),
        metres=sum(metres for metres, _ in ways),
        travel_minutes=sum(minutes for _, minutes in ways),
        sets_out=board.instant(clock.latest_leave(tour.begins[0], ways[0][1])),
        is_back=board.instant(back),
    )


def _ways(tour: Tour, day: Filling) -> list[tuple[int, int]]:
    """Return metres and minutes of each way, the one to the end last (nothing where there is none)."""
    places, path = day.board.places, [tour.start, *tour.order]
    if tour.end is not None:
        path.append(tour.end)
    ways = [
        (int(places.metres(here)[there]), int(places.minutes(here)[there]))
        for here, there in itertools.pairwise(path)
    ]
    return ways if tour.end is not None else [*ways, (0, 0)]


def _stop(
    place: int, number: int, tour: Tour, day: Filling, *, way: tuple[int, int], due: Due, team: Team
) -> Stop:
    board, one = day.board, day.candidates[place]
    before = tour.clock.opens
    if number:
        before = tour.begins[number - 1] + int(board.minutes[tour.order[number - 1]])
    begin = tour.begins[number]
    arrives = int(tour.clock.after(before, way[1]))
    return Stop(
        case_id=one.case_id,
        team_no=team.no,
        arrives=board.instant(begin),
        leaves=board.instant(begin + one.minutes),
        metres=way[0],
        travel_minutes=way[1],
        waits_minutes=0 if number == 0 else begin - arrives,
        due=due,
        needs_approval=one.approval is not None,
    )

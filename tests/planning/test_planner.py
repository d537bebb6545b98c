"""Whatever the day, the proposal keeps every hour, every budget and every candidate."""

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

from geographiclib.geodesic import Geodesic
from hypothesis import given, settings
from hypothesis import strategies as st

from server.planning.plan import DUE_ORDER, DayPlan, TeamDay, due_of
from server.planning.planner import plan_day
from server.planning.problem import Candidate, Point, Problem, Stretch, Team
from server.planning.teams import fault_of
from tests.planning.problems import a_candidate, a_day, a_team, north, problems

ONE_MINUTE = timedelta(minutes=1)


def worked(begin: datetime, end: datetime, team: Team, *, now: datetime) -> int:
    """Count, minute by minute, how long a team is at work from `begin` to `end`."""
    off = [*team.breaks, *(stretch for member in team.members for stretch in member.taken)]
    count = 0
    while begin + ONE_MINUTE <= end:
        minute = (begin, begin + ONE_MINUTE)
        if _inside(minute, (max(team.works[0], now), team.works[1])) and not any(
            _meet(minute, each) for each in off
        ):
            count += 1
        begin += ONE_MINUTE
    return count


def _inside(one: Stretch, whole: Stretch) -> bool:
    return whole[0] <= one[0] and one[1] <= whole[1]


def _meet(one: Stretch, other: Stretch) -> bool:
    return max(one[0], other[0]) < min(one[1], other[1])


def metres_between(here: Point, there: Point) -> float:
    """The geodesic, by somebody else's code."""
    return Geodesic.WGS84.Inverse(here.latitude, here.longitude, there.latitude, there.longitude)["s12"]


def assert_day_is_possible(team: Team, day: TeamDay, cases: dict[UUID, Candidate], problem: Problem) -> None:
    """Walk through a team's day with a watch and a map of our own."""
    visits: list[tuple[datetime, datetime, Point]] = []
    for stop in day.stops:
        one = cases[stop.case_id]
        assert one.point is not None
        assert stop.leaves - stop.arrives == timedelta(minutes=one.minutes)
        assert one.opens <= stop.arrives <= one.latest_start
        assert stop.leaves <= one.closes
        assert stop.arrives >= problem.now
        assert worked(stop.arrives, stop.leaves, team, now=problem.now) == one.minutes
        assert one.team_min <= len(team.members) <= one.team_max
        assert one.pack not in team.barred
        visits.append((stop.arrives, stop.leaves, one.point))
    for appointment in team.appointments:
        assert not any(_meet((appointment.start, appointment.end), visit[:2]) for visit in visits)
    path: list[tuple[datetime, datetime, Point]] = [(team.works[0], team.works[0], team.start), *visits]
    for (_, leaves, here), (arrives, _, there) in pairwise(path):
        needed = minutes(metres_between(here, there), problem)
        assert worked(leaves, arrives, team, now=problem.now) >= needed
    if visits and team.end is not None:
        needed = minutes(metres_between(visits[-1][2], team.end), problem)
        assert worked(visits[-1][1], team.works[1], team, now=problem.now) >= needed
    assert team.most_stops is None or len(visits) <= team.most_stops


def minutes(metres: float, problem: Problem) -> float:
    """What the way takes at least, the planner's rounding to whole metres forgiven."""
    return problem.travel.overhead_minutes + (metres - 1) * 60 / problem.travel.metres_per_hour


@settings(max_examples=60, deadline=None)
@given(problems())
def test_every_stop_keeps_every_hour_and_no_team_is_in_two_places(problem: Problem):
    plan = plan_day(problem)

    cases = {one.case_id: one for one in problem.candidates}
    assert [day.no for day in plan.teams] == [team.no for team in problem.teams]
    for team, day in zip(problem.teams, plan.teams, strict=True):
        assert day.fault == fault_of(team)
        assert day.fault is None or day.stops == ()
        assert_day_is_possible(team, day, cases, problem)


@settings(max_examples=60, deadline=None)
@given(problems())
def test_every_candidate_is_a_stop_or_left_out_for_one_reason(problem: Problem):
    plan = plan_day(problem)

    found = Counter([stop.case_id for stop in plan.stops] + [one.case_id for one in plan.left_out])
    assert found == Counter(one.case_id for one in problem.candidates)


@settings(max_examples=60, deadline=None)
@given(problems())
def test_no_debtor_gets_more_than_is_left(problem: Problem):
    plan = plan_day(problem)

    cases = {one.case_id: one for one in problem.candidates}
    stops: dict[UUID, list[Candidate]] = defaultdict(list)
    for stop in plan.stops:
        stops[cases[stop.case_id].debtor_id].append(cases[stop.case_id])
    for visited in stops.values():
        assert len(visited) <= min(one.budget_left for one in visited)
        assert len(visited) == 1 or not any(one.is_hardship for one in visited)
        assert all(one.blocked is None for one in visited)
        assert problem.with_approval or all(one.approval is None for one in visited)


def test_two_teams_never_go_to_one_debtor():
    """They would plan without each other, and could stand at the door together (X7)."""
    same = UUID(int=77)
    north_side, south_side = (
        a_candidate(number, debtor_id=same, budget_left=2, point=north(km))
        for number, km in ((1, 5), (2, -5))
    )
    teams = a_team(0, start=north(5)), a_team(1, start=north(-5))

    plan = plan_day(a_day(north_side, south_side, teams=teams))

    assert sorted(len(day.stops) for day in plan.teams) == [0, 2]


@settings(max_examples=30, deadline=None)
@given(problems(), st.randoms(use_true_random=False))
def test_the_same_day_gives_the_same_plan_in_whatever_order_it_is_told(problem: Problem, dice: Any):
    shuffled = list(problem.candidates)
    dice.shuffle(shuffled)

    assert plan_day(replace(problem, candidates=tuple(shuffled))) == plan_day(problem) == plan_day(problem)


@settings(max_examples=40, deadline=None)
@given(problems(), st.integers(0, 3))
def test_what_falls_due_later_never_takes_the_place_of_what_falls_due_first(problem: Problem, last: int):
    pressing = DUE_ORDER[: last + 1]
    first = tuple(one for one in problem.candidates if due_of(one.due_at, problem) in pressing)

    alone, among_all = plan_day(replace(problem, candidates=first)), plan_day(problem)

    assert visited(alone) <= visited(among_all)


def visited(plan: DayPlan) -> set[UUID]:
    return {stop.case_id for stop in plan.stops}


@settings(max_examples=40, deadline=None)
@given(problems())
def test_progress_only_grows_and_ends_where_it_said(problem: Problem):
    heard: list[tuple[int, int]] = []

    plan_day(problem, on_progress=lambda done, total: heard.append((done, total)))

    assert [done for done, _ in heard] == sorted(done for done, _ in heard)
    assert len({total for _, total in heard}) == 1
    assert heard[-1][0] == heard[-1][1]


@settings(max_examples=40, deadline=None)
@given(problems())
def test_the_ways_are_those_on_the_map(problem: Problem):
    plan = plan_day(problem)

    cases = {one.case_id: one for one in problem.candidates}
    for team, day in zip(problem.teams, plan.teams, strict=True):
        if team.appointments or not day.stops:
            continue
        points = [point for stop in day.stops if (point := cases[stop.case_id].point)]
        ways = [metres_between(here, there) for here, there in pairwise([team.start, *points])]
        for stop, way in zip(day.stops, ways, strict=True):
            assert abs(stop.metres - way) <= 1
            assert stop.travel_minutes == problem.travel.minutes(stop.metres)
        home = 0 if team.end is None else metres_between(points[-1], team.end)
        assert abs(day.metres - sum(ways) - home) <= len(ways) + 1

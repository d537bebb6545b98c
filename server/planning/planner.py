"""Who goes where, in which order, on a day?

What falls due first is planned first and never gives way to what falls due later: each class of due dates
fills the teams' days before the next one may use the time that is left. Inside a class the shortest way
decides; every round that changed is made shorter, and what that frees is filled again. No step takes a stop
back, so a plan with more candidates that fall due later keeps every stop of the plan without them.
"""

from collections.abc import Callable

import numpy as np

from server.planning.board import lay_out
from server.planning.filling import Filling
from server.planning.leaving_out import not_placed, out_at_once
from server.planning.plan import DUE_ORDER, DayPlan, Due, due_of
from server.planning.problem import Problem
from server.planning.showing import shown
from server.planning.teams import fault_of

Progress = Callable[[int, int], None]


def silent(done: int, total: int) -> None:
    """Tell nobody how far it is."""


def plan_day(problem: Problem, *, on_progress: Progress = silent) -> DayPlan:
    """Propose a day. `on_progress` hears how many of the candidates are settled, of how many."""
    at_once = [out_at_once(one, problem) for one in problem.candidates]
    candidates = [one for one, out in zip(problem.candidates, at_once, strict=True) if out is None]
    candidates.sort(key=lambda one: one.case_id)
    teams = [team for team in problem.teams if fault_of(team) is None]
    day = Filling(problem, candidates, teams, lay_out(problem, candidates, teams))
    dues: list[Due] = [due_of(one.due_at, problem) for one in candidates]
    classes = [np.flatnonzero(np.array([due == each for due in dues], dtype=bool)) for each in DUE_ORDER]
    settled = 0
    for chosen in classes:
        day.fill(chosen, lambda placed, before=settled: on_progress(before + placed, len(candidates)))
        settled += len(chosen)
        on_progress(settled, len(candidates))
    for chosen in classes:  # what the later classes' shorter rounds freed, again in the order of due dates
        day.fill(chosen, lambda placed: None)
    left_out = [out for out in at_once if out is not None] + list(not_placed(day, problem))
    return DayPlan(
        teams=tuple(shown(team, day, dues) for team in problem.teams),
        left_out=tuple(sorted(left_out, key=lambda out: out.case_id)),
    )

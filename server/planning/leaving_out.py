"""Why is a case not in the plan? One reason each: the first that holds, in the order of `plan.WHY`."""

from collections.abc import Iterator

import numpy as np

from server.planning.filling import Filling, begun
from server.planning.plan import LeftOut, Why
from server.planning.problem import Candidate, Problem
from server.planning.tours import FAR


def out_at_once(one: Candidate, problem: Problem) -> LeftOut | None:
    """Say why a candidate is out whatever the teams do; None when it may become a stop."""
    if one.blocked is not None:
        return LeftOut(one.case_id, "blocked", one.blocked.rule, one.blocked.slug, one.blocked.allowed_from)
    if one.approval is not None and not problem.with_approval:
        return LeftOut(one.case_id, "needs_approval", one.approval.rule, one.approval.slug)
    if one.point is None:
        return LeftOut(one.case_id, "no_point")
    return _budget_used(one) if one.most_stops < 1 else None


def not_placed(day: Filling, problem: Problem) -> Iterator[LeftOut]:
    """Say of each candidate that became no stop why."""
    numbers = np.flatnonzero(~day.is_placed)
    someone_goes, someone_free, someone_reaches = np.zeros((3, len(numbers)), dtype=bool)
    for may_go, team in zip(day.may_go[:, numbers], day.teams, strict=True):
        alone = begun(team, day.board, problem)
        someone_goes |= may_go
        someone_free |= may_go & alone.could_begin(numbers)
        someone_reaches |= may_go & (alone.offers(numbers)[0] < FAR)
    for number, goes, is_free, reaches in zip(
        numbers.tolist(), someone_goes, someone_free, someone_reaches, strict=True
    ):
        one = day.candidates[number]
        if not day.is_open[number]:
            yield _budget_used(one)
        elif not goes:
            yield _nobody_may_go(one, day)
        else:
            why: Why = "no_team_free" if not is_free else "days_full" if reaches else "out_of_reach"
            yield LeftOut(one.case_id, why)


def _budget_used(one: Candidate) -> LeftOut:
    return LeftOut(one.case_id, "budget_used", "A9" if one.is_hardship else "A3")


def _nobody_may_go(one: Candidate, day: Filling) -> LeftOut:
    sizes = [len(team.members) for team in day.teams]
    if not sizes:
        return LeftOut(one.case_id, "no_team")
    if any(one.team_min <= size <= one.team_max for size in sizes):
        return LeftOut(one.case_id, "team_barred")
    if max(sizes) > one.team_max:
        return LeftOut(one.case_id, "team_too_large", "A10")
    return LeftOut(one.case_id, "team_too_small", "X1")

"""How long does it take to plan a day for 60 teams and 3,000 candidates out of 100,000 cases?

On an embedded PostgreSQL, a crowd in every state (`tests.crowd`), a third of it with a deadline. Prints, from
one run: the whole job as the worker does it (judging, planning, storing) for candidates that are named and
may be visited, and when it has to search them, what falls due first in front, in a crowd that is mostly
blocked. Beside its parts the limit, which is counting every distance between the candidates once, and a peer:
each team in turn going to the nearest door that fits. The peer knows no due dates, so the metres a stop of a
plan without any stand beside its own; the difference to the plan is what due dates cost in metres.
Seconds are those on the wall; in brackets those this process used, which a busy machine does not lengthen.

Run: `python -m bench.planning [--cases 100000] [--teams 60] [--candidates 3000] [--json FILE]`.
"""

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from datetime import time as clock
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import sqlalchemy as sa

from bench.stage import a_product
from server.authority import Role
from server.database import db, release_connection, transaction
from server.models.cases import Case
from server.models.deadlines import CaseClock
from server.planning.board import lay_out
from server.planning.distance import Places
from server.planning.filling import begun
from server.planning.plan import DayPlan
from server.planning.planner import plan_day
from server.planning.problem import Point, Problem
from server.rules import pack as packs
from server.workflows.eligibility import which_cases
from server.workflows.plans import asking, computing
from server.workflows.plans.asking import Asked, AskedTeam
from server.workflows.plans.gathering import gather
from tests.crowd import a_crowd
from tests.office import NOW, Office, a_team, an_office

DAY = date(2026, 11, 24)
ROUNDS = 3
MINUTES = 40


def seconds(deed: Callable[[], object], rounds: int = 1) -> dict[str, float]:
    """Return how long a deed took on the wall and on the processor; of several rounds the median."""
    walls, processors = [], []
    for _ in range(rounds):
        begun_at = time.perf_counter(), time.process_time()
        deed()
        walls.append(time.perf_counter() - begun_at[0])
        processors.append(time.process_time() - begun_at[1])
    return {"wall": round(statistics.median(walls), 2), "cpu": round(statistics.median(processors), 2)}


def an_order(teams: int, candidates: int) -> Asked:
    """Ask for a working day of teams that start all over the crowd's city."""
    dice = random.Random(11)
    crews = []
    for _ in range(teams):
        ids = tuple(member.id for member in a_team())
        start = Point(39.8 + dice.random() / 5, 116.3 + dice.random() / 5)
        hours, lunch = (clock(9), clock(18)), (clock(12), clock(13))
        crews.append(AskedTeam(members=ids, lead=ids[0], works=hours, start=start, breaks=(lunch,)))
    return Asked(
        day=DAY,
        teams=tuple(crews),
        case_ids=None,
        client_id=None,
        within_km=50,
        most_candidates=candidates,
        minutes=MINUTES,
        with_approval=False,
        kmh=15.0,
        overhead_minutes=5,
    )


def some_that_may(number: int) -> tuple[UUID, ...]:
    """Return some cases that may be visited on the day, all over the ids."""
    answers = which_cases(day=DAY, now=NOW, pack=packs.load("cn.house", DAY))
    may = [one.case_id for one in answers if one.status == "may" and one.latitude is not None]
    return tuple(random.Random(13).sample(may, min(number, len(may))))


def give_deadlines(ids: list[Any]) -> None:
    """Give every third case a deadline within some weeks around the day."""
    dice = random.Random(12)
    client_id = db.session.scalar(sa.select(Case.client_id).where(Case.id == ids[0]))
    rows = [
        {
            "case_id": case_id,
            "client_id": client_id,
            "opened_by": "allocation",
            "rule": "F1",
            "opened_on": DAY - timedelta(days=30),
            "due_at": NOW + timedelta(hours=dice.randrange(-72, 900)),
            "state": "running",
            "updated_at": NOW,
        }
        for case_id in ids[::3]
    ]
    with transaction() as session:
        session.execute(sa.insert(CaseClock), rows)


def count_all_distances(problem: Problem) -> None:
    """Count the whole matrix once: less than that nobody does who looks at every pair."""
    points = [one.point for one in problem.candidates if one.blocked is None and one.point is not None]
    places = Places(points, problem.travel)
    for place in range(len(points)):
        places.metres(place)


def nearest_only(problem: Problem) -> tuple[int, int]:
    """Send each team in turn to the nearest door that fits; return how many stops and metres."""
    may = [
        one
        for one in problem.candidates
        if one.blocked is None and one.approval is None and one.point is not None and one.most_stops > 0
    ]
    board = lay_out(problem, may, problem.teams)
    is_open = np.ones(len(may), dtype=bool)
    stops = metres = 0
    for team in problem.teams:
        tour = begun(team, board, problem)
        here = tour.start
        while True:
            row = board.places.metres(here)[: len(may)]
            near = (int(one) for one in np.argsort(row, kind="stable") if is_open[one])
            found = next((one for one in near if tour.take([*tour.order, one])), None)
            if found is None:
                break
            is_open[found], here = False, found
        stops += len(tour.order)
        metres += tour.metres()
    return stops, metres


def metres_a_stop(plan: DayPlan) -> int:
    """Return the mean way between two stops."""
    return round(sum(day.metres for day in plan.teams) / max(1, len(plan.stops)))


def make(order: Asked, office: Office) -> None:
    """Ask for a plan and make it, as the worker does."""
    plan = asking.ask(order, actor=office.actor(Role.DISPATCHER), now=NOW)
    computing.compute(now=NOW, plan_id=str(plan.id))
    db.session.expire_all()
    assert asking.find_plan(plan.id).state == "ready"


def prepare(*, cases: int, teams: int, candidates: int) -> Asked:
    """Write the tables; return the order that makes the planner search its candidates."""
    give_deadlines(a_crowd(cases, seed=7, now=NOW))
    order = an_order(teams, candidates)
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("ANALYZE"))
    return order


def measure(office: Office, search: Asked) -> dict[str, Any]:
    """Time the job and its parts on the same tables."""
    named = replace(search, case_ids=some_that_may(search.most_candidates))
    gathered = gather(named, now=NOW, on_judged=lambda done, total: None)
    searched = gather(search, now=NOW, on_judged=lambda done, total: None)
    release_connection()
    plan, peer = plan_day(gathered.problem), nearest_only(gathered.problem)
    dateless = tuple(replace(one, due_at=None) for one in gathered.problem.candidates)
    without = replace(gathered.problem, candidates=dateless)
    plan_without = plan_day(without)
    return {
        "cases": db.session.scalar(sa.select(sa.func.count()).select_from(Case)),
        "teams": len(search.teams),
        "candidates": len(gathered.problem.candidates),
        "stops": len(plan.stops),
        "metres_a_stop": metres_a_stop(plan),
        "without_stops": len(plan_without.stops),
        "without_metres_a_stop": metres_a_stop(plan_without),
        "without": seconds(lambda: plan_day(without)),
        "whole": seconds(lambda: make(named, office), ROUNDS),
        "gathering": seconds(lambda: gather(named, now=NOW, on_judged=lambda done, total: None), ROUNDS),
        "planning": seconds(lambda: plan_day(gathered.problem), ROUNDS),
        "searched": len(searched.problem.candidates),
        "whole_search": seconds(lambda: make(search, office)),
        "matrix": seconds(lambda: count_all_distances(gathered.problem)),
        "nearest": seconds(lambda: nearest_only(gathered.problem)),
        "nearest_stops": peer[0],
        "nearest_metres_a_stop": round(peer[1] / max(1, peer[0])),
    }


def main() -> None:
    """Run on a stage of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--teams", type=int, default=60)
    parser.add_argument("--candidates", type=int, default=3_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with a_product() as app:
        office = an_office(app)
        order = prepare(cases=options.cases, teams=options.teams, candidates=options.candidates)
        result = measure(office, order)
    about = f"{result['cases']:,} cases, {result['teams']} teams, {result['candidates']:,} candidates"
    print(f"{about}, {result['stops']} stops")
    rows = (
        ("whole job", "whole", ""),
        ("loading and judging", "gathering", ""),
        ("planning alone", "planning", f"{result['metres_a_stop']:,} m a stop"),
        ("whole job with a search", "whole_search", f"{result['searched']:,} judged"),
        ("limit: all distances once", "matrix", ""),
        (
            "planning without due dates",
            "without",
            f"{result['without_stops']} stops, {result['without_metres_a_stop']:,} m a stop",
        ),
        (
            "peer: nearest door only",
            "nearest",
            f"{result['nearest_stops']} stops, {result['nearest_metres_a_stop']:,} m a stop",
        ),
    )
    for name, key, more in rows:
        print(f"{name:>28} {result[key]['wall']:>8} s ({result[key]['cpu']} s) {more}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""From a seed to stored findings: draw, make the files, play, judge, read."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Flask

from bench.reconciliation.acting import Play
from bench.reconciliation.corpus import a_corpus
from bench.reconciliation.media import File, make_files
from bench.reconciliation.scoring import Found
from bench.reconciliation.script import Script
from bench.reconciliation.stage import Stage, a_stage, entrust
from server.database import db
from server.models.findings import Finding
from server.workflows.reconciliation import reconcile_visit

AHEAD = 24
CHUNK = 100
AFTERWARDS = timedelta(days=8)
"""When everything is judged: all that is owed is due by then."""


def play_corpus(
    app: Flask, folder: Path, *, visits: int, seed: int, pool: Executor, say: Callable[[int], None]
) -> tuple[list[Script], dict[int, list[Found]]]:
    """Play a corpus on an empty database; return its scripts and what was found of each."""
    return play(app, folder, a_corpus(seed, visits), pool=pool, say=say)


def play(
    app: Flask, folder: Path, scripts: Sequence[Script], *, pool: Executor, say: Callable[[int], None]
) -> tuple[list[Script], dict[int, list[Found]]]:
    """Play these scripts in the order of their arrivals."""
    ordered = sorted(scripts, key=lambda one: (one.arrives, one.number))
    scratch = folder / "scratch"
    scratch.mkdir(parents=True)
    with a_stage(app, folder, crews=1 + max(one.crew for one in ordered)) as stage:
        for first in range(0, len(ordered), CHUNK):
            entrust(stage, ordered[first : first + CHUNK])
        going_on = Play(stage, pool, str(scratch))
        for done, (script, (photos, recordings)) in enumerate(_with_files(ordered, pool), start=1):
            going_on.visit(script, photos, recordings)
            say(done)
        end = ordered[-1].arrives + AFTERWARDS
        going_on.catch_up(end)
        going_on.keep_up()
        stage.clock.turn(end)
        return list(scripts), judge(stage, ordered)


def _with_files(
    scripts: Sequence[Script], pool: Executor
) -> Iterator[tuple[Script, tuple[list[File], list[File]]]]:
    """Give out each script with its files, which are made a little ahead."""
    lenders = {one.lent_by for script in scripts for one in script.sounds}
    lent: dict[int | None, Future[Any]] = {}
    waiting: deque[tuple[Script, Future[Any]]] = deque()
    for script in scripts:
        lender = next((one.lent_by for one in script.sounds if one.lent_by is not None), None)
        borrowed = None if lender is None else lent[lender].result()[1][0]
        files = pool.submit(make_files, script, borrowed)
        if script.number in lenders:
            lent[script.number] = files
        waiting.append((script, files))
        if len(waiting) > AHEAD:
            yield _first(waiting)
    while waiting:
        yield _first(waiting)


def _first(waiting: deque[tuple[Script, Future[Any]]]) -> tuple[Script, tuple[list[File], list[File]]]:
    script, files = waiting.popleft()
    return script, files.result()


def judge(stage: Stage, scripts: Sequence[Script]) -> dict[int, list[Found]]:
    """Reconcile every visit as the worker does, and read what stands in the table."""
    for script in scripts:
        reconcile_visit(now=stage.clock.at, visit_id=str(stage.visits[script.number]))
    numbers: Mapping[object, int] = {visit_id: number for number, visit_id in stage.visits.items()}
    rows = db.session.execute(
        sa.select(
            Finding.visit_id, Finding.check, Finding.claim, Finding.severity, Finding.observation
        ).where(Finding.state == "open")
    )
    found: dict[int, list[Found]] = defaultdict(list)
    for row in rows:
        found[numbers[row.visit_id]].append(Found(row.check, row.claim, row.severity, row.observation))
    db.session.rollback()
    return dict(found)

"""Seeded runs of phones and office, each checked when it is quiet again; failures print a small schedule.

`SIMULATION_RUNS` says how many; `make nightly` plays ten thousand.
"""

import os
from collections.abc import Iterator
from itertools import islice

import pytest
from flask import Flask

from tests.simulation.mutations import MUTATIONS, mutated
from tests.simulation.runs import run, run_seed, shrink
from tests.simulation.schedule import Step, draw, read, write
from tests.simulation.stage import Stage, a_stage

RUNS = int(os.environ.get("SIMULATION_RUNS", "100"))
AT_A_TIME = 20
ENOUGH = 40
ONCE_BROKEN = [
    pytest.param(
        2026112700023,
        '[["work",0,"complaint",1],["hold",2,"other"],["backup"],["sync",0,"late"],'
        '["sync",3,"ok","ok","crash@6","lose_answer"],["restore","silent"]]',
        id="a push that arrives only after the restored backup is receipted anew",
    ),
    pytest.param(
        2026112901064,
        '[["backup"],["clone",0],["work",3,"end",0],["work",4,"report",3],["sync",3],["restore","silent"]]',
        id="a copied phone's number does not hide what a restored backup forgot of the other",
    ),
    pytest.param(
        2026112901064,
        '[["backup"],["clone",0],["work",3,"end",0],["work",4,"report",3],["work",4,"report",0],'
        '["work",4,"report",3],["sync",3],["restore","silent"]]',
        id="nor does a copied phone that had more to hand in",
    ),
]


@pytest.fixture(scope="module")
def stage(product: Flask) -> Iterator[Stage]:
    with a_stage(product) as opened:
        yield opened


@pytest.mark.parametrize("first", range(0, RUNS, AT_A_TIME))
def test_whatever_happens_in_whatever_order_nothing_is_lost_doubled_or_hidden(
    stage: Stage, first: int
) -> None:
    failures = [run_seed(stage, seed) for seed in range(first, first + AT_A_TIME)]

    assert not any(failures), "\n".join(str(failure) for failure in failures if failure)


@pytest.mark.parametrize(("seed", "schedule"), ONCE_BROKEN)
def test_what_was_broken_once_holds(stage: Stage, seed: int, schedule: str) -> None:
    assert run(stage, read(schedule), seed=seed) is None


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_bug_put_in_on_purpose_is_noticed(stage: Stage, name: str) -> None:
    schedules = ((seed, draw(seed)) for seed in range(10_000))
    meeting = ((seed, steps) for seed, steps in schedules if MUTATIONS[name].can_show_in(steps))

    with mutated(name):
        tried = (run(stage, steps, seed=seed) for seed, steps in islice(meeting, ENOUGH))
        noticed = next(filter(None, tried), None)

    assert noticed, f"{ENOUGH} runs did not notice that {name}"
    assert noticed.startswith("Broken"), noticed


def test_a_seed_is_the_same_run_every_time(stage: Stage) -> None:
    def rows(seed: int) -> list[object]:
        assert run(stage, draw(seed), seed=seed) is None
        query = "SELECT item_id, outcome, flags FROM items ORDER BY item_id"
        feed = "SELECT scope, seq, op, entity_id FROM feed ORDER BY scope, seq"
        return [stage.sql.execute(query).fetchall(), stage.sql.execute(feed).fetchall()]

    assert [rows(seed) for seed in range(3)] == [rows(seed) for seed in range(3)]


def test_a_failing_schedule_is_made_small() -> None:
    schedule = draw(7)
    wanted = Step("cancel", (3,))
    long = (*schedule, wanted, *draw(8), Step("sync", (1, "twice", "late")))

    small = shrink(long, lambda steps: wanted in steps and any(step.kind == "sync" for step in steps))

    assert sorted(step.kind for step in small) == ["cancel", "sync"]
    assert [len(step.args) for step in small if step.kind == "sync"] == [1]


@pytest.mark.parametrize("seed", range(5))
def test_a_printed_schedule_is_read_back_as_it_was(seed: int) -> None:
    assert read(write(draw(seed))) == draw(seed)

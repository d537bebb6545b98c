"""One run from its seed to its verdict, and the smallest schedule that still fails."""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.simulation.checker import Checker
from tests.simulation.network import Broken
from tests.simulation.schedule import Schedule, Step, draw, write
from tests.simulation.stage import Stage
from tests.simulation.world import World


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that ended badly, and how to see it again."""

    seed: int
    why: str
    schedule: Schedule

    def __str__(self) -> str:
        return (
            f"seed {self.seed}: {self.why}\n"
            f"  smallest schedule ({len(self.schedule)} steps): {write(self.schedule)}\n"
            f"  again: python -m tests.simulation --seed {self.seed} --schedule '{write(self.schedule)}'"
        )


def run(stage: Stage, schedule: Schedule, *, seed: int) -> str | None:
    """Play one schedule; return what was broken, None if everything held."""
    try:
        world = World.begin(stage, seed=seed)
        for step in schedule:
            world.play(step)
        world.settle(random.Random(seed))
        Checker.of(world).check()
    except Exception as broken:  # whatever goes wrong is this run's failure, to be shown with its seed
        return f"{type(broken).__name__}: {broken}"
    return None


def run_seed(stage: Stage, seed: int, *, shrinks: bool = True) -> Failure | None:
    """Play the schedule of a seed; if it fails, make it small."""
    schedule = draw(seed)
    why = run(stage, schedule, seed=seed)
    if why is None:
        return None
    if not shrinks:
        return Failure(seed, why, schedule)
    smallest = shrink(schedule, lambda smaller: run(stage, smaller, seed=seed) is not None)
    return Failure(seed, run(stage, smallest, seed=seed) or why, smallest)


def shrink(schedule: Schedule, fails: Callable[[Schedule], bool], *, seconds: float = 60) -> Schedule:
    """Leave out parts, larger ones first, then simplify steps, as long as it still fails."""
    deadline = time.monotonic() + seconds
    length = max(1, len(schedule) // 2)
    while length and time.monotonic() < deadline:
        at, is_smaller = 0, False
        while at < len(schedule) and time.monotonic() < deadline:
            candidate = schedule[:at] + schedule[at + length :]
            if fails(candidate):
                schedule, is_smaller = candidate, True
            else:
                at += length
        if not is_smaller:
            length //= 2
    for at in range(len(schedule)):
        simpler: Step | None = schedule[at]
        while simpler is not None and time.monotonic() < deadline:
            schedule = (*schedule[:at], simpler, *schedule[at + 1 :])
            simpler = next(
                (one for one in _simpler(simpler) if fails((*schedule[:at], one, *schedule[at + 1 :]))), None
            )
    return schedule


def _simpler(step: Step) -> Iterator[Step]:
    """Offer simpler steps: fewer faults on the way, fewer things at once."""
    if step.kind == "sync":
        head, *faults = step.args
        if faults:
            yield Step("sync", (head,))
            yield Step("sync", (head, *faults[:-1]))
        for at, fault in enumerate(faults):
            if fault != "ok":
                yield Step("sync", (head, *faults[:at], "ok", *faults[at + 1 :]))
    if step.kind == "together":
        seed, *acts = step.args
        yield from acts
        if len(acts) > 2:
            for at in range(len(acts)):
                yield Step("together", (seed, *acts[:at], *acts[at + 1 :]))


__all__ = ["Broken", "Failure", "run", "run_seed", "shrink"]

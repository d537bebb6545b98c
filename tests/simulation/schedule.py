"""What happens in one run, drawn from a seed.

A schedule is a list of steps with small numbers and words in them. A number means "the n-th of what there is
then, counted round", so any part of a schedule is a schedule too: that is what makes shrinking possible.
"""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

FAULTS: Final = (
    "lose_request",
    "lose_answer",
    "twice",
    "late",
    "cut_request",
    "cut_answer",
    "portal",
    "busy",
    "die_before",
    "die_after",
)
DEEDS: Final = ("start", "account", "amend", "end", "evidence", "answer", "report", "complaint", "hold")
LONGEST: Final = 16


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens: `kind` is a method of the world, `args` are what it is given."""

    kind: str
    args: tuple[Any, ...] = ()

    def to_json(self) -> list[Any]:
        return [self.kind, *(one.to_json() if isinstance(one, Step) else one for one in self.args)]

    @classmethod
    def from_json(cls, told: Sequence[Any]) -> "Step":
        args = (cls.from_json(one) if isinstance(one, list) else one for one in told[1:])
        return cls(told[0], tuple(args))


Schedule = tuple[Step, ...]


def write(schedule: Schedule) -> str:
    """Write a schedule as one line that `--schedule` takes."""
    return json.dumps([step.to_json() for step in schedule], separators=(",", ":"))


def read(text: str) -> Schedule:
    """Read what `write` wrote."""
    return tuple(Step.from_json(one) for one in json.loads(text))


def draw(seed: int) -> Schedule:
    """Draw the schedule of a seed."""
    dice = random.Random(seed)
    steps = [_step(dice) for _ in range(dice.randint(5, LONGEST))]
    if dice.random() < 0.2:
        _put_a_restore_in(dice, steps)
    return tuple(steps)


def _put_a_restore_in(dice: random.Random, steps: list[Step]) -> None:
    kept = dice.randrange(len(steps))
    steps.insert(dice.randint(kept, len(steps)), Step("restore", (dice.choice(("told", "silent")),)))
    steps.insert(kept, Step("backup"))


def _step(dice: random.Random) -> Step:
    makers, weights = zip(*_MAKERS, strict=True)
    return dice.choices(makers, weights)[0](dice)


def _sync(dice: random.Random) -> Step:
    """A sync whose first requests meet these faults; most requests are left alone."""
    faults = [_fault(dice) for _ in range(dice.randint(0, 4))]
    return Step("sync", (dice.randrange(5), *faults))


def _fault(dice: random.Random) -> str:
    roll = dice.random()
    if roll < 0.4:
        return "ok"
    return f"crash@{dice.randint(1, 25)}" if roll < 0.55 else dice.choice(FAULTS)


def _work(dice: random.Random) -> Step:
    return Step("work", (dice.randrange(5), dice.choice(DEEDS), dice.randrange(4)))


def _together(dice: random.Random) -> Step:
    """Two or three things at the same moment: their statements are interleaved by a seed of their own."""
    makers = [_sync, _sync, _assign, _cancel, _reassign, _hold]
    acts = [dice.choice(makers)(dice) for _ in range(dice.choice((2, 2, 3)))]
    return Step("together", (dice.randrange(1000), *acts))


def _assign(dice: random.Random) -> Step:
    """Door, team, hour: few of each, so that budgets and diaries are contended."""
    return Step("assign", (dice.randrange(3), dice.randrange(4), dice.randrange(3)))


def _cancel(dice: random.Random) -> Step:
    return Step("cancel", (dice.randrange(4),))


def _reassign(dice: random.Random) -> Step:
    return Step("reassign", (dice.randrange(4), dice.randrange(4)))


def _hold(dice: random.Random) -> Step:
    return Step("hold", (dice.randrange(3), dice.choice(("stop_requested", "other", "paid"))))


def _release(dice: random.Random) -> Step:
    return Step("release", (dice.randrange(3),))


def _watch(dice: random.Random) -> Step:
    return Step("watch", (dice.randrange(5), dice.choice(("reboot", "ahead", "behind", "right"))))


def _server_clock(dice: random.Random) -> Step:
    return Step("server_clock", (dice.choice((-60, 0, 5)),))


def _plain(kind: str, *choices: int) -> Callable[[random.Random], Step]:
    return lambda dice: Step(kind, tuple(dice.randrange(most) for most in choices))


_MAKERS: Final[tuple[tuple[Callable[[random.Random], Step], int], ...]] = (
    (_work, 30),
    (_sync, 24),
    (_together, 9),
    (_assign, 6),
    (_reassign, 5),
    (_cancel, 4),
    (_hold, 3),
    (_release, 2),
    (_watch, 5),
    (_server_clock, 2),
    (_plain("deliver", 4), 4),
    (_plain("jobs"), 2),
    (_plain("clone", 5), 2),
    (_plain("keep_image", 5), 2),
    (_plain("roll_back", 5), 2),
    (_plain("expire_token", 5), 2),
    (_plain("revoke", 5), 1),
    (_plain("depart", 4), 1),
)

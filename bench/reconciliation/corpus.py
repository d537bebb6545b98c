"""Which visits make up a corpus? Half are honest, half fabricated in one way or several, all from a seed."""

import random
from collections import deque
from collections.abc import Sequence
from typing import Final

from bench.reconciliation.fabrications import FABRICATIONS, Fabrication
from bench.reconciliation.honest import SCENES, Diary, honest_script
from bench.reconciliation.script import Scene, Script

FABRICATED: Final = 0.5
COMBINED: Final = 0.35


def a_corpus(seed: int, visits: int) -> list[Script]:
    """Draw the scripts of a corpus, in the order of their numbers. Every kind of fabrication has its turn."""
    diary = Diary.of(visits, seed=seed)
    scripts: list[Script] = []
    turns: deque[str] = deque()
    for number in range(visits):
        chance = random.Random(f"{seed}/{number}")
        if chance.random() >= FABRICATED:
            scripts.append(honest_script(chance, number, diary))
            continue
        if len(turns) < len(FABRICATIONS) // 2:
            turns.extend(chance.sample(sorted(FABRICATIONS), len(FABRICATIONS)))
        scripts.append(_fabricated(chance, number, diary, turns, scripts))
    _share_clocks(scripts)
    return scripts


def _share_clocks(scripts: Sequence[Script]) -> None:
    """A clock that is set in one visit is set between two records of another whose account came late."""
    turned = {(script.crew, script.day) for script in scripts if script.clock_set_by}
    for script in scripts:
        if (script.crew, script.day) in turned:
            script.may.add("clock-changed")


def _fabricated(
    chance: random.Random, number: int, diary: Diary, turns: deque[str], earlier: Sequence[Script]
) -> Script:
    """Draw a visit with the first kind whose turn it is and that can be done, and perhaps others."""
    for turn, name in enumerate(turns):
        kind = FABRICATIONS[name]
        script = honest_script(chance, number, diary, scene=_scene(chance, kind))
        if kind.commit(script, chance, earlier):
            del turns[turn]
            _combine(chance, script, kind, earlier)
            return script
    return honest_script(chance, number, diary)


def _scene(chance: random.Random, kind: Fabrication) -> Scene:
    return chance.choices(kind.scenes, [SCENES[one] for one in kind.scenes])[0]


def _combine(chance: random.Random, script: Script, first: Fabrication, earlier: Sequence[Script]) -> None:
    """Add further kinds that touch other parts of the visit."""
    touched = set(first.touches)
    while chance.random() < COMBINED:
        fit = [
            one for one in FABRICATIONS.values() if script.scene in one.scenes and not touched & one.touches
        ]
        if not fit:
            return
        kind = chance.choice(fit)
        if kind.commit(script, chance, earlier):
            touched |= kind.touches

"""What kinds of fabrication are there, and what must the reconciliation find of each?

A label is written down with its fabrication, never derived from the checks. `must` names the findings
without which the fabrication went unseen. `may` names what the same deed can bring to light as well (a
picture of another day also carries another time): such a finding is neither asked for nor wrong. All else
found in a visit is a false alarm.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from bench.reconciliation.script import Scene, Script

Deed = Callable[[Script, random.Random, Sequence[Script]], bool | None]
ANY: Final[tuple[Scene, ...]] = ("promise", "refused", "disputed", "third_party", "nobody")
DEBTOR: Final[tuple[Scene, ...]] = ("promise", "refused", "disputed")


@dataclass(frozen=True)
class Fabrication:
    """One kind: the scenes in which it can be done, the parts of a visit it touches, and what must be found.

    `deed` changes the script; it is given earlier visits, and answers False if it cannot be done there.
    """

    name: str
    must: frozenset[str]
    may: frozenset[str]
    scenes: tuple[Scene, ...]
    touches: frozenset[str]
    deed: Deed

    def commit(self, script: Script, chance: random.Random, earlier: Sequence[Script]) -> bool:
        """Do it and label the script, if it can be done."""
        if self.deed(script, chance, earlier) is False:
            return False
        if "talk" in self.touches:
            script.be_uninterrupted()
        script.fabrications.append(self.name)
        script.must |= self.must
        script.may |= self.may
        return True


FABRICATIONS: Final[dict[str, Fabrication]] = {}


def fabrication(
    name: str,
    *,
    must: Sequence[str],
    may: Sequence[str] = (),
    scenes: tuple[Scene, ...] = ANY,
    touches: Sequence[str],
) -> Callable[[Deed], Deed]:
    """Register a kind of fabrication."""

    def register(deed: Deed) -> Deed:
        FABRICATIONS[name] = Fabrication(
            name, frozenset(must), frozenset(may), scenes, frozenset(touches), deed
        )
        return deed

    return register

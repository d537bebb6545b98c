"""Where is each rule kept: by a check, by a step of the work, or nowhere, and why?

`places.toml` gives every row of the catalogue exactly one place. A test holds it to the code: a check raises
the id it is listed with, a step's source names it, and nothing is listed that is not in the catalogue.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

KeptBy = Literal["check", "step", "not built"]


@dataclass(frozen=True, slots=True)
class Place:
    """`place` is the module that keeps the rule, or the pack whose checklist asks for it; else a `reason`."""

    kept_by: KeptBy
    place: str | None = None
    reason: str | None = None


@cache
def places() -> Mapping[str, Place]:
    """Return the place of every rule. ValueError: a rule has two."""
    raw = tomllib.loads((Path(__file__).parent / "places.toml").read_text("utf-8"))
    found: dict[str, Place] = {}
    for rule, place in _listed(raw):
        if rule in found:
            raise ValueError(f"places.toml: {rule} has two places")
        found[rule] = place
    return found


def _listed(raw: Mapping[str, Any]) -> Iterator[tuple[str, Place]]:
    kinds: tuple[KeptBy, ...] = ("check", "step")
    for kept_by in kinds:
        for place, rules in raw[kept_by].items():
            yield from ((rule, Place(kept_by, place=place)) for rule in rules)
    for reason, rules in raw["not_built"].items():
        yield from ((rule, Place("not built", reason=reason)) for rule in rules)

"""Which rules are there, and in which words?

`house.json` holds every row of the house rules (id, line of the source, class, exact quotation, meaning) and
`own.json` the rules this product adds (X1-X7). Read once; nothing here decides anything.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CLASSES = {
    "A": "schedule gate",
    "B": "at the door",
    "C": "after the visit",
    "D": "case workflow",
    "E": "sanction",
    "F": "deadline",
    "G": "training",
    "H": "letters",
    "I": "privacy",
    "J": "phone only",
    "K": "must not be built",
    "X": "of our own",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One row. `line` is the line of the source document, None for rules of our own."""

    id: str
    line: int | None
    classes: tuple[str, ...]
    quotation: str
    meaning: str
    note: str


@cache
def catalogue() -> dict[str, Rule]:
    """Return every rule by id, in the order of the source document."""
    here = Path(__file__).parent
    rows = [
        row for name in ("house.json", "own.json") for row in json.loads((here / name).read_text("utf-8"))
    ]
    return {
        row["id"]: Rule(
            id=row["id"],
            line=row["line"],
            classes=tuple(row["classes"]),
            quotation=row["quotation"],
            meaning=row["meaning"],
            note=row["note"],
        )
        for row in rows
    }


def quotation_of(rule: str) -> str:
    """Return a rule's exact words. KeyError for an id that no row has."""
    return catalogue()[rule].quotation

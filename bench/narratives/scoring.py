"""How well are the claims of written accounts read? Precision and recall per kind of claim.

The accounts were written and labelled by hand (`tests/reconcile/narratives/README.md`). The reader is built
against `building`; `held_out` was written by somebody who had seen neither the reader nor its word lists, and
nobody looks at what is read wrongly there. A claim counts as found when kind and value are equal and it
stands in the same sentence.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final, Literal

from server.reconcile.narrative.reading import read_account
from server.reconcile.narrative.tagger import sentences

Part = Literal["building", "held_out"]
PARTS: Final[tuple[Part, ...]] = ("building", "held_out")
ACCOUNTS: Final = Path(__file__).parents[2] / "tests" / "reconcile" / "narratives" / "labelled.jsonl"


@dataclass(frozen=True, slots=True)
class Labelled:
    """One account and what a person says it claims: (kind, value, from, until)."""

    day: date
    text: str
    spans: tuple[tuple[str, str, int, int], ...]
    part: Part

    @property
    def claims(self) -> Iterator[tuple[str, str, int]]:
        return ((kind, value, start) for kind, value, start, _ in self.spans)


@dataclass(slots=True)
class Score:
    """Claims that were found and are right, all that were found, all that were there."""

    right: int = 0
    found: int = 0
    there: int = 0

    @property
    def precision(self) -> float:
        """How much of what was found is right; 1 when nothing was."""
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """How much of what was there was found; 1 when nothing was."""
        return self.right / self.there if self.there else 1.0


def labelled(path: Path = ACCOUNTS) -> Iterator[Labelled]:
    """Read the labelled accounts."""
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        spans = tuple(
            (one["kind"], one["value"], one["at"], one["at"] + len(one["span"])) for one in row["claims"]
        )
        part: Part = "held_out" if row.get("held_out", False) else "building"
        yield Labelled(date.fromisoformat(row["day"]), row["text"], spans, part)


def _told(text: str, claims: Iterable[tuple[str, str, int]]) -> Counter[tuple[str, str, int]]:
    sentence = sentences(text)
    return Counter((kind, value, int(sentence[place])) for kind, value, place in claims)


def compare(one: Labelled) -> tuple[Counter[Any], Counter[Any]]:
    """Return what the reader finds and what the labels say, as (kind, value, sentence)."""
    read = ((claim.kind, claim.value, claim.start) for claim in read_account(one.text, one.day))
    return _told(one.text, read), _told(one.text, one.claims)


def score(accounts: Sequence[Labelled]) -> dict[str, Score]:
    """Score a part, kind by kind, and `all` together."""
    scores: dict[str, Score] = {"all": Score()}
    for one in accounts:
        tally(scores, *compare(one))
    return scores


def tally(scores: dict[str, Score], found: Counter[Any], there: Counter[Any]) -> None:
    """Count what is found and what is there, for the kind with which each key begins and for `all`."""
    for name, counts in (("right", found & there), ("found", found), ("there", there)):
        for (kind, *_), count in counts.items():
            for row in (scores.setdefault(kind, Score()), scores["all"]):
                setattr(row, name, getattr(row, name) + count)

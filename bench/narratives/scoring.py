"""How well are the claims of written accounts read? Precision and recall per kind of claim.

The accounts were written and labelled by hand (`tests/reconcile/narratives/README.md`). The reader is built
against `building`; `held_out` was written by somebody who had seen neither the reader nor its word lists, and
nobody looks at what is read wrongly there. A claim counts as found when kind and value are equal and it
stands in the same sentence. Run: `python -m bench.narratives`; `--misses` lists what is read wrongly in
`building`, never in the other part. JSON with `--json FILE`.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final, Literal

from server.reconcile.narrative import read_narrative

Part = Literal["building", "held_out"]
PARTS: Final[tuple[Part, ...]] = ("building", "held_out")
ACCOUNTS: Final = Path(__file__).parents[1] / "tests" / "reconcile" / "narratives" / "labelled.jsonl"
ENDS: Final = "。；！？\n;!?"


@dataclass(frozen=True, slots=True)
class Labelled:
    """One account and what a person says it claims: (kind, value, place)."""

    day: date
    text: str
    claims: tuple[tuple[str, str, int], ...]
    part: Part


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
        claims = tuple((one["kind"], one["value"], one["at"]) for one in row["claims"])
        part: Part = "held_out" if row.get("held_out", False) else "building"
        yield Labelled(date.fromisoformat(row["day"]), row["text"], claims, part)


def _sentence(text: str, place: int) -> int:
    return sum(char in ENDS for char in text[:place])


def _told(text: str, claims: Iterable[tuple[str, str, int]]) -> Counter[tuple[str, str, int]]:
    return Counter((kind, value, _sentence(text, place)) for kind, value, place in claims)


def compare(one: Labelled) -> tuple[Counter[Any], Counter[Any]]:
    """Return what the reader finds and what the labels say, as (kind, value, sentence)."""
    read = ((claim.kind, claim.value, claim.start) for claim in read_narrative(one.text, one.day))
    return _told(one.text, read), _told(one.text, one.claims)


def score(accounts: Sequence[Labelled]) -> dict[str, Score]:
    """Score a part, kind by kind, and `all` together."""
    scores: dict[str, Score] = {"all": Score()}
    for one in accounts:
        found, there = compare(one)
        for name, counts in (("right", found & there), ("found", found), ("there", there)):
            for (kind, _, _), count in counts.items():
                for row in (scores.setdefault(kind, Score()), scores["all"]):
                    setattr(row, name, getattr(row, name) + count)
    return scores


def _print_misses(accounts: Sequence[Labelled]) -> None:
    for one in accounts:
        found, there = compare(one)
        if found != there:
            print(one.day, one.text)
            print("   too much:", sorted(f"{k}={v}" for k, v, _ in (found - there)))
            print("   missing: ", sorted(f"{k}={v}" for k, v, _ in (there - found)))


def main() -> None:
    """Print both parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--misses", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    accounts = list(labelled())
    report: dict[str, Any] = {}
    for part in PARTS:
        chosen = [one for one in accounts if one.part == part]
        begun = time.perf_counter()
        scores = score(chosen)
        ms = (time.perf_counter() - begun) * 1000 / len(chosen)
        print(f"{part}: {len(chosen)} accounts, {ms:.2f} ms an account")
        print(f"  {'kind':<10} {'labelled':>8} {'found':>6} {'right':>6} {'precision':>9} {'recall':>7}")
        for kind, row in sorted(scores.items(), key=lambda pair: (pair[0] == "all", pair[0])):
            print(
                f"  {kind:<10} {row.there:>8} {row.found:>6} {row.right:>6} "
                f"{row.precision:>9.3f} {row.recall:>7.3f}"
            )
        report[part] = {
            kind: {"labelled": row.there, "found": row.found, "right": row.right}
            for kind, row in scores.items()
        }
    if options.misses:
        _print_misses([one for one in accounts if one.part == "building"])
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

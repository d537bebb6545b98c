"""Print how well written accounts are read: `python -m bench.narratives [--misses] [--json FILE]`.

`--misses` lists what is read wrongly in `building`, never in the other part.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.narratives.scoring import PARTS, Labelled, compare, labelled, score


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

"""Play a corpus and print how good the reconciliation is.

`python -m bench.reconciliation --visits 2000 --seed N`; 200 are a quick look.

Starts an embedded PostgreSQL of its own. `--details` prints every miss and every false alarm. Writes
bench/results/reconciliation.json. See the package's docstring for what is measured.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

from bench.reconciliation.playing import play_corpus
from bench.reconciliation.scoring import Score, as_json, score, table
from bench.stage import a_product

RESULTS = Path(__file__).parents[1] / "results" / "reconciliation.json"


def show_progress(done: int, all_: int, *, begun: float) -> None:
    """Rewrite one line."""
    print(f"\r{done}/{all_} visits, {time.perf_counter() - begun:.0f} s", end="", file=sys.stderr, flush=True)


def measure(visits: int, seed: int, *, workers: int) -> Score:
    """Play and judge a corpus on a database of its own."""
    begun = time.perf_counter()
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    with pool, a_product() as app, tempfile.TemporaryDirectory() as folder:
        scripts, found = play_corpus(
            app, Path(folder) / "field", visits=visits, seed=seed, pool=pool,
            say=lambda done: show_progress(done, visits, begun=begun),
        )  # fmt: skip
    print(file=sys.stderr)
    return score(scripts, found)


def show_details(result: Score) -> None:
    """Print every miss and every false alarm with what the visit was."""
    for script, label in result.misses:
        print(f"missed {label}: visit {script.number}, {script.scene}, {script.fabrications}, {script.noise}")
    for script, one in result.false_alarms:
        print(
            f"false {one.label} ({one.severity}): visit {script.number}, {script.scene}, "
            f"{script.fabrications}, ",
            end="",
        )
        print(f"{script.noise}, {dict(one.observation)}")


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visits", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--details", action="store_true")
    parser.add_argument("--json", type=Path, default=RESULTS)
    options = parser.parse_args()
    begun = time.perf_counter()
    result = measure(options.visits, options.seed, workers=options.workers)
    took = time.perf_counter() - begun
    print(table(result))
    if options.details:
        show_details(result)
    about = {
        "measured_at": datetime.now(UTC).isoformat(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "visits": options.visits,
        "seed": options.seed,
        "seconds": round(took, 1),
    }
    options.json.parent.mkdir(exist_ok=True)
    options.json.write_text(json.dumps({**about, **as_json(result)}, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()

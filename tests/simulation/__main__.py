"""`python -m tests.simulation`: play seeds, or one failing schedule again.

--seed N              one seed
--schedule JSON       with --seed: this schedule instead of the drawn one
--runs 10000          seeds --seed … --seed + runs - 1
--workers 2           processes, each with a database of its own
--minutes 30          stop after so long
"""

import argparse
import sys

from tests.simulation.nightly import a_stage_of_its_own, play_many
from tests.simulation.runs import run, run_seed
from tests.simulation.schedule import read


def main() -> int:
    """Read the command line and play."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--schedule")
    parser.add_argument("--runs", type=int)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=24 * 60)
    asked = parser.parse_args()
    if asked.runs:
        return play_many(asked.seed, asked.runs, workers=asked.workers, minutes=asked.minutes)
    with a_stage_of_its_own("simulation") as stage:
        if asked.schedule:
            why = run(stage, read(asked.schedule), seed=asked.seed)
            print(why or "everything held")
            return 1 if why else 0
        failure = run_seed(stage, asked.seed)
        print(failure or f"seed {asked.seed}: everything held")
        return 1 if failure else 0


if __name__ == "__main__":
    sys.exit(main())

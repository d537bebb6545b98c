"""`python -m tests.crash`: the large run, with progress; ends with 1 if anything acknowledged is missing.

--kills 200 --phones 50 --seed N
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.crash.story import Plan, tell


def main() -> int:
    """Read the command line and pull the plug."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--phones", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="fieldvisit-crash-"))
    folder.chmod(0o755)
    began = time.monotonic()
    try:
        # More than a dozen sessions a second would keep two cores busy with nothing but phones.
        pause = max(1.0, asked.phones / 12)
        plan = Plan(phones=asked.phones, kills=asked.kills, seed=asked.seed, pause_seconds=pause)
        verdict, killed = tell(plan, folder, say=lambda text: print(text, flush=True))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"seed {asked.seed}: {killed.total()} kills {dict(killed)} in {time.monotonic() - began:.0f} s")
    print(
        f"{verdict.items} items, {verdict.promises} receipts given, {verdict.files} files, "
        f"{verdict.sessions} sessions of which {verdict.broken_sessions} were cut off"
    )
    for fault in verdict.faults[:20]:
        print(f"FAULT {fault}")
    print("nothing is missing, nothing doubled" if not verdict.faults else f"{len(verdict.faults)} faults")
    return 1 if verdict.faults else 0


if __name__ == "__main__":
    sys.exit(main())

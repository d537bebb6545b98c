"""Run every benchmark, one after the other: `python -m bench`; one alone: `python -m bench.push`."""

import subprocess
import sys

BENCHES = (
    "judge",
    "visitability",
    "planning",
    "imports",
    "push",
    "pull",
    "upload",
    "inspection",
    "near",
    "log",
    "deadlines",
    "phones",
    "narratives",
    "audit",
    "reconciliation",
)


def main() -> int:
    """Return 0 when every benchmark ran to its end."""
    failed = []
    for name in BENCHES:
        print(f"== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"bench.{name}", *sys.argv[1:]], check=False).returncode:
            failed.append(name)
    if failed:
        print("did not run to the end:", ", ".join(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

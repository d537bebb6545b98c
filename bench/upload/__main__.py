"""Measure uploads, print them beside their peers, write bench/results/upload.json.

    python -m bench.upload [--rounds 3] [--photos 500] [--folder FOLDER]
                           [--parts one photos at_once many large cuts]

Starts a durable embedded PostgreSQL and the product's own web processes on the disk store, the reference
server (npm `@tus/server`, installed from its lock) and a bare sink. Nobody inspects meanwhile: there is no
worker.
"""

import argparse
import json
import os
import platform
import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.upload import cuts, memory, rates
from bench.upload.rates import CLIENTS, Measured
from bench.upload.servers import Server, all_three

RESULTS = Path(__file__).parent.parent / "results" / "upload.json"
PARTS = ("one", "photos", "at_once", "many", "large", "cuts")
CUTS = 24
SEED = 20261126
ROOM_BYTES = 6_000_000_000


def measure(
    servers: tuple[Server, Server, Server], folder: Path, *, parts: Sequence[str], rounds: int, count: int
) -> Iterator[tuple[str, Measured]]:
    """Measure what was asked for, in turns; each part is told as soon as it is over."""
    product, peer, _ = servers
    steps: dict[str, dict[str, Callable[[], Measured]]] = {
        "one": {"200 MB x 1": lambda: rates.one_file(servers, folder, rounds=rounds)},
        "photos": {
            f"1.5 MB x {count}, {clients} client(s)": lambda clients=clients: rates.photos(
                servers, folder, rounds=rounds, clients=clients, count=count, at_once=False
            )
            for clients in CLIENTS
        },
        "at_once": {
            f"1.5 MB x {count}, each in one request, {clients} client(s)": (
                lambda clients=clients: rates.photos(
                    servers, folder, rounds=rounds, clients=clients, count=count, at_once=True
                )
            )
            for clients in CLIENTS
        },
        "many": {"30 MB x 16 at once": lambda: memory.many((product, peer))},
        "large": {"2 GB x 1": lambda: memory.large((product, peer))},
        "cuts": {"sent again after a cut": lambda: cuts.cuts((product, peer), each=CUTS, seed=SEED)},
    }
    for part in parts:
        for title, step in steps[part].items():
            yield title, step()


def show(title: str, rows: Measured) -> None:
    """Print one thing that was measured, a line for each server."""
    print(f"\n{title}")
    for who, told in rows.items():
        print(f"  {who:<34}" + "  ".join(f"{what} {value:g}" for what, value in told.items()), flush=True)


def keep(title: str, rows: Measured, *, rounds: int) -> None:
    """Write what was measured into the results, beside what other runs measured."""
    RESULTS.parent.mkdir(exist_ok=True)
    before = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    about = {
        "measured_at": datetime.now(UTC).isoformat(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "rounds": rounds,
    }
    RESULTS.write_text(json.dumps({**before, title: {**about, "found": rows}}, indent=2) + "\n")


def main() -> None:
    """Measure, print, write the results of the parts that ran."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    arguments.add_argument("--photos", type=int, default=rates.PHOTOS)
    arguments.add_argument("--folder", type=Path, default=Path("var/bench-upload"))
    chosen = arguments.parse_args()
    folder: Path = chosen.folder.absolute()
    folder.mkdir(parents=True)
    try:
        if shutil.disk_usage(folder).free < ROOM_BYTES:
            raise SystemExit(f"{folder} needs {ROOM_BYTES // 10**9} GB of room")
        with all_three(folder) as servers:
            asked = {"parts": chosen.parts, "rounds": chosen.rounds, "count": chosen.photos}
            for title, rows in measure(servers, folder, **asked):
                show(title, rows)
                keep(title, rows, rounds=chosen.rounds)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()

"""How are thousands of seeds played? In several processes, each with a stage of its own, telling progress."""

import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.app import create_app
from server.config import Config, make_secrets
from server.database import db
from tests import cluster
from tests.simulation.runs import Failure, run_seed
from tests.simulation.stage import Stage, a_stage

SAY_EVERY_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Folders:
    """What `cluster.worker_database` asks of pytest."""

    room: Path

    def mktemp(self, name: str) -> Path:
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.room))


@contextmanager
def a_stage_of_its_own(name: str) -> Iterator[Stage]:
    """A fresh database with the product on it; nothing of it is left afterwards."""
    with tempfile.TemporaryDirectory(prefix="fieldvisit-simulation-") as room:
        folders: Any = _Folders(Path(room))
        with cluster.worker_database(folders, name) as url:
            var = folders.mktemp("var")
            environ = {**make_secrets(), "MEDIA_STORE": str(var / "media"), "LOG_LEVEL": "ERROR"}
            app = create_app(Config.from_environ(environ, var=var, default_database_url=url))
            with a_stage(app) as stage:
                yield stage
            with app.app_context():
                db.engine.dispose()


def _work(
    number: int, seeds: "multiprocessing.Queue[int | None]", told: "multiprocessing.Queue[Any]"
) -> None:
    with a_stage_of_its_own(f"simulation_{number}") as stage:
        while (seed := seeds.get()) is not None:
            told.put((seed, run_seed(stage, seed)))


def play_many(first: int, runs: int, *, workers: int, minutes: float) -> int:
    """Play many seeds in several processes; print progress and every failure."""
    own = cluster.start_cluster()
    os.environ[cluster.ADDRESS], os.environ[cluster.FOLDER] = own.url, str(own.folder)
    context = multiprocessing.get_context("spawn")
    seeds, told = context.Queue(maxsize=4 * workers), context.Queue()
    processes = [context.Process(target=_work, args=(n, seeds, told), daemon=True) for n in range(workers)]
    for process in processes:
        process.start()
    failures, done, started, said = 0, 0, time.monotonic(), time.monotonic()
    waiting = iter(range(first, first + runs))
    sent = 0
    try:
        while True:
            while sent - done < 2 * workers and (time.monotonic() - started) < minutes * 60:
                seed = next(waiting, None)
                if seed is None:
                    break
                seeds.put(seed)
                sent += 1
            if sent == done:
                break
            failure: Failure | None = told.get(timeout=600)[1]
            done += 1
            if failure is not None:
                failures += 1
                print(failure, flush=True)
            if time.monotonic() - said > SAY_EVERY_SECONDS:
                said = time.monotonic()
                rate = done / (said - started)
                print(f"{done}/{runs} runs, {failures} failed, {rate:.1f}/s", flush=True)
    finally:
        for _ in processes:
            seeds.put(None)
        for process in processes:
            process.join(timeout=60)
        cluster.stop_cluster(own)
    took = time.monotonic() - started
    print(f"seeds {first}..{first + done - 1}: {done} runs, {failures} failed, {took:.0f} s")
    return 1 if failures else 0

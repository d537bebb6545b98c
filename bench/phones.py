"""How do thousands of phones that sync within minutes fare on one small server?

    python -m bench.phones [--phones 5000] [--minutes 10] [--seed 1] [--folder var/bench-phones]

Starts a durable embedded PostgreSQL (fsync on) and the product's own web processes, enrols the phones, writes
and signs what they will push, and then lets each of them come once at a random moment of the window: pull, a
push of a small batch, status, over one connection. The generator shares the machine, so it is raw sockets in
one thread. Beside the error rate and the latencies stands what the machine could do at most: the same
sessions, had every processor second of it gone into them. Writes bench/results/phones.json.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import shutil
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from flask import Flask

from bench.field import Load, enrol, seal_all
from bench.push import Office, cpu_seconds, descendants, running
from server.database import transaction
from server.models.dispatch import AssignmentMember
from server.models.feed import publish, staff_scope

RESULTS = Path(__file__).parent / "results" / "phones.json"
ITEMS_EACH = 3
PATIENCE_SECONDS = 60.0
SAMPLE_SECONDS = 2.0
STEPS = ("pull", "push", "status")


@dataclass(slots=True)
class Tally:
    """What the phones saw."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: Counter[str] = field(default_factory=Counter)
    bytes_in: int = 0
    bytes_out: int = 0

    @property
    def requests(self) -> int:
        return sum(map(len, self.seconds.values())) + self.errors.total()


@dataclass(frozen=True, slots=True)
class Spread:
    """Latencies of one kind of request."""

    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    worst_ms: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Spread":
        cuts = statistics.quantiles(seconds, n=100) if len(seconds) > 1 else list(seconds) * 99
        told = (cuts[49], cuts[94], cuts[98], max(seconds))
        return cls(len(seconds), *(round(one * 1000, 1) for one in told))


def prepare(app: Flask, phones: int) -> list[Load]:
    """Enrol phones, each with a case and visits of its own in its feed, and write what it will push."""
    loads = []
    for n in range(phones):
        (handset,) = enrol(app, phones=1, visits_each=ITEMS_EACH)
        loads.append(seal_all(handset, batch=ITEMS_EACH))
        if (n + 1) % 500 == 0:
            print(f"  {n + 1} of {phones} phones are enrolled", file=sys.stderr, flush=True)
    with app.app_context(), transaction() as session:
        for row in session.execute(sa.select(AssignmentMember.staff_id, AssignmentMember.assignment_id)):
            publish(staff_scope(row.staff_id), kind="assignment", entity_id=row.assignment_id, op="put")
    return loads


class Session:
    """One phone's visit to the office: three requests over one connection."""

    def __init__(self, port: int, load: Load, tally: Tally) -> None:
        self.port, self.load, self.tally = port, load, tally

    async def run(self) -> None:
        """Do all three; what fails is counted and ends the session, as a phone would try again later."""
        step = "connect"
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                try:
                    for step in STEPS:
                        started = time.perf_counter()
                        status, body = await self._ask(reader, writer, step)
                        if status != 200 or (step == "push" and body.count(b'"applied"') != ITEMS_EACH):
                            self.tally.errors[f"{step}: {status}"] += 1
                            return
                        self.tally.seconds[step].append(time.perf_counter() - started)
                finally:
                    writer.close()
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            self.tally.errors[f"{step}: {type(error).__name__}"] += 1

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, step: str
    ) -> tuple[int, bytes]:
        body = self.load.bodies[0] if step == "push" else b""
        line = f"POST /api/v1/sync/{step}" if body else f"GET /api/v1/sync/{step}"
        head = (
            f"{line} HTTP/1.1\r\nHost: office\r\nAuthorization: Bearer {self.load.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()
        writer.write(head + body)
        await writer.drain()
        told = await reader.readuntil(b"\r\n\r\n")
        length = int(told.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        answer = await reader.readexactly(length)
        self.tally.bytes_out += len(head) + len(body)
        self.tally.bytes_in += len(told) + length
        return int(told[9:12]), answer


async def let_them_come(port: int, loads: Sequence[Load], *, seconds: float, dice: random.Random) -> Tally:
    """Each phone comes at a moment of its own."""
    tally, began = Tally(), time.perf_counter()
    moments = sorted(dice.uniform(0, seconds) for _ in loads)
    sessions = []
    for n, (moment, load) in enumerate(zip(moments, loads, strict=True), start=1):
        await asyncio.sleep(max(0.0, began + moment - time.perf_counter()))
        sessions.append(asyncio.create_task(Session(port, load, tally).run()))
        if n % 500 == 0:
            told = f"{n} phones came, {tally.errors.total()} errors"
            print(f"  {time.perf_counter() - began:.0f} s: {told}", file=sys.stderr, flush=True)
    await asyncio.gather(*sessions)
    return tally


@dataclass(slots=True)
class Watcher:
    """Looks at the memory of processes every two seconds; keeps the most."""

    roots: dict[str, int]
    most: dict[str, int] = field(default_factory=dict)

    async def watch(self) -> None:
        while True:
            for name, root in self.roots.items():
                self.most[name] = max(self.most.get(name, 0), sum(map(_memory, descendants(root))))
            await asyncio.sleep(SAMPLE_SECONDS)


def _memory(pid: int) -> int:
    """Return the bytes of a process, shared pages counted in part (PSS)."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


async def measure(office: Office, loads: Sequence[Load], *, seconds: float, seed: int) -> dict[str, object]:
    """Let the phones come while memory and processor time are watched."""
    roots = {"web": office.web_pid, "database": office.database_pid}
    watcher = Watcher(roots)
    watching = asyncio.create_task(watcher.watch())
    before = {name: cpu_seconds(root) for name, root in roots.items()}
    own, began = time.process_time(), time.perf_counter()
    tally = await let_them_come(office.port, loads, seconds=seconds, dice=random.Random(seed))
    took = time.perf_counter() - began
    used = {name: cpu_seconds(root) - before[name] for name, root in roots.items()}
    watching.cancel()
    cpus = os.cpu_count() or 1
    per_session = sum(used.values()) / len(loads)
    return {
        "phones": len(loads),
        "seconds": round(took, 1),
        "sessions_per_s": round(len(loads) / took, 2),
        "sessions_per_s_at_most": round(cpus / per_session, 1),
        "requests": tally.requests,
        "errors": dict(tally.errors),
        "error_rate": tally.errors.total() / max(1, tally.requests),
        "latency": {step: asdict(Spread.of(tally.seconds[step])) for step in STEPS if tally.seconds[step]},
        "cpu_ms_per_session": {name: round(one / len(loads) * 1000, 2) for name, one in used.items()},
        "cores_busy": {name: round(one / took, 3) for name, one in used.items()},
        "generator_cores_busy": round((time.process_time() - own) / took, 3),
        "peak_memory_mb": {name: round(one / 1e6) for name, one in watcher.most.items()},
        "kilobytes_per_phone": round((tally.bytes_in + tally.bytes_out) / len(loads) / 1000, 1),
    }


def show(found: dict[str, object]) -> None:
    """Print what was found."""
    latency = found["latency"]
    assert isinstance(latency, dict)
    print("request    count   p50 ms   p95 ms   p99 ms  worst ms")
    for step, one in latency.items():
        told = " ".join(f"{one[name]:>8.1f}" for name in ("p50_ms", "p95_ms", "p99_ms", "worst_ms"))
        print(f"{step:<8} {one['count']:>7} {told}")
    for name in (
        *("error_rate", "errors", "sessions_per_s", "sessions_per_s_at_most", "cpu_ms_per_session"),
        *("cores_busy", "generator_cores_busy", "peak_memory_mb", "kilobytes_per_phone"),
    ):
        print(f"{name}: {found[name]}")


def main() -> None:
    """Measure, print, write the results."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--phones", type=int, default=5000)
    arguments.add_argument("--minutes", type=float, default=10)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--folder", type=Path, default=Path("var/bench-phones"))
    chosen = arguments.parse_args()
    folder: Path = chosen.folder.absolute()
    folder.mkdir(parents=True)
    try:
        with running(folder) as office:
            loads = prepare(office.app, chosen.phones)
            found = asyncio.run(measure(office, loads, seconds=chosen.minutes * 60, seed=chosen.seed))
    finally:
        shutil.rmtree(folder)
    show(found)
    RESULTS.parent.mkdir(exist_ok=True)
    about = {
        "measured_at": datetime.now(UTC).isoformat(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "minutes": chosen.minutes,
        "seed": chosen.seed,
        **found,
    }
    RESULTS.write_text(json.dumps(about, indent=2) + "\n")


if __name__ == "__main__":
    main()

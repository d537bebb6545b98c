"""How many visit accounts per second does the office take in, beside what its PostgreSQL can store at all?

    python -m bench.push [--items 2000] [--rounds 5] [--folder var/bench-push]

Starts a durable embedded PostgreSQL (fsync on) and the product's own web process, then pushes signed
accounts of about 2 KB over real HTTP, in turns with the same documents inserted in bulk into the same
PostgreSQL, one commit per batch: `jsonb_array_elements`, and COPY. Items are written and signed before the
clock starts. Prints a table of medians and writes bench/results/push.json.
"""

import argparse
import http.client
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from flask import Flask

from bench.division import divide
from bench.field import Load, enrol, seal_all, size_of
from bench.stage import free_port, wait_for_web
from server.app import create_app
from server.config import Config, make_secrets
from server.embedded import EmbeddedPostgres
from server.schema import upgrade

SHAPES = ((25, 1), (25, 8), (100, 1), (100, 8))
RESULTS = Path(__file__).parent / "results" / "push.json"
TICKS = os.sysconf("SC_CLK_TCK")

Send = Callable[[Load, list[float]], None]


@dataclass(frozen=True, slots=True)
class Office:
    """The running product: its port, its processes, its database, and an app on the same settings."""

    port: int
    web_pid: int
    database_pid: int
    url: str
    app: Flask


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one shape."""

    batch: int
    clients: int
    push_per_s: float
    p50_ms: float
    p95_ms: float
    web_cpu_us: float
    database_cpu_us: float
    web_mib: float
    bulk_per_s: float
    copy_per_s: float

    @property
    def ratio(self) -> float:
        """Our rate as a part of the bulk insert's."""
        return self.push_per_s / self.bulk_per_s


@contextmanager
def running(folder: Path) -> Iterator[Office]:
    """Start database and web server on fresh data; both end with the block."""
    with EmbeddedPostgres(folder / "postgres", log=folder / "postgres.log") as cluster:
        environ = {**make_secrets(), "DATABASE_URL": cluster.url(), "LOG_LEVEL": "WARNING"}
        environ["MEDIA_STORE"] = str(folder / "media")
        app = create_app(Config.from_environ(environ, var=folder, default_database_url=cluster.url()))
        upgrade(app)
        with psycopg.connect(cluster.url(), autocommit=True) as connection:
            connection.execute("CREATE TABLE bulk (id uuid PRIMARY KEY, document jsonb NOT NULL)")
        port = free_port()
        live = {**os.environ, **environ, "PORT": str(port), "FIELDVISIT_VAR": str(folder)}
        with (folder / "web.log").open("wb") as log:
            web = subprocess.Popen(
                [sys.executable, "-m", "server.cli", "web"], env=live, stdout=log, stderr=log
            )
            try:
                wait_for_web(port)
                yield Office(port, web.pid, cluster.pid, cluster.url(), app)
            finally:
                web.terminate()
                web.wait()


def push_all(port: int) -> Send:
    """Return a client that pushes its load over one kept connection, and checks every outcome."""

    def send(load: Load, latencies: list[float]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        headers = {"Authorization": f"Bearer {load.token}", "Content-Type": "application/json"}
        for body, documents in zip(load.bodies, load.documents, strict=True):
            started = time.perf_counter()
            connection.request("POST", "/api/v1/sync/push", body=body, headers=headers)
            answer = connection.getresponse()
            told = answer.read()
            latencies.append(time.perf_counter() - started)
            if answer.status != 200 or told.count(b'"outcome":"applied"') != len(documents):
                raise SystemExit(f"the push failed: {answer.status} {told[:500]!r}")
        connection.close()

    return send


_BULK = """
    INSERT INTO bulk SELECT (document ->> 'item_id')::uuid, document
    FROM jsonb_array_elements(%s::jsonb) AS document
"""


def insert_all(url: str) -> Send:
    """Return a client that inserts its documents with one statement and one commit per batch."""

    def send(load: Load, latencies: list[float]) -> None:
        with psycopg.connect(url) as connection:
            for documents in load.documents:
                started = time.perf_counter()
                connection.execute(_BULK, ["[" + ",".join(documents) + "]"])
                connection.commit()
                latencies.append(time.perf_counter() - started)

    return send


def copy_all(url: str) -> Send:
    """Return a client that copies its documents in, one commit per batch."""

    def send(load: Load, latencies: list[float]) -> None:
        with psycopg.connect(url) as connection:
            for documents in load.documents:
                started = time.perf_counter()
                with connection.cursor().copy("COPY bulk (id, document) FROM STDIN") as copy:
                    for text in documents:
                        copy.write_row((_id_in(text), text))
                connection.commit()
                latencies.append(time.perf_counter() - started)

    return send


def _id_in(text: str) -> str:
    start = text.index('"item_id":"') + len('"item_id":"')
    return text[start : start + 36]


@dataclass(frozen=True, slots=True)
class Timed:
    """One timed pass: items per second and the latency of each batch."""

    per_s: float
    latencies: list[float]


def timed(send: Send, loads: Sequence[Load]) -> Timed:
    """Let every client send its load at once."""
    latencies: list[list[float]] = [[] for _ in loads]
    threads = [
        threading.Thread(target=send, args=(load, took)) for load, took in zip(loads, latencies, strict=True)
    ]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    sent = sum(len(batch) for load in loads for batch in load.documents)
    expected = sum(len(load.documents) for load in loads)
    if (found := sum(len(took) for took in latencies)) != expected:
        raise SystemExit(f"only {found} of {expected} batches went through")
    return Timed(sent / seconds, [one for took in latencies for one in took])


def measure(office: Office, *, batch: int, clients: int, items: int, rounds: int) -> Row:
    """Measure one shape: in each round the push, then both bulk inserts, on fresh items."""
    pushes, bulks, copies, web, database = [], [], [], [], []
    for number in range(rounds):
        phones = enrol(office.app, phones=clients, visits_each=items // clients)
        analyse(office.url)
        loads = [seal_all(phone, batch=batch) for phone in phones]
        before = (cpu_seconds(office.web_pid), cpu_seconds(office.database_pid))
        pushes.append(timed(push_all(office.port), loads))
        web.append((cpu_seconds(office.web_pid) - before[0]) / items * 1e6)
        database.append((cpu_seconds(office.database_pid) - before[1]) / items * 1e6)
        bulks.append(timed(insert_all(office.url), loads).per_s)
        _empty(office.url)
        copies.append(timed(copy_all(office.url), loads).per_s)
        _empty(office.url)
        told = f"{pushes[-1].per_s:.0f} items/s beside {bulks[-1]:.0f}"
        size = size_of(loads[0])
        print(f"  {batch} x {clients}, {size} B, round {number + 1}: {told}", file=sys.stderr, flush=True)
    slowest = statistics.quantiles([one for each in pushes for one in each.latencies], n=100)
    return Row(
        batch=batch,
        clients=clients,
        push_per_s=statistics.median(each.per_s for each in pushes),
        p50_ms=slowest[49] * 1000,
        p95_ms=slowest[94] * 1000,
        web_cpu_us=statistics.median(web),
        database_cpu_us=statistics.median(database),
        web_mib=_peak(office.web_pid) / 1024,
        bulk_per_s=statistics.median(bulks),
        copy_per_s=statistics.median(copies),
    )


def show(rows: Sequence[Row]) -> None:
    """Print our figures beside the limits of the same run."""
    print("batch clients   push/s  p50 ms  p95 ms  web us  db us  web MiB   bulk/s   copy/s  push/bulk")
    for row in rows:
        print(
            f"{row.batch:>5} {row.clients:>7} {row.push_per_s:>8.0f} {row.p50_ms:>7.1f} {row.p95_ms:>7.1f}"
            f" {row.web_cpu_us:>7.0f} {row.database_cpu_us:>6.0f} {row.web_mib:>8.0f} {row.bulk_per_s:>8.0f}"
            f" {row.copy_per_s:>8.0f} {row.ratio:>10.2f}"
        )
    print("web us, db us: processor time per item of the web processes and of PostgreSQL")
    print("web MiB: most memory of all web processes together, so far")


def show_division(divided: dict[int, dict[str, float]]) -> None:
    """Print how the web processes' time of one item divides."""
    for batch, parts in divided.items():
        told = "  ".join(f"{name} {each:.0f}" for name, each in parts.items())
        print(f"one item of {batch}, us: {told}")


def main() -> None:
    """Measure, print, write the results."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--items", type=int, default=2000)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--folder", type=Path, default=Path("var/bench-push"))
    chosen = arguments.parse_args()
    folder: Path = chosen.folder.absolute()
    folder.mkdir(parents=True)
    try:
        with running(folder) as office:
            rows = [
                measure(office, batch=batch, clients=clients, items=chosen.items, rounds=chosen.rounds)
                for batch, clients in SHAPES
            ]
            divided = {batch: divide(office.app, batch=batch, items=10 * batch) for batch in (25, 100)}
    finally:
        shutil.rmtree(folder)
    show(rows)
    show_division(divided)
    RESULTS.parent.mkdir(exist_ok=True)
    about = {
        "measured_at": datetime.now(UTC).isoformat(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "items": chosen.items,
        "rounds": chosen.rounds,
        "division_us": divided,
        "rows": [{**asdict(row), "push_to_bulk": row.ratio} for row in rows],
    }
    RESULTS.write_text(json.dumps(about, indent=2) + "\n")


def descendants(root: int) -> list[int]:
    """Return a process and its living descendants."""
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        try:
            tasks = list(Path(f"/proc/{pid}/task").iterdir())
            waiting += [int(child) for task in tasks for child in (task / "children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue  # a database session that has just ended
        found.append(pid)
    return found


def cpu_seconds(root: int) -> float:
    """Return the processor seconds a process and its living descendants have used."""
    used = 0
    for pid in descendants(root):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        # own time, and that of children that ended
        used += sum(int(ticks) for ticks in fields[11:15])
    return used / TICKS


def _peak(root: int) -> float:
    """Return the most memory a process and its living descendants have held, in KiB."""
    status = [Path(f"/proc/{pid}/status").read_text() for pid in descendants(root)]
    return sum(int(each.partition("VmHWM:")[2].split()[0]) for each in status)


def analyse(url: str) -> None:
    """Take the statistics that autovacuum takes within a minute: rows written here come in one second."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE")


def _empty(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("TRUNCATE bulk")


if __name__ == "__main__":
    main()

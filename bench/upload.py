"""How fast does evidence arrive, beside what the disk itself can do, and how much memory does that take?

    python -m bench.upload [--rounds 5] [--folder var/bench]

Starts a durable embedded PostgreSQL and the product's own gunicorn on the disk store, then sends over real
HTTP: 200 MB in one upload, in turns with a raw write + fsync of the same bytes; and sixteen 30 MB uploads at
once, watching the server's memory. Prints a table and writes bench/results/upload.json.
"""

import argparse
import base64
import hashlib
import http.client
import json
import os
import platform
import secrets
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.stage import free_port, wait_for_web
from server.app import create_app
from server.authority import Role
from server.config import Config, make_secrets
from server.database import transaction
from server.embedded import EmbeddedPostgres
from server.models.people import Device, Staff, Token
from server.schema import upgrade
from sync.protocol import uuid7

MB = 1_000_000
ONE_BYTES = 200 * MB
MANY = 16
MANY_BYTES = 30 * MB
SEGMENT = 1024 * 1024
RESULTS = Path(__file__).parent / "results" / "upload.json"


@dataclass(frozen=True, slots=True)
class Server:
    """The running gunicorn, and a phone's token."""

    port: int
    pid: int
    token: str

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [self.pid, *map(int, children)]

    def cpu_seconds(self) -> float:
        """Processor time of all its processes so far."""
        ticks = 0
        for pid in self.workers():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        """Physical memory of all its processes, pages they share counted once (Pss)."""
        rollups = (Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self.workers())
        return sum(int(text.partition("\nPss:")[2].split()[0]) for text in rollups) * 1024 / MB


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Start database and web server on fresh data; both end with the block."""
    with EmbeddedPostgres(folder / "postgres", log=folder / "postgres.log") as cluster:
        secret = make_secrets()
        environ = {
            **secret,
            "DATABASE_URL": cluster.url(),
            "MEDIA_STORE": str(folder / "media"),
            "LOG_LEVEL": "WARNING",
        }
        config = Config.from_environ(environ, var=folder, default_database_url=cluster.url())
        token = _prepare(config)
        port = free_port()
        live = {**os.environ, **environ, "PORT": str(port), "FIELDVISIT_VAR": str(folder)}
        live["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
        command = [
            sys.executable,
            "-m",
            "gunicorn",
            "--config",
            "python:server.gunicorn_conf",
            "server.wsgi:build()",
        ]
        with (folder / "web.log").open("wb") as log:
            web = subprocess.Popen(command, env=live, stdout=log, stderr=log)
            try:
                wait_for_web(port)
                yield Server(port=port, pid=web.pid, token=token)
            finally:
                web.terminate()
                web.wait()


def _prepare(config: Config) -> str:
    """Migrate, enrol one phone, return its token."""
    app = create_app(config)
    upgrade(app)
    token, now = secrets.token_urlsafe(32), datetime.now(UTC)
    with app.app_context(), transaction() as session:
        staff = Staff(
            id=uuid7(),
            employee_number="BENCH",
            name="Bench",
            roles=[Role.VISITOR.value],
            joined_on=now.date(),
            created_at=now,
        )
        device = Device(
            id=uuid7(),
            staff_id=staff.id,
            algorithm="ed25519",
            public_key=b"bench",
            keyid="bench",
            enrolled_at=now,
        )
        session.add_all([staff])
        session.flush()
        session.add(device)
        session.flush()
        session.add(
            Token(
                sha256=hashlib.sha256(token.encode()).digest(),
                staff_id=staff.id,
                device_id=device.id,
                issued_at=now,
                expires_at=now + timedelta(days=1),
            )
        )
    return token


def upload(server: Server, content: bytes) -> float:
    """Create an upload and send it in one PATCH; returns the seconds until the final answer."""
    digest = hashlib.sha256(content).hexdigest()
    started = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    common = {"Authorization": f"Bearer {server.token}", "Tus-Resumable": "1.0.0"}
    told = {"evidence_id": str(uuid7()), "sha256": digest, "filetype": "video/mp4"}
    metadata = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in told.items())
    headers = {**common, "Upload-Length": str(len(content)), "Upload-Metadata": metadata}
    connection.request("POST", "/api/v1/files", headers=headers)
    answer = connection.getresponse()
    answer.read()
    where = answer.headers["Location"]
    headers = {**common, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    connection.request("PATCH", where, body=content, headers=headers)
    answer = connection.getresponse()
    answer.read()
    if answer.status != 204 or answer.headers["Upload-Offset"] != str(len(content)):
        raise SystemExit(f"the upload failed: {answer.status}")
    return time.perf_counter() - started


def raw_write(folder: Path, content: bytes, *, sync_each: bool) -> float:
    """Write the same bytes to a file in segments and fsync it at the end, or after each segment."""
    path = folder / "raw"
    started = time.perf_counter()
    with path.open("wb", buffering=0) as file:
        for start in range(0, len(content), SEGMENT):
            file.write(content[start : start + SEGMENT])
            if sync_each:
                os.fdatasync(file.fileno())
        os.fsync(file.fileno())
    seconds = time.perf_counter() - started
    path.unlink()
    return seconds


def measure_one(server: Server, folder: Path, rounds: int) -> dict[str, float]:
    """200 MB, in turns: raw, raw with a sync per segment, over HTTP."""
    rates: dict[str, list[float]] = {"raw": [], "raw_each": [], "http": []}
    cpu: list[float] = []
    for number in range(rounds):
        content = secrets.token_bytes(ONE_BYTES)
        rates["raw"].append(ONE_BYTES / MB / raw_write(folder, content, sync_each=False))
        rates["raw_each"].append(ONE_BYTES / MB / raw_write(folder, content, sync_each=True))
        before = server.cpu_seconds()
        rates["http"].append(ONE_BYTES / MB / upload(server, content))
        cpu.append((server.cpu_seconds() - before) / ONE_BYTES * 1e9)
        print(f"  round {number + 1}/{rounds}: {rates['http'][-1]:.0f} MB/s", file=sys.stderr, flush=True)
    return {
        "raw_write_mb_per_s": statistics.median(rates["raw"]),
        "raw_write_sync_each_segment_mb_per_s": statistics.median(rates["raw_each"]),
        "upload_mb_per_s": statistics.median(rates["http"]),
        "server_cpu_s_per_gb": statistics.median(cpu),
    }


def measure_many(server: Server) -> dict[str, float]:
    """Sixteen 30 MB uploads at once: the server's memory before and at its peak."""
    contents = [secrets.token_bytes(MANY_BYTES) for _ in range(MANY)]
    idle = peak = server.memory_mb()
    threads = [threading.Thread(target=upload, args=(server, content)) for content in contents]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        peak = max(peak, server.memory_mb())
        time.sleep(0.02)
    seconds = time.perf_counter() - started
    return {
        "many_mb_per_s": MANY * MANY_BYTES / MB / seconds,
        "many_idle_mb": idle,
        "many_peak_mb": peak,
        "many_added_mb": peak - idle,
    }


def show(found: dict[str, float]) -> None:
    """Print our figure beside the limit of the same run."""
    rows = [
        ("raw write + fsync at the end", "raw_write_mb_per_s", "MB/s"),
        ("raw write + fsync each 1 MiB", "raw_write_sync_each_segment_mb_per_s", "MB/s"),
        ("upload over HTTP, hashed, durable, verified", "upload_mb_per_s", "MB/s"),
        ("server processor time", "server_cpu_s_per_gb", "s/GB"),
        ("16 x 30 MB at once", "many_mb_per_s", "MB/s"),
        ("  server memory before (all processes)", "many_idle_mb", "MB"),
        ("  server memory at its peak", "many_peak_mb", "MB"),
        ("  what the uploads added", "many_added_mb", "MB"),
    ]
    for label, key, unit in rows:
        print(f"{label:<46}{found[key]:>10.1f} {unit}")
    ratio = found["upload_mb_per_s"] / found["raw_write_sync_each_segment_mb_per_s"]
    print(f"{'upload / raw write + fsync each 1 MiB':<46}{ratio:>10.2f}")


def main() -> None:
    """Measure, print, write the results."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--folder", type=Path, default=Path("var/bench-upload"))
    chosen = arguments.parse_args()
    folder: Path = chosen.folder.absolute()
    folder.mkdir(parents=True)
    try:
        with serving(folder) as server:
            found = measure_one(server, folder, chosen.rounds) | measure_many(server)
    finally:
        shutil.rmtree(folder)
    show(found)
    RESULTS.parent.mkdir(exist_ok=True)
    about = {
        "measured_at": datetime.now(UTC).isoformat(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
    }
    RESULTS.write_text(json.dumps({**about, "rounds": chosen.rounds, **found}, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""How many bytes and photos a second, beside what the disk takes, and for how much processor time?"""

import http.client
import os
import statistics
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.upload.sending import Content, connect, send, send_at_once
from bench.upload.servers import MB, Sent, Server

ONE_BYTES = 200 * MB
PHOTO_BYTES = 1_500_000
PHOTOS = 500
CLIENTS = (1, 8)
SEGMENT = 1024 * 1024
RAW = "raw write + fsync"

Measured = dict[str, dict[str, float]]
Way = Callable[[Server, http.client.HTTPConnection, Content], Sent]


def one_file(servers: Sequence[Server], folder: Path, *, rounds: int) -> Measured:
    """200 MB in one upload: MB/s, and seconds of processor time for a GB."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for number in range(rounds):
        content = Content.make(ONE_BYTES)
        seconds = write_raw(folder / "raw", content)
        (folder / "raw").unlink()
        found[RAW]["mb_per_s"].append(ONE_BYTES / MB / seconds)
        for server in servers:
            used, used_by_database = server.cpu_seconds(), server.database_cpu_seconds()
            sent = send(server, connect(server), content)
            found[server.name]["mb_per_s"].append(ONE_BYTES / MB / sent.seconds)
            per_gb = 1e9 / ONE_BYTES
            found[server.name]["cpu_s_per_gb"].append((server.cpu_seconds() - used) * per_gb)
            of_database = (server.database_cpu_seconds() - used_by_database) * per_gb
            found[server.name]["of_which_database"].append(of_database)
            server.expect_kept([sent])
        _say(f"200 MB, round {number + 1} of {rounds}", found, "mb_per_s")
    return _medians(found)


def photos(
    servers: Sequence[Server], folder: Path, *, rounds: int, clients: int, count: int, at_once: bool
) -> Measured:
    """Photos of 1.5 MB: photos/s, and milliseconds of processor time for one.

    `at_once`: each in one request instead of two.
    """
    way = send_at_once if at_once else send
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    raw = folder / "raw photos"
    raw.mkdir(exist_ok=True)
    for number in range(rounds):
        contents = [Content.make(PHOTO_BYTES) for _ in range(count)]
        seconds, _ = _together(contents, clients, lambda mine: [_write_photo(raw, one) for one in mine])
        found[RAW]["photos_per_s"].append(count / seconds)
        for path in raw.iterdir():
            path.unlink()
        for server in servers:
            used, used_by_database = server.cpu_seconds(), server.database_cpu_seconds()
            seconds, uploads = _together(contents, clients, lambda mine, to=server: _send_all(to, mine, way))
            found[server.name]["photos_per_s"].append(count / seconds)
            each = 1000 / count
            found[server.name]["cpu_ms_each"].append((server.cpu_seconds() - used) * each)
            of_database = (server.database_cpu_seconds() - used_by_database) * each
            found[server.name]["of_which_database"].append(of_database)
            found[server.name]["p95_ms"].append(_p95([sent.seconds * 1000 for sent in uploads]))
            server.expect_kept(uploads)
        _say(f"photos, {clients} clients, round {number + 1} of {rounds}", found, "photos_per_s")
    return _medians(found)


def write_raw(path: Path, content: Content) -> float:
    """Write a file as fast as the disk takes it, synchronised at its end; return the seconds."""
    started = time.perf_counter()
    with path.open("wb", buffering=0) as file:
        for piece in content.pieces():
            for begun in range(0, len(piece), SEGMENT):
                file.write(piece[begun : begun + SEGMENT])
        os.fsync(file.fileno())
    return time.perf_counter() - started


def _write_photo(folder: Path, content: Content) -> float:
    """Write a file and make its name durable, too."""
    seconds, started = write_raw(folder / content.sha256, content), time.perf_counter()
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return seconds + time.perf_counter() - started


def _send_all(server: Server, contents: Sequence[Content], way: Way) -> list[Sent]:
    connection = connect(server)
    try:
        return [way(server, connection, content) for content in contents]
    finally:
        connection.close()


def _together(
    contents: Sequence[Content], clients: int, work: Callable[[Sequence[Content]], list[Any]]
) -> tuple[float, list[Any]]:
    """Let clients share the files among themselves; return the seconds and what all of them did."""
    done: list[Any] = []
    threads = [
        threading.Thread(target=lambda mine=contents[first::clients]: done.extend(work(mine)))
        for first in range(clients)
    ]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    if len(done) != len(contents):
        raise SystemExit(f"only {len(done)} of {len(contents)} files were sent")
    return seconds, done


def _p95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20)[18]


def _medians(found: dict[str, dict[str, list[float]]]) -> Measured:
    return {
        who: {what: round(statistics.median(values), 2) for what, values in told.items()}
        for who, told in found.items()
    }


def _say(what: str, found: dict[str, dict[str, list[float]]], key: str) -> None:
    told = ", ".join(f"{who} {values[key][-1]:.0f}" for who, values in found.items())
    print(f"  {what}: {told}", file=sys.stderr, flush=True)

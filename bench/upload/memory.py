"""How much memory does a server take while sixteen recordings, or one of 2 GB, arrive?"""

import threading
import time
from collections.abc import Sequence

from bench.upload.rates import Measured
from bench.upload.sending import Content, connect, send
from bench.upload.servers import MB, Sent, Server

MANY = 16
MANY_BYTES = 30 * MB
LARGE_BYTES = 2000 * MB
_LOOK_SECONDS = 0.02


def many(servers: Sequence[Server]) -> Measured:
    """Sixteen uploads of 30 MB at once."""
    return {server.name: _watched(server, [MANY_BYTES] * MANY) for server in servers}


def large(servers: Sequence[Server]) -> Measured:
    """One upload of 2 GB."""
    return {server.name: _watched(server, [LARGE_BYTES]) for server in servers}


def _watched(server: Server, sizes: Sequence[int]) -> dict[str, float]:
    contents = [Content.make(size) for size in sizes]
    uploads: list[Sent] = []
    threads = [
        threading.Thread(target=lambda mine=content: uploads.append(send(server, connect(server), mine)))
        for content in contents
    ]
    idle = peak = server.memory_mb()
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        peak = max(peak, server.memory_mb())
        time.sleep(_LOOK_SECONDS)
    seconds = time.perf_counter() - started
    if len(uploads) != len(contents):
        raise SystemExit(f"{server.name} took only {len(uploads)} of {len(contents)} uploads")
    server.expect_kept(uploads)
    return {
        "mb_per_s": round(sum(sizes) / MB / seconds, 1),
        "idle_mb": round(idle, 1),
        "peak_mb": round(peak, 1),
        "added_mb": round(peak - idle, 1),
    }

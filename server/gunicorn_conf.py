"""How does gunicorn serve this product?

Threads, because most requests of a phone are slow uploads that wait for the network; a few processes,
because Python runs one thread at a time. A body may take as long as it takes, while something comes: in
gthread `timeout` guards the worker's own heartbeat, not a request, and a client that falls silent, or reads
no further, would keep its thread for ever. Put nginx in front, with proxy_request_buffering off.

The application is loaded once, before the processes part: it opens no connection and starts no thread until
it serves. A process that is killed is replaced in milliseconds, and what was loaded is in memory once.
"""

import os
import socket
import struct
from pathlib import Path
from typing import Any

from prometheus_client.multiprocess import mark_process_dead

from server.garbage import collect_seldom, start_uncollected

bind = f"{os.environ.get('HOST') or '127.0.0.1'}:{os.environ.get('PORT') or '8000'}"
workers = int(os.environ.get("WEB_CONCURRENCY") or 2)
worker_class = "gthread"
threads = int(os.environ.get("WEB_THREADS") or 64)
timeout = 120
graceful_timeout = 25
keepalive = 30
accesslog = None
errorlog = "-"
loglevel = "warning"
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None
proc_name = "fieldvisit-web"
preload_app = True
start_uncollected()


SILENCE_SECONDS = int(os.environ.get("WEB_SILENCE_SECONDS") or 60)


def when_ready(server: Any) -> None:
    """Tune the collector once the application stands, and bound every wait for a client.

    Processes inherit the one, connections the other: where nothing comes or goes for so long, reading and
    writing fail with BlockingIOError.
    """
    collect_seldom()
    patience = struct.pack("ll", SILENCE_SECONDS, 0)
    for listener in server.LISTENERS:
        for direction in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            listener.sock.setsockopt(socket.SOL_SOCKET, direction, patience)


def child_exit(_server: Any, worker: Any) -> None:
    """Stop counting a worker that has gone among the living."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        mark_process_dead(worker.pid)

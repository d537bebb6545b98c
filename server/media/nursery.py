"""How does each untrusted file get a fresh child process that need not import the decoders first?

`python -m server.media.nursery` imports everything once and forks a child for each file; `children` starts it
and speaks to it. It is an interpreter of its own, never a fork of the worker, so there are no secrets and no
connections to inherit. It decodes nothing itself: codecs and BLAS leave threads behind, and what forks them
without their locks hangs. It ends, and its child with it, when whoever started it is gone.

A message is one JSON list. Asked `[task, seconds, arguments]`, it answers `["born"]`, then
`["ended", status]`; the status is None when the child took longer than its seconds.
"""

import gc
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from PIL import Image

from server.media import examine, render, silero
from server.ownership import dies_with_owner

TASKS: Final[dict[str, Callable[..., None]]] = {"examine": examine.main, "render": render.main}
MESSAGE_BYTES: Final = 64 * 1024


def serve(asking: socket.socket) -> None:
    """Raise one child after the other until nobody asks any more."""
    bind = dies_with_owner(signal.SIGKILL)
    while question := asking.recv(MESSAGE_BYTES):
        task, seconds, arguments = json.loads(question)
        child = _raise(TASKS[task], arguments, bind)
        asking.send(json.dumps(["born"]).encode())
        status = _watch(child, seconds, asking)
        asking.send(json.dumps(["ended", status]).encode())


def _raise(task: Callable[..., None], arguments: list[Any], bind: Callable[[], None]) -> int:
    """Fork a child that does this one thing. In the child this never returns."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        bind()
        _let_go()
        task(*arguments)
        status = 0
    finally:
        if status:
            traceback.print_exc()
        os._exit(status)


def _let_go() -> None:
    """Keep nothing open but what is said (standard output and error): reading gives nothing."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))


def _watch(child: int, seconds: float, asking: socket.socket) -> int | None:
    """Wait until the child has ended. It is killed when its time is up, or when nobody waits for it."""
    handle = os.pidfd_open(child)
    ready, _, _ = select.select([handle, asking], [], [], seconds)
    os.close(handle)
    if handle not in ready:
        os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status if ready else None


def warm_up() -> None:
    """Load what is loaded at its first use otherwise: once here, instead of in every child."""
    Image.init()
    time.strptime("2026", "%Y")
    silero.network()


def main() -> None:
    """Serve whoever started this process, over its standard input."""
    warm_up()
    threads = len(list(Path("/proc/self/task").iterdir()))
    if threads > 1:
        raise SystemExit(f"{threads} threads run before anything was decoded; none of them may be forked")
    gc.freeze()
    serve(socket.socket(fileno=sys.stdin.fileno()))


if __name__ == "__main__":
    main()

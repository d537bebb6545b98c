"""How does the worker have an untrusted file read by a process that may die of it?

A nursery is a warm interpreter (`server.media.nursery`) that forks a fresh child for each file. Here is the
worker's side: as many nurseries as files are read at the same time, each kept for the next file. When one
dies or falls silent, another is started and the file read again; a file that loses two is the one to blame.
Where a child did not end well, its nursery goes too: children of one nursery find everything at the same
place in memory, and whoever probes for that place gets one try.
"""

import atexit
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any, Final

log = logging.getLogger(__name__)

PATIENCE_SECONDS: Final = 60.0
"""How long a nursery may take for what takes it milliseconds, on a machine that has no time for it."""
MOST_CHILDREN: Final = 500
_SAID_BYTES: Final = 4000
_MESSAGE_BYTES: Final = 4096
_FEW_LARGE_PAGES: Final = (
    "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=33554432:"
    "glibc.malloc.trim_threshold=268435456:glibc.malloc.top_pad=33554432"
)
"""A fresh child pays for every page that it touches first: half of what it cost beside its work."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended: its status (a signal is negative, None is too long a time) and its last words."""

    status: int | None
    said: bytes


class NurseryLost(Exception):
    """It died, or it is silent; `ended` says how it ended itself."""

    def __init__(self, why: OSError, ended: Ended) -> None:
        super().__init__(str(why))
        self.ended = ended


@dataclass(slots=True)
class Nursery:
    """A warm interpreter, the line to it, and the file into which it and its children speak."""

    process: "subprocess.Popen[bytes]"
    line: socket.socket
    words: IO[bytes]
    children: int = 0
    patience_seconds: float = PATIENCE_SECONDS

    @classmethod
    def open(cls) -> "Nursery":
        """Start one. It gets nothing of ours but its end of the line and that file."""
        line, its_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        words = tempfile.TemporaryFile()  # noqa: SIM115 - it is open as long as the nursery
        with its_end:
            process = subprocess.Popen(
                [sys.executable, "-m", "server.media.nursery"],
                env=child_environment(),
                stdin=its_end.fileno(),
                stdout=words,
                stderr=words,
                start_new_session=True,
            )
        return cls(process, line, words)

    def raise_child(self, task: str, arguments: tuple[str, ...], *, wall_seconds: float) -> Ended:
        """Have a child do one thing. Raises OSError when the nursery does not answer."""
        self.children += 1
        self.line.settimeout(self.patience_seconds)
        self.line.send(json.dumps([task, wall_seconds, arguments]).encode())
        self._hear("born")
        self.line.settimeout(wall_seconds + self.patience_seconds)
        (status,) = self._hear("ended")
        ended = Ended(status, self._said())
        self.words.seek(0)
        self.words.truncate()
        return ended

    def close(self) -> Ended:
        """End it and what it raised, unless it has ended. Its process id is ours until we have waited."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        status, said = self.process.wait(), self._said()
        self.line.close()
        self.words.close()
        return Ended(status, said)

    def _hear(self, expected: str) -> list[Any]:
        message = self.line.recv(_MESSAGE_BYTES)
        if not message:
            raise ConnectionResetError("it is gone")
        word, *rest = json.loads(message)
        if word != expected:
            raise ConnectionError(f"it says {word} where {expected} was due")
        return rest

    def _said(self) -> bytes:
        end = self.words.seek(0, os.SEEK_END)
        self.words.seek(max(0, end - _SAID_BYTES))
        return self.words.read()


_idle: list[Nursery] = []


def run(task: str, *arguments: str, wall_seconds: float) -> Ended:
    """Have a fresh child do one of the nursery's tasks. Never raises because of what it reads."""
    try:
        return _raised_by(_idle_or_new(), task, arguments, wall_seconds)
    except NurseryLost as lost:
        log.warning("a nursery was lost (%s); the file is read again", lost)
    try:
        return _raised_by(Nursery.open(), task, arguments, wall_seconds)
    except NurseryLost as lost:
        return lost.ended


def close_all() -> None:
    """End the nurseries that wait for work."""
    while _idle:
        _idle.pop().close()


atexit.register(close_all)


def child_environment() -> dict[str, str]:
    """A child gets our modules and one thread per library, and none of our secrets."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",  # each arena reserves address space, and that is what is limited
        "GLIBC_TUNABLES": _FEW_LARGE_PAGES,
    }


def _idle_or_new() -> Nursery:
    with suppress(IndexError):
        return _idle.pop()
    return Nursery.open()


def _raised_by(nursery: Nursery, task: str, arguments: tuple[str, ...], wall_seconds: float) -> Ended:
    """Keep the nursery when all went well; close it in any other case, whatever is raised here."""
    ended = None
    try:
        ended = nursery.raise_child(task, arguments, wall_seconds=wall_seconds)
        return ended
    except OSError as fault:
        raise NurseryLost(fault, nursery.close()) from fault
    finally:
        if ended is not None and ended.status == 0 and nursery.children < MOST_CHILDREN:
            _idle.append(nursery)
        elif nursery.process.returncode is None:
            nursery.close()

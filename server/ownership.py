"""How is a folder held by one process, and a child process tied to the life of the one that started it?

Two small guarantees of the operating system that supervision stands on: an flock, which children inherit and
which is free exactly when the last of them has gone, and Linux's parent-death signal.
"""

import ctypes
import fcntl
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

PR_SET_PDEATHSIG: Final = 1
POLL_SECONDS: Final = 0.02
_libc = ctypes.CDLL(None, use_errno=True)


class EmbeddedFault(Exception):
    """The embedded PostgreSQL cannot run; the message says what to do about it."""


def lock_folder(path: Path, *, patience_seconds: float) -> IO[str]:
    """Take the lock at `path`, to be held as long as the returned file (or an inherited copy of it) is open.

    While its owner lives it is refused at once; when only children of a killed owner still hold it, they are
    shutting down, and we wait for them. Raises EmbeddedFault.
    """
    lock = path.open("a+")
    path.chmod(0o600)
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            owner = _lock_owner(path)
            if owner is None or time.monotonic() > deadline:
                lock.close()
                raise EmbeddedFault(_already_running(path, owner)) from None
            if _is_alive(owner):
                lock.close()
                raise EmbeddedFault(_already_running(path, owner)) from None
            time.sleep(POLL_SECONDS)
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def _already_running(path: Path, owner: int | None) -> str:
    by = f" (process {owner})" if owner else ""
    return f"another server is already running on {path.parent}{by}; stop it first, or use another folder"


def _lock_owner(path: Path) -> int | None:
    text = path.read_text().strip()
    return int(text) if text.isdigit() else None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def dies_with_owner(number: signal.Signals) -> Callable[[], None]:
    """Return a `preexec_fn`: the kernel sends the child this signal when we die, however we die.

    It runs after the switch of user, which would clear the request. The tie is to the calling thread.
    """
    owner = os.getpid()

    def arrange() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != owner:
            os._exit(1)

    return arrange

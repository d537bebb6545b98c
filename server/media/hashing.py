"""How is a file hashed while the disk works on it?

Hashing and writing both let other threads run, and cost a photo about the same: one helping thread a process
hashes what its writer is just writing. Who finds it busy hashes afterwards: with many writers the cores have
enough to do, and handing work over only costs.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

Content = bytes | bytearray | memoryview

WORTH_HELP_BYTES: Final = 128 * 1024
MOST_RUNS: Final = 256

_helper: Final = ThreadPoolExecutor(1, thread_name_prefix="hashing")
_helper_is_free: Final = threading.Lock()


class Digesting(Protocol):
    """A digest of hashlib's."""

    def update(self, content: Any, /) -> None: ...


@contextmanager
def hashed_meanwhile(digest: Digesting, content: Content) -> Iterator[None]:
    """Feed the content to the digest while the block runs; it is in when the block has ended well."""
    if len(content) < WORTH_HELP_BYTES or not _helper_is_free.acquire(blocking=False):
        yield
        digest.update(content)
        return
    hashing: Future[None] = _helper.submit(digest.update, content)
    try:
        yield
    finally:
        wait((hashing,))  # whatever happened: the content is the caller's to change again
        _helper_is_free.release()
    hashing.result()


@dataclass(slots=True)
class _Run:
    """The digest of an upload's first `reached` bytes, all written with one fence."""

    fence: int
    reached: int = 0
    digest: Any = field(default_factory=hashlib.sha256)


class Runs:
    """Digests of uploads whose bytes one writer of this process writes from the start on.

    Anything else (a writer in between, a piece written twice, a restart) has none: it is read for its digest.
    Calls for one upload come one after the other (its lock is held), those for others at any time.
    """

    def __init__(self) -> None:
        self._runs: OrderedDict[str, _Run] = OrderedDict()

    @contextmanager
    def go_on(self, upload: str, *, start: int, content: Content, fence: int) -> Iterator[None]:
        """Hash these bytes while the block writes them, if this writer wrote all that come before them."""
        run = self._runs.pop(upload, None)
        if start == 0:
            run = _Run(fence)
        if run is None or (run.fence, run.reached) != (fence, start):
            yield
            return
        with hashed_meanwhile(run.digest, content):
            yield
        run.reached += len(content)
        self._runs[upload] = run
        if len(self._runs) > MOST_RUNS:
            self._runs.popitem(last=False)

    def end(self, upload: str, *, total: int, fence: int) -> bytes | None:
        """Return the digest of all bytes if the writer with this fence has written them, and forget it."""
        run = self._runs.pop(upload, None)
        if run is None or (run.fence, run.reached) != (fence, total):
            return None
        return run.digest.digest()

    def forget(self, upload: str) -> None:
        """Let go of an upload that is given up."""
        self._runs.pop(upload, None)

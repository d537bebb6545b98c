"""A phone that dies: `python -m tests.sync.deaths <folder> <url> <server key> [forever]`.

Reads a number from each line of its standard input and forks a child that lives one whole day on a phone
(record, capture, sync) in the folder named after the number, and dies with `os._exit` before the n-th line
of the library is run. Forking saves starting Python a hundred times. Answers with the child's exit status.

Number 0 never dies, and notes which lines to die at: those before which something that outlives the phone
changed, a file in its folder or a request to the office. A death at any other line leaves exactly what a
death at the line before it leaves.

`forever` works on one phone until somebody kills it.
"""

import hashlib
import os
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any
from uuid import UUID

import httpx

from sync.connection import SyncFault
from sync.phone import Clocks, Phone
from tests.sync.made import DEVICE, NOON, VISITOR

DIED = 66
LIBRARY = str(Path(__file__).parents[2] / "sync") + os.sep
# Pure parts: a death inside them is a death before or after.
PURE = frozenset({"wire.py", "envelope.py", "protocol.py", "door.py", "feed.py", "events.py", "pages.py"})
SENDING = os.sep.join(("httpx", "_client.py"))
VISIT = UUID(int=5)
PHOTO, VIDEO = b"photo" * 20, bytes(range(256)) * 1500

Say = Callable[[str], None]


def a_phone(folder: Path, server_key: str) -> Phone:
    """An enrolled phone with stopped clocks."""
    folder.mkdir(parents=True, exist_ok=True)
    clocks = Clocks(wall=lambda: NOON, monotonic_ms=lambda: 7, boot_id=lambda: "boot-1")
    phone = Phone(folder, clocks=clocks)
    if not phone.is_enrolled:
        facts = {"device_id": str(DEVICE), "staff_id": str(VISITOR), "token": "t"}
        phone.outbox.remember(**facts, server_key=server_key)
    return phone


def record(phone: Phone, say: Say) -> None:
    """Something is written down. What was said has been promised to the visitor: it is on the phone."""
    say(f"item {phone.record('visit.ended', {'visit_id': str(VISIT), 'position': None})}")


def capture(phone: Phone, content: bytes, kind: str, say: Say) -> None:
    """Something is photographed or filmed."""
    name = phone.capture(content, visit_id=VISIT, kind=kind, purpose="door", mime=f"{kind}/x")
    say(f"file {name}")


def sync(phone: Phone, url: str) -> None:
    with httpx.Client(base_url=url, timeout=120, trust_env=False) as http:
        phone.sync(http)


def live(folder: Path, url: str, server_key: str, say: Say) -> None:
    """One day: work, sync, work, make room, sync."""
    phone = a_phone(folder, server_key)
    record(phone, say)
    capture(phone, PHOTO, "photo", say)
    capture(phone, VIDEO, "video", say)
    sync(phone, url)
    record(phone, say)
    phone.make_room()
    sync(phone, url)
    phone.close()


def live_for_ever(folder: Path, url: str, server_key: str) -> None:
    """Day after day, until killed."""
    phone = a_phone(folder, server_key)
    for n in count():
        record(phone, lambda line: print(line, flush=True))
        capture(phone, VIDEO[: n * 50_000 % 380_000 + 1], "video", lambda line: print(line, flush=True))
        try:
            sync(phone, url)
        except SyncFault as fault:
            assert fault.is_transient, fault
        phone.make_room()


def what_outlives(folder: Path) -> bytes:
    """A digest of everything in the folder that a dead phone leaves behind."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".sqlite-shm":  # sqlite makes it anew
            found.update(str(path).encode())
            found.update(path.read_bytes())
    return found.digest()


class Lines:
    """Counts lines of the library as they are about to run, and what was sent meanwhile."""

    def __init__(self, at_line: Callable[[int], None]) -> None:
        self.passed = 0
        self.sent = 0
        self.at_line = at_line

    def trace(self, frame: FrameType, event: str, arg: Any) -> Any:
        path = frame.f_code.co_filename
        if path.endswith(SENDING) and frame.f_code.co_name == "send":
            self.sent += 1
        is_ours = path.startswith(LIBRARY) and path.rpartition(os.sep)[2] not in PURE
        return self._trace_line if is_ours else None

    def _trace_line(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "line":
            self.passed += 1
            self.at_line(self.passed)
        return self._trace_line


def live_until(n: int, folder: Path, url: str, server_key: str) -> None:
    """Live until the n-th line; with 0 until the end, noting the lines that matter."""
    said = os.open(folder.with_suffix(".said"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    left: list[tuple[bytes, int]] = [(b"", 0)]

    def say(line: str) -> None:
        os.write(said, line.encode() + b"\n")

    def at_line(passed: int) -> None:
        if passed == n:
            os._exit(DIED)
        if n == 0:
            sys.settrace(None)
            state = (what_outlives(folder), lines.sent)
            sys.settrace(lines.trace)
            if state != left[-1]:
                left.append(state)
                say(f"matters {passed}")

    lines = Lines(at_line)
    sys.settrace(lines.trace)
    live(folder, url, server_key, say)
    sys.settrace(None)
    say(f"lines {lines.passed}")


def main(folder: Path, url: str, server_key: str) -> None:
    """Fork a child per line of input."""
    for line in sys.stdin:
        n = int(line)
        child = os.fork()
        if not child:
            live_until(n, folder / str(n), f"{url}/{n}", server_key)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    if sys.argv[4:] == ["forever"]:
        live_for_ever(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
    else:
        main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])

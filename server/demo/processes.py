"""How does the demonstration run the product: the same processes as in production, watched and stopped.

Starts the Procfile's commands as child processes, waits until each is ready, and stops them in an order in
which nobody loses what it stands on: web and worker first, the database last. Each writes its own log file.
Knows nothing of the story that is told on top.
"""

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx
from honcho.environ import parse_procfile

from server.ownership import dies_with_owner

STOP_ORDER: Final = ("web", "worker", "release", "db")
POLL_SECONDS: Final = 0.1
READY_SECONDS: Final = 600
"""A busy machine may take long to start; a process that ended is noticed at once."""
STOP_SECONDS: Final = 30
LOG_TAIL_LINES: Final = 25

Say = Callable[[str], None]


class ProcessFailed(Exception):
    """A process did not do its part; the message carries the end of its log."""


class Processes:
    """The product's processes on this machine. As a context manager it stops them at the end."""

    def __init__(
        self, *, checkout: Path, environ: Mapping[str, str], logs: Path, port: int, say: Say
    ) -> None:
        self.base_url = f"http://127.0.0.1:{port}"
        self._checkout = checkout
        self._commands: dict[str, str] = parse_procfile((checkout / "Procfile").read_text()).processes
        tools = f"{Path(sys.executable).parent}{os.pathsep}{environ.get('PATH', os.defpath)}"
        self._environ = {**environ, "PATH": tools, "HOST": "127.0.0.1", "PORT": str(port)}
        self._environ.pop("HONCHO_PROCESS_NAME", None)
        self._logs = logs
        self._say = say
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start_all(self) -> None:
        """Start everything and return when the product answers; raises ProcessFailed."""
        self.start("db")
        with self._step("migrating the database"):
            self.start("release")
            self.wait_for_end("release", timeout_seconds=READY_SECONDS)
        with self._step("starting web and worker"):
            self.start("web")
            self.start("worker")
            self.wait_until_ready(timeout_seconds=READY_SECONDS)

    def start(self, name: str) -> None:
        """Start one process of the Procfile."""
        self._logs.mkdir(parents=True, exist_ok=True)
        with self._log_of(name).open("ab") as log:
            self._running[name] = subprocess.Popen(
                ["exec " + self._commands[name]],
                shell=True,
                cwd=self._checkout,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=dies_with_owner(signal.SIGTERM),
            )

    def wait_for_end(self, name: str, *, timeout_seconds: float) -> None:
        """Wait until a process has ended well."""
        try:
            status = self._running[name].wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            status = None
        if status != 0:
            raise self._failure(name, f"ended with {status}" if status is not None else "takes too long")

    def wait_until_ready(self, *, timeout_seconds: float) -> None:
        """Wait until the web process says that it could serve."""
        deadline = time.monotonic() + timeout_seconds
        while not self._is_ready():
            self.check()
            if time.monotonic() > deadline:
                raise self._failure("web", "does not become ready")
            time.sleep(POLL_SECONDS)

    def check(self) -> None:
        """Raise ProcessFailed when a process that should be running has ended."""
        for name, process in self._running.items():
            if name != "release" and process.poll() is not None:
                raise self._failure(name, f"ended with {process.returncode}")

    def serve(self) -> None:
        """Keep everything running until Ctrl-C or SIGTERM; raises ProcessFailed when a process ends."""
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                self.check()
                time.sleep(1)

    def pid(self, name: str) -> int:
        """Return the process id of one that runs."""
        return self._running[name].pid

    def kill(self, name: str) -> None:
        """Kill one process and its children outright, as a power cut would."""
        process = self._running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self, name: str) -> None:
        """Ask one process to end, and insist after a while."""
        process = self._running.pop(name, None)
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def stop_all(self) -> None:
        """Stop everything, the database last."""
        for name in STOP_ORDER:
            self.stop(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_all()

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.base_url}/readyz", timeout=5, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def _log_of(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _failure(self, name: str, what: str) -> ProcessFailed:
        log = self._log_of(name)
        lines = log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:] if log.exists() else []
        return ProcessFailed("\n".join([f"{name} {what}; the end of {shlex.quote(str(log))}:", *lines]))

    @contextlib.contextmanager
    def _step(self, what: str) -> Iterator[None]:
        started = time.monotonic()
        self._say(f"… {what}")
        yield
        self._say(f"✓ {what} ({time.monotonic() - started:.1f} s)")


def free_port(wanted: int) -> int:
    """Return `wanted` if nobody listens there, else a port of the kernel's choice."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return probe.getsockname()[1]
    raise ProcessFailed("no free port on 127.0.0.1")

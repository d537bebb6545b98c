"""Each file is read by a fresh child of a warm interpreter, and whatever ends there, nothing is lost.

A file that never comes to its end is a FIFO: its reader waits, and we know that it is there.
"""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path

import pytest

from server.demo.scenes import make_photo, make_recording
from server.media import children
from server.media.inspect import inspect
from server.media.inspection import Inspection
from tests.media.pieces import a_photo_with_exif

CHECKOUT = Path(__file__).parents[2]
SECONDS = 60


@pytest.fixture(autouse=True)
def no_nursery_yet() -> Iterator[None]:
    """Begin and end without a nursery."""
    children.close_all()
    yield
    children.close_all()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo"
    path.write_bytes(make_photo(seed=1, size=(320, 240)))
    return path


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    path = tmp_path / "endless"
    os.mkfifo(path)
    return path


@pytest.fixture
def inspecting(endless: Path) -> Iterator["Future[Inspection]"]:
    """The endless file being inspected, until somebody ends it."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(inspect, endless, claimed_mime="image/jpeg")
        yield future
        while not wait([future], timeout=0.02).done:
            for nursery in nurseries_of(os.getpid()):
                os.kill(nursery, signal.SIGKILL)


def is_reading(endless: Path, future: "Future[Inspection] | None" = None) -> int:
    """Wait until a child reads the endless file; return what keeps it waiting."""
    for _ in range(50 * SECONDS):
        with suppress(OSError):
            return os.open(endless, os.O_WRONLY | os.O_NONBLOCK)
        if future is not None:
            wait([future], timeout=0.02)
            assert not future.done()
        else:
            select.select([], [], [], 0.02)
    raise AssertionError("nobody reads it")


def children_of(process: int) -> list[int]:
    lists = Path(f"/proc/{process}/task").glob("*/children")
    return [int(word) for one in lists for word in one.read_text().split()]


def nurseries_of(process: int) -> list[int]:
    """The nurseries among its children: there are others, the servers of other tests for instance."""
    return [child for child in children_of(process) if b"server.media.nursery" in command_of(child)]


def nursery_of(process: int) -> int:
    (nursery,) = nurseries_of(process)
    return nursery


def command_of(process: int) -> bytes:
    """What a process runs; nothing of one that has ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{process}/cmdline").read_bytes()
    return b""


def processor_ticks(process: int) -> int:
    """What a process itself has spent."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def has_ended(process: int) -> bool:
    """Wait for the end of a process, ours or not."""
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        return True
    ended, _, _ = select.select([handle], [], [], SECONDS)
    os.close(handle)
    return bool(ended)


def test_one_nursery_serves_one_file_after_the_other_and_stays_without_threads(photo: Path) -> None:
    first = inspect(photo, claimed_mime="image/jpeg")
    nursery = nursery_of(os.getpid())

    second = inspect(photo, claimed_mime="image/jpeg")

    assert first.failed is None
    assert second == first
    assert nursery_of(os.getpid()) == nursery
    assert children_of(nursery) == []
    assert len(list(Path(f"/proc/{nursery}/task").iterdir())) == 1


def test_a_child_has_nothing_of_ours_but_the_file_and_narrow_limits(
    endless: Path, photo: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("SECRET_KEY", "of the house")
    inspect(photo, claimed_mime="image/jpeg")
    inspecting: Future[Inspection] = request.getfixturevalue("inspecting")
    holding = is_reading(endless, inspecting)
    nursery = nursery_of(os.getpid())
    (child,) = children_of(nursery)

    held = {int(one.name): os.readlink(one) for one in Path(f"/proc/{child}/fd").iterdir()}
    limits = Path(f"/proc/{child}/limits").read_text()
    told = Path(f"/proc/{child}/environ").read_bytes()
    threads = list(Path(f"/proc/{child}/task").iterdir())
    spent, spent_before = processor_ticks(child), processor_ticks(nursery)
    os.kill(child, signal.SIGKILL)
    os.close(holding)
    inspecting.result(SECONDS)

    assert held.pop(3, str(endless)) == str(endless)
    assert sorted(held) == [0, 1, 2]
    assert held[0] == os.devnull
    assert held[1] == held[2]
    assert held[1].endswith("(deleted)")
    for limit, value in (
        ("Max cpu time", 600),
        ("Max address space", 2 * 1024**3),
        ("Max file size", 16 * 1024**2),
        ("Max core file size", 0),
    ):
        assert f"{limit:<26}{value:<21}{value:<21}" in limits
    assert b"of the house" not in told
    assert len(threads) == 1
    assert spent < spent_before  # so that the limit is on this file's time alone


def test_a_child_need_not_load_anything(photo: Path, tmp_path: Path) -> None:
    photo.write_bytes(a_photo_with_exif())
    recording = tmp_path / "recording"
    recording.write_bytes(make_recording(seconds=1, speech=True))
    program = (
        "import sys; from pathlib import Path; from server.media import nursery, examine; nursery.warm_up();"
        "loaded = set(sys.modules);"
        "[examine.examine(Path(one), claimed_mime='').to_json() for one in sys.argv[1:]];"
        "print(*(set(sys.modules) - loaded))"
    )

    said = subprocess.run(
        [sys.executable, "-c", program, str(photo), str(recording)],
        cwd=CHECKOUT, env=children.child_environment(), capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip

    assert said.split() == []


def test_a_nursery_that_died_at_rest_is_replaced(photo: Path) -> None:
    first = inspect(photo, claimed_mime="image/jpeg")
    nursery = nursery_of(os.getpid())
    os.kill(nursery, signal.SIGKILL)

    again = inspect(photo, claimed_mime="image/jpeg")

    assert again == first
    assert nursery_of(os.getpid()) != nursery


def test_a_nursery_that_hangs_is_replaced(photo: Path) -> None:
    first = inspect(photo, claimed_mime="image/jpeg")
    nursery = nursery_of(os.getpid())
    os.kill(nursery, signal.SIGSTOP)
    children._idle[0].patience_seconds = 0.1

    again = inspect(photo, claimed_mime="image/jpeg")

    assert again == first
    assert has_ended(nursery)


def test_a_file_whose_nursery_is_killed_is_read_again_and_its_child_is_gone(
    endless: Path, photo: Path, inspecting: "Future[Inspection]"
) -> None:
    expected = inspect(photo, claimed_mime="image/jpeg")
    children.close_all()
    holding = is_reading(endless, inspecting)
    nursery = nursery_of(os.getpid())
    (child,) = children_of(nursery)
    photo.replace(endless)

    os.kill(nursery, signal.SIGKILL)

    assert inspecting.result(SECONDS) == expected
    assert has_ended(child)
    os.close(holding)


def test_a_file_that_ends_two_nurseries_is_a_result_and_the_next_one_is_read(
    endless: Path, photo: Path, inspecting: "Future[Inspection]"
) -> None:
    for _ in range(2):
        holding = is_reading(endless, inspecting)
        nursery = nursery_of(os.getpid())
        (child,) = children_of(nursery)
        os.kill(nursery, signal.SIGKILL)
        assert has_ended(child)
        os.close(holding)

    found = inspecting.result(SECONDS)

    assert found.failed == "Inspecting it ended by signal 9: it needs too much, or breaks a decoder."
    assert inspect(photo, claimed_mime="image/jpeg").failed is None


def test_a_child_that_breaks_takes_its_nursery_with_it(
    endless: Path, inspecting: "Future[Inspection]"
) -> None:
    holding = is_reading(endless, inspecting)
    nursery = nursery_of(os.getpid())
    (child,) = children_of(nursery)

    os.kill(child, signal.SIGSEGV)

    failed = inspecting.result(SECONDS).failed
    assert failed == "Inspecting it ended by signal 11: it needs too much, or breaks a decoder."
    assert has_ended(nursery)
    os.close(holding)


def test_a_child_that_takes_too_long_is_ended(endless: Path) -> None:
    found = inspect(endless, claimed_mime="image/jpeg", wall_seconds=0.1)

    assert found.failed == "Inspecting it took too long."
    with pytest.raises(OSError, match="No such device"):
        os.open(endless, os.O_WRONLY | os.O_NONBLOCK)  # nobody reads it any more


def test_nursery_and_child_go_when_the_worker_is_killed(endless: Path) -> None:
    program = (
        "import sys, pathlib; from server.media.inspect import inspect;"
        "inspect(pathlib.Path(sys.argv[1]), claimed_mime='')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(endless)], cwd=CHECKOUT, env=children.child_environment()
    ) as worker:
        holding = is_reading(endless)
        nursery = nursery_of(worker.pid)
        (child,) = children_of(nursery)

        worker.kill()

        assert has_ended(nursery)
        assert has_ended(child)
        os.close(holding)


def test_files_that_come_at_the_same_time_have_a_nursery_each(
    endless: Path, photo: Path, inspecting: "Future[Inspection]"
) -> None:
    holding = is_reading(endless, inspecting)

    found = inspect(photo, claimed_mime="image/jpeg")

    assert found.failed is None
    assert not inspecting.done()
    os.close(holding)

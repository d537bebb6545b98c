"""Damaged files of every format, thousands of them: is every answer an Inspection, within the limits?

`python -m tests.media.fuzzing --runs 20000 --seed 1` for a night; a few come with `make test`. Each file is
examined in a process of its own, forked from a warm one, inside the product's limits. The warm one never
encodes or decodes anything: codecs leave threads behind, and what forks them without their locks hangs. A
decoder that dies by a signal is what the limits are for, and is counted; an exception, an answer that jsonb
would not take and a file that takes too long are faults, and their bytes are kept.
"""

import argparse
import json
import multiprocessing
import os
import random
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from PIL import Image

from server.demo.scenes import draw_doorway, make_photo, make_recording
from server.media.examine import bound, examine
from tests.media.heic import make_heic

SECONDS_A_FILE = 300.0


def _photo(kind: str) -> bytes:
    jpeg = make_photo(seed=1, size=(320, 240), position=(31.2, 121.4), accuracy_m=5)
    picture = Image.open(BytesIO(jpeg))
    exif = picture.info["exif"]
    if kind == "HEIC":
        return make_heic(draw_doorway(1, size=(128, 96)), exif=exif)
    file = BytesIO()
    picture.save(file, kind, exif=exif)
    return file.getvalue()


SOURCES: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: make_photo(seed=1, size=(320, 240), position=(31.2, 121.4), accuracy_m=5),
    "png": lambda: _photo("PNG"),
    "webp": lambda: _photo("WEBP"),
    "heic": lambda: _photo("HEIC"),
    "webm": lambda: make_recording(seconds=1, speech=True, container="webm"),
    "ogg": lambda: make_recording(seconds=1, speech=True, container="ogg"),
    "m4a": lambda: make_recording(seconds=1, speech=True, container="m4a"),
    "fragmented": lambda: make_recording(seconds=1, speech=True, container="fragmented"),
    "mov": lambda: make_recording(seconds=1, speech=True, container="mov"),
    "wav": lambda: make_recording(seconds=1, speech=True, container="wav"),
    "amr": lambda: make_recording(seconds=1, speech=True, container="amr"),
    "3gp": lambda: make_recording(seconds=1, speech=True, container="3gp"),
    "mp3": lambda: make_recording(seconds=1, speech=True, container="mp3"),
}


def write_sources(folder: Path) -> None:
    """Write a whole file of every format, named after it."""
    for name, make in SOURCES.items():
        (folder / name).write_bytes(make())


def mutated(content: bytes, chance: random.Random) -> bytes:
    """Damage a file as a broken phone or an enemy would. The first bytes stay: they say what it is."""
    damaged = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(12, max(len(damaged), 13))
        match chance.randrange(6):
            case 0:
                for _ in range(chance.choice((1, 8, 64))):
                    damaged[chance.randrange(12, len(damaged))] ^= 1 << chance.randrange(8)
            case 1:
                damaged[at : at + 4] = chance.choice(
                    (b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x7f\xff\xff\xff")
                )
            case 2:
                del damaged[at:]
            case 3:
                del damaged[at : at + chance.randrange(1, 200)]
            case 4:
                start = chance.randrange(len(damaged))
                damaged[at:at] = damaged[start : start + chance.randrange(1, 2000)]
            case _:
                damaged[at : at + chance.randrange(1, 100)] = chance.randbytes(chance.randrange(1, 100))
        if len(damaged) < 14:
            break
    return bytes(damaged)


@dataclass
class Tally:
    """What came of the files so far."""

    examined: int = 0
    killed: int = 0
    slowest: float = 0.0
    faults: list[str] = field(default_factory=list)


def fuzz(*, seed: int, runs: int, kept: Path) -> Tally:
    """Examine this many damaged files, each format in turn; the same seed, the same files."""
    tally = Tally()
    names = list(SOURCES)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        path = Path(folder) / "evidence"
        writer = multiprocessing.get_context("spawn").Process(target=write_sources, args=(Path(folder),))
        writer.start()
        writer.join()
        sources = {name: (Path(folder) / name).read_bytes() for name in names}
        for number in range(runs):
            name = names[number % len(names)]
            content = mutated(sources[name], random.Random(f"{seed}/{number}"))
            path.write_bytes(content)
            begun = time.monotonic()
            fault = _examined(path, tally)
            tally.slowest = max(tally.slowest, time.monotonic() - begun)
            tally.examined += 1
            if fault is not None:
                kept.mkdir(parents=True, exist_ok=True)
                (kept / f"{name}-{seed}-{number}").write_bytes(content)
                tally.faults.append(f"{name}, seed {seed}, number {number}: {fault}")
    return tally


def _examined(path: Path, tally: Tally) -> str | None:
    """Examine one file in a child; return what was wrong with the way it ended, if anything."""
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receiving)
        _answer(path, sending)
    os.close(sending)
    answer, ended = _read(receiving)
    os.close(receiving)
    if not ended:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not ended:
        return f"took longer than {SECONDS_A_FILE} s"
    if os.WIFSIGNALED(status):
        tally.killed += 1
        return None
    return None if answer == b"fine" else answer.decode("utf-8", "replace")[-500:] or "said nothing"


def _answer(path: Path, sending: int) -> None:
    """In the child: say "fine", or what was raised. Never returns."""
    try:
        bound()
        json.dumps(examine(path, claimed_mime="").to_json(), allow_nan=False)
        os.write(sending, b"fine")
    except BaseException as fault:
        os.write(sending, f"{type(fault).__name__}: {fault}".encode("utf-8", "replace")[:500])
    finally:
        os._exit(0)


def _read(receiving: int) -> tuple[bytes, bool]:
    answer, deadline = b"", time.monotonic() + SECONDS_A_FILE
    while True:
        ready, _, _ = select.select([receiving], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return answer, False
        part = os.read(receiving, 4096)
        if not part:
            return answer, True
        answer += part


def main() -> int:
    """Fuzz for a while; 1 when anything ended as it must not."""
    parser = argparse.ArgumentParser(description="Examine damaged photos and recordings")
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path("var/fuzz"))
    told = parser.parse_args()
    tally = fuzz(seed=told.seed, runs=told.runs, kept=told.keep)
    print(f"{tally.examined} files, {tally.killed} killed by their limits, slowest {tally.slowest:.1f} s")
    print(*tally.faults, sep="\n")
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())

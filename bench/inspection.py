"""How much does it cost to look into a visit's evidence and account, beside decoding and nothing else?

    python -m bench.inspection [--rounds 5] [--minutes 10]

Photos of 12 megapixels as a phone writes them and Opus recordings of real speech, each read four ways, in
turns: decoded alone (every pixel, every sample at 48 kHz, as any program would), decoded as far as we look
(photos halved, sound at 16 kHz: what part of the gain is decoding less), examined in this process, inspected
as the worker does (in a fresh child of a nursery that runs already, the forking included; starting a nursery,
once a worker, is told apart). A visit is two photos, ten minutes of sound and a written account: the mean
of those from which the tagger's bars are set, read as a reconciliation reads them. Processor seconds, so that
a busy machine changes little. Writes bench/results/inspection.json.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.narratives.marked import JUDGING, marked
from server.demo.scenes import encode, make_photo
from server.media.examine import examine
from server.media.inspect import inspect
from server.media.inspection import Inspection
from server.media.playing import opened
from server.reconcile.narrative.reading import read_account
from tests.media.speech import resampled, talk

RESULTS = Path(__file__).parent / "results" / "inspection.json"
PHOTOS = 2
PHOTO_TIMES = 5
SIZE = (4000, 3000)
SOUND_RATE = 48_000
EVERY = 9  # of the accounts, one in nine is read
AIM = 1.3


def decode_photo(path: Path) -> None:
    """Every pixel of it, once."""
    with Image.open(path) as picture:
        picture.load()


def decode_sound(path: Path) -> None:
    """Every sample of it, once."""
    with av.open(str(path)) as container:
        for _ in container.decode(audio=0):
            pass


def halve_photo(path: Path) -> None:
    """As many of its pixels as an inspection looks at."""
    with Image.open(path) as picture:
        picture.draft("RGB", (SIZE[0] // 2, SIZE[1] // 2))
        picture.load()


class Deaf:
    """Lets everything be decoded and hears none of it."""

    def hear(self, sound: NDArray[np.float32]) -> None:
        """Do nothing."""


def play_sound(path: Path) -> None:
    """Its samples at the rate at which an inspection listens."""
    with opened(path, reader="matroska") as player:
        player.play(Deaf())


def examined(path: Path, mime: str) -> Inspection:
    """In this process."""
    return _whole(examine(path, claimed_mime=mime))


def inspected(path: Path, mime: str) -> Inspection:
    """As the worker does."""
    return _whole(inspect(path, claimed_mime=mime))


def _whole(found: Inspection) -> Inspection:
    """End the benchmark when something was not looked at."""
    looked = found.image is not None or (found.sound is not None and found.landmarks)
    if found.failed is not None or not looked:
        raise SystemExit(f"the inspection did not see all: {found.failed}")
    return found


def processor_seconds(read: Callable[[], object], *, times: int = 1) -> float:
    """What this process, its nurseries and all their children spent on it."""
    before = _spent()
    for _ in range(times):
        read()
    return (_spent() - before) / times


def _spent() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime + sum(map(_spent_by, _running()))


def _running() -> list[int]:
    lists = Path("/proc/self/task").glob("*/children")
    return [int(word) for one in lists for word in one.read_text().split()]


def _spent_by(process: int) -> float:
    """What a process and those of its children that have ended spent: the kernel tells it to 10 ms."""
    told = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, told[11:15])) / os.sysconf("SC_CLK_TCK")


def a_visit(folder: Path, *, minutes: int) -> tuple[list[Path], Path]:
    """Two photos and a recording of one minute of speech after the other, each another's."""
    photos = []
    for seed in range(PHOTOS):
        photos.append(folder / f"{seed}.jpg")
        photos[-1].write_bytes(make_photo(seed=seed, size=SIZE))
    sound = np.concatenate([talk(seed, seconds=60) for seed in range(minutes)])
    recording = folder / "talk.webm"
    recording.write_bytes(encode(resampled(sound, 16_000, SOUND_RATE), container="webm"))
    return photos, recording


def measure(photos: list[Path], recording: Path, *, rounds: int) -> dict[str, dict[str, float]]:
    """Medians of processor seconds, of the photos and of the sound, for each way of reading."""
    ways: dict[str, tuple[Callable[[Path], object], Callable[[Path], object]]] = {
        "decoded alone": (decode_photo, decode_sound),
        "decoded less": (halve_photo, play_sound),
        "examined": (lambda path: examined(path, "image/jpeg"), lambda path: examined(path, "audio/webm")),
        "inspected": (lambda path: inspected(path, "image/jpeg"), lambda path: inspected(path, "audio/webm")),
    }
    found: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in ways}
    for number in range(rounds):
        for name, (read_photo, read_sound) in ways.items():
            of_photos = processor_seconds(
                lambda read=read_photo: [read(one) for one in photos], times=PHOTO_TIMES
            )
            found[name][0].append(of_photos)
            found[name][1].append(processor_seconds(lambda read=read_sound: read(recording)))
        told = ", ".join(f"{name} {sum(both[-1] for both in pair):.2f} s" for name, pair in found.items())
        print(f"  round {number + 1} of {rounds}: {told}", file=sys.stderr, flush=True)
    return {
        name: {"photos_s": statistics.median(of_photos), "sound_s": statistics.median(of_sound)}
        for name, (of_photos, of_sound) in found.items()
    }


def measure_account() -> tuple[float, float]:
    """Processor seconds of reading an account, and its characters: the means of many."""
    accounts = list(islice(marked(JUDGING), 0, None, EVERY))
    read_account("已到访。", date(2026, 11, 24))  # what the tagger learned is loaded once a process

    def read() -> None:
        read_account.cache_clear()
        for one in accounts:
            read_account(one.text, date.fromisoformat(one.day))

    return processor_seconds(read) / len(accounts), sum(len(one.text) for one in accounts) / len(accounts)


def main() -> None:
    """Measure, print, write the results."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--minutes", type=int, default=10)
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        photos, recording = a_visit(Path(name), minutes=chosen.minutes)
        begun = processor_seconds(lambda: inspected(photos[0], "image/jpeg"))
        found = measure(photos, recording, rounds=chosen.rounds)
    account, characters = measure_account()
    for name, told in found.items():
        told["account_s"] = 0.0 if name.startswith("decoded") else account
    alone = sum(found["decoded alone"].values())
    for told in found.values():
        told["photos_per_cpu_s"] = PHOTOS / told["photos_s"]
        told["minutes_per_cpu_s"] = chosen.minutes / told["sound_s"]
        told["of_decoding"] = (told["photos_s"] + told["sound_s"] + told["account_s"]) / alone
    print(f"{'':<16}{'photos/CPU s':>14}{'minutes/CPU s':>15}{'a visit / decoding it':>24}")
    for name, told in found.items():
        rates = f"{told['photos_per_cpu_s']:>14.1f}{told['minutes_per_cpu_s']:>15.1f}"
        print(f"{name:<16}{rates}{told['of_decoding']:>24.2f}")
    share = f"{1000 * account:.0f} ms, {account / alone:.3f} of decoding"
    print(f"of that, an account of {characters:.0f} characters: {share}")
    print(f"aim: under {AIM} of decoding; starting a nursery and one photo: {begun:.2f} s")
    RESULTS.parent.mkdir(exist_ok=True)
    about = {
        "measured_at": datetime.now(UTC).isoformat(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "rounds": chosen.rounds,
        "minutes": chosen.minutes,
        "nursery_and_photo_s": begun,
        "characters": characters,
    }
    RESULTS.write_text(json.dumps({**about, **found}, indent=2) + "\n")


if __name__ == "__main__":
    main()

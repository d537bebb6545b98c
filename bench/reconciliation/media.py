"""What do the photos and recordings of a script hold, and what would an engine of speech hear?

Runs in processes of its own, because drawing, speaking and encoding are most of the work. Same script, same
pictures; the synthesiser never says a sentence twice alike, so a copy of another visit's recording is made
from that very file.
"""

import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from bench.reconciliation import wording as words
from bench.reconciliation.script import Line, Photo, Script, Sound
from server.demo.scenes import make_photo
from server.media.examine import examine
from server.media.inspection import Inspection
from server.media.transcriber import Words
from tests.media.speech import speak

Samples = NDArray[np.float32]
RATE: Final = 16_000
SIZE: Final = (480, 360)
MIME: Final = {"amr": "audio/amr", "m4a": "audio/mp4", "webm": "audio/webm"}
_CODECS: Final = {
    "amr": ("amr", "libopencore_amrnb", 8_000, 12_200),
    "m4a": ("ipod", "aac", RATE, 24_000),
    "webm": ("webm", "libopus", RATE, 20_000),
}
_CALL: Final = 0.06  # the part of a visit that an interrupting call costs
_SLIPS: Final = 0.02  # one character in fifty is heard as another that sounds the same


@dataclass(frozen=True)
class File:
    """One file as the phone keeps it, how many seconds it runs, and what is heard in it."""

    kind: str
    purpose: str
    mime: str
    content: bytes
    after_seconds: float = 0.0
    seconds: float = 0.0
    heard: tuple[Words, ...] = ()


def make_files(script: Script, lent: File | None = None) -> tuple[list[File], list[File]]:
    """Make the photos and the recordings of a script; `lent` is the recording it presents again, if any."""
    photos = [File(one.kind, one.purpose, "image/jpeg", photograph(one)) for one in script.photos]
    if lent is not None:
        return photos, [again(lent, script.sounds[0])]
    return photos, [file for one in script.sounds for file in record(one)]


def examine_bytes(content: bytes, mime: str, folder: str) -> Inspection:
    """Inspect bytes as the product does, but here: a child for each costs more than the looking."""
    path = Path(folder) / f"{random.getrandbits(64):x}"
    path.write_bytes(content)
    try:
        return examine(path, claimed_mime=mime)
    finally:
        path.unlink()


def photograph(photo: Photo) -> bytes:
    """Take one picture; a copied one is another's file, cropped, shrunk and saved again."""
    place = photo.exif_place
    tags: dict[str, Any] = {
        "taken_at": photo.exif_at,
        "position": None if place is None else (place.lat, place.lon),
        "accuracy_m": None if place is None else place.accuracy_m,
        "placed_at": photo.placed_at,
        "software": photo.software,
        "model": photo.model,
    }
    if not (photo.is_copied or photo.is_dark):
        return make_photo(seed=photo.doorway, size=SIZE, quality=photo.quality, **tags)
    original = Image.open(BytesIO(make_photo(seed=photo.doorway, size=SIZE, quality=85)))
    width, height = original.size
    cut = photo.crop
    box = (int(width * cut), int(height * cut), int(width * (1 - cut)), int(height * (1 - cut)))
    exif = Image.open(BytesIO(make_photo(seed=0, size=(64, 48), **tags))).info["exif"]
    file = BytesIO()
    shown = original.crop(box).resize((420, 315))
    if photo.is_dark:
        shown = ImageEnhance.Brightness(original).enhance(0.08)
    shown.save(file, "JPEG", quality=photo.quality, exif=exif)
    return file.getvalue()


def record(sound: Sound) -> list[File]:
    """Say the lines over the noise of the place and encode them: one file, or two around a phone call."""
    chance = random.Random(sound.voices)
    speech, said = _say(sound, chance)
    noisy = speech + _street(len(speech), sound, chance)
    first, last = (int(part * len(noisy)) for part in sound.cut)
    noisy = noisy[first:last]
    if sound.hiss:
        noisy = noisy + np.random.default_rng(sound.voices).normal(0, sound.hiss, len(noisy)).astype(
            np.float32
        )
    heard = [
        Words(
            round(start - first / RATE, 2),
            round(end - first / RATE, 2),
            _misheard(line, chance),
            _sure(chance),
        )
        for line, start, end in said
        if line.is_caught and start * RATE >= first and end * RATE <= last
    ]
    if sound.call_after is None:
        return [_file(sound, noisy, heard, after=0.0)]
    middle = int(len(noisy) * sound.call_after)
    resumed = middle + int(_CALL * len(noisy))
    before = [one for one in heard if one.end * RATE <= middle]
    after = [replace(one, start=one.start - resumed / RATE, end=one.end - resumed / RATE) for one in heard]
    return [
        _file(sound, noisy[:middle], before, after=0.0),
        _file(sound, noisy[resumed:], [one for one in after if one.start >= 0], after=resumed / RATE),
    ]


def again(lent: File, sound: Sound) -> File:
    """Present another visit's recording, as it is or decoded, cut, hissed over and encoded anew."""
    if sound.is_untouched:
        return lent
    samples = _decode(lent.content)
    first, last = (int(part * len(samples)) for part in sound.cut)
    hiss = np.random.default_rng(sound.voices).normal(0, sound.hiss, last - first).astype(np.float32)
    moved = [replace(one, start=one.start - first / RATE, end=one.end - first / RATE) for one in lent.heard]
    heard = [one for one in moved if one.start >= 0 and one.end * RATE <= last - first]
    return _file(sound, samples[first:last] + hiss, heard, after=0.0)


def _file(sound: Sound, samples: Samples, heard: list[Words], *, after: float) -> File:
    content = _encode(samples, container=sound.container, made_at=sound.made_at)
    seconds = len(samples) / RATE
    return File("audio", "recording", MIME[sound.container], content, after, seconds, tuple(heard))


def _say(sound: Sound, chance: random.Random) -> tuple[Samples, list[tuple[Line, float, float]]]:
    """Speak the lines one after the other; return the sound and from when until when each is said."""
    pieces = [np.zeros(int(chance.uniform(0.4, 1.2) * RATE), np.float32)]
    at = len(pieces[0])
    said: list[tuple[Line, float, float]] = []
    stranger = chance.randrange(10_000)
    loudness = chance.uniform(0.25, 0.5)
    for line in sound.lines:
        spoken = _voice(line, crew=sound.crew, stranger=stranger, chance=chance) * np.float32(loudness)
        pause = np.zeros(int(chance.uniform(0.25, 0.9) * RATE), np.float32)
        said.append((line, at / RATE, (at + len(spoken)) / RATE))
        pieces += [spoken, pause]
        at += len(spoken) + len(pause)
    rest = sound.tail_seconds + sound.silent_seconds
    return np.concatenate([*pieces, np.zeros(int(rest * RATE), np.float32)]), said


def _voice(line: Line, *, crew: int, stranger: int, chance: random.Random) -> Samples:
    """Speak one line: everybody has a voice, and nobody says a sentence twice in the same way."""
    who = random.Random(f"{line.speaker}/{stranger if line.speaker == 'other' else crew}")
    voice = who.choice(("cmn", "cmn+m1", "cmn+m3", "cmn+m5", "cmn+f1", "cmn+f2", "cmn+f3", "cmn+f5"))
    pitch, speed = who.randrange(30, 70) + chance.randrange(-6, 7), who.randrange(190, 225)
    spoken, rate = _spoken(line.text, voice, pitch, speed + chance.randrange(-12, 13))
    pace = chance.uniform(0.93, 1.07)
    count = int(len(spoken) * RATE / rate / pace)
    return np.interp(np.arange(count) * (rate * pace / RATE), np.arange(len(spoken)), spoken).astype(
        np.float32
    )


@lru_cache(maxsize=400)
def _spoken(text: str, voice: str, pitch: int, speed: int) -> tuple[Samples, int]:
    return speak(text, voice=voice, pitch=pitch, words_a_minute=speed)


def _street(count: int, sound: Sound, chance: random.Random) -> Samples:
    """Return the noise of the place: swelling traffic, now and then a horn, perhaps a loudspeaker."""
    rng = np.random.default_rng(chance.getrandbits(32))
    rough = rng.normal(0, 1, count).astype(np.float32)
    rumble = np.convolve(rough, np.ones(8, np.float32) / 8, "same")
    swell = 1 + 0.6 * np.sin(np.arange(count) * (2 * np.pi / (RATE * chance.uniform(3, 9))))
    noise = (sound.noise * (0.4 * rough + rumble) * swell).astype(np.float32)
    if chance.random() < 0.3 and count > 2 * RATE:
        length = int(chance.uniform(0.3, 0.8) * RATE)
        start = chance.randrange(count - length)
        pitch = chance.uniform(380, 520)
        noise[start : start + length] += (0.03 * np.sin(np.arange(length) * 2 * np.pi * pitch / RATE)).astype(
            np.float32
        )
    if sound.loop:
        loop = _loudspeaker()
        begin = chance.randrange(len(loop))
        noise += sound.loop * np.tile(loop, 2 + count // len(loop))[begin : begin + count]
    return noise


@lru_cache(maxsize=1)
def _loudspeaker() -> Samples:
    spoken, rate = _spoken(words.STREET_CRY, "cmn+f3", 60, 200)
    count = int(len(spoken) * RATE / rate)
    return np.interp(np.arange(count) * rate / RATE, np.arange(len(spoken)), spoken).astype(np.float32)


def _decode(content: bytes) -> Samples:
    """Return the sound of a file at 16 kHz."""
    resampler = av.AudioResampler("s16", "mono", RATE)
    with av.open(BytesIO(content), "r") as file:
        frames = [part for frame in file.decode(audio=0) for part in resampler.resample(frame)]
    frames += resampler.resample(None)
    whole = np.concatenate([frame.to_ndarray().ravel() for frame in frames])
    return whole.astype(np.float32) / np.float32(32768)


def _encode(samples: Samples, *, container: str, made_at: datetime | None) -> bytes:
    layout, codec, rate, bit_rate = _CODECS[container]
    sound = samples if rate == RATE else samples[: len(samples) // 2 * 2].reshape(-1, 2).mean(axis=1)
    file = BytesIO()
    with av.open(file, "w", format=layout) as output:
        if made_at is not None:
            output.metadata["creation_time"] = made_at.astimezone(UTC).isoformat()
        stream: Any = output.add_stream(codec, rate=rate)
        stream.layout = "mono"
        stream.bit_rate = bit_rate
        stream.time_base = Fraction(1, rate)
        whole = (np.clip(sound, -1, 1) * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(whole[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def _misheard(line: Line, chance: random.Random) -> str:
    return "".join(words.HOMOPHONES.get(one, one) if chance.random() < _SLIPS else one for one in line.text)


def _sure(chance: random.Random) -> float:
    return round(min(0.98, max(0.4, chance.gauss(0.85, 0.08))), 3)


def recorded(files: list[File]) -> timedelta:
    """Return how long the recordings take at the door, calls included."""
    ends = [one.after_seconds + one.seconds for one in files]
    return timedelta(seconds=max(ends, default=0.0))

"""What do photos and recordings of a visit look like, without a phone?

Generators of real files for the demonstration, the tests and the benchmarks: JPEG with EXIF, and audio in
the containers phones write. Same arguments, same picture and same sound. The voice is a formant synthesiser
(a glottal pulse train through resonators): voice activity detection takes it for speech; nobody understands.
"""

from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from functools import lru_cache
from io import BytesIO
from typing import Any, Literal

import av
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageDraw

Container = Literal["webm", "m4a", "fragmented", "ogg", "wav", "amr", "3gp", "mov", "mp3"]
Sound = NDArray[np.float32]

RATE = 48_000
_VOICE_RATE = 16_000
_PHRASE_SECONDS = 20
_VOWELS = {"a": (730, 1090, 2440), "i": (270, 2290, 3010), "u": (300, 870, 2240), "e": (530, 1840, 2480)}
_BANDWIDTHS = (80, 90, 120)
_FORMATS: dict[str, tuple[str, str]] = {
    "webm": ("webm", "libopus"),
    "ogg": ("ogg", "libopus"),
    "m4a": ("ipod", "aac"),
    "wav": ("wav", "pcm_s16le"),
    "fragmented": ("mp4", "aac"),
    "mov": ("mov", "aac"),
    "mp3": ("mp3", "libmp3lame"),
    "amr": ("amr", "libopencore_amrnb"),
    "3gp": ("3gp", "libopencore_amrnb"),
}
# Like a browser's: no duration in the header, no index at the end.
_OPTIONS = {"webm": {"live": "1"}, "fragmented": {"movflags": "frag_keyframe+empty_moov+default_base_moof"}}
_TELEPHONE = ("amr", "3gp")


def make_photo(
    *,
    seed: int,
    taken_at: datetime | None = None,
    utc_offset: str = "+08:00",
    position: tuple[float, float] | None = None,
    accuracy_m: float | None = None,
    placed_at: datetime | None = None,
    make: str = "Xiaomi",
    model: str = "2312DRA50C",
    software: str | None = None,
    size: tuple[int, int] = (1600, 1200),
    orientation: int = 1,
    quality: int = 85,
) -> bytes:
    """Return a JPEG of the doorway that `seed` names, with the EXIF a phone writes.

    `taken_at` is an aware instant, written as local time at `utc_offset`; `position` is latitude, longitude,
    as satellites gave it at `placed_at` (None: when it was taken).
    """
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = make
    exif[ExifTags.Base.Model] = model
    exif[ExifTags.Base.Orientation] = orientation
    if software is not None:
        exif[ExifTags.Base.Software] = software
    if taken_at is not None:
        exif.get_ifd(ExifTags.IFD.Exif).update(_time_tags(taken_at, utc_offset))
    if position is not None:
        exif.get_ifd(ExifTags.IFD.GPSInfo).update(_position_tags(position, accuracy_m, placed_at or taken_at))
    file = BytesIO()
    draw_doorway(seed, size=size).save(file, "JPEG", quality=quality, exif=exif)
    return file.getvalue()


def draw_doorway(seed: int, *, size: tuple[int, int]) -> Image.Image:
    """Paint a wall, a door, a number plate and some street: different for every seed."""
    rng = np.random.default_rng(seed)
    width, height = size
    unit = min(size) / 600
    plaster = Image.fromarray(rng.integers(40, 220, (6, 8, 3), dtype=np.uint8))
    picture = plaster.resize(size, Image.Resampling.BICUBIC)
    brush = ImageDraw.Draw(picture)
    for _ in range(14):
        left, top = rng.uniform(-0.1, 0.9) * width, rng.uniform(-0.1, 0.9) * height
        box = (left, top, left + rng.uniform(40, 320) * unit, top + rng.uniform(40, 320) * unit)
        colour = tuple(int(part) for part in rng.integers(0, 256, 3))
        (brush.rectangle if rng.random() < 0.6 else brush.ellipse)(box, fill=colour)
    door = (width * 0.36, height * 0.2, width * 0.64, height)
    brush.rectangle(
        door, fill=tuple(int(part) for part in rng.integers(20, 160, 3)), outline="black", width=3
    )
    number = f"{int(rng.integers(1, 32))}-{int(rng.integers(101, 3200))}"
    brush.text((width * 0.45, height * 0.12), number, fill="white", font_size=36 * unit)
    grain = Image.fromarray(rng.integers(0, 256, (height // 4, width // 4), dtype=np.uint8)).convert("RGB")
    return Image.blend(picture, grain.resize(size, Image.Resampling.NEAREST), 0.06)


def make_recording(*, seconds: float, speech: bool, seed: int = 1, container: Container = "webm") -> bytes:
    """Return a mono recording of this length: two people talking at a door, or the quiet stairs beside it."""
    sound = _talk(seed, seconds) if speech else np.zeros(int(seconds * RATE), dtype=np.float32)
    noise = np.random.default_rng(seed).normal(0, 0.0012, len(sound)).astype(np.float32)
    return encode(sound + noise, container=container)


def encode(sound: Sound, *, container: Container) -> bytes:
    """Encode mono sound at 48 kHz, samples in [-1, 1]. What a telephone codec takes is at 8 kHz."""
    layout, codec = _FORMATS[container]
    file = BytesIO()
    rate = 8_000 if container in _TELEPHONE else RATE
    if rate != RATE:
        sound = sound[: len(sound) // 6 * 6].reshape(-1, 6).mean(axis=1)
    with av.open(file, "w", format=layout, container_options=_OPTIONS.get(container, {})) as output:
        stream: Any = output.add_stream(codec, rate=rate)
        stream.layout = "mono"
        if codec != "pcm_s16le":
            stream.bit_rate = 12_200 if container in _TELEPHONE else 24_000
        stream.time_base = Fraction(1, rate)
        samples = (np.clip(sound, -1, 1) * 32767).astype(np.int16)
        for start in range(0, len(samples), rate):
            frame = av.AudioFrame.from_ndarray(
                samples[None, start : start + rate], format="s16", layout="mono"
            )
            frame.sample_rate = rate
            frame.pts = start
            frame.time_base = Fraction(1, rate)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def _time_tags(taken_at: datetime, utc_offset: str) -> dict[int, str]:
    sign = -1 if utc_offset.startswith("-") else 1
    hours, minutes = utc_offset.lstrip("+-").split(":")
    offset = sign * timedelta(hours=int(hours), minutes=int(minutes))
    local = taken_at.astimezone(timezone(offset)).strftime("%Y:%m:%d %H:%M:%S")
    tags = ExifTags.Base
    return {
        tags.DateTimeOriginal: local,
        tags.DateTimeDigitized: local,
        tags.OffsetTimeOriginal: utc_offset,
        tags.OffsetTimeDigitized: utc_offset,
    }


def _position_tags(
    position: tuple[float, float], accuracy_m: float | None, placed_at: datetime | None
) -> dict[int, Any]:
    latitude, longitude = position
    tags: dict[int, Any] = {
        ExifTags.GPS.GPSLatitudeRef: "N" if latitude >= 0 else "S",
        ExifTags.GPS.GPSLatitude: _degrees(abs(latitude)),
        ExifTags.GPS.GPSLongitudeRef: "E" if longitude >= 0 else "W",
        ExifTags.GPS.GPSLongitude: _degrees(abs(longitude)),
    }
    if accuracy_m is not None:
        tags[ExifTags.GPS.GPSHPositioningError] = accuracy_m
    if placed_at is not None:
        at = placed_at.astimezone(UTC)
        tags[ExifTags.GPS.GPSDateStamp] = at.strftime("%Y:%m:%d")
        tags[ExifTags.GPS.GPSTimeStamp] = (float(at.hour), float(at.minute), float(at.second))
    return tags


def _degrees(angle: float) -> tuple[float, float, float]:
    minutes = (angle % 1) * 60
    return float(int(angle)), float(int(minutes)), round((minutes % 1) * 60, 4)


def _talk(seed: int, seconds: float) -> Sound:
    """Repeat twenty seconds of talk until it is long enough, louder and softer: no two turns are equal."""
    phrase = np.repeat(_phrase(seed), RATE // _VOICE_RATE)
    turns = int(seconds // _PHRASE_SECONDS) + 1
    loudness = np.random.default_rng(seed).uniform(0.6, 1.0, turns)
    return np.concatenate([phrase * level for level in loudness])[: int(seconds * RATE)].astype(np.float32)


@lru_cache(maxsize=16)
def _phrase(seed: int) -> Sound:
    rng = np.random.default_rng(seed)
    voices = (rng.uniform(95, 130), rng.uniform(170, 220))
    pieces: list[NDArray[np.float64]] = []
    length = 0
    while length < _PHRASE_SECONDS * _VOICE_RATE:
        pitch = voices[int(rng.integers(2))]
        breath = [np.zeros(int(rng.uniform(0.2, 0.5) * _VOICE_RATE))]
        sentence = [part for _ in range(int(rng.integers(4, 10))) for part in _syllable(rng, pitch)]
        pieces += sentence + breath
        length += sum(len(part) for part in sentence + breath)
    return np.concatenate(pieces)[: _PHRASE_SECONDS * _VOICE_RATE].astype(np.float32)


def _syllable(rng: np.random.Generator, pitch: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A short hiss (the consonant) and a vowel: pulses at the pitch through the vowel's resonances."""
    hiss = np.diff(rng.normal(0, 0.08, int(rng.uniform(0.03, 0.08) * _VOICE_RATE)), prepend=0.0)
    seconds = rng.uniform(0.12, 0.25)
    at = np.arange(int(seconds * _VOICE_RATE)) / _VOICE_RATE
    melody = pitch * rng.uniform(0.9, 1.2) * (1 + 0.15 * np.sin(np.pi * at / seconds))
    vowel = np.diff(np.floor(np.cumsum(melody) / _VOICE_RATE), prepend=0.0) + rng.normal(0, 0.01, len(at))
    formants = _VOWELS[str(rng.choice(list(_VOWELS)))]
    for frequency, bandwidth in (*zip(formants, _BANDWIDTHS, strict=True), (3500, 200)):
        vowel = _resonate(vowel, frequency, bandwidth)
    vowel *= np.minimum(1, np.minimum(at / 0.03, (seconds - at) / 0.05))
    return hiss, vowel * (0.5 / (np.abs(vowel).max() + 1e-9))


def _resonate(sound: NDArray[np.float64], frequency: float, bandwidth: float) -> NDArray[np.float64]:
    """Convolve with a damped sine, the impulse response of one resonance of the mouth."""
    at = np.arange(int(0.03 * _VOICE_RATE)) / _VOICE_RATE
    ring = np.exp(-np.pi * bandwidth * at) * np.sin(2 * np.pi * frequency * at)
    return np.convolve(sound, ring)[: len(sound)]

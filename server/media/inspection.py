"""What was found in a photo or a recording? Plain values with one JSON form; nothing here opens a file.

Failures are values: a broken file gives an Inspection that says why, beside whatever could still be read.
"""

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from server.media.landmarks import Landmarks

VERSION = 2
FOUND, THUMBNAIL, DISPLAY, LANDMARKS = "inspection.json", "thumbnail.jpg", "display.jpg", "landmarks"
"""The files in which the child process leaves what it made; the parent loads no decoder to know them."""
SMALLEST_EDGE = 240
Stretch = tuple[float, float]


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """A still picture. Width and height are as a person sees it; EXIF values are the device's claims.

    `sharpness` is the variance of the Laplacian at 1024 pixels, `brightness` the mean grey (0 to 255).
    `editing` names traces of a hand between camera and file (`server.media.traces`).
    """

    width: int
    height: int
    sharpness: float
    brightness: float
    is_blurred: bool
    is_dark: bool
    perceptual_hash: str | None
    perceptual_quality: int
    taken_at: str | None = None
    taken_local: str | None = None
    utc_offset: str | None = None
    position: dict[str, float | None] | None = None
    gps_at: str | None = None
    make: str | None = None
    model: str | None = None
    software: str | None = None
    editing: list[str] = field(default_factory=list)

    @property
    def is_usable(self) -> bool:
        """Whether a person can be recognised by it: neither blurred nor dark, and not too small."""
        return not self.is_blurred and not self.is_dark and min(self.width, self.height) >= SMALLEST_EDGE


@dataclass(frozen=True, slots=True)
class SoundFacts:
    """A sound track, measured by decoding it to its end. Stretches are [from, until] in seconds."""

    duration_seconds: float
    codec: str
    sample_rate: int
    channels: int
    speech_seconds: float
    speech: list[Stretch]
    silence_seconds: float
    silence: list[Stretch]
    clipped_fraction: float
    peaks: list[int]
    recorded_at: str | None = None
    gaps: list[Stretch] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """A picture track: its shape and true duration; frames are not decoded."""

    duration_seconds: float
    width: int
    height: int
    codec: str


@dataclass(frozen=True, slots=True)
class Inspection:
    """Everything read from one file. `failed` says in words what could not be read, or is None."""

    claimed_mime: str
    size_bytes: int
    sniffed_mime: str | None = None
    mislabelled: bool = False
    failed: str | None = None
    image: ImageFacts | None = None
    sound: SoundFacts | None = None
    video: VideoFacts | None = None
    thumbnail: bytes | None = field(default=None, repr=False)
    display: bytes | None = field(default=None, repr=False)
    landmarks: Landmarks | None = field(default=None, repr=False, compare=False)

    @property
    def perceptual_bits(self) -> str | None:
        """The perceptual hash as 256 characters of 0 and 1, or None for a featureless or missing picture."""
        if self.image is None or self.image.perceptual_hash is None:
            return None
        return f"{int(self.image.perceptual_hash, 16):0256b}"

    def to_json(self) -> dict[str, Any]:
        """Return the stored form: what was made of it left out, and nothing that jsonb would refuse."""
        found = asdict(replace(self, thumbnail=None, display=None, landmarks=None))
        for made in ("thumbnail", "display", "landmarks"):
            del found[made]
        return {"version": VERSION, **_storable(found)}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Inspection":
        """Read the stored form back. What was made of the file is not in it."""
        plain = {
            key: stored.get(key)
            for key in ("claimed_mime", "size_bytes", "sniffed_mime", "mislabelled", "failed")
        }
        image, sound, video = (stored.get(key) for key in ("image", "sound", "video"))
        return cls(
            **plain,  # pyright: ignore[reportArgumentType]
            image=ImageFacts(**image) if image else None,
            sound=SoundFacts(**sound) if sound else None,
            video=VideoFacts(**video) if video else None,
        )


def _storable(value: Any) -> Any:
    """Drop what JSON in PostgreSQL cannot hold: NUL, lone surrogates, NaN and infinities."""
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _storable(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(part) for part in value]
    return value

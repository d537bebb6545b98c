"""How does a recording run through, from its first packet to its last?

Reads packets to the end, because the headers of phones' files know no duration, and decodes sound piece by
piece, so memory stays flat. Whoever hears it gets 16 kHz mono, with silence where the recording paused: what
follows keeps its second. Decodes untrusted bytes: runs inside `examine`'s limits.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

RATE: Final = 16_000
MAX_SECONDS: Final = 4 * 3600
PORTION_SECONDS: Final = 4
_GAP_SECONDS: Final = 0.5
_SILENCE: Final = 60 * RATE

Stretch = tuple[float, float]


class Hearer(Protocol):
    """Whoever takes the sound, in portions of any size."""

    def hear(self, sound: NDArray[np.float32]) -> None:
        """Take the next portion: 16 kHz mono."""
        ...


@dataclass(slots=True)
class Track:
    """Where a track's packets begin and end, in seconds; `tick` is what one step of its stamps lasts.

    A recording has a packet every 20 ms: PyAV's fractions would cost half as much as decoding it.
    """

    tick: float
    begin: float | None = None
    end: float = 0.0
    gaps: list[Stretch] = field(default_factory=list)

    def reach(self, packet: Any) -> float:
        """Take note of a packet; return how many seconds are missing between it and those before."""
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None or not self.tick:
            return 0.0
        at = stamp * self.tick
        lasts = (packet.duration or 0) * self.tick
        missing = at - self.end if self.begin is not None and lasts else 0.0
        if missing > _GAP_SECONDS:
            self.gaps.append((round(self.end, 2), round(at, 2)))
        self.begin = at if self.begin is None else min(self.begin, at)
        self.end = max(self.end, at + lasts)
        return missing if missing > _GAP_SECONDS else 0.0

    @property
    def seconds(self) -> float:
        return self.end - max(self.begin or 0.0, 0.0)


@dataclass(slots=True)
class Player:
    """An open recording: its first sound and its first video track, either of which may be missing."""

    container: Any
    sound: Any
    video: Any
    tracks: dict[int, Track]

    @property
    def recorded_at(self) -> str | None:
        """When the container says it was made."""
        return self.container.metadata.get("creation_time")

    def play(self, hearer: Hearer) -> str | None:
        """Read every packet; decode those of the sound track. Says what was wrong, if anything."""
        if not self.tracks:
            return "There is neither sound nor video in it that can be read."
        portions = _Portions(hearer)
        damaged = 0
        try:
            for packet in self.container.demux([self.container.streams[index] for index in self.tracks]):
                missing = self.tracks[packet.stream.index].reach(packet)
                if packet.stream is not self.sound:
                    continue
                if portions.seconds + missing > MAX_SECONDS:
                    return f"It is longer than {MAX_SECONDS // 3600} hours; only these were examined."
                portions.pause(missing)
                try:
                    for frame in packet.decode():
                        portions.add(frame)
                except FFmpegError:
                    damaged += 1
            portions.end()
        except FFmpegError as fault:
            return f"It breaks off: {fault.strerror}."
        if damaged:
            return f"{damaged} packets of its sound are damaged."
        return None if self.sound is None or portions.seconds else "Its sound track is empty."


@contextmanager
def opened(path: Path, *, reader: str) -> Iterator[Player]:
    """Open a file with one of FFmpeg's readers. Raises FFmpegError when it cannot be opened at all."""
    with path.open("rb") as file, av.open(file, format=reader, metadata_errors="replace") as container:
        sound, video = (_first_known(one) for one in (container.streams.audio, container.streams.video))
        known = [stream for stream in (sound, video) if stream is not None]
        tracks = {stream.index: Track(tick=float(stream.time_base or 0)) for stream in known}
        yield Player(container, sound, video, tracks)


def _first_known(streams: Any) -> Any:
    """A damaged header can name a codec that nothing knows: such a track has no context."""
    return next((stream for stream in streams if stream.codec_context is not None), None)


class _Portions:
    """Hands decoded frames on in portions of seconds: calls for 20 ms each cost more than they hear."""

    def __init__(self, hearer: Hearer) -> None:
        self._hearer = hearer
        self._resampler = av.AudioResampler("flt", "mono", RATE)
        self._waiting = av.AudioFifo()
        self._shape: object = None
        self.seconds = 0.0

    def add(self, frame: Any) -> None:
        """Take a frame. One of another shape than those before ends their portion."""
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._shape not in (None, shape):
            self._hand_on()
            self._waiting = av.AudioFifo()
        self._shape = shape
        frame.pts = None  # the queue would insist on unbroken stamps
        self._waiting.write(frame)
        if self._waiting.samples >= frame.sample_rate * PORTION_SECONDS:
            self._hand_on()

    def pause(self, seconds: float) -> None:
        """Let nothing be heard for a while, as a player does: what follows keeps its second."""
        if seconds:
            self.end()
            self._resampler = av.AudioResampler("flt", "mono", RATE)
            for begun in range(0, int(seconds * RATE), _SILENCE):
                self._give(np.zeros(min(_SILENCE, int(seconds * RATE) - begun), np.float32))

    def end(self) -> None:
        """Hand on what is left."""
        self._hand_on()
        self._pass_on(None)

    def _hand_on(self) -> None:
        if self._shape is not None and self._waiting.samples:
            self._pass_on(self._waiting.read())

    def _pass_on(self, frame: Any) -> None:
        for resampled in self._resampler.resample(frame):
            self._give(resampled.to_ndarray()[0])

    def _give(self, sound: NDArray[np.float32]) -> None:
        self.seconds += len(sound) / RATE
        self._hearer.hear(sound)

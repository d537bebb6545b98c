"""How does a recording run through, from its first packet to its last?

Reads packets to the end, because the headers of phones' files know no duration, and decodes sound piece by
piece, so memory stays flat. Whoever hears it gets 16 kHz mono, with silence where the recording paused: what
follows keeps its second. Decodes untrusted bytes: runs inside `examine`'s limits.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Protocol

import av
import av.filter
import av.subtitles.stream
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from server.media.opus import opus_decoder

RATE: Final = 16_000
MAX_SECONDS: Final = 4 * 3600
PORTION_SECONDS: Final = 16
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
        stamp = packet.pts
        if stamp is None:
            stamp = packet.dts
        if stamp is None or not self.tick:
            return 0.0
        at = stamp * self.tick
        until = at + (packet.duration or 0) * self.tick
        missing = at - self.end
        is_gap = missing > _GAP_SECONDS and self.begin is not None and until > at
        if is_gap:
            self.gaps.append((round(self.end, 2), round(at, 2)))
        if self.begin is None or at < self.begin:
            self.begin = at
        if until > self.end:
            self.end = until
        return missing if is_gap else 0.0

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
        decoder = self.sound and (opus_decoder(self.sound, portions.give) or _AnyDecoder(portions.give))
        damaged = 0
        heard = None if self.sound is None else self.sound.index
        try:
            for packet in self.container.demux([self.container.streams[index] for index in self.tracks]):
                index = packet.stream_index
                missing = self.tracks[index].reach(packet)
                if index != heard:
                    continue
                if portions.seconds + missing > MAX_SECONDS:
                    return f"It is longer than {MAX_SECONDS // 3600} hours; only these were examined."
                if missing:
                    decoder.end()
                    portions.pause(missing)
                try:
                    decoder.take(packet)
                except FFmpegError:
                    damaged += 1
            if decoder is not None:
                decoder.end()
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
    """Hands on what was decoded, and silence where nothing was recorded; counts how much."""

    def __init__(self, hearer: Hearer) -> None:
        self._hearer = hearer
        self.seconds = 0.0

    def give(self, sound: NDArray[np.float32]) -> None:
        """Let this be heard."""
        self.seconds += len(sound) / RATE
        self._hearer.hear(sound)

    def pause(self, seconds: float) -> None:
        """Let nothing be heard for a while, as a player does: what follows keeps its second."""
        for begun in range(0, int(seconds * RATE), _SILENCE):
            self.give(np.zeros(min(_SILENCE, int(seconds * RATE) - begun), np.float32))


class _AnyDecoder:
    """Has FFmpeg decode, mix and resample and hands on portions of seconds.

    Twenty milliseconds at a time, the calls would cost more than the work. Every half second FFmpeg works off
    what it was given, while it is still in the processor's cache.
    """

    def __init__(self, give: Callable[[NDArray[np.float32]], None]) -> None:
        self._give = give
        self._pipe: _Pipe | None = None
        self._waiting = 0

    def take(self, packet: Any) -> None:
        """Decode a packet. Raises FFmpegError when it is damaged."""
        for frame in packet.decode():
            self._add(frame)

    def end(self) -> None:
        """Hand on what is left."""
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            pipe.push(None)
            self._hand_on(pipe)

    def _add(self, frame: Any) -> None:
        """Take a frame. One of another shape than those before ends their portion."""
        frame.pts = None  # what is missing is heard as silence already
        if self._pipe is None:
            self._pipe = _Pipe(frame)
        try:
            self._pipe.push(frame)
        except FFmpegError:
            self.end()
            self._pipe = _Pipe(frame)
            self._pipe.push(frame)
        self._waiting += frame.samples
        if self._waiting >= self._pipe.at_once:
            self._hand_on(self._pipe)

    def _hand_on(self, pipe: "_Pipe") -> None:
        self._waiting = 0
        for sound in pipe.pull():
            self._give(sound)


class _Pipe:
    """FFmpeg's filters for frames of one shape; they refuse those of another.

    Frames are gathered before and after resampling, for the same reason. Half the resampler's usual taps are
    enough: what they let through wrongly lies above 5 kHz.
    """

    def __init__(self, frame: Any) -> None:
        rate = frame.sample_rate
        self.at_once = rate // 2
        self._graph = graph = av.filter.Graph()
        inlet = graph.add_abuffer(
            sample_rate=rate, format=frame.format, layout=frame.layout, time_base=Fraction(1, rate)
        )
        outlet = graph.add("abuffersink")
        steps = (
            inlet,
            graph.add("asetnsamples", f"n={max(rate // 5, 1)}:p=0"),
            graph.add("aresample", f"{RATE}:filter_size=16"),
            graph.add("aformat", "sample_fmts=flt:channel_layouts=mono"),
            graph.add("asetnsamples", f"n={PORTION_SECONDS * RATE}:p=0"),
            outlet,
        )
        for step, following in pairwise(steps):
            step.link_to(following)
        graph.configure()
        self.push = inlet.push
        self._take: Callable[[], Any] = outlet.pull

    def pull(self) -> Iterator[NDArray[np.float32]]:
        """Take out what is ready."""
        with suppress(BlockingIOError, EOFError):
            while True:
                yield self._take().to_ndarray()[0]

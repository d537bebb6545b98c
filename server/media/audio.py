"""How long is a recording really, where does somebody speak, where is it silent?

Reads packets to the end, because the headers of phones' files know no duration, and decodes sound piece by
piece, so memory stays flat. Decodes untrusted bytes: runs inside `examine`'s limits. Video frames are
counted by their packets, never decoded.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from server.media.inspection import SoundFacts, VideoFacts
from server.media.voice import WINDOW_SAMPLES, VoiceDetector, stretches_of_speech

MAX_SECONDS = 4 * 3600
RATE = 16_000
PEAKS = 800
_STEP = RATE // 10
_SILENT_BELOW = 10 ** (-50 / 20)
_SILENCE_SECONDS = 2.0
_MAX_STRETCHES = 2000
_CLIPPED_AT = 0.999


@dataclass(slots=True)
class _Track:
    """Where a track's packets begin and end, in seconds."""

    begin: float | None = None
    end: float = 0.0

    def reach(self, packet: Any) -> None:
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None or packet.time_base is None:
            return
        at = float(stamp * packet.time_base)
        self.begin = at if self.begin is None else min(self.begin, at)
        self.end = max(self.end, at + float((packet.duration or 0) * packet.time_base))

    @property
    def seconds(self) -> float:
        return self.end - max(self.begin or 0.0, 0.0)


@dataclass(slots=True)
class _Listener:
    """Hears 16 kHz mono sound in any portions and keeps one number per 100 ms and per voice window."""

    detector: VoiceDetector = field(default_factory=VoiceDetector)
    rest: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    speech: list[float] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)
    levels: list[float] = field(default_factory=list)
    steps: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    samples: int = 0
    clipped: int = 0

    def hear(self, sound: NDArray[np.float32]) -> None:
        sound = np.nan_to_num(sound)
        self.samples += len(sound)
        self.clipped += int((np.abs(sound) >= _CLIPPED_AT).sum())
        windows, self.rest = _cut(np.concatenate([self.rest, sound]), WINDOW_SAMPLES)
        self.speech += [self.detector.likelihood(window) for window in windows]
        steps, self.steps = _cut(np.concatenate([self.steps, sound]), _STEP)
        if len(steps):
            self.peaks += np.abs(steps).max(axis=1).tolist()
            self.levels += np.sqrt((steps**2).mean(axis=1)).tolist()


def examine_sound(path: Path, *, reader: str) -> tuple[SoundFacts | None, VideoFacts | None, str | None]:
    """Measure a file's sound and video tracks; the third value says what could not be read, if anything.

    Raises FFmpegError when the file cannot be opened at all.
    """
    with path.open("rb") as file, av.open(file, format=reader, metadata_errors="replace") as container:
        sound, video = (
            _first_known(streams) for streams in (container.streams.audio, container.streams.video)
        )
        if sound is None and video is None:
            return None, None, "There is neither sound nor video in it that can be read."
        tracks: dict[int, _Track] = {
            stream.index: _Track() for stream in (sound, video) if stream is not None
        }
        listener = _Listener()
        failed = _play(container, sound, tracks, listener)
        recorded_at = container.metadata.get("creation_time")
        heard = _sound_facts(sound, tracks[sound.index], listener, recorded_at) if sound is not None else None
        seen = _video_facts(video, tracks[video.index]) if video is not None else None
        return heard, seen, failed


def _first_known(streams: Any) -> Any:
    """A damaged header can name a codec that nothing knows: such a track has no context."""
    return next((stream for stream in streams if stream.codec_context is not None), None)


def _play(container: Any, sound: Any, tracks: dict[int, _Track], listener: _Listener) -> str | None:
    """Read every packet; decode those of the sound track. Says what was wrong, if anything."""
    resampler = av.AudioResampler("flt", "mono", RATE)
    damaged = 0
    try:
        for packet in container.demux([stream for stream in container.streams if stream.index in tracks]):
            tracks[packet.stream.index].reach(packet)
            if packet.stream is not sound:
                continue
            if listener.samples > MAX_SECONDS * RATE:
                return f"It is longer than {MAX_SECONDS // 3600} hours; only these were examined."
            try:
                for frame in packet.decode():
                    _pass_on(resampler.resample(frame), listener)
            except FFmpegError:
                damaged += 1
        _pass_on(resampler.resample(None), listener)
    except FFmpegError as fault:
        return f"It breaks off: {fault.strerror}."
    if damaged:
        return f"{damaged} packets of its sound are damaged."
    return None if sound is None or listener.samples else "Its sound track is empty."


def _pass_on(frames: list[Any], listener: _Listener) -> None:
    for frame in frames:
        listener.hear(frame.to_ndarray()[0])


def _sound_facts(stream: Any, track: _Track, listener: _Listener, recorded_at: str | None) -> SoundFacts:
    speech = stretches_of_speech(listener.speech)
    silence = _stretches_of_silence(listener.levels)
    return SoundFacts(
        duration_seconds=round(max(track.seconds, 0.0) or listener.samples / RATE, 3),
        codec=stream.codec_context.name,
        sample_rate=stream.sample_rate or 0,
        channels=stream.channels,
        speech_seconds=round(sum(until - start for start, until in speech), 2),
        speech=speech[:_MAX_STRETCHES],
        silence_seconds=round(sum(until - start for start, until in silence), 2),
        silence=silence[:_MAX_STRETCHES],
        clipped_fraction=round(listener.clipped / max(listener.samples, 1), 5),
        peaks=_waveform(listener.peaks),
        recorded_at=recorded_at,
    )


def _video_facts(stream: Any, track: _Track) -> VideoFacts:
    return VideoFacts(
        duration_seconds=round(max(track.seconds, 0.0), 3),
        width=stream.width or 0,
        height=stream.height or 0,
        codec=stream.codec_context.name,
    )


def _stretches_of_silence(levels: list[float]) -> list[tuple[float, float]]:
    """Return the stretches below -50 dBFS that last at least two seconds."""
    stretches: list[tuple[float, float]] = []
    start: int | None = None
    for index, level in enumerate([*levels, 1.0]):
        if level < _SILENT_BELOW:
            start = index if start is None else start
        elif start is not None:
            if (index - start) / 10 >= _SILENCE_SECONDS:
                stretches.append((start / 10, index / 10))
            start = None
    return stretches


def _waveform(peaks: list[float]) -> list[int]:
    """Shrink to at most PEAKS numbers from 0 to 100, each the loudest of its stretch."""
    if not peaks:
        return []
    stretches = np.array_split(np.asarray(peaks), min(PEAKS, len(peaks)))
    return [min(100, round(float(stretch.max()) * 100)) for stretch in stretches]


def _cut(sound: NDArray[np.float32], size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cut whole pieces of `size` samples off, as rows; return them and the rest."""
    whole = len(sound) // size * size
    return sound[:whole].reshape(-1, size), sound[whole:]

"""What is to be heard in a recording: how loud, where speech, where silence, by which landmarks known again?

Hears 16 kHz mono sound in portions of any size and keeps a few numbers a second. Knows no files.
"""

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from server.media.landmarks import Landmarker
from server.media.playing import RATE
from server.media.silero import WINDOW_SAMPLES
from server.media.voice import VoiceDetector

Sound = NDArray[np.float32]

PEAKS: Final = 800
_STEP: Final = RATE // 10
_SILENT_BELOW: Final = 10 ** (-50 / 20)
_SILENCE_SECONDS: Final = 2.0
_CLIPPED_AT: Final = 0.999


@dataclass(slots=True)
class Listener:
    """Keeps one number per 100 ms and per voice window, and the landmarks."""

    detector: VoiceDetector = field(default_factory=VoiceDetector)
    landmarker: Landmarker = field(default_factory=Landmarker)
    speech: list[float] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)
    levels: list[float] = field(default_factory=list)
    samples: int = 0
    clipped: int = 0
    _windows: Sound = field(default_factory=lambda: np.zeros(0, np.float32))
    _steps: Sound = field(default_factory=lambda: np.zeros(0, np.float32))

    def hear(self, sound: Sound) -> None:
        """Take the next portion."""
        if not (math.isfinite(sound.min(initial=0.0)) and math.isfinite(sound.max(initial=0.0))):
            sound = np.nan_to_num(sound)
        self.samples += len(sound)
        windows, self._windows = _cut(np.concatenate([self._windows, sound]), WINDOW_SAMPLES)
        self.speech += self.detector.likelihoods(windows)
        steps, self._steps = _cut(np.concatenate([self._steps, sound]), _STEP)
        if len(steps):
            peaks = np.maximum(steps.max(axis=1), -steps.min(axis=1))
            for step in steps[peaks >= _CLIPPED_AT]:
                self.clipped += int((np.abs(step) >= _CLIPPED_AT).sum())
            self.peaks += peaks.tolist()
            self.levels += np.sqrt(np.vecdot(steps, steps) / _STEP).tolist()
        self.landmarker.hear(sound)

    def silence(self) -> list[tuple[float, float]]:
        """Return the stretches below -50 dBFS that last at least two seconds."""
        stretches: list[tuple[float, float]] = []
        start: int | None = None
        for index, level in enumerate([*self.levels, 1.0]):
            if level < _SILENT_BELOW:
                start = index if start is None else start
            elif start is not None:
                if (index - start) / 10 >= _SILENCE_SECONDS:
                    stretches.append((start / 10, index / 10))
                start = None
        return stretches

    def waveform(self) -> list[int]:
        """Return at most PEAKS numbers from 0 to 100, each the loudest of its stretch."""
        if not self.peaks:
            return []
        stretches = np.array_split(np.asarray(self.peaks), min(PEAKS, len(self.peaks)))
        return [min(100, round(float(stretch.max()) * 100)) for stretch in stretches]


def _cut(sound: Sound, size: int) -> tuple[Sound, Sound]:
    """Cut whole pieces of `size` samples off, as rows; return them and the rest."""
    whole = len(sound) // size * size
    return sound[:whole].reshape(-1, size), sound[whole:]

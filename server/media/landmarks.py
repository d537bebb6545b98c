"""By which sounds is a recording known again, re-encoded, cut short or noisy?

Landmarks after Wang, "An Industrial-Strength Audio Search Algorithm" (ISMIR 2003), with four peaks of the
spectrogram to a landmark instead of two, so that a million recordings do not share them by chance. A key says
at which frequencies the peaks lie and how far apart in time: nothing of loudness, and nothing of where in the
recording. Which keys are kept depends on their own value, so the same are kept wherever the sound stands;
of a short recording more of them, so that enough survive a telephone's encoder. Between two recordings of one
sound, the keys they share lie the same number of frames apart.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import Final

import numpy as np
from numpy.fft import rfft
from numpy.typing import NDArray

Sound = NDArray[np.float32]
Keys = NDArray[np.int64]
Frames = NDArray[np.int32]

RATE: Final = 16_000
FRAME_SECONDS: Final = 0.016
MOST_KEYS: Final = 100_000
SLACK_FRAMES: Final = 4
"""Frames by which the distance of shared keys may vary: peaks are blurred, clocks of sound cards differ."""
LEAST_SHARED: Final = 5
LEAST_SECONDS: Final = 8.0
SHORT_SECONDS: Final = 240
RARE_BITS: Final = 26

_HOP: Final = 256
_WINDOW: Final = 1024
_BLOCK_FRAMES: Final = 2048
_PART_FRAMES: Final = 128
_LOWEST, _HIGHEST = 16, 224  # bins of 15.6 Hz: 250 Hz to 3.5 kHz, what a telephone lets through
_NEAR_FRAMES, _NEAR_BINS, _LOUDNESS_FRAMES = 7, 11, 40
_QUIETEST: Final = -7.0  # e-folds of magnitude below a full-scale sound: about -60 dB
_BELOW_LOUDEST: Final = 4.0
_GAP, _SPAN = 2, 50
_FOLLOWERS: Final = 11
_FAR: Final = 1e9
_KEPT_OF_256, _KEPT_OF_256_IF_SHORT = 2, 8
_RARE_OF_1024, _RARE_OF_1024_IF_SHORT = 2, 8
_RARE_SECONDS: Final = 720  # up to a minute and a half keep all 8, three minutes 4: some 430 keys either way
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_HANN: Final = np.hanning(_WINDOW // 2).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Keys of a recording (63 bits) and the frame at which each begins, in the order of time."""

    keys: Keys
    frames: Frames

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def rare(self) -> list[int]:
        """The few keys that go into an index, folded to 26 bits: the shorter the recording, the more.

        By their own value again: the few of a long recording are among the many of a short one. In order, so
        that whoever asks with the first ones only asks for the same ones. Folded, so that recordings share
        entries of a large index; strangers then share one key at times, hardly ever two.
        """
        seconds = 0 if not len(self.frames) else int(self.frames[-1] * FRAME_SECONDS)
        share = min(_RARE_OF_1024_IF_SHORT, max(_RARE_OF_1024, _RARE_SECONDS // max(seconds, 1)))
        return np.unique(self.keys[self.keys & 0x3FF < share] >> (63 - RARE_BITS)).tolist()

    def to_bytes(self) -> bytes:
        """Pack all keys, then all frames, little-endian."""
        return self.keys.astype("<i8").tobytes() + self.frames.astype("<i4").tobytes()

    @classmethod
    def from_bytes(cls, packed: bytes) -> "Landmarks":
        """Read the packed form back."""
        count = len(packed) // 12
        keys = np.frombuffer(packed, "<i8", count)
        return cls(keys.astype(np.int64), np.frombuffer(packed, "<i4", count, 8 * count).astype(np.int32))


@dataclass(frozen=True, slots=True)
class Alignment:
    """Where one recording sounds like another: from frame `at`, which is `other_at` there, to `until`."""

    at: int
    other_at: int
    until: int
    shared: int

    @property
    def seconds(self) -> float:
        return (self.until - self.at) * FRAME_SECONDS


@dataclass(slots=True)
class Landmarker:
    """Hears 16 kHz mono sound in any portions and notes its peaks; memory grows with the peaks alone."""

    _rest: list[Sound] = field(default_factory=list)
    _waiting: int = 0
    _frames: int = 0
    _peaks: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = field(default_factory=list)

    def hear(self, sound: Sound) -> None:
        """Take the next stretch."""
        self._rest.append(sound)
        self._waiting += len(sound)
        if self._waiting < _NEEDED:
            return
        waiting = np.concatenate(self._rest)
        while len(waiting) >= _NEEDED:
            self._note(waiting[:_NEEDED], is_last=False)
            waiting = waiting[_BLOCK_FRAMES * _HOP :]
        self._rest, self._waiting = [waiting], len(waiting)

    def finish(self) -> Landmarks:
        """Return the kept landmarks in the order of time."""
        if self._waiting >= _WINDOW:
            self._note(np.concatenate(self._rest), is_last=True)
        if not self._peaks:
            return Landmarks(np.zeros(0, np.int64), np.zeros(0, np.int32))
        times, pitches = (np.concatenate(parts) for parts in zip(*self._peaks, strict=True))
        return _join(times, pitches)

    def _note(self, sound: Sound, *, is_last: bool) -> None:
        """Find the peaks of a block. Frames at its edges belong to its neighbours, where there are any."""
        level = _spectrogram(sound)
        times, pitches = _find_peaks(level)
        first = 0 if self._frames == 0 else _NEAR_FRAMES
        inside = times >= first - 0.5
        if not is_last:
            inside &= times < _NEAR_FRAMES + _BLOCK_FRAMES - 0.5
        self._peaks.append((times[inside] + self._frames, pitches[inside]))
        self._frames += _BLOCK_FRAMES


_NEEDED: Final = _WINDOW + (_BLOCK_FRAMES + 2 * _NEAR_FRAMES - 1) * _HOP


def align(mine: Landmarks, other: Landmarks) -> Alignment | None:
    """Say where two recordings hold the same sound, or None: chance shares keys, but not in one order."""
    mine, other = _by_key(mine), _by_key(other)
    first = np.searchsorted(other.keys, mine.keys, "left")
    counts = np.searchsorted(other.keys, mine.keys, "right") - first
    pairs = np.repeat(np.arange(len(mine)), counts)
    if not len(pairs):
        return None
    within = np.arange(len(pairs)) - np.repeat(np.cumsum(counts) - counts, counts)
    theirs = other.frames[first[pairs] + within]
    shifts = theirs - mine.frames[pairs]
    ordered = np.sort(shifts)
    reach = np.searchsorted(ordered, ordered + SLACK_FRAMES, "right") - np.arange(len(ordered))
    best = ordered[int(np.argmax(reach))]
    agreeing = np.unique(mine.frames[pairs][(shifts >= best) & (shifts <= best + SLACK_FRAMES)])
    if len(agreeing) < LEAST_SHARED:
        return None
    at, until = int(agreeing[0]), int(agreeing[-1])
    found = Alignment(at=at, other_at=at + int(best) + SLACK_FRAMES // 2, until=until, shared=len(agreeing))
    return found if found.seconds >= LEAST_SECONDS else None


def _by_key(landmarks: Landmarks) -> Landmarks:
    """Order them by their keys: who looks up in order finds each beside the last, thrice as fast."""
    order = np.argsort(landmarks.keys)
    return Landmarks(landmarks.keys[order], landmarks.frames[order])


def _spectrogram(sound: Sound) -> Sound:
    """Log magnitudes, a row a frame. Above 4 kHz there is nothing we look at: every second sample goes.

    Only a transform that is scaled stays in single precision; numpy reckons others in double and converts.
    """
    odd = sound[1::2] / 2
    half = sound[: 2 * len(odd) : 2].copy()
    half[1:] += odd[:-1] + odd[1:]
    frames = np.lib.stride_tricks.sliding_window_view(half, _WINDOW // 2)[:: _HOP // 2]
    level = np.empty((len(frames), _HIGHEST - _LOWEST), np.float32)
    for part in _parts(len(frames)):
        spectrum = rfft(frames[part] * _HANN, axis=1, norm="forward")[:, _LOWEST:_HIGHEST]
        power = spectrum.real**2 + spectrum.imag**2
        level[part] = np.log(power * np.float32(4) + np.float32(1e-18)) / 2
    return level


def _find_peaks(level: Sound) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return where level is the highest around, and not lost in the quiet, finer than frame and bin."""
    loudest = _highest(level.max(axis=1), _LOUDNESS_FRAMES, axis=0)
    floor = np.maximum(loudest - _BELOW_LOUDEST, _QUIETEST)
    is_peak = np.empty(level.shape, bool)
    for part in _parts(len(level)):
        first = max(part.start - _NEAR_FRAMES, 0)
        near = level[first : part.stop + _NEAR_FRAMES]
        around = _highest(_highest(near, _NEAR_BINS, axis=1), _NEAR_FRAMES, axis=0)[part.start - first :]
        is_peak[part] = (level[part] >= around[: len(level[part])]) & (level[part] > floor[part, None])
    times, bins = np.divmod(np.flatnonzero(is_peak), level.shape[1])
    wide = np.pad(level, 1, mode="edge")
    row, column = times + 1, bins + 1
    top = wide[row, column]
    later = _summit(wide[row - 1, column], top, wide[row + 1, column])
    higher = _summit(wide[row, column - 1], top, wide[row, column + 1])
    return (times + later).astype(np.float32), (bins + higher).astype(np.float32)


def _parts(frames: int) -> Iterator[slice]:
    """Split frames so that what is reckoned of a part fits into the processor's cache: thrice as fast."""
    return (slice(start, start + _PART_FRAMES) for start in range(0, frames, _PART_FRAMES))


def _summit(before: Sound, top: Sound, after: Sound) -> Sound:
    """Where between -0.5 and 0.5 the parabola through three levels is highest."""
    bend = np.minimum(before - 2 * top + after, np.float32(-1e-6))
    return np.clip((before - after) / (2 * bend), -0.5, 0.5).astype(np.float32)


def _highest(plane: Sound, reach: int, *, axis: int) -> Sound:
    """Return the highest of each number and its `reach` neighbours on both sides, along an axis."""
    shape = list(plane.shape)
    shape[axis] = reach
    edge = np.full(shape, -np.inf, np.float32)
    padded = np.concatenate([edge, plane, edge], axis=axis).swapaxes(0, axis)
    size, have = 2 * reach + 1, 1
    while have < size:
        step = min(have, size - have)
        padded = np.maximum(padded[:-step], padded[step:])
        have += step
    return padded.swapaxes(0, axis)


def _join(times: NDArray[np.float32], pitches: NDArray[np.float32]) -> Landmarks:
    """Join each peak with three of the next ones, in all ways; keep a share of the keys."""
    order = np.lexsort((pitches, times))
    times, bins = times[order], np.rint(pitches[order]).astype(np.uint64)
    after = np.full((_FOLLOWERS + 1, len(times)), _FAR, np.float32)
    codes = np.zeros((_FOLLOWERS + 1, len(times)), np.uint64)
    codes[0] = bins
    for step in range(1, min(_FOLLOWERS + 1, len(times))):
        after[step, :-step] = times[step:] - times[:-step]
        codes[step, :-step] = bins[step:] * np.uint64(64) + np.rint(after[step, :-step] / 2).astype(np.uint64)
    after[0] = 0
    near = after <= _SPAN
    apart = {
        (one, two): near[two] & (after[two] - after[one] >= _GAP)
        for one, two in combinations(range(_FOLLOWERS + 1), 2)
    }
    share = _KEPT_OF_256_IF_SHORT if _is_short(times) else _KEPT_OF_256
    found: list[tuple[Keys, NDArray[np.intp]]] = []
    for one, two, three in combinations(range(1, _FOLLOWERS + 1), 3):
        fits = np.nonzero(apart[0, one] & apart[one, two] & apart[two, three])[0]
        keys = _mixed(codes[step][fits] for step in (0, one, two, three))
        kept = keys & 0xFF < share
        found.append((keys[kept], fits[kept]))
    keys, peaks = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(peaks, kind="stable")[:MOST_KEYS]
    return Landmarks(keys[order], np.rint(times[peaks[order]]).astype(np.int32))


def _is_short(frames: NDArray[np.float32] | Frames) -> bool:
    """Whether a recording with peaks at these frames, in order, is one of which more is kept."""
    return not len(frames) or float(frames[-1]) * FRAME_SECONDS <= SHORT_SECONDS


def _mixed(parts: Iterable[NDArray[np.uint64]]) -> Keys:
    """Mix numbers into one of 63 bits, each of which depends on all of them."""
    first, *others = parts
    code = first * _MIX
    for part in others:
        code = (code ^ part) * _MIX
        code ^= code >> np.uint64(29)
    return (code >> np.uint64(1)).astype(np.int64)

"""Where in a recording does somebody speak? Silero's voice activity model, and how its windows add up."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from server.media.silero import CONTEXT_SAMPLES, WINDOW_SAMPLES, Silero

RATE = 16_000
_WINDOW_SECONDS = WINDOW_SAMPLES / RATE
_BEGINS_AT = 0.5
_ENDS_BELOW = 0.35
_SHORTEST_SPEECH = 0.25
_SHORTEST_PAUSE = 0.3
_HEAR_EVERY = 4
_INAUDIBLE = 10 ** (-54 / 20)


class VoiceDetector:
    """One recording's detector: windows must come in order.

    The model hears every fourth window: nobody stops and starts within an eighth of a second. Near silence is
    not put to it.
    """

    def __init__(self) -> None:
        self._model = Silero()
        self._passed = 0
        self._latest = 0.0
        self._end = np.zeros(CONTEXT_SAMPLES, np.float32)

    def likelihoods(self, windows: NDArray[np.float32]) -> list[float]:
        """Return of each of these windows (rows) how likely it is that it holds speech, 0 to 1."""
        if not len(windows):
            return []
        chosen = np.arange(-self._passed % _HEAR_EVERY, len(windows), _HEAR_EVERY)
        ends = np.concatenate([self._end[None], windows[:-1, -CONTEXT_SAMPLES:]])
        heard = np.concatenate([ends[chosen], windows[chosen]], axis=1)
        loud = np.abs(windows[chosen]).max(axis=1, initial=0.0) >= _INAUDIBLE
        answers = np.zeros(len(chosen) + 1, np.float32)
        answers[0] = self._latest
        answers[1:][loud] = self._model.likelihoods(heard[loud])
        held = np.searchsorted(chosen, np.arange(len(windows)), "right")
        self._passed += len(windows)
        self._latest = float(answers[-1])
        self._end = windows[-1, -CONTEXT_SAMPLES:].copy()
        return answers[held].tolist()


def stretches_of_speech(likelihoods: Sequence[float]) -> list[tuple[float, float]]:
    """Join windows into stretches [from, until] in seconds.

    A stretch begins at 0.5 and ends below 0.35; pauses under 0.3 s do not end it; under 0.25 s it is a noise.
    """
    stretches: list[tuple[float, float]] = []
    start: float | None = None
    for index, likelihood in enumerate([*likelihoods, 0.0]):
        at = index * _WINDOW_SECONDS
        if start is None and likelihood >= _BEGINS_AT:
            start = at
        elif start is not None and likelihood < _ENDS_BELOW:
            _add(stretches, start, at)
            start = None
    return [
        (round(start, 2), round(until, 2)) for start, until in stretches if until - start >= _SHORTEST_SPEECH
    ]


def _add(stretches: list[tuple[float, float]], start: float, until: float) -> None:
    if stretches and start - stretches[-1][1] < _SHORTEST_PAUSE:
        start = stretches.pop()[0]
    stretches.append((start, until))

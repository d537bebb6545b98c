"""What does it take to turn a recording into words? The port, and what all engines share.

An engine gets a file that we have decoded ourselves, never the untrusted original. Without an engine all else
works; what reads transcripts is silent.
"""

import wave
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32]
Stretch = tuple[float, float]

RATE: Final = 16_000
LONGEST_PIECE: Final = 25.0
_LONGEST_PAUSE: Final = 1.5
_MARGIN: Final = 0.2


class TranscriberUnavailable(Exception):
    """The engine cannot be asked now; asking again later may help."""


class TranscriptionFailed(Exception):
    """The engine was asked and has no answer for this recording, now or later; the text says why."""


@dataclass(frozen=True, slots=True)
class Words:
    """What was heard between two seconds; `confidence` is the engine's own, 0 to 1, if it has one."""

    start: float
    end: float
    text: str
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Transcription:
    """A whole recording in words, in the order of time."""

    words: tuple[Words, ...]
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """A decoded recording (`path` is of the kind the engine wants) and where somebody speaks in it."""

    path: Path
    speech: Sequence[Stretch]


class Transcriber(Protocol):
    """An engine. Safe to call from one job at a time."""

    @property
    def name(self) -> str:
        """How transcripts say by whom they were made."""
        ...

    @property
    def wants(self) -> Literal["wav", "mp3"]:
        """What kind of file it takes: 16 kHz mono WAV or MP3."""
        ...

    def transcribe(self, recording: Recording) -> Transcription:
        """Say what was said. Raises TranscriberUnavailable or TranscriptionFailed."""
        ...


def transcribe_pieces(
    recording: Recording, hear: Callable[[Sound], tuple[str, float | None]], *, language: str | None
) -> Transcription:
    """Let an engine that hears a piece of sound at a time hear the stretches in which somebody speaks."""
    found: list[Words] = []
    with wave.open(str(recording.path), "rb") as file:
        for start, end in pieces(recording.speech, seconds=file.getnframes() / RATE):
            file.setpos(int(start * RATE))
            sound = np.frombuffer(file.readframes(int((end - start) * RATE)), "<i2") / np.float32(32768)
            text, confidence = hear(sound.astype(np.float32))
            if text.strip():
                found.append(Words(round(start, 2), round(end, 2), text.strip(), confidence))
    return Transcription(tuple(found), language)


def pieces(speech: Sequence[Stretch], *, seconds: float) -> Iterator[Stretch]:
    """Join stretches of speech that lie near each other, with a margin; cut what is longer than a piece."""
    joined: list[Stretch] = []
    for start, end in speech:
        begins, ends = max(start - _MARGIN, 0.0), min(end + _MARGIN, seconds)
        if joined and begins - joined[-1][1] < _LONGEST_PAUSE and ends - joined[-1][0] <= LONGEST_PIECE:
            joined[-1] = (joined[-1][0], ends)
        elif begins < ends:
            joined.append((begins, ends))
    for begins, ends in joined:
        while ends - begins > LONGEST_PIECE:
            yield begins, begins + LONGEST_PIECE
            begins += LONGEST_PIECE
        yield begins, ends

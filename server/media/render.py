"""Make a copy of a recording that every browser plays: what the child process of `rendering` does.

It writes an MP3: of what PyAV encodes the one format that all browsers play; or, for engines of speech, a
WAV. Bounded like `examine`.
"""

import wave
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from numpy.typing import NDArray

from server.media.examine import bound
from server.media.playing import RATE, opened

BIT_RATE: Final = 40_000
OUTPUT_BYTES: Final = 512 * 1024**2  # four hours of WAV


class Encoder:
    """Hears 16 kHz mono sound and writes it as an MP3."""

    def __init__(self, output: Any) -> None:
        self._output = output
        self._stream = output.add_stream("libmp3lame", rate=RATE, layout="mono")
        self._stream.bit_rate = BIT_RATE
        self._samples = 0

    def hear(self, sound: NDArray[np.float32]) -> None:
        """Encode the next portion."""
        whole = (np.clip(np.nan_to_num(sound), -1, 1) * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(whole[None, :], format="s16p", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._samples, Fraction(1, RATE)
        self._samples += len(whole)
        self._output.mux(self._stream.encode(frame))

    def end(self) -> None:
        """Write what the encoder still holds."""
        self._output.mux(self._stream.encode(None))


class Plain:
    """Hears 16 kHz mono sound and writes it as it is."""

    def __init__(self, file: wave.Wave_write) -> None:
        self._file = file
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)

    def hear(self, sound: NDArray[np.float32]) -> None:
        """Write the next portion."""
        self._file.writeframes((np.clip(np.nan_to_num(sound), -1, 1) * 32767).astype("<i2").tobytes())


def main(path: str, reader: str, target: str) -> None:
    """Render one file. What cannot be read is left out: the inspection has said so."""
    bound(output_bytes=OUTPUT_BYTES)
    with opened(Path(path), reader=reader) as player:
        if target.endswith(".wav"):
            with wave.open(target, "wb") as file:
                player.play(Plain(file))
            return
        with av.open(target, "w", format="mp3") as output:
            encoder = Encoder(output)
            player.play(encoder)
            encoder.end()

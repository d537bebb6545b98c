"""How is Opus, in which browsers record, decoded at the rate at which it is listened to, and no more?

An Opus decoder can leave out what lies above 8 kHz and give 16 kHz at once. FFmpeg's always makes 48 kHz, for
a resampler to throw most of it away. So this asks libopus itself, the one that PyAV brings along and FFmpeg
encodes with. It refuses the packets that FFmpeg's decoder refuses (a test holds it to that). Where PyAV comes
without it, and for what phones do not write (surround sound, gain), there is FFmpeg's.
"""

import ctypes
import struct
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import av.codec.context
import numpy as np
from av.error import InvalidDataError
from numpy.typing import NDArray

Sound = NDArray[np.float32]

RATE: Final = 16_000
_FULL_RATE: Final = 48_000
_PORTION: Final = 16 * RATE
_LONGEST: Final = RATE * 120 // 1000
"""Samples of the longest packet that the standard allows."""
_HEAD: Final = struct.Struct("<8sBBHIhB")
_MAGIC: Final = b"OpusHead"
_SAMPLE_BYTES: Final = 4
_LOUDER_IN_STEREO: Final = np.float32(2**0.5)
"""libopus gives the mean of left and right; FFmpeg mixes so that unlike sounds stay as loud as they were."""


class OpusDecoder:
    """Decodes one track, packet by packet, and hands it on in portions of seconds: 16 kHz mono."""

    def __init__(self, library: Any, give: Callable[[Sound], None], *, skip: int, is_stereo: bool) -> None:
        self._state = ctypes.create_string_buffer(library.opus_decoder_get_size(1))
        if library.opus_decoder_init(self._state, RATE, 1):
            raise RuntimeError("libopus does not decode mono at 16 kHz")
        self._decode = library.opus_decode_float
        self._give = give
        self._skip = skip
        self._is_stereo = is_stereo
        self._begin()

    def take(self, packet: Any) -> None:
        """Decode a packet. Raises FFmpegError when it is damaged; the one at the end is empty."""
        size = packet.buffer_size
        if not size:
            return
        at = self._start + self._filled * _SAMPLE_BYTES
        samples = self._decode(self._state, packet.buffer_ptr, size, at, _LONGEST, 0)
        if samples < 0:
            raise InvalidDataError(-samples, "a damaged packet")
        self._filled += samples
        if self._filled >= _PORTION:
            self.end()

    def end(self) -> None:
        """Hand on what is left."""
        skipped = min(self._skip, self._filled)
        sound = self._portion[skipped : self._filled]
        self._skip -= skipped
        if self._is_stereo:
            sound *= _LOUDER_IN_STEREO
        self._begin()
        self._give(sound)

    def _begin(self) -> None:
        """Make room for the next portion and one packet more; whoever heard the last may keep it."""
        self._portion = np.empty(_PORTION + _LONGEST, np.float32)
        self._start = self._portion.ctypes.data
        self._filled = 0


def opus_decoder(stream: Any, give: Callable[[Sound], None]) -> OpusDecoder | None:
    """Return a decoder for a track, or None where FFmpeg has to decode it."""
    library, head = _library(), stream.codec_context.extradata or b""
    if library is None or stream.codec_context.name != "opus" or len(head) < _HEAD.size:
        return None
    magic, version, channels, skip, _, gain, family = _HEAD.unpack_from(head)
    if magic != _MAGIC or version > 15 or channels not in (1, 2) or gain or family:
        return None
    return OpusDecoder(library, give, skip=skip * RATE // _FULL_RATE, is_stereo=channels == 2)


@cache
def _library() -> Any:
    """Find libopus among the libraries that PyAV is linked with."""
    library = ctypes.PyDLL(av.codec.context.__file__)
    try:
        size, begin, decode = (
            getattr(library, f"opus_{name}") for name in ("decoder_get_size", "decoder_init", "decode_float")
        )
    except AttributeError:
        return None
    size.argtypes = [ctypes.c_int]
    begin.argtypes = [ctypes.c_void_p, ctypes.c_int32, ctypes.c_int]
    decode.argtypes = [
        ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32, ctypes.c_void_p, ctypes.c_int, ctypes.c_int,
    ]  # fmt: skip
    return library

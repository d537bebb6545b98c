"""What does a picture look like, as 256 bits that survive scaling and recompression?

PDQ (Facebook, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm", 2019), in numpy.
Our own, because the published package has no wheel for Linux and a compiler is not ours to demand; it gives
the same bits. Two pictures of one scene differ in a few bits, strangers in about half.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]

EDGE: Final = 64
KEPT: Final = 16
LUMINANCE: Final = np.array([0.299, 0.587, 0.114], dtype=np.float32)
QUALITY_DIVISOR: Final = 90
_ROWS = np.arange(1, KEPT + 1)[:, None]
_COLUMNS = 2 * np.arange(EDGE)[None, :] + 1
DCT: Final = (np.sqrt(2 / EDGE) * np.cos(np.pi / 2 / EDGE * _ROWS * _COLUMNS)).astype(np.float32)


def fingerprint(pixels: NDArray[np.uint8]) -> tuple[bytes, int]:
    """Return the hash (32 bytes) and quality (0 to 100) of a picture: RGB (height x width x 3) or grey."""
    plane = pixels.astype(np.float32)
    small = _shrink(plane @ LUMINANCE if plane.ndim == 3 else plane)
    frequencies = (DCT @ small @ DCT.T).ravel()
    median = np.sort(frequencies)[frequencies.size // 2 - 1]
    return np.packbits((frequencies > median)[::-1]).tobytes(), _quality(small)


def _shrink(plane: Plane) -> Plane:
    """Blur twice in each direction, then take 64 x 64 points: a tent filter at the cost of running sums."""
    height, width = plane.shape
    for _ in range(2):
        plane = _box(plane, window=_window(width))
        plane = _box(plane.T, window=_window(height)).T
    rows = ((np.arange(EDGE) + 0.5) * height / EDGE).astype(int)
    columns = ((np.arange(EDGE) + 0.5) * width / EDGE).astype(int)
    return plane[rows][:, columns]


def _window(length: int) -> int:
    return (length + 2 * EDGE - 1) // (2 * EDGE)


def _box(plane: Plane, *, window: int) -> Plane:
    """Average each row over a window that shrinks at the borders."""
    length = plane.shape[1]
    sums = np.zeros((plane.shape[0], length + 1), dtype=np.float64)
    np.cumsum(plane, axis=1, dtype=np.float64, out=sums[:, 1:])
    half = (window + 2) // 2
    first = np.maximum(np.arange(length) - (window - half), 0)
    last = np.minimum(np.arange(length) + half, length)
    return ((sums[:, last] - sums[:, first]) / (last - first)).astype(np.float32)


def _quality(small: Plane) -> int:
    """Say how much there is to recognise: the sum of the gradients between neighbours."""
    across = np.abs(np.trunc(np.diff(small, axis=1) * 100 / 255)).sum()
    down = np.abs(np.trunc(np.diff(small, axis=0) * 100 / 255)).sum()
    return min(100, int((across + down) / QUALITY_DIVISOR))

"""What does a photo show of itself: its EXIF, how it looks, whether it can be used, what it resembles?

Decodes untrusted bytes: runs inside `examine`'s limits. The original is never changed.
"""

import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
import pi_heif
from PIL import Image, ImageOps

from server.media.exif import read_exif
from server.media.inspection import ImageFacts
from server.media.pdq import fingerprint

MAX_PIXELS = 120_000_000
THUMBNAIL_EDGE = 480
_WORK_EDGE = 1024
_HASH_EDGE = 512
_BLURRED_BELOW = 15.0
_DARK_BELOW = 28.0
_HASH_QUALITY = 50
_FORMATS = ("JPEG", "PNG", "WEBP", "HEIF")


def examine_image(path: Path) -> tuple[ImageFacts, bytes]:
    """Return a picture's facts and its thumbnail (JPEG, upright). A broken file raises what Pillow raises."""
    pi_heif.register_heif_opener(thumbnails=False)
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path, formats=_FORMATS) as picture:
            size = picture.size
            exif = picture.getexif()
            sideways = exif.get(0x0112, 1) in (5, 6, 7, 8)
            picture.draft("RGB", (_WORK_EDGE, _WORK_EDGE))
            picture.thumbnail((_WORK_EDGE, _WORK_EDGE), Image.Resampling.BILINEAR)
            upright = ImageOps.exif_transpose(picture).convert("RGB")
    width, height = reversed(size) if sideways else size
    return _facts(upright, width, height, read_exif(exif)), _thumbnail(upright)


def _facts(upright: Image.Image, width: int, height: int, told: dict[str, object]) -> ImageFacts:
    grey = np.asarray(upright.convert("L"), dtype=np.float32)
    sharpness = _sharpness(grey)
    brightness = float(grey.mean())
    bits, quality = _fingerprint(upright)
    return ImageFacts(
        width=width,
        height=height,
        sharpness=round(sharpness, 1),
        brightness=round(brightness, 1),
        is_blurred=sharpness < _BLURRED_BELOW,
        is_dark=brightness < _DARK_BELOW,
        perceptual_hash=bits,
        perceptual_quality=quality,
        **told,  # pyright: ignore[reportArgumentType]
    )


def _sharpness(grey: np.ndarray) -> float:
    """Variance of the Laplacian: edges make it large, blur makes it small."""
    if min(grey.shape) < 3:
        return 0.0
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float((around - 4 * grey[1:-1, 1:-1]).var())


def _fingerprint(upright: Image.Image) -> tuple[str | None, int]:
    """Return PDQ's 256 bits in hex and its quality; no bits for a picture without features."""
    small = upright.copy()
    small.thumbnail((_HASH_EDGE, _HASH_EDGE), Image.Resampling.BILINEAR)
    bits, quality = fingerprint(np.asarray(small))
    return (bits.hex() if quality >= _HASH_QUALITY else None), quality


def _thumbnail(upright: Image.Image) -> bytes:
    """Draw the small JPEG. Nothing of the original's metadata goes with it."""
    small = upright.copy()
    small.thumbnail((THUMBNAIL_EDGE, THUMBNAIL_EDGE), Image.Resampling.BILINEAR)
    small.info.clear()
    file = BytesIO()
    small.save(file, "JPEG", quality=80)
    return file.getvalue()

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
from server.media.traces import traces_of_editing

MAX_PIXELS = 120_000_000
THUMBNAIL_EDGE = 480
DISPLAY_EDGE = 2048
_WORK_EDGE = 1024
_HASH_EDGE = 512
_BLURRED_BELOW = 15.0
_DARK_BELOW = 28.0
_HASH_QUALITY = 50
_FORMATS = ("JPEG", "PNG", "WEBP", "HEIF")
_SHOWN = ("JPEG", "PNG", "WEBP")
_ORIENTATION = 0x0112


def examine_image(path: Path) -> tuple[ImageFacts, bytes, bytes | None]:
    """Return a picture's facts, its thumbnail (JPEG, upright) and how to show it large.

    There is no large one where the original is small and every browser shows it upright. A broken file raises
    what Pillow raises.
    """
    pi_heif.register_heif_opener(thumbnails=False)
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path, formats=_FORMATS) as picture:
            size = picture.size
            exif = picture.getexif()
            turned = exif.get(_ORIENTATION, 1)
            told: dict[str, object] = {**read_exif(exif), "editing": traces_of_editing(picture, exif)}
            shows_itself = picture.format in _SHOWN and turned == 1 and max(size) <= DISPLAY_EDGE
            edge = _WORK_EDGE if shows_itself else DISPLAY_EDGE
            picture.draft("RGB", _enough(size, edge))
            picture.thumbnail((edge, edge), Image.Resampling.BILINEAR)
            upright = ImageOps.exif_transpose(picture).convert("RGB")
    display = None if shows_itself else _jpeg(upright, DISPLAY_EDGE)
    upright.thumbnail((_WORK_EDGE, _WORK_EDGE), Image.Resampling.BILINEAR)
    width, height = reversed(size) if turned in (5, 6, 7, 8) else size
    return _facts(upright, width, height, told), _jpeg(upright, THUMBNAIL_EDGE), display


def _enough(size: tuple[int, int], edge: int) -> tuple[int, int]:
    """Return the least size to decode. JPEG halves for nothing, so a little less than the edge will do."""
    width, height = size
    longest = max(size)
    return width * edge * 7 // (8 * longest), height * edge * 7 // (8 * longest)


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


def _jpeg(upright: Image.Image, edge: int) -> bytes:
    """Draw a JPEG no larger than `edge`. Nothing of the original's metadata goes with it."""
    small = upright.copy()
    small.thumbnail((edge, edge), Image.Resampling.BILINEAR)
    small.info.clear()
    file = BytesIO()
    small.save(file, "JPEG", quality=80)
    return file.getvalue()

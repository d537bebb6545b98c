"""What does a photo show of itself: its EXIF, how it looks, whether it can be used, what it resembles?

Decodes untrusted bytes: runs inside `examine`'s limits. The original is never changed.
"""

import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
import pi_heif
from numpy.typing import NDArray
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
            ImageOps.exif_transpose(picture, in_place=True)
            upright = picture if picture.mode == "RGB" else picture.convert("RGB")
    upright.info.clear()  # nothing of the original's metadata goes with what is drawn
    width, height = reversed(size) if turned in (5, 6, 7, 8) else size
    facts = _facts(_fitted(upright.convert("L"), _WORK_EDGE), width, height, told)
    return facts, _jpeg(_fitted(upright, THUMBNAIL_EDGE)), None if shows_itself else _jpeg(upright)


def _enough(size: tuple[int, int], edge: int) -> tuple[int, int]:
    """Return the least size to decode. JPEG halves for nothing, so a little less than the edge will do."""
    width, height = size
    longest = max(size)
    return width * edge * 7 // (8 * longest), height * edge * 7 // (8 * longest)


def _facts(grey: Image.Image, width: int, height: int, told: dict[str, object]) -> ImageFacts:
    plane = np.asarray(grey)
    sharpness = _sharpness(plane)
    brightness = float(plane.mean())
    bits, quality = fingerprint(np.asarray(_fitted(grey, _HASH_EDGE)))
    return ImageFacts(
        width=width,
        height=height,
        sharpness=round(sharpness, 1),
        brightness=round(brightness, 1),
        is_blurred=sharpness < _BLURRED_BELOW,
        is_dark=brightness < _DARK_BELOW,
        # a picture without features resembles every other one
        perceptual_hash=bits.hex() if quality >= _HASH_QUALITY else None,
        perceptual_quality=quality,
        **told,  # pyright: ignore[reportArgumentType]
    )


def _sharpness(plane: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian: edges make it large, blur makes it small."""
    if min(plane.shape) < 3:
        return 0.0
    grey = plane.astype(np.int16)
    around = grey[:-2, 1:-1] + grey[2:, 1:-1]
    around += grey[1:-1, :-2]
    around += grey[1:-1, 2:]
    around -= 4 * grey[1:-1, 1:-1]
    return float(around.var(dtype=np.float32))


def _fitted(picture: Image.Image, edge: int) -> Image.Image:
    """The picture, or a smaller one that is no larger than `edge`."""
    longest = max(picture.size)
    if longest <= edge:
        return picture
    width, height = (max(1, round(side * edge / longest)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)


def _jpeg(upright: Image.Image) -> bytes:
    file = BytesIO()
    upright.save(file, "JPEG", quality=80)
    return file.getvalue()

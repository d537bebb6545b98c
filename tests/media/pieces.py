"""Photos as a phone writes them, in every format, and what an inspection must have found in one."""

from datetime import UTC, datetime
from functools import cache
from io import BytesIO

from PIL import Image

from server.demo.scenes import make_photo
from server.media.inspection import ImageFacts, Inspection, SoundFacts
from tests.media.heic import make_heic

TAKEN = datetime(2026, 11, 24, 2, 3, 4, tzinfo=UTC)
BUND = (31.2304, 121.4737)


def image_of(found: Inspection) -> ImageFacts:
    assert found.failed is None
    assert found.image is not None
    return found.image


def sound_of(found: Inspection) -> SoundFacts:
    assert found.sound is not None
    return found.sound


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def a_photo_with_exif() -> bytes:
    return make_photo(seed=7, taken_at=TAKEN, position=BUND, accuracy_m=8.5, software="Camera 5")


@cache
def in_format(kind: str) -> bytes:
    jpeg = a_photo_with_exif()
    if kind == "image/jpeg":
        return jpeg
    picture = Image.open(BytesIO(jpeg))
    exif = picture.info["exif"]
    if kind == "image/heic":
        return make_heic(picture.convert("RGB"), exif=exif)
    return saved(picture, kind.removeprefix("image/").upper(), exif=exif)

"""What inspection says of photos: when, where, by what; sharpness, likeness and traces of editing."""

from io import BytesIO

import pytest
from PIL import Image, ImageFilter

from server.demo.scenes import draw_doorway, make_photo
from server.media.inspection import Inspection
from tests.media.pieces import a_photo_with_exif, image_of, in_format, saved


def distance(one: Inspection, other: Inspection) -> int:
    bits, others = one.perceptual_bits, other.perceptual_bits
    assert bits is not None
    assert others is not None
    return sum(a != b for a, b in zip(bits, others, strict=True))


@pytest.mark.parametrize("mime", ["image/jpeg", "image/png", "image/webp", "image/heic"])
def test_a_photo_tells_when_where_and_by_what_it_was_taken(examined, mime: str) -> None:
    found = examined(in_format(mime), mime)

    image = image_of(found)
    assert (found.sniffed_mime, found.mislabelled) == (mime, False)
    assert (image.width, image.height) == (1600, 1200)
    assert (image.taken_at, image.utc_offset) == ("2026-11-24T02:03:04+00:00", "+08:00")
    assert image.taken_local == "2026-11-24T10:03:04"
    assert image.gps_at == "2026-11-24T02:03:04+00:00"
    assert image.position == {"lat": 31.2304, "lon": 121.4737, "accuracy_m": 8.5}
    assert (image.make, image.model, image.software) == ("Xiaomi", "2312DRA50C", "Camera 5")


def test_a_photo_of_the_southern_and_western_half_keeps_its_signs(examined) -> None:
    image = image_of(examined(make_photo(seed=1, position=(-22.9068, -43.1729))))

    assert image.position == {"lat": -22.9068, "lon": -43.1729, "accuracy_m": None}


def test_a_photo_without_exif_says_nothing_of_time_and_place(examined) -> None:
    image = image_of(examined(saved(draw_doorway(1, size=(640, 480)), "JPEG")))

    assert (image.taken_at, image.taken_local, image.position, image.make) == (None, None, None, None)


@pytest.mark.parametrize(
    ("tag", "value"),
    [(0x9003, "yesterday"), (0x9003, "2026:13:45 99:99:99"), (0x9011, "Mars"), (0x9003, b"\xff\x00\xfe")],
)
def test_unreadable_exif_is_left_out_and_the_picture_still_read(examined, tag: int, value: object) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[tag] = value
    exif.get_ifd(0x8825).update({2: (1.0, 2.0), 4: (1.0,)})

    image = image_of(examined(saved(draw_doorway(1, size=(640, 480)), "JPEG", exif=exif)))

    assert (image.taken_at, image.position) == (None, None)


def test_a_photo_held_sideways_is_shown_upright(examined) -> None:
    found = examined(make_photo(seed=1, size=(800, 600), orientation=6))

    assert found.thumbnail is not None
    thumbnail = Image.open(BytesIO(found.thumbnail))
    assert (image_of(found).width, image_of(found).height) == (600, 800)
    assert thumbnail.size == (360, 480)


def test_a_thumbnail_carries_nothing_of_the_original_s_metadata(examined) -> None:
    thumbnail = Image.open(BytesIO(examined(a_photo_with_exif()).thumbnail))

    assert not thumbnail.getexif()


def test_the_same_picture_smaller_and_recompressed_has_nearly_the_same_hash(examined) -> None:
    original = examined(make_photo(seed=3))

    copies = [
        examined(make_photo(seed=3, size=(800, 600), quality=40)),
        examined(make_photo(seed=3, quality=60)),
    ]

    assert max(distance(original, copy) for copy in copies) <= 31


def test_different_pictures_have_distant_hashes(examined) -> None:
    found = [examined(make_photo(seed=seed, size=(800, 600))) for seed in range(8)]

    assert min(distance(a, b) for n, a in enumerate(found) for b in found[:n]) > 80


def test_a_blank_picture_has_no_hash_because_it_resembles_every_other_one(examined) -> None:
    found = examined(saved(Image.new("RGB", (640, 480), "white"), "JPEG"))

    assert found.perceptual_bits is None


def test_blurred_and_dark_photos_are_told_from_usable_ones(examined) -> None:
    scene = draw_doorway(5, size=(1200, 900))
    sharp = image_of(examined(saved(scene, "JPEG")))
    blurred = image_of(examined(saved(scene.filter(ImageFilter.GaussianBlur(8)), "JPEG")))
    dark = image_of(examined(saved(scene.point([value // 12 for value in range(256)] * 3), "JPEG")))

    assert (sharp.is_blurred, sharp.is_dark) == (False, False)
    assert blurred.is_blurred
    assert dark.is_dark


EDITED = {
    "an editor's name": ({0x0131: "Adobe Photoshop 25.0"}, {}, ["editor-software"]),
    "a later change": ({0x0132: "2026:11:24 18:00:00"}, {0x9003: "2026:11:24 10:03:04"}, ["changed-later"]),
    "the moment of writing": ({0x0132: "2026:11:24 10:03:05"}, {0x9003: "2026:11:24 10:03:04"}, []),
    "a camera's own name": ({0x0131: "HyperOS 2.0"}, {}, []),
    "a phone of an editor's maker": ({0x010F: "Meitu", 0x0131: "Meitu T8 camera"}, {}, []),
    "nonsense for a time": ({0x0132: "later"}, {0x9003: b"\xff"}, []),
}


@pytest.mark.parametrize("name", list(EDITED))
def test_traces_of_editing_are_named(examined, name: str) -> None:
    plain, detail, traces = EDITED[name]
    exif = Image.Exif()
    exif.update(plain)
    exif.get_ifd(0x8769).update(detail)

    assert image_of(examined(saved(draw_doorway(1, size=(320, 240)), "JPEG", exif=exif))).editing == traces


def test_an_editor_s_history_is_a_trace_in_every_format(examined) -> None:
    history = b'<x:xmpmeta><rdf:Description xmpMM:History="saved"/></x:xmpmeta>'
    scene = draw_doorway(1, size=(320, 240))

    for kind in ("JPEG", "WEBP"):
        assert image_of(examined(saved(scene, kind, xmp=history))).editing == ["edit-history"]


def test_the_date_that_every_iphone_writes_is_no_history_of_edits(examined) -> None:
    written = (
        b'<x:xmpmeta><rdf:Description xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"'
        b' photoshop:DateCreated="2026-11-24T10:03:04"/></x:xmpmeta>'
    )

    assert image_of(examined(saved(draw_doorway(1, size=(320, 240)), "JPEG", xmp=written))).editing == []


def test_a_badge_photo_is_usable_when_a_face_could_be_made_out(examined) -> None:
    scene = draw_doorway(5, size=(1200, 900))
    dark = scene.point([value // 12 for value in range(256)] * 3)

    assert image_of(examined(saved(scene, "JPEG"))).is_usable
    assert not image_of(examined(saved(dark, "JPEG"))).is_usable
    assert not image_of(examined(saved(scene.resize((160, 120)), "JPEG"))).is_usable


def test_a_heic_photo_is_drawn_for_browsers_that_show_none(examined) -> None:
    found = examined(in_format("image/heic"))

    assert found.display is not None
    assert Image.open(BytesIO(found.display)).size == (1600, 1200)
    assert examined(in_format("image/jpeg")).display is None

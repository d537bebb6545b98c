"""What inspection says of photos and recordings: good, broken, hostile and mislabelled ones."""

import random
import struct
import sys
import zlib
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageFilter

from server.demo.scenes import Container, draw_doorway, encode, make_photo, make_recording
from server.media.examine import examine
from server.media.inspect import inspect
from server.media.inspection import ImageFacts, Inspection, SoundFacts
from server.media.rendering import needs_rendition, render
from tests.media.heic import make_heic

TAKEN = datetime(2026, 11, 24, 2, 3, 4, tzinfo=UTC)
BUND = (31.2304, 121.4737)


@pytest.fixture
def examined(tmp_path: Path):
    """Examine bytes in this process, without the child's start-up time."""

    def run(content: bytes, claimed_mime: str = "") -> Inspection:
        path = tmp_path / "evidence"
        path.write_bytes(content)
        return examine(path, claimed_mime=claimed_mime)

    return run


def image_of(found: Inspection) -> ImageFacts:
    assert found.failed is None
    assert found.image is not None
    return found.image


def sound_of(found: Inspection) -> SoundFacts:
    assert found.sound is not None
    return found.sound


def distance(one: Inspection, other: Inspection) -> int:
    bits, others = one.perceptual_bits, other.perceptual_bits
    assert bits is not None
    assert others is not None
    return sum(a != b for a, b in zip(bits, others, strict=True))


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def a_photo_with_exif() -> bytes:
    return make_photo(seed=7, taken_at=TAKEN, position=BUND, accuracy_m=8.5, software="Camera 5")


def in_format(kind: str) -> bytes:
    jpeg = a_photo_with_exif()
    if kind == "image/jpeg":
        return jpeg
    picture = Image.open(BytesIO(jpeg))
    exif = picture.info["exif"]
    if kind == "image/heic":
        return make_heic(picture.convert("RGB"), exif=exif)
    return saved(picture, kind.removeprefix("image/").upper(), exif=exif)


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


RECORDINGS: dict[Container, tuple[str, str, int]] = {
    "webm": ("audio/webm", "opus", 48_000),
    "ogg": ("audio/ogg", "opus", 48_000),
    "m4a": ("audio/mp4", "aac", 48_000),
    "fragmented": ("audio/mp4", "aac", 48_000),
    "mov": ("audio/mp4", "aac", 48_000),
    "mp3": ("audio/mpeg", "mp3", 48_000),
    "wav": ("audio/wav", "pcm_s16le", 48_000),
    "amr": ("audio/amr", "amr", 8_000),
    "3gp": ("audio/mp4", "amr", 8_000),
}


@pytest.mark.parametrize("container", list(RECORDINGS))
def test_a_recording_s_length_and_speech_are_measured_to_its_end(examined, container: Container) -> None:
    found = examined(make_recording(seconds=6.5, speech=True, container=container))

    sound = sound_of(found)
    mime, codec, rate = RECORDINGS[container]
    assert (found.failed, found.sniffed_mime) == (None, mime)
    assert sound.duration_seconds == pytest.approx(6.5, abs=0.1)
    assert (sound.channels, sound.sample_rate) == (1, rate)
    assert codec in sound.codec
    assert sound.speech_seconds > 4.5
    assert sound.gaps == []


def test_a_pause_in_a_recording_is_a_gap_and_what_follows_keeps_its_second(examined) -> None:
    found = examined(a_recording_that_paused(speech_seconds=4, paused_seconds=10))

    sound = sound_of(found)
    assert sound.gaps == [(pytest.approx(4, abs=0.1), pytest.approx(14, abs=0.1))]
    assert sound.duration_seconds == pytest.approx(18, abs=0.1)
    assert all(until <= 4.5 or start >= 13.5 for start, until in sound.speech)
    assert sound.speech[-1][1] == pytest.approx(18, abs=0.6)
    assert len(sound.silence) == 1


def a_recording_that_paused(*, speech_seconds: int, paused_seconds: int) -> bytes:
    """Opus in webm whose clock ran on while nothing was recorded, as when a call comes in."""
    file = BytesIO()
    with (
        av.open(BytesIO(make_recording(seconds=2 * speech_seconds, speech=True)), "r") as source,
        av.open(file, "w", format="webm") as output,
    ):
        stream = output.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.pts is None or packet.time_base is None:
                continue
            if packet.pts * packet.time_base >= speech_seconds:
                packet.pts += int(paused_seconds / packet.time_base)
                packet.dts = packet.pts
            packet.stream = stream
            output.mux(packet)
    return file.getvalue()


@pytest.mark.parametrize("container", ["webm", "amr", "wav"])
def test_a_copy_for_browsers_runs_as_long_and_sounds_the_same(tmp_path: Path, container: Container) -> None:
    path, target = tmp_path / "original", tmp_path / "copy.mp3"
    path.write_bytes(make_recording(seconds=20, speech=True, container=container))
    found = examine(path, claimed_mime="")

    assert render(path, target, mime=str(found.sniffed_mime))

    copy = examine(target, claimed_mime="audio/mpeg")
    assert not needs_rendition(copy)
    assert needs_rendition(found) == (container != "wav")
    assert sound_of(copy).duration_seconds == pytest.approx(sound_of(found).duration_seconds, abs=0.2)
    assert sound_of(copy).speech_seconds == pytest.approx(sound_of(found).speech_seconds, abs=1.5)


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


def test_a_browser_s_webm_has_no_duration_in_its_header_and_is_measured_all_the_same(examined) -> None:
    content = make_recording(seconds=4, speech=False)
    with av.open(BytesIO(content), "r") as container:
        assert container.duration is None

    assert sound_of(examined(content)).duration_seconds == pytest.approx(4, abs=0.05)


def test_talk_is_heard_as_speech_and_a_quiet_staircase_is_not(examined) -> None:
    talk = sound_of(examined(make_recording(seconds=10, speech=True)))
    stairs = sound_of(examined(make_recording(seconds=10, speech=False)))

    assert talk.speech_seconds > 7
    assert talk.silence_seconds == 0
    assert stairs.speech_seconds == 0
    assert stairs.silence == [(0.0, 10.0)]


def test_speech_is_located_to_the_second(examined) -> None:
    with av.open(BytesIO(make_recording(seconds=5, speech=True, container="wav")), "r") as container:
        talk = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)]) / 32768
    quiet = np.zeros(48_000 * 5)

    sound = sound_of(
        examined(encode(np.concatenate([quiet, talk, quiet]).astype(np.float32), container="ogg"))
    )

    assert sound.speech[0][0] == pytest.approx(5, abs=0.3)
    assert sound.speech[-1][1] == pytest.approx(10, abs=0.4)
    assert [round(start) for start, _ in sound.silence] == [0, 10]


def test_the_waveform_follows_the_sound_and_stays_small(examined) -> None:
    loud = np.concatenate([np.zeros(48_000), 0.5 * np.sin(np.arange(48_000) / 20)]).astype(np.float32)

    sound = sound_of(examined(encode(loud, container="wav")))

    assert sound.peaks[:9] == [0] * 9
    assert sound.peaks[-5:] == pytest.approx([50] * 5, abs=2)
    assert len(sound.peaks) <= 800


def a_video() -> bytes:
    file = BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream = output.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for seed in range(20):
            output.mux(stream.encode(av.VideoFrame.from_image(draw_doorway(seed, size=(320, 240)))))
        output.mux(stream.encode(None))
    return file.getvalue()


def test_a_video_without_sound_has_its_length_and_shape(examined) -> None:
    found = examined(a_video(), "video/mp4")

    assert (found.failed, found.sound, found.sniffed_mime) == (None, None, "video/mp4")
    assert found.video is not None
    assert (found.video.width, found.video.height, found.video.duration_seconds) == (320, 240, 2.0)


def test_a_truncated_recording_keeps_what_can_be_heard(examined) -> None:
    content = make_recording(seconds=10, speech=True)

    found = examined(content[: len(content) // 2])

    assert 3 < sound_of(found).duration_seconds < 7


@pytest.mark.parametrize(
    ("claimed", "really"),
    [("image/png", "image/jpeg"), ("audio/webm", "image/jpeg"), ("text/plain", "image/jpeg")],
)
def test_a_mislabelled_file_is_read_as_what_it_is_and_flagged(examined, claimed: str, really: str) -> None:
    found = examined(make_photo(seed=1, size=(320, 240)), claimed)

    assert (found.sniffed_mime, found.mislabelled) == (really, True)
    assert found.image is not None


@pytest.mark.parametrize("claimed", ["", "application/octet-stream", "image/jpeg; q=1", "IMAGE/JPG"])
def test_no_label_and_a_synonym_are_not_wrong_labels(examined, claimed: str) -> None:
    assert not examined(make_photo(seed=1, size=(320, 240)), claimed).mislabelled


def a_png_bomb() -> bytes:
    """Half a kilobyte that claims 60,000 x 60,000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(9000)))
        + chunk(b"IEND", b"")
    )


BROKEN = {
    "a decompression bomb": (a_png_bomb, "too many pixels"),
    "a truncated photo": (lambda: make_photo(seed=1)[:3000], "truncated"),
    "a truncated HEIC": (lambda: in_format("image/heic")[:9000], "broken"),
    "noise that begins like a JPEG": (lambda: b"\xff\xd8\xff\xe0" + random.Random(1).randbytes(5000), ""),
    "noise that begins like a PNG": (lambda: b"\x89PNG\r\n\x1a\n" + random.Random(1).randbytes(5000), ""),
    "noise that begins like a WebP": (
        lambda: b"RIFF\x00\x20\x00\x00WEBP" + random.Random(1).randbytes(5000),
        "",
    ),
    "noise that begins like a webm": (lambda: b"\x1a\x45\xdf\xa3" + random.Random(1).randbytes(5000), ""),
    "noise that begins like an ogg": (lambda: b"OggS" + random.Random(1).randbytes(5000), ""),
    "noise that begins like a wav": (
        lambda: b"RIFF\x00\x20\x00\x00WAVE" + random.Random(1).randbytes(5000),
        "",
    ),
    "an m4a without its index": (lambda: make_recording(seconds=3, speech=False, container="m4a")[:9000], ""),
    "text": (lambda: b"this is no picture", "known here"),
    "nothing at all": (lambda: b"", "known here"),
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_a_broken_or_hostile_file_is_a_result_that_says_why(examined, name: str) -> None:
    make, why = BROKEN[name]

    found = examined(make())

    assert found.failed
    assert why in found.failed
    assert found.image is None


@pytest.mark.parametrize("seed", range(12))
def test_flipped_bits_never_raise(examined, seed: int) -> None:
    chance = random.Random(seed)
    sources = [
        make_photo(seed=1, size=(320, 240), taken_at=TAKEN, position=BUND),
        make_recording(seconds=1, speech=True, container=chance.choice(["webm", "ogg", "m4a", "wav"])),
    ]
    for content in sources:
        damaged = bytearray(content)
        for _ in range(20):
            damaged[chance.randrange(12, len(damaged))] ^= 1 << chance.randrange(8)

        examined(bytes(damaged)).to_json()


def test_the_stored_form_survives_the_trip_through_the_child(tmp_path: Path) -> None:
    path = tmp_path / "photo"
    path.write_bytes(a_photo_with_exif())

    inside = examine(path, claimed_mime="image/jpeg")
    outside = inspect(path, claimed_mime="image/jpeg")

    assert outside == inside
    assert outside.to_json() == inside.to_json()


def test_a_file_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "recording"
    path.write_bytes(make_recording(seconds=1, speech=False))

    assert (
        inspect(path, claimed_mime="audio/webm", wall_seconds=0.01).failed == "Inspecting it took too long."
    )


def test_a_decoder_that_is_killed_is_a_result_and_a_defect_of_ours_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "photo"
    path.write_bytes(make_photo(seed=1, size=(320, 240)))
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nkill -SEGV $$\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))

    killed = inspect(path, claimed_mime="image/jpeg")
    program.write_text("#!/bin/sh\necho 'ImportError: no decoder' >&2; exit 1\n")
    defect = inspect(path, claimed_mime="image/jpeg")

    assert killed.failed is not None
    assert "signal 11" in killed.failed
    assert defect.failed == "Inspecting it failed: ImportError: no decoder"
    assert "no decoder" in caplog.text


def test_text_that_the_database_cannot_hold_is_cleaned(tmp_path: Path) -> None:
    path = tmp_path / "photo"
    path.write_bytes(saved(draw_doorway(1, size=(320, 240)), "JPEG"))
    found = examine(path, claimed_mime="image/\0jpeg\ud800")

    stored = found.to_json()

    assert stored["claimed_mime"] == "image/jpeg?"

"""What inspection says of recordings and videos: length, gaps, speech and silence."""

from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest

from server.demo.scenes import Container, draw_doorway, encode, make_recording
from server.media.examine import examine
from server.media.rendering import needs_rendition, render
from tests.media.pieces import sound_of

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

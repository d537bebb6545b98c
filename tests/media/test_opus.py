"""Opus is decoded at 16 kHz by libopus: what is heard and what is refused is as with FFmpeg's own decoder."""

import random
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.error import FFmpegError
from numpy.typing import NDArray

from server.demo.scenes import make_recording
from server.media.opus import RATE, opus_decoder
from server.media.playing import opened
from tests.media.speech import resampled, talk

Sound = NDArray[np.float32]
SECONDS = 6


class Kept:
    """Hears a recording and keeps all of it."""

    def __init__(self) -> None:
        self.portions: list[Sound] = []

    def hear(self, sound: Sound) -> None:
        self.portions.append(sound)

    @property
    def sound(self) -> Sound:
        return np.concatenate(self.portions)


def opus(
    *, container: str = "webm", layout: str = "mono", bit_rate: int = 24_000, application: str = "voip"
) -> bytes:
    """Speech and, to its right, another speech that is half as loud, wherever there is a right."""
    left, right = (resampled(talk(seed, seconds=SECONDS), RATE, 48_000) for seed in (1, 2))
    file = BytesIO()
    with av.open(file, "w", format=container) as output:
        stream: Any = output.add_stream("libopus", rate=48_000, options={"application": application})
        stream.layout, stream.bit_rate = layout, bit_rate
        count = len(av.AudioLayout(layout).channels)
        planes = np.stack([left, right * np.float32(0.5), *[left] * count][:count])
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=layout)
        frame.sample_rate = 48_000
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def heard_by_us(tmp_path: Path, content: bytes, *, reader: str) -> Sound:
    path, kept = tmp_path / "evidence", Kept()
    path.write_bytes(content)
    with opened(path, reader=reader) as player:
        assert player.play(kept) is None
    return kept.sound


def heard_by_ffmpeg(content: bytes) -> Sound:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    with av.open(BytesIO(content), "r") as container:
        frames = [one for frame in container.decode(audio=0) for one in resampler.resample(frame)]
        return np.concatenate([frame.to_ndarray()[0] for frame in [*frames, *resampler.resample(None)]])


def decibels_apart(mine: Sound, other: Sound) -> float:
    """How far the difference lies below the sound; a sample early or late is no matter."""
    size = min(len(mine), len(other)) - 2
    differences = (mine[shift : size + shift] - other[1 : size + 1] for shift in range(3))
    nearest = min(float((difference**2).sum()) for difference in differences)
    return float(10 * np.log10((other[1 : size + 1] ** 2).sum() / nearest))


@pytest.mark.parametrize(
    ("container", "reader", "options"),
    [
        ("webm", "matroska", {}),
        ("ogg", "ogg", {}),
        ("mp4", "mov", {}),
        ("webm", "matroska", {"layout": "stereo", "bit_rate": 48_000}),
        ("webm", "matroska", {"bit_rate": 96_000, "application": "audio"}),
        ("webm", "matroska", {"bit_rate": 10_000}),
        ("ogg", "ogg", {"layout": "5.1", "bit_rate": 128_000}),
    ],
)
def test_it_sounds_as_ffmpeg_decodes_it_and_at_the_same_moment(
    tmp_path: Path, container: str, reader: str, options: dict[str, Any]
) -> None:
    content = opus(container=container, **options)

    mine, other = heard_by_us(tmp_path, content, reader=reader), heard_by_ffmpeg(content)

    assert len(mine) == pytest.approx(len(other), abs=RATE / 50)
    assert decibels_apart(mine, other) > 40


def packets_of(content: bytes) -> Iterator[Any]:
    with av.open(BytesIO(content), "r") as container:
        yield from (packet for packet in container.demux(audio=0) if packet.size)


def damaged(packet: bytes, chance: random.Random) -> bytes:
    spoiled = bytearray(packet)
    match chance.randrange(4):
        case 0:
            spoiled[chance.randrange(len(spoiled))] ^= 1 << chance.randrange(8)
        case 1:
            spoiled[0] = chance.randrange(256)
        case 2:
            del spoiled[chance.randrange(1, len(spoiled)) :]
        case _:
            spoiled = bytearray(chance.randbytes(len(spoiled)))
    return bytes(spoiled)


def refused(take: Callable[[Any], object], packets: list[bytes]) -> set[int]:
    found = set()
    for number, packet in enumerate(packets):
        try:
            take(av.Packet(packet))
        except FFmpegError:
            found.add(number)
    return found


def test_damaged_packets_are_those_that_ffmpeg_refuses() -> None:
    chance = random.Random(5)
    content = make_recording(seconds=20, speech=True)
    packets = [bytes(packet) for packet in packets_of(content)]
    packets = [damaged(one, chance) if chance.random() < 0.5 else one for one in packets]
    with av.open(BytesIO(content), "r") as container:
        stream = container.streams.audio[0]
        mine = opus_decoder(stream, lambda sound: None)
        assert mine is not None
        ours, theirs = refused(mine.take, packets), refused(stream.codec_context.decode, packets)

    assert len(theirs) > 100
    assert len(ours ^ theirs) <= len(theirs) // 50


def test_what_follows_a_portion_leaves_what_was_handed_on_alone(tmp_path: Path) -> None:
    kept = Kept()
    path = tmp_path / "evidence"
    path.write_bytes(make_recording(seconds=50, speech=True))

    with opened(path, reader="matroska") as player:
        player.play(kept)

    assert len(kept.portions) > 3
    assert len({portion.tobytes() for portion in kept.portions}) == len(kept.portions)
    assert not any(
        np.shares_memory(one, other) for one in kept.portions for other in kept.portions if one is not other
    )

"""How long is a recording really, where does it pause, what is to be heard in it?

Decodes untrusted bytes: runs inside `examine`'s limits. Of video only packets are read, no frame is decoded.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from server.media.inspection import SoundFacts, VideoFacts
from server.media.landmarks import Landmarks
from server.media.listening import Listener
from server.media.playing import RATE, Player, opened
from server.media.voice import stretches_of_speech

_MAX_STRETCHES: Final = 2000


@dataclass(frozen=True, slots=True)
class Heard:
    """What a recording or video is; `failed` says what could not be read, if anything."""

    sound: SoundFacts | None = None
    video: VideoFacts | None = None
    landmarks: Landmarks | None = None
    failed: str | None = None


def examine_sound(path: Path, *, reader: str) -> Heard:
    """Measure a file's sound and video tracks. Raises FFmpegError when it cannot be opened at all."""
    listener = Listener()
    with opened(path, reader=reader) as player:
        failed = player.play(listener)
        sound, video = player.sound, player.video
        return Heard(
            sound=None if sound is None else _sound_facts(player, listener),
            video=None if video is None else _video_facts(player),
            landmarks=None if sound is None else listener.landmarker.finish(),
            failed=failed,
        )


def _sound_facts(player: Player, listener: Listener) -> SoundFacts:
    stream, track = player.sound, player.tracks[player.sound.index]
    speech = stretches_of_speech(listener.speech)
    silence = listener.silence()
    return SoundFacts(
        duration_seconds=round(max(track.seconds, 0.0) or listener.samples / RATE, 3),
        codec=stream.codec_context.name,
        sample_rate=stream.sample_rate or 0,
        channels=stream.channels,
        speech_seconds=round(sum(until - start for start, until in speech), 2),
        speech=speech[:_MAX_STRETCHES],
        silence_seconds=round(sum(until - start for start, until in silence), 2),
        silence=silence[:_MAX_STRETCHES],
        gaps=track.gaps[:_MAX_STRETCHES],
        clipped_fraction=round(listener.clipped / max(listener.samples, 1), 5),
        peaks=listener.waveform(),
        recorded_at=player.recorded_at,
    )


def _video_facts(player: Player) -> VideoFacts:
    stream, track = player.video, player.tracks[player.video.index]
    return VideoFacts(
        duration_seconds=round(max(track.seconds, 0.0), 3),
        width=stream.width or 0,
        height=stream.height or 0,
        codec=stream.codec_context.name,
    )

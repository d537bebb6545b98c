"""Which evidence needs a copy that browsers can play, and how is it made?

AMR plays nowhere, Opus and Vorbis not in every browser. The original stays what is checked and cited; the
copy keeps its seconds. Videos and what already plays get none.
"""

import logging
from pathlib import Path
from typing import Final

from server.media import children
from server.media.inspection import Inspection
from server.media.sniffing import FAMILIES_OF_SOUND

log = logging.getLogger(__name__)

MIME: Final = "audio/mpeg"
WALL_SECONDS: Final = 900
_PLAYS_EVERYWHERE: Final = {
    ("audio/mpeg", "mp3"), ("audio/mpeg", "mp3float"), ("audio/mp4", "aac"), ("audio/wav", "pcm_s16le"),
}  # fmt: skip


def needs_rendition(found: Inspection) -> bool:
    """Whether some browsers cannot play this recording."""
    if found.sound is None or found.video is not None or not found.sound.duration_seconds:
        return False
    return (found.sniffed_mime or "", found.sound.codec) not in _PLAYS_EVERYWHERE


def render(path: Path, target: Path, *, mime: str) -> bool:
    """Write the copy of a recording whose format is `mime`; False when it cannot be made."""
    reader = FAMILIES_OF_SOUND[mime.replace("video/", "audio/")].reader
    ended = children.run("render", str(path), str(reader), str(target), wall_seconds=WALL_SECONDS)
    if ended.status is None:
        log.warning("rendering a recording took too long")
    elif ended.status:
        log.warning("rendering a recording ended with status %d", ended.status)
    return ended.status == 0

"""Which speech engine has the operator chosen? The app factory asks once; jobs get a Transcriber, or None.

The choice stands in a file of its own, not in the environment: key, address and model belong together, and
environments are inherited. `engine = "http"` with `url`, `model` and perhaps `key`, or `engine = "sherpa"`
with `folder`; both with `language`, if it is known.
"""

import tomllib
from pathlib import Path
from typing import Any

from server.media.speech_http import HttpTranscriber
from server.media.speech_sherpa import SherpaTranscriber
from server.media.transcriber import Transcriber


def open_transcriber(file: Path) -> Transcriber | None:
    """Open the engine that a TOML file describes; None without a file. ValueError says what is wrong."""
    if not file.exists():
        return None
    try:
        return _open(**tomllib.loads(file.read_text("utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError) as fault:
        raise ValueError(f"{file} does not describe a speech engine: {fault}") from fault


def _open(*, engine: str, language: str | None = None, **told: Any) -> Transcriber:
    if engine == "http":
        asked: dict[str, Any] = {"key": None, **told}
        return HttpTranscriber(**asked, language=language)
    if engine == "sherpa":
        return SherpaTranscriber(**told, language=language)
    raise ValueError(f"{engine!r} is no speech engine: it is either http or sherpa")

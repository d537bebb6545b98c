"""Hear with sherpa-onnx, on this server, with models that the operator has put into a folder.

The folder holds `model.toml`: which kind of model it is, its files, and the SHA-256 of each. Models are other
people's code that reads our recordings: a file that is not the one named is not loaded. Needs extra `stt`.
"""

import hashlib
import threading
import tomllib
from pathlib import Path
from typing import Any, Final, Literal

from server.media.transcriber import (
    RATE,
    Recording,
    Sound,
    TranscriberUnavailable,
    Transcription,
    transcribe_pieces,
)

try:
    import sherpa_onnx  # pyright: ignore[reportMissingImports]
except ImportError:
    sherpa_onnx = None

# What each kind of model is made from: sherpa-onnx's factory, and the files it takes by these names.
KINDS: Final = {
    "sense_voice": ("from_sense_voice", ("model", "tokens")),
    "paraformer": ("from_paraformer", ("paraformer", "tokens")),
    "whisper": ("from_whisper", ("encoder", "decoder", "tokens")),
    "transducer": ("from_transducer", ("encoder", "decoder", "joiner", "tokens")),
}


class SherpaTranscriber:
    """An engine in this process; its model is checked and loaded when it is first needed."""

    wants: Literal["wav", "mp3"] = "wav"

    def __init__(self, folder: Path | str, *, language: str | None) -> None:
        self._folder = Path(folder)
        self.name = f"sherpa:{self._folder.name}"
        self._language = language
        self._loading = threading.Lock()
        self._recognizer: Any = None

    def transcribe(self, recording: Recording) -> Transcription:
        """Hear the recording, a stretch of speech at a time."""
        with self._loading:
            if self._recognizer is None:
                self._recognizer = _load(self._folder)
        return transcribe_pieces(recording, self._hear, language=self._language)

    def _hear(self, sound: Sound) -> tuple[str, float | None]:
        stream = self._recognizer.create_stream()
        stream.accept_waveform(RATE, sound)
        self._recognizer.decode_stream(stream)
        return str(stream.result.text), None


def _load(folder: Path) -> Any:
    """Make the recognizer, or say what the operator has to mend."""
    factory, files = read_model(folder)
    if sherpa_onnx is None:
        raise TranscriberUnavailable("sherpa-onnx is not installed: install the extra `stt`.")
    make = getattr(sherpa_onnx.OfflineRecognizer, factory)
    return make(**{name: str(path) for name, path in files.items()}, num_threads=1)


def read_model(folder: Path) -> tuple[str, dict[str, Path]]:
    """Return the factory and the checked files that `model.toml` names; raise if one is amiss."""
    try:
        told = tomllib.loads((folder / "model.toml").read_text())
        factory, names = KINDS[told["kind"]]
        files = {name: _checked(folder, **told["files"][name]) for name in names}
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as fault:
        raise TranscriberUnavailable(f"{folder}/model.toml cannot be used: {fault!r}.") from fault
    return factory, files


def _checked(folder: Path, *, path: str, sha256: str) -> Path:
    file = folder / path
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if digest != sha256.lower():
        raise TranscriberUnavailable(f"{path} is not the file whose SHA-256 model.toml names.")
    return file

"""A real engine for the tests: pocketsphinx, the English model of its wheel, a grammar of what is said."""

from pathlib import Path
from typing import Literal

import numpy as np
from pocketsphinx import Decoder

from server.media.transcriber import Recording, Sound, Transcription, transcribe_pieces


class SphinxTranscriber:
    """Hears English sentences made of these words, in any order."""

    name = "pocketsphinx"
    wants: Literal["wav", "mp3"] = "wav"

    def __init__(self, folder: Path, *, words: str) -> None:
        grammar = folder / "words.gram"
        choice = " | ".join(sorted(set(words.lower().split())))
        grammar.write_text(f"#JSGF V1.0;\ngrammar words;\npublic <words> = ( {choice} )+;\n")
        self._decoder = Decoder(jsgf=str(grammar), samprate=16_000, loglevel="FATAL")

    def transcribe(self, recording: Recording) -> Transcription:
        """Hear the stretches of speech, one after the other."""
        return transcribe_pieces(recording, self._hear, language="en")

    def _hear(self, sound: Sound) -> tuple[str, float | None]:
        self._decoder.start_utt()
        self._decoder.process_raw((sound * 32767).astype(np.int16).tobytes(), no_search=False, full_utt=True)
        self._decoder.end_utt()
        heard = self._decoder.hyp()
        if heard is None:
            return "", None
        return heard.hypstr, min(1.0, max(0.0, self._decoder.get_logmath().exp(heard.prob)))

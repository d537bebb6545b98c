"""Words out of sound: a real engine, a speech server that answers in every way, models of the wrong sort."""

import hashlib
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from server.demo.scenes import encode
from server.media.examine import examine
from server.media.rendering import render
from server.media.speech_choice import open_transcriber
from server.media.speech_http import HttpTranscriber
from server.media.speech_sherpa import SherpaTranscriber, read_model
from server.media.transcriber import (
    LONGEST_PIECE,
    Recording,
    TranscriberUnavailable,
    TranscriptionFailed,
    pieces,
)
from tests.media.speech import resampled, speak
from tests.media.sphinx import SphinxTranscriber

FIRST = "please pay five thousand today"
SECOND = "we record this visit"


def is_within(words: Sequence[str], heard: Sequence[str]) -> bool:
    """Whether all words were heard, in their order."""
    rest = iter(heard)
    return all(word in rest for word in words)


def test_an_engine_hears_what_was_said_and_when(tmp_path: Path) -> None:
    said = [resampled(*speak(words, words_a_minute=130), 48_000) for words in (FIRST, SECOND)]
    quiet = np.zeros(48_000 * 5, np.float32)
    original, decoded = tmp_path / "original", tmp_path / "decoded.wav"
    original.write_bytes(encode(np.concatenate([quiet, said[0], quiet, said[1], quiet]), container="webm"))
    sound = examine(original, claimed_mime="audio/webm").sound
    assert sound is not None
    assert render(original, decoded, mime="audio/webm")

    found = SphinxTranscriber(tmp_path, words=f"{FIRST} {SECOND}").transcribe(
        Recording(decoded, sound.speech)
    )

    # A small acoustic model now and then puts a short word between two; it drops and swaps none.
    heard = [one.text.split() for one in found.words]
    assert len(heard) == 2
    assert is_within(FIRST.split(), heard[0]) and is_within(SECOND.split(), heard[1])
    assert len(heard[0]) <= 6 and len(heard[1]) <= 5
    assert found.words[0].start == pytest.approx(5, abs=0.6)
    assert found.words[1].start == pytest.approx(10 + len(said[0]) / 48_000, abs=0.6)
    assert all(one.confidence is not None and 0 <= one.confidence <= 1 for one in found.words)


def test_speech_is_cut_into_pieces_that_an_engine_can_take() -> None:
    speech = [(0.0, 2.0), (2.5, 4.0), (10.0, 80.0), (99.9, 120.0)]

    found = list(pieces(speech, seconds=100.0))

    assert found[0] == (0.0, 4.2)
    assert found[-1] == (99.7, 100.0)
    assert max(end - start for start, end in found) <= LONGEST_PIECE
    assert [start for start, _ in found[1:4]] == pytest.approx([9.8, 34.8, 59.8])


@dataclass
class SpeechServer:
    """A server on this machine that answers as it is told, and remembers what it was asked."""

    status: int = 200
    body: bytes = b"{}"
    stalls: bool = False
    asked: list[tuple[str, bytes]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def says(self, answer: Any) -> None:
        self.body = json.dumps(answer).encode()


@pytest.fixture
def server() -> Iterator[SpeechServer]:
    told = SpeechServer()

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            told.asked.append((self.headers.get("Authorization", ""), content))
            if told.stalls:
                told.released.wait(60)
                return
            self.send_response(told.status)
            self.send_header("Content-Length", str(len(told.body)))
            self.end_headers()
            self.wfile.write(told.body)

        def log_message(self, format: str, *args: object) -> None:
            return

    with running(ThreadingHTTPServer(("127.0.0.1", 0), Answering)) as port:
        told.url = f"http://127.0.0.1:{port}/v1/audio/transcriptions"
        yield told
        told.released.set()


@contextmanager
def running(server: ThreadingHTTPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    path = tmp_path / "decoded.mp3"
    path.write_bytes(b"ID3 sound")
    return Recording(path, [(0.0, 1.0)])


def engine(server: SpeechServer, *, read_seconds: float = 60) -> HttpTranscriber:
    return HttpTranscriber(server.url, key="k-1", model="large", language="zh", read_seconds=read_seconds)


def test_a_speech_server_is_sent_the_recording_and_its_segments_are_read(
    server: SpeechServer, recording: Recording
) -> None:
    server.says(
        {
            "language": "chinese",
            "segments": [
                {"start": 2.0, "end": 4.5, "text": " 五千元 ", "avg_logprob": -0.2},
                {"start": 0, "end": 2, "text": "您好", "avg_logprob": None},
                {"start": 5, "end": 6, "text": "  "},
            ],
        }
    )

    found = engine(server).transcribe(recording)

    assert found.language == "chinese"
    assert [(one.start, one.end, one.text) for one in found.words] == [(0, 2, "您好"), (2, 4.5, "五千元")]
    assert [one.confidence for one in found.words] == [None, pytest.approx(0.819)]
    (key, body) = server.asked[0]
    assert key == "Bearer k-1"
    for sent in (b"ID3 sound", b"verbose_json", b"large", b'name="language"\r\n\r\nzh'):
        assert sent in body


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503])
def test_a_server_that_cannot_answer_now_is_asked_again_later(
    server: SpeechServer, recording: Recording, status: int
) -> None:
    server.status = status

    with pytest.raises(TranscriberUnavailable, match=str(status)):
        engine(server).transcribe(recording)


def test_a_server_that_stalls_or_is_not_there_is_asked_again_later(
    server: SpeechServer, recording: Recording
) -> None:
    server.stalls = True
    with pytest.raises(TranscriberUnavailable, match="ReadTimeout"):
        engine(server, read_seconds=0.2).transcribe(recording)

    absent = HttpTranscriber("http://127.0.0.1:9/v1", key=None, model="m", language=None)
    with pytest.raises(TranscriberUnavailable, match="ConnectError"):
        absent.transcribe(recording)


ANSWERS: dict[str, Any] = {
    "no segments": {"text": "all of it"},
    "segments of another kind": {"segments": "many"},
    "a segment without its end": {"segments": [{"start": 1, "text": "x"}]},
    "a segment that ends before it begins": {"segments": [{"start": 3, "end": 1, "text": "x"}]},
    "a segment from nowhere": {"segments": [{"start": "NaN", "end": 1, "text": "x"}]},
    "a list": [],
}


@pytest.mark.parametrize("name", list(ANSWERS))
def test_an_answer_that_is_no_transcript_is_no_transcript(
    server: SpeechServer, recording: Recording, name: str
) -> None:
    server.says(ANSWERS[name])

    with pytest.raises(TranscriptionFailed, match="verbose_json"):
        engine(server).transcribe(recording)


def test_a_recording_that_the_server_refuses_is_not_sent_again(
    server: SpeechServer, recording: Recording
) -> None:
    server.status = 400

    with pytest.raises(TranscriptionFailed, match="400"):
        engine(server).transcribe(recording)


def a_model(folder: Path, **altered: str) -> Path:
    """A folder as an operator fills it; the files are none that an engine could load."""
    digests = {}
    for name in ("model.onnx", "tokens.txt"):
        (folder / name).write_text(f"the {name}")
        digests[name] = altered.get(name) or hashlib.sha256(f"the {name}".encode()).hexdigest()
    lines = ['kind = "sense_voice"']
    for key, name in (("model", "model.onnx"), ("tokens", "tokens.txt")):
        lines += [f"[files.{key}]", f'path = "{name}"', f'sha256 = "{digests[name]}"']
    (folder / "model.toml").write_text("\n".join(lines))
    return folder


def test_a_model_is_used_only_if_its_files_are_the_ones_named(tmp_path: Path) -> None:
    factory, files = read_model(a_model(tmp_path))
    assert (factory, sorted(files)) == ("from_sense_voice", ["model", "tokens"])

    a_model(tmp_path, **{"tokens.txt": "0" * 64})
    with pytest.raises(TranscriberUnavailable, match=r"tokens\.txt is not the file"):
        read_model(tmp_path)


def test_without_a_model_or_the_extra_the_engine_says_what_is_missing(tmp_path: Path) -> None:
    engine = SherpaTranscriber(tmp_path, language="zh")

    with pytest.raises(TranscriberUnavailable, match=r"model\.toml"):
        engine.transcribe(Recording(tmp_path / "none", []))


SETTINGS = {
    "http": ('engine = "http"\nurl = "http://127.0.0.1:9000/v1"\nmodel = "large"\nkey = "k"', "http:large"),
    "http without a key": (
        'engine = "http"\nurl = "http://127.0.0.1:9000/v1"\nmodel = "small"',
        "http:small",
    ),
    "sherpa": ('engine = "sherpa"\nfolder = "/srv/models/sense"\nlanguage = "zh"', "sherpa:sense"),
}


@pytest.mark.parametrize("name", list(SETTINGS))
def test_a_file_names_the_engine(tmp_path: Path, name: str) -> None:
    told, engine_name = SETTINGS[name]
    file = tmp_path / "transcriber.toml"
    file.write_text(told)

    opened = open_transcriber(file)

    assert opened is not None
    assert opened.name == engine_name


@pytest.mark.parametrize(
    "told", ['engine = "ear"', 'engine = "http"', 'engine = "sherpa"\nmodel = "x"', "engine =", 'url = "x"']
)
def test_a_file_that_names_no_engine_stops_the_boot_and_no_file_does_not(tmp_path: Path, told: str) -> None:
    file = tmp_path / "transcriber.toml"
    assert open_transcriber(file) is None

    file.write_text(told)

    with pytest.raises(ValueError, match="engine"):
        open_transcriber(file)

"""Ask a server that speaks OpenAI's `/v1/audio/transcriptions`: usually the agency's own.

The recording leaves this process: whom it may be sent to is the operator's decision, and there is no default.
A busy or absent server means: later. What it answers is checked like any input.
"""

import json
import math
from typing import Any, Final, Literal

import httpx

from server.media.transcriber import (
    Recording,
    TranscriberUnavailable,
    Transcription,
    TranscriptionFailed,
    Words,
)

CONNECT_SECONDS: Final = 10.0
READ_SECONDS: Final = 1800.0
CONNECT_RETRIES: Final = 2
MOST_BYTES: Final = 16 * 1024**2
_LATER: Final = frozenset({401, 403, 404, 408, 409, 425, 429})


class HttpTranscriber:
    """An engine behind a URL. A wrong key or path is the operator's to mend, so it counts as "later"."""

    wants: Literal["wav", "mp3"] = "mp3"

    def __init__(
        self,
        url: str,
        *,
        key: str | None,
        model: str,
        language: str | None,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        self.name = f"http:{model}"
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._form = {"model": model, "response_format": "verbose_json", "temperature": "0"}
        if language:
            self._form["language"] = language
        self._timeout = httpx.Timeout(read_seconds, connect=CONNECT_SECONDS)

    def transcribe(self, recording: Recording) -> Transcription:
        """Send the file and read the segments."""
        transport = httpx.HTTPTransport(retries=CONNECT_RETRIES)
        try:
            with (
                recording.path.open("rb") as file,
                httpx.Client(transport=transport, timeout=self._timeout) as client,
                client.stream(
                    "POST",
                    self._url,
                    headers=self._headers,
                    data=self._form,
                    files={"file": ("recording.mp3", file, "audio/mpeg")},
                ) as answer,
            ):
                body = _body(answer)
        except httpx.HTTPError as fault:
            raise TranscriberUnavailable(
                f"The speech server did not answer: {type(fault).__name__}."
            ) from fault
        return _read(body)


def _body(answer: httpx.Response) -> bytes:
    if answer.status_code >= 500 or answer.status_code in _LATER:
        raise TranscriberUnavailable(f"The speech server answered {answer.status_code}.")
    if answer.status_code != 200:
        raise TranscriptionFailed(f"The speech server refused the recording ({answer.status_code}).")
    body = bytearray()
    for part in answer.iter_bytes():
        body += part
        if len(body) > MOST_BYTES:
            raise TranscriptionFailed("The speech server's answer is too long to be a transcript.")
    return bytes(body)


def _read(body: bytes) -> Transcription:
    try:
        told = json.loads(body)
        words = [_words(segment) for segment in told["segments"]]
        language = told.get("language")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as fault:
        raise TranscriptionFailed("The speech server's answer is not what verbose_json promises.") from fault
    spoken = sorted((one for one in words if one.text), key=lambda one: (one.start, one.end))
    return Transcription(tuple(spoken), language if isinstance(language, str) else None)


def _words(segment: dict[str, Any]) -> Words:
    start, end = float(segment["start"]), float(segment["end"])
    if not (0 <= start <= end and math.isfinite(end)):
        raise ValueError("a segment that ends before it begins")
    text = str(segment["text"]).replace("\0", "").encode("utf-8", "replace").decode().strip()
    told = segment.get("avg_logprob")
    if not isinstance(told, int | float) or not math.isfinite(told):
        return Words(start, end, text)
    return Words(start, end, text, round(math.exp(min(float(told), 0.0)), 3))

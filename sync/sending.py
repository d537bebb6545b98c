"""How does one captured file reach the office over many broken connections?

tus 1.0.0: create an upload, with all of the file where one request carries it; ask where it stands, send the
rest piece by piece. The office's offset is the only truth about what arrived. A file that the office keeps
refusing is set aside with the reason; it stays on the phone and never holds up the others. One that somebody
on the way blocks is told by its turns that break before a byte arrived; it is sent in smaller pieces. What
the office has erased (`evidence-erased`) is offered no more, and goes as if it had arrived.
"""

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import httpx

from sync.connection import Answer, Connection, SyncFault, fault_of
from sync.events import FileMoved, Listener, ignore
from sync.file_queue import FileQueue, QueuedFile, Turn
from sync.pace import Pace
from sync.wire import Reader, WireFault, parse

MAX_RECREATIONS: Final = 2
MAX_STANDSTILLS: Final = 5
TUS: Final = {"Tus-Resumable": "1.0.0"}
BYTES: Final = "application/offset+octet-stream"
GONE: Final = (404, 410)
GONE_OR_CUT: Final = "the file on this phone is gone or was cut"
ERASED: Final = "/evidence-erased"
TOO_LARGE: Final = 413
ABOUT_BYTES: Final = (409, 410, TOO_LARGE, 415, 422, 460)


class _Erased(Exception):
    """The office has erased what this file would be evidence of."""


class FileRefused(Exception):
    """This file cannot go without a person's help; the outbox knows why, where that is final."""


@dataclass(slots=True)
class FileSender:
    """Sends the outbox's files."""

    files: FileQueue
    office: Connection
    monotonic_ms: Callable[[], int]
    on_event: Listener = ignore
    pace: Pace = field(default_factory=Pace)
    has_moved: bool = field(default=False, init=False)

    def send(self, turn: Turn) -> bool:
        """Send a file for one turn; say whether all of it is at the office now.

        Raises FileRefused, or SyncFault when the connection is the trouble.
        """
        with _reading():
            is_whole = self._is_whole(turn.file)
        if not is_whole:
            if self.files.finish(turn.file.evidence_id, problem=GONE_OR_CUT):
                raise FileRefused(GONE_OR_CUT)
            return False
        self.has_moved = False
        try:
            return self._send(turn)
        except _Erased:
            self.files.finish(turn.file.evidence_id)
            return False
        except SyncFault as fault:
            if not fault.is_transient:
                raise FileRefused(str(fault)) from fault
            self.pace.broke()
            if fault.may_be_content and not self.has_moved:
                self.files.note_break(turn.file.evidence_id)
            raise

    def _tell(self, file: QueuedFile, arrived: int, *, is_more: bool = True) -> None:
        if is_more and not self.has_moved:
            self.files.note_move(file.evidence_id)
        self.has_moved |= is_more
        self.on_event(FileMoved(file.evidence_id, arrived=arrived, size_bytes=file.size_bytes))

    @staticmethod
    def _is_whole(file: QueuedFile) -> bool:
        return file.path.is_file() and file.path.stat().st_size == file.size_bytes

    def _refused(self, file: QueuedFile, problem: str) -> FileRefused:
        self.files.finish(file.evidence_id, problem=problem)
        return FileRefused(problem)

    def _send(self, turn: Turn) -> bool:
        file, url = turn.file, turn.file.upload_url
        for _ in range(MAX_RECREATIONS + 1):
            url, begun = (url, self._where(file, url)) if url else self._create(turn)
            offset = self._send_rest(turn, url, begun)
            if offset is not None:
                if offset < file.size_bytes:
                    return False
                self.files.finish(file.evidence_id)
                return True
            url = None
            self.files.note_upload(file.evidence_id, None)
        raise self._refused(file, "the office refuses this file")

    def _create(self, turn: Turn) -> tuple[str, int | None]:
        """Return the new upload's address and how much of it is there: an earlier one may be found again.

        A file that one request carries comes along. If the office does not want the bytes so, the upload is
        created without, and it says to the bytes themselves what is wrong with them.
        """
        file, carried = turn.file, None
        if 0 < file.size_bytes <= min(self.pace.after(file.breaks), turn.most_bytes):
            carried = _read(file, 0, file.size_bytes)
        began = self.monotonic_ms()
        answer = self._announce(file, carried)
        if carried is not None and (self._is_too_large(answer, carried) or _is_about_bytes(answer)):
            carried, answer = None, self._announce(file, None)
        if answer.status_code in GONE and _is_erased(answer):
            raise _Erased
        if answer.status_code != 201:
            raise fault_of(answer)
        url = str(self.office.place_of(answer))
        self.files.note_upload(file.evidence_id, url)
        there = _offset(answer, file) if "Upload-Offset" in answer.headers else self._where(file, url)
        if carried is not None and there == len(carried):
            self.pace.saw(len(carried), took_ms=self.monotonic_ms() - began)
            self._tell(file, len(carried))
        return url, there

    def _announce(self, file: QueuedFile, carried: bytes | None) -> Answer:
        named = {
            "evidence_id": str(file.evidence_id),
            "sha256": file.sha256,
            "filename": file.path.name,
            "filetype": file.mime,
        }
        metadata = ",".join(
            f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in named.items()
        )
        headers = {**TUS, "Upload-Length": str(file.size_bytes), "Upload-Metadata": metadata}
        if carried is not None:
            headers["Content-Type"] = BYTES
        return self.office.send("POST", "/api/v1/files", headers=headers, content=carried)

    def _send_rest(self, turn: Turn, url: str, begun: int | None) -> int | None:
        """Send what is missing of an upload, as far as the turn goes; return how much is there.

        None when the upload must be created anew.
        """
        file, offset, standstills = turn.file, begun, 0
        while offset is not None and offset < min(file.size_bytes, (begun or 0) + turn.most_bytes):
            reached = self._patch(file, url, offset, _read(file, offset, self.pace.after(file.breaks)))
            standstills = 0 if reached is None or reached > offset else standstills + 1
            if standstills == MAX_STANDSTILLS:
                raise SyncFault("the upload does not get on", is_transient=True)
            if reached is not None:
                self._tell(file, reached, is_more=reached > offset)
            offset = reached
        return offset

    def _where(self, file: QueuedFile, url: str) -> int | None:
        """Return how much of an upload arrived; None when it is gone."""
        answer = self.office.send("HEAD", self._at_office(url), headers=TUS)
        if answer.status_code in GONE and answer.is_problem:
            return None
        if answer.status_code not in (200, 204):
            raise fault_of(answer)
        return _offset(answer, file)

    def _patch(self, file: QueuedFile, url: str, offset: int, piece: bytes) -> int | None:
        """Send one piece; return how much arrived, None when the upload is gone."""
        headers = {**TUS, "Content-Type": BYTES, "Upload-Offset": str(offset)}
        began = self.monotonic_ms()
        answer = self.office.send("PATCH", self._at_office(url), headers=headers, content=piece)
        if answer.status_code in (*GONE, 422) and answer.is_problem:
            return None
        if answer.status_code in (409, 460):
            return self._where(file, url)
        if self._is_too_large(answer, piece):
            return offset
        if answer.status_code != 204:
            raise fault_of(answer)
        self.pace.saw(len(piece), took_ms=self.monotonic_ms() - began)
        return _offset(answer, file)

    def _is_too_large(self, answer: Answer, piece: bytes) -> bool:
        """Whether a proxy takes no body of this size; smaller pieces follow then."""
        if answer.status_code != TOO_LARGE or answer.is_problem:
            return False
        self.pace.was_too_large(len(piece))
        return True

    def _at_office(self, url: str) -> httpx.URL:
        """Return a remembered upload's address at the office as it is reached today."""
        return self.office.http.base_url.copy_with(raw_path=httpx.URL(url).raw_path)


def _read(file: QueuedFile, start: int, size: int) -> bytes:
    with _reading(), file.path.open("rb") as content:
        content.seek(start)
        return content.read(size)


@contextmanager
def _reading() -> Iterator[None]:
    """Say of a file that the phone cannot read, as of worn-out flash, that it cannot go now."""
    try:
        yield
    except OSError as error:
        raise FileRefused(f"the file on this phone cannot be read: {error.strerror}") from error


def _is_about_bytes(answer: Answer) -> bool:
    """Whether the office has something against the bytes, and not against the upload."""
    return answer.is_problem and answer.status_code in ABOUT_BYTES


def _is_erased(answer: Answer) -> bool:
    """Whether the office says so itself: on anything less no file is let go."""
    try:
        return answer.is_problem and Reader(parse(answer.content)).text("type").endswith(ERASED)
    except WireFault:
        return False


def _offset(answer: Answer, file: QueuedFile) -> int:
    """Read how much arrived. A number that cannot be is somebody else's answer."""
    told = answer.headers.get("Upload-Offset", "")
    if not (told.isascii() and told.isdigit() and int(told[:20]) <= file.size_bytes):
        raise SyncFault("the answer is not from the office: no Upload-Offset", is_transient=True)
    return int(told)

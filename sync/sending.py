"""How does one captured file reach the office over many broken connections?

tus 1.0.0: create an upload, ask where it stands, send the rest piece by piece. The office's offset is the
only truth about what arrived. A file that the office keeps refusing is set aside with the reason; it stays on
the phone and never holds up the others.
"""

import base64
from dataclasses import dataclass
from typing import Final

import httpx

from sync.connection import Connection, SyncFault, fault_of
from sync.outbox import Outbox, QueuedFile

CHUNK_BYTES: Final = 256 * 1024
MAX_RECREATIONS: Final = 2
MAX_STANDSTILLS: Final = 5
TUS: Final = {"Tus-Resumable": "1.0.0"}
GONE: Final = (404, 410)


class FileRefused(Exception):
    """This file cannot go without a person's help; the outbox knows why, where that is final."""


@dataclass(frozen=True, slots=True)
class FileSender:
    """Sends the outbox's files."""

    outbox: Outbox
    office: Connection

    def send(self, file: QueuedFile) -> None:
        """Send one file to its end. Raises FileRefused, or SyncFault when the connection is the trouble."""
        if not self._is_whole(file):
            raise self._refused(file, "the file on this phone is gone or was cut")
        try:
            self._send(file)
        except SyncFault as fault:
            if fault.is_transient:
                raise
            raise FileRefused(str(fault)) from fault

    @staticmethod
    def _is_whole(file: QueuedFile) -> bool:
        return file.path.is_file() and file.path.stat().st_size == file.size_bytes

    def _refused(self, file: QueuedFile, problem: str) -> FileRefused:
        self.outbox.finish_file(file.evidence_id, problem=problem)
        return FileRefused(problem)

    def _send(self, file: QueuedFile) -> None:
        url = file.upload_url
        for _ in range(MAX_RECREATIONS + 1):
            url = url or self._create(file)
            if self._send_rest(file, url):
                self.outbox.finish_file(file.evidence_id)
                return
            url = None
            self.outbox.note_upload(file.evidence_id, None)
        raise self._refused(file, "the office refuses this file")

    def _create(self, file: QueuedFile) -> str:
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
        answer = self.office.send("POST", "/api/v1/files", headers=headers)
        if answer.status_code != 201:
            raise fault_of(answer)
        if "Location" not in answer.headers:
            raise SyncFault("the answer is not from the office: no Location", is_transient=True)
        self.outbox.note_upload(file.evidence_id, answer.headers["Location"])
        return answer.headers["Location"]

    def _send_rest(self, file: QueuedFile, url: str) -> bool:
        """Send what is missing of an upload; False when it must be created anew."""
        offset, standstills = self._where(url), 0
        with file.path.open("rb") as content:
            while offset is not None and offset < file.size_bytes:
                content.seek(offset)
                reached = self._patch(url, offset, content.read(CHUNK_BYTES))
                standstills = 0 if reached is None or reached > offset else standstills + 1
                if standstills == MAX_STANDSTILLS:
                    raise SyncFault("the upload does not get on", is_transient=True)
                offset = reached
        return offset is not None

    def _where(self, url: str) -> int | None:
        """Return how much of an upload arrived; None when it is gone."""
        answer = self.office.send("HEAD", url, headers=TUS)
        if answer.status_code in GONE:
            return None
        if answer.status_code not in (200, 204):
            raise fault_of(answer)
        return _offset(answer)

    def _patch(self, url: str, offset: int, piece: bytes) -> int | None:
        """Send one piece; return how much arrived, None when the upload is gone."""
        headers = {**TUS, "Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}
        answer = self.office.send("PATCH", url, headers=headers, content=piece)
        if answer.status_code in (*GONE, 422) and Connection.is_ours(answer):
            return None
        if answer.status_code in (409, 460):
            return self._where(url)
        if answer.status_code != 204:
            raise fault_of(answer)
        return _offset(answer)


def _offset(answer: httpx.Response) -> int:
    told = answer.headers.get("Upload-Offset", "")
    if not (told.isascii() and told.isdigit()):
        raise SyncFault("the answer is not from the office: no Upload-Offset", is_transient=True)
    return int(told)

"""How does a phone sync over a network that keeps breaking?

One `session()` pushes the outbox, pulls the feed and sends what media is missing. Every step may be cut
off anywhere and is simply done again: the server answers a repeat with the same receipts, a page is
applied with its cursor, an upload goes on from the offset the server names. Nothing leaves the outbox
without a receipt whose signature was checked.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import httpx

from sync.envelope import PublicKey, digest, pae
from sync.outbox import Outbox, QueuedFile
from sync.protocol import RECEIPT, Change, Clock, PushedItem, uuid7
from sync.wire import Reader, WireFault, parse, write_clock, write_pushed

BATCH: Final = 25
CHUNK_BYTES: Final = 256 * 1024
PAGE: Final = 500
MAX_RECREATIONS: Final = 2
TUS: Final = {"Tus-Resumable": "1.0.0"}

Progress = Callable[[str, dict[str, Any]], None]


class SyncFault(Exception):
    """Syncing cannot go on now. `is_transient`: try again later; otherwise a person is needed."""

    def __init__(self, message: str, *, is_transient: bool, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.is_transient = is_transient
        self.retry_after = retry_after


@dataclass(slots=True)
class Report:
    """What one session did."""

    pushed: int = 0
    pulled: int = 0
    uploaded: int = 0
    flags: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)


@dataclass(slots=True)
class SyncClient:
    """One phone's connection to the office; `read_clock` gives raw readings, `on_anchor` gets anchors."""

    outbox: Outbox
    http: httpx.Client
    server_key: PublicKey
    read_clock: Callable[[], Clock]
    on_anchor: Callable[[dict[str, Any], int], None]
    monotonic_ms: Callable[[], int]
    progress: Progress = lambda event, facts: None

    def session(self) -> Report:
        """Push, pull, send media. Raises SyncFault; what was done before it stays done."""
        report = Report()
        self.push(report)
        self.pull(report)
        self.send_media(report)
        return report

    # Push.

    def push(self, report: Report) -> None:
        """Push everything that has no receipt, oldest first."""
        while batch := self.outbox.next_batch(BATCH):
            self._push(batch, report)
            self.progress("pushed", {"items": report.pushed})

    def _push(self, batch: Sequence[PushedItem], report: Report) -> None:
        body = {
            "batch_id": str(uuid7()),
            "clock": write_clock(self.read_clock()),
            "items": [write_pushed(item) for item in batch],
        }
        answer = self._send(
            "POST", "/api/v1/sync/push", content=json.dumps(body, ensure_ascii=False).encode()
        )
        if answer.status_code in (400, 413, 422):
            self._bisect(batch, report)
            return
        told = self._expect(answer, 200)
        outcomes = told.get("outcomes", [])
        if [one.get("id") for one in outcomes] != [str(item.id) for item in batch]:
            raise SyncFault("the answer is not about the items that were pushed", is_transient=True)
        self._keep(outcomes, batch, report)

    def _bisect(self, batch: Sequence[PushedItem], report: Report) -> None:
        """The server cannot read this batch: halve it until the one bad item stands alone."""
        if len(batch) > 1:
            middle = len(batch) // 2
            self._push(batch[:middle], report)
            self._push(batch[middle:], report)
            return
        raw = json.dumps(write_pushed(batch[0]), ensure_ascii=False).encode()
        told = self._expect(self._send("POST", "/api/v1/sync/quarantine", content=raw), 200)
        if not self._is_receipt(told.get("receipt"), hashlib.sha256(raw).digest()):
            raise SyncFault("a receipt's signature does not verify", is_transient=True)
        self.outbox.acknowledge(
            [{"id": str(batch[0].id), "outcome": "quarantined", "receipt": told.get("receipt")}]
        )
        report.stuck.append(str(batch[0].id))

    def _keep(self, outcomes: list[dict[str, Any]], batch: Sequence[PushedItem], report: Report) -> None:
        for one, item in zip(outcomes, batch, strict=True):
            name = digest(item.envelope.payload_type, item.envelope.payload)
            if not self._is_receipt(one.get("receipt"), name):
                raise SyncFault("a receipt's signature does not verify", is_transient=True)
        self.outbox.acknowledge(outcomes)
        report.pushed += len(outcomes)
        report.flags += [flag for one in outcomes for flag in one.get("flags", [])]

    def _is_receipt(self, receipt: dict[str, Any] | None, name: bytes) -> bool:
        """Whether the server signed that it stores the item with this digest."""
        if not receipt or receipt.get("item_sha256") != name.hex():
            return False
        signed = {key: receipt.get(key) for key in ("item_id", "item_sha256", "received_at")}
        payload = json.dumps(signed, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        signature = base64.b64decode(receipt.get("sig", ""))
        return self.server_key.has_signed(pae(RECEIPT, payload), signature)

    # Pull.

    def pull(self, report: Report) -> None:
        """Pull until the feed has no more; a stale cursor starts from the beginning."""
        more = True
        while more:
            more = self._pull_page(report)

    def _pull_page(self, report: Report) -> bool:
        query: dict[str, Any] = {"limit": PAGE}
        if cursor := self.outbox.fact("cursor"):
            query["cursor"] = cursor
        sent = self.monotonic_ms()
        answer = self._send("GET", "/api/v1/sync/pull", params=query)
        if answer.status_code == 410:
            if not cursor:
                raise SyncFault("the server refuses a pull from the beginning", is_transient=True)
            self.outbox.forget_feed()
            self.outbox.offer_again()
            self.progress("reset", {})
            return True
        if answer.status_code == 403:
            return False  # submit-only: a revoked phone hands in what it holds and learns nothing new
        page = self._expect(answer, 200)
        changes = [_read_change(value) for value in page["changes"]]
        self.outbox.apply(changes, cursor=page["cursor"], seen=page.get("seen", {}))
        self.on_anchor(page["anchor"], self.monotonic_ms() - sent)
        report.pulled += len(changes)
        self.progress("pulled", {"changes": report.pulled})
        return bool(page["has_more"])

    # Media.

    def send_media(self, report: Report) -> None:
        """Send every file that is waiting; one that cannot go does not hold up the others."""
        for file in self.outbox.next_files():
            self._send_file(file)
            report.uploaded += 1
            self.progress("uploaded", {"files": report.uploaded})

    def _send_file(self, file: QueuedFile) -> None:
        url, recreations = file.upload_url, 0
        while recreations <= MAX_RECREATIONS:
            url, offset = self._locate(file, url)
            if offset == file.size_bytes:
                self.outbox.finish_file(file.evidence_id)
                return
            if offset is not None and self._send_chunks(file, url, offset):
                return
            recreations += 1
            url = None
            self.outbox.note_upload(file.evidence_id, None)
        self.outbox.finish_file(file.evidence_id, problem="the office refuses this file")

    def _locate(self, file: QueuedFile, url: str | None) -> tuple[str, int | None]:
        """Return the upload's URL and the offset to go on from; None when it must be created anew."""
        if url is None:
            return self._create(file), 0 if file.size_bytes else file.size_bytes
        answer = self._send("HEAD", url, headers=TUS)
        if answer.status_code in (404, 410):
            return url, None
        if answer.status_code not in (200, 204):
            raise self._fault(answer)
        return url, int(answer.headers["Upload-Offset"])

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
        answer = self._send("POST", "/api/v1/files", headers=headers)
        if answer.status_code != 201:
            raise self._fault(answer)
        url = answer.headers["Location"]
        self.outbox.note_upload(file.evidence_id, url)
        return url

    def _send_chunks(self, file: QueuedFile, url: str, offset: int) -> bool:
        """Send the rest of a file; False when the upload must be created anew."""
        headers = {**TUS, "Content-Type": "application/offset+octet-stream"}
        with file.path.open("rb") as content:
            while offset < file.size_bytes:
                content.seek(offset)
                answer = self._send(
                    "PATCH",
                    url,
                    headers={**headers, "Upload-Offset": str(offset)},
                    content=content.read(CHUNK_BYTES),
                )
                if answer.status_code in (404, 410, 422):
                    return False
                if answer.status_code in (409, 460):
                    _, found = self._locate(file, url)
                    if found is None:
                        return False
                    offset = found
                    continue
                if answer.status_code != 204:
                    raise self._fault(answer)
                offset = int(answer.headers["Upload-Offset"])
        self.outbox.finish_file(file.evidence_id)
        return True

    # Transport.

    def _send(self, method: str, url: str, **request: Any) -> httpx.Response:
        if isinstance(request.get("content"), bytes) and method == "POST":
            request["headers"] = {"Content-Type": "application/json", **request.get("headers", {})}
        try:
            return self.http.request(method, url, **request)
        except httpx.HTTPError as error:
            raise SyncFault(f"no connection: {type(error).__name__}", is_transient=True) from error

    def _expect(self, answer: httpx.Response, status: int) -> dict[str, Any]:
        """Return the JSON object of an answer with this status; a captive portal's page is no answer."""
        if answer.status_code != status:
            raise self._fault(answer)
        try:
            return Reader(parse(answer.content)).value
        except WireFault as error:
            raise SyncFault("the answer is not from the office", is_transient=True) from error

    @staticmethod
    def _fault(answer: httpx.Response) -> SyncFault:
        is_transient = answer.status_code >= 500 or answer.status_code in (401, 408, 423, 425, 429)
        asked = answer.headers.get("Retry-After", "")
        return SyncFault(
            f"the office answered {answer.status_code}: {answer.text[:300]}",
            is_transient=is_transient,
            retry_after=int(asked) if asked.isdigit() else None,
        )


def _read_change(value: Any) -> Change:
    reader = Reader(value)
    return Change(
        scope=reader.text("scope"),
        kind=reader.text("kind"),
        id=UUID(reader.text("id")),
        op="remove" if reader.choice("op", "put", "remove") == "remove" else "put",
        rev=reader.integer("rev"),
        body=value.get("body"),
    )


def server_time(anchor: dict[str, Any]) -> datetime:
    """Return the server time an anchor states."""
    return Reader(anchor).instant("server_time")

"""How does a phone sync over a network that keeps breaking?

One `session()` pushes the outbox, pulls the feed and sends what media is missing. Every step may be cut
off anywhere and is simply done again: the server answers a repeat with the same receipts, a page is
applied with its cursor, an upload goes on from the offset the server names. Nothing leaves the outbox
without a receipt whose signature was checked.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import httpx

from sync.connection import Connection, SyncFault
from sync.envelope import PublicKey, digest, pae
from sync.outbox import Outbox
from sync.protocol import RECEIPT, Change, Clock, PushedItem, uuid7
from sync.sending import FileRefused, FileSender
from sync.wire import Reader, WireFault, write_clock, write_pushed

__all__ = ["Report", "SyncClient", "SyncFault", "server_time"]

BATCH: Final = 25
PAGE: Final = 500

Progress = Callable[[str, dict[str, Any]], None]


@dataclass(slots=True)
class Report:
    """What one session did. `stuck` names items and files that need a person's help."""

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
    office: Connection = field(init=False)

    def __post_init__(self) -> None:
        self.office = Connection(self.http)

    def session(self) -> Report:
        """Push, pull, send media. Raises SyncFault; what was done before it stays done."""
        report = Report()
        self.push(report)
        self.pull(report)
        self.push(report)  # a reset while pulling offers items again
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
        raw = json.dumps(body, ensure_ascii=False).encode()
        answer = self.office.send("POST", "/api/v1/sync/push", content=raw)
        if answer.status_code == 413 or (answer.status_code in (400, 422) and Connection.is_ours(answer)):
            self._bisect(batch, report)
            return
        outcomes = self.office.expect(answer, 200, lambda told: _read_outcomes(told, batch))
        self._keep(outcomes, batch, report)

    def _bisect(self, batch: Sequence[PushedItem], report: Report) -> None:
        """The server cannot read this batch: halve it until the one bad item stands alone."""
        if len(batch) > 1:
            middle = len(batch) // 2
            self._push(batch[:middle], report)
            self._push(batch[middle:], report)
            return
        raw = json.dumps(write_pushed(batch[0]), ensure_ascii=False).encode()
        answer = self.office.send("POST", "/api/v1/sync/quarantine", content=raw)
        receipt = self.office.expect(answer, 200, lambda told: told.required("receipt"))
        self._require_receipt(receipt, hashlib.sha256(raw).digest())
        self.outbox.acknowledge([{"id": str(batch[0].id), "outcome": "quarantined", "receipt": receipt}])
        report.stuck.append(str(batch[0].id))

    def _keep(self, outcomes: list[dict[str, Any]], batch: Sequence[PushedItem], report: Report) -> None:
        for one, item in zip(outcomes, batch, strict=True):
            self._require_receipt(
                one.get("receipt"), digest(item.envelope.payload_type, item.envelope.payload)
            )
        self.outbox.acknowledge(outcomes)
        report.pushed += len(outcomes)
        report.flags += [flag for one in outcomes for flag in one.get("flags", [])]

    def _require_receipt(self, receipt: Any, name: bytes) -> None:
        """Make sure that the server signed that it stores the item with this digest."""
        try:
            told = Reader(receipt, "/receipt")
            signed = {key: told.text(key) for key in ("item_id", "item_sha256", "received_at")}
            signature = told.base64("sig")
        except WireFault as fault:
            raise SyncFault(f"not a receipt: {fault}", is_transient=True) from fault
        payload = json.dumps(signed, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        is_signed = self.server_key.has_signed(pae(RECEIPT, payload), signature)
        if signed["item_sha256"] != name.hex() or not is_signed:
            raise SyncFault("a receipt's signature does not verify", is_transient=True)

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
        answer = self.office.send("GET", "/api/v1/sync/pull", params=query)
        if answer.status_code == 410 and Connection.is_ours(answer):
            if not cursor:
                raise SyncFault("the server refuses a pull from the beginning", is_transient=True)
            self.outbox.forget_feed()
            self.outbox.offer_again()
            self.progress("reset", {})
            return True
        if answer.status_code == 403 and Connection.is_ours(answer):
            return False  # submit-only: a revoked phone hands in what it holds and learns nothing new
        page = self.office.expect(answer, 200, _read_page)
        self.outbox.apply(page.changes, cursor=page.cursor, seen=page.seen)
        self.on_anchor(page.anchor, self.monotonic_ms() - sent)
        report.pulled += len(page.changes)
        self.progress("pulled", {"changes": report.pulled})
        return page.has_more

    # Media.

    def send_media(self, report: Report) -> None:
        """Send every file that is waiting; one that cannot go does not hold up the others."""
        sender = FileSender(outbox=self.outbox, office=self.office)
        for file in self.outbox.next_files():
            try:
                sender.send(file)
            except FileRefused:
                report.stuck.append(str(file.evidence_id))
                continue
            report.uploaded += 1
            self.progress("uploaded", {"files": report.uploaded})


def _read_outcomes(told: Reader, batch: Sequence[PushedItem]) -> list[dict[str, Any]]:
    """Read one outcome per pushed item, in their order."""
    outcomes = told.array("outcomes")
    if len(outcomes) != len(batch):
        raise WireFault("/outcomes", "are not as many as the items that were pushed")
    for n, (value, item) in enumerate(zip(outcomes, batch, strict=True)):
        one = Reader(value, f"/outcomes/{n}")
        one.text("outcome", most=100)
        if one.uuid("id") != item.id:
            raise WireFault(one.at("id"), "is not the item that was pushed")
    return outcomes


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the feed."""

    changes: list[Change]
    cursor: str
    seen: dict[str, int]
    anchor: dict[str, Any]
    has_more: bool


def _read_page(told: Reader) -> Page:
    changes = [_read_change(Reader(value, f"/changes/{n}")) for n, value in enumerate(told.array("changes"))]
    anchor = told.within("anchor")
    anchor.text("token", most=256)
    anchor.instant("server_time")
    seen = Reader(told.value.get("seen", {}), "/seen")
    return Page(
        changes=changes,
        cursor=told.text("cursor"),
        seen={scope: seen.integer(scope) for scope in seen.value},
        anchor=anchor.value,
        has_more=told.boolean("has_more"),
    )


def _read_change(reader: Reader) -> Change:
    is_put = reader.choice("op", "put", "remove") == "put"
    return Change(
        scope=reader.text("scope"),
        kind=reader.text("kind"),
        id=reader.uuid("id"),
        op="put" if is_put else "remove",
        rev=reader.integer("rev"),
        body=reader.within("body").value if is_put else None,
    )


def server_time(anchor: dict[str, Any]) -> datetime:
    """Return the server time an anchor states."""
    return Reader(anchor).instant("server_time")

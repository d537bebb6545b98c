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
from typing import Any, Final, TypeVar
from uuid import UUID

import httpx

from sync.cancelling import CancelToken
from sync.caution import Caution
from sync.checkpoint import CheckpointFault
from sync.connection import Answer, AnswerTooLong, Connection, SyncFault
from sync.envelope import PublicKey, digest
from sync.events import (
    FeedReset,
    FileArrived,
    ItemsReceipted,
    Listener,
    LogDoubted,
    NoRoom,
    PageApplied,
    RecordDiffers,
    Stuck,
    ignore,
)
from sync.feed import digest_of
from sync.file_queue import Aside
from sync.outbox import Outbox, Place
from sync.pace import Pace
from sync.pages import Page, read_page
from sync.protocol import Clock, PushedItem, uuid7
from sync.receipts import Told, keep, read_outcomes, require_receipt
from sync.record import TOLD, RecordDoubt
from sync.rescue import read_rescue_key
from sync.sending import FileRefused, FileSender
from sync.store import PhoneFull
from sync.wire import Reader, WireFault, read_envelope, write_clock, write_pushed
from sync.witness import HEAD, Growth, Head, open_head, witness

__all__ = ["Report", "SyncClient", "SyncFault", "server_time"]

T = TypeVar("T")
PAGE: Final = 500
# So often a session pulls on after another one on this phone was faster; then it leaves the feed to it.
MOST_OVERTAKEN: Final = 3


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
    """One phone's connection to the office; `read_clock` gives raw readings, `on_anchor` gets anchors.

    `on_doubt` records an item of this type and body about the office itself, and these facts with it; False
    when there is no room for it now.
    Use from one thread; `cancel` may be cancelled from any.
    """

    outbox: Outbox
    http: httpx.Client
    server_key: PublicKey
    read_clock: Callable[[], Clock]
    on_anchor: Callable[[dict[str, Any], int], None]
    on_doubt: Callable[[str, dict[str, str], dict[str, Any]], bool]
    monotonic_ms: Callable[[], int]
    on_event: Listener = ignore
    token: str | None = None
    cancel: CancelToken = field(default_factory=CancelToken)
    office: Connection = field(init=False)
    page_size: int = field(default=PAGE, init=False)
    offers_again: bool = field(default=False, init=False)
    pace: Pace = field(default_factory=Pace, init=False)

    def __post_init__(self) -> None:
        self.office = Connection(self.http, token=self.token, cancel=self.cancel)

    def session(self) -> Report:
        """Push, pull, send media. Raises SyncFault or Cancelled; what was done before it stays done.

        Raises PhoneFull at its end if something had no room; what needs none was done all the same.
        """
        report = Report()
        refused = [
            full
            for step in (self.push, self.pull, self._push_again, self.send_media)
            if (full := self._with_room(step, report)) is not None
        ]
        self.tidy()
        if refused:
            raise refused[0]
        return report

    def _with_room(self, step: Callable[[Report], object], report: Report) -> PhoneFull | None:
        """Do a step; where there is no room make some and do it again. Return what is refused even then."""
        try:
            try:
                step(report)
            except PhoneFull:
                if not self._make_room():
                    raise
                step(report)
        except PhoneFull as full:
            self.on_event(NoRoom(str(full)))
            return full
        return None

    def _make_room(self) -> bool:
        anchor = self.outbox.fact("anchor")
        return anchor is not None and self.outbox.make_room(now=server_time(anchor))

    # Push.

    def push(self, report: Report, *, tries_aside: bool = True) -> None:
        """Push everything that has no receipt, oldest first; items that stand aside last, each alone."""
        if not self.outbox.next_batch(1):
            return
        caution = Caution.of(self.outbox)
        if caution.is_warned:
            self._find_office()
        else:
            self._ask_the_time()
        self._push_queue(caution, report)
        if tries_aside:
            self._push_aside(caution, report)
        caution.end()

    def _push_again(self, report: Report) -> None:
        """Push what the pull gave reason to offer again."""
        if self.offers_again:
            self.push(report, tries_aside=False)
            self.offers_again = False

    def _push_queue(self, caution: Caution, report: Report) -> None:
        above = 0
        while batch := self.outbox.next_batch(caution.size, above=above, skipping=caution.aside):
            try:
                self._push(batch, report)
            except SyncFault as fault:
                if not caution.broke(batch, fault):
                    raise
                self._find_office()
                if batch[0].seq in caution.aside:
                    self._stick("item", batch[0].id, str(fault), report)
                continue
            caution.went(batch)
            above = batch[-1].seq  # what is stuck behind us waits for the next session
            self._tell_receipts(report)

    def _push_aside(self, caution: Caution, report: Report) -> None:
        for seq in caution.due():
            batch = self.outbox.next_batch(1, above=seq - 1)
            if not batch or batch[0].seq != seq:
                caution.left(seq)
                continue
            try:
                self._push(batch, report)
            except SyncFault as fault:
                if not fault.may_be_content:
                    raise
                caution.broke_again(seq)
                self._stick("item", batch[0].id, str(fault), report)
                return
            caution.left(seq)
            self._tell_receipts(report)

    def _tell_receipts(self, report: Report) -> None:
        waiting, _ = self.outbox.count_waiting()
        self.on_event(ItemsReceipted(report.pushed, waiting))

    def _push(self, batch: Sequence[PushedItem], report: Report) -> None:
        body = {
            "batch_id": str(uuid7()),
            "clock": write_clock(self.read_clock()),
            "items": [write_pushed(item) for item in batch],
        }
        sent = self.monotonic_ms()
        answer = self.office.send("POST", "/api/v1/sync/push", content=_dump(body))
        if answer.status_code == 413 or (answer.status_code in (400, 422) and answer.is_problem):
            self._bisect(batch, report)
            return
        outcomes = self.office.expect(answer, 200, lambda told: self._read_pushed(told, batch, sent))
        keep(outcomes, self.outbox)
        report.pushed += len(outcomes)
        report.flags += [flag for one in outcomes for flag in one.flags]

    def _read_pushed(self, told: Reader, batch: Sequence[PushedItem], sent: int) -> list[Told]:
        outcomes = read_outcomes(told, batch)
        for one, item in zip(outcomes, batch, strict=True):
            name = digest(item.envelope.payload_type, item.envelope.payload)
            require_receipt(one.receipt, name, server_key=self.server_key)
        self._take_anchor(told.value.get("anchor"), sent)
        return outcomes

    def _ask_the_time(self) -> None:
        """Get an anchor of this boot before pushing: it tells when that happened which was written since."""
        clock = self.read_clock()
        if clock.anchor is None or clock.anchor_boot_id == clock.boot_id:
            return
        sent = self.monotonic_ms()
        answer = self.office.send("GET", "/api/v1/sync/status")
        if answer.status_code == 200:
            self.office.expect(answer, 200, lambda told: self._take_anchor(told.value.get("anchor"), sent))

    def _find_office(self) -> None:
        """Ask something small. Raises SyncFault where nobody or somebody else answers: send nothing large."""
        sent = self.monotonic_ms()
        self._ask_status(lambda told: self._take_anchor(told.value.get("anchor"), sent))

    def _ask_status(self, read: Callable[[Reader], T]) -> T | None:
        """Ask what a phone may always ask; None where this office does not tell it."""
        answer = self.office.send("GET", "/api/v1/sync/status")
        if answer.status_code in (403, 404) and answer.is_problem:
            return None
        return self.office.expect(answer, 200, read)

    def _take_anchor(self, anchor: Any, sent: int) -> None:
        """Keep the anchor of a push: a phone that may only submit gets no other."""
        if isinstance(anchor, dict) and isinstance(anchor.get("token"), str):
            try:
                server_time(anchor)
            except WireFault:
                return
            self.on_anchor(anchor, self.monotonic_ms() - sent)

    def _bisect(self, batch: Sequence[PushedItem], report: Report) -> None:
        """The server cannot read this batch: halve it until the one bad item stands alone."""
        if len(batch) > 1:
            middle = len(batch) // 2
            self._push(batch[:middle], report)
            self._push(batch[middle:], report)
            return
        (item,) = batch
        raw = _dump(write_pushed(item))
        answer = self.office.send("POST", "/api/v1/sync/quarantine", params={"seq": item.seq}, content=raw)
        if answer.status_code == 413 or (answer.status_code in (400, 422) and answer.is_problem):
            # Nobody takes it now, perhaps a proxy on this network: it stays, and the others go on.
            self._stick("item", item.id, f"it is too large or unreadable ({answer.status_code})", report)
            return
        name = hashlib.sha256(raw).digest()
        receipt = self.office.expect(
            answer,
            200,
            lambda told: require_receipt(told.required("receipt"), name, server_key=self.server_key),
        )
        keep([Told(str(item.id), "quarantined", [], receipt)], self.outbox)
        self._stick("item", item.id, "the office keeps it aside as it could not be read", report)

    def _stick(self, what: Any, name: UUID, why: str, report: Report) -> None:
        report.stuck.append(str(name))
        self.on_event(Stuck(what, name, why))

    # Pull.

    def pull(self, report: Report) -> bool:
        """Pull until the feed has no more. True if the feed was started over, so that items wait again."""
        was_reset, overtaken = False, 0
        while overtaken <= MOST_OVERTAKEN:
            place, head = self.outbox.place(), self._head()
            sent = self.monotonic_ms()
            answer = self._ask_page(place.cursor, head)
            if answer.status_code == 403 and answer.is_problem:
                # Submit-only: a revoked phone hands in what it holds, learns nothing new.
                self._ask_what_is_kept()
                return was_reset
            if answer.status_code == 410 and answer.is_problem:
                if not place.cursor or was_reset:
                    raise SyncFault("the server refuses a pull from the beginning", is_transient=True)
                was_reset = self._start_over("stale", place)
                overtaken += not was_reset
                continue
            page = self.office.expect(answer, 200, read_page)
            if not self._apply(page, place, sent, report):
                overtaken += 1
                continue
            if page.has_more:
                continue
            self._compare_record(page.record_digest)
            if page.growth is not None:
                self._watch(head, page.growth)
            here = Place(page.cursor, place.generation)
            if was_reset or not self._differs(page):
                return was_reset
            was_reset = self._start_over("differs", here, digest_in_vain=page.scope_digest)
            overtaken += not was_reset
        return was_reset

    def _ask_what_is_kept(self) -> None:
        """Ask what of this phone's is stored, where it may not pull."""
        self._compare_record(self._ask_status(lambda told: told.optional_digest("record_digest")))

    def _compare_record(self, held: bytes | None) -> None:
        """Hold the office's digest against ours, unless it may have an item whose answer somebody cuts."""
        if not Caution.keeps_aside(self.outbox):
            self._hear_record(held)

    def _hear_record(self, held: bytes | None) -> None:
        if held is None:
            return
        if self.outbox.hear_record(held):
            self.offers_again = True
        elif doubt := self.outbox.record.doubt(held):
            self._tell_difference(doubt)

    def _tell_difference(self, doubt: RecordDoubt) -> None:
        anchor = self.outbox.fact("anchor")
        now = None if anchor is None else server_time(anchor)
        if now is not None and self.outbox.record.may_tell(doubt, now=now):
            body = {"held": doubt.held.hex(), "told": doubt.told.hex()}
            facts = {TOLD: {"difference": doubt.difference, "at": now.isoformat()}}
            self.offers_again |= self.on_doubt("record.doubted", body, facts)
        self.on_event(RecordDiffers(doubt))

    def _ask_page(self, cursor: str | None, head: Head | None) -> Answer:
        kept = {} if head is None else {"log_size": head.size}
        while True:
            query = {"limit": self.page_size, **kept} | ({"cursor": cursor} if cursor else {})
            try:
                return self.office.send("GET", "/api/v1/sync/pull", params=query)
            except AnswerTooLong:
                if self.page_size == 1:
                    raise
                self.page_size //= 2

    def _apply(self, page: Page, asked_at: Place, sent: int, report: Report) -> bool:
        """Apply a page, unless another session moved the feed since it was asked for."""
        facts = self._facts_of(page)
        try:
            is_applied = self.outbox.apply(
                page.changes,
                cursor=page.cursor,
                seen=page.seen,
                is_complete=not page.has_more,
                facts=facts,
                asked_at=asked_at,
            )
        except PhoneFull:
            # Room can only be made from what a page calls durable: that alone has to find a place.
            if self.outbox.learn(facts, asked_at=asked_at):
                self.on_anchor(page.anchor, self.monotonic_ms() - sent)
            raise
        if is_applied:
            self.on_anchor(page.anchor, self.monotonic_ms() - sent)
            report.pulled += len(page.changes)
            self.on_event(PageApplied(report.pulled, has_more=page.has_more))
        return is_applied

    def _facts_of(self, page: Page) -> dict[str, Any]:
        facts: dict[str, Any] = {}
        if page.durable_through is not None:
            facts["durable_through"] = page.durable_through
        if page.rescue_key is not None and self._is_rescue_key(page.rescue_key):
            facts["rescue_key"] = page.rescue_key
        return facts

    def _head(self) -> Head | None:
        """Return the head of the log that this phone keeps; None too for one of another office."""
        note = self.outbox.fact(HEAD)
        try:
            return None if note is None else open_head(note, key=self.server_key)
        except CheckpointFault:
            return None

    def _watch(self, kept: Head | None, growth: Growth) -> None:
        """Hold the log's head against the one this phone asked with; whatever comes out, syncing goes on."""
        try:
            doubt = witness(kept, growth, key=self.server_key)
        except CheckpointFault:
            return  # not signed by the office: nobody said anything
        if doubt is None:
            if kept is None or growth.checkpoint != kept.note:
                self.outbox.remember(**{HEAD: growth.checkpoint})
            return
        body = {"why": doubt.why, "held": doubt.held, "told": doubt.told}
        self.offers_again |= self.on_doubt("log.doubted", body, {HEAD: doubt.told})
        self.on_event(LogDoubted(doubt))

    def _is_rescue_key(self, sealed: dict[str, Any]) -> bool:
        """Whether the office signed this key for rescue bundles, of a kind this phone can use."""
        try:
            key = read_rescue_key(read_envelope(Reader(sealed, "/rescue_key")), server_key=self.server_key)
        except WireFault:
            return False
        return key is not None

    def _differs(self, page: Page) -> bool:
        """Whether this phone holds something else than the office thinks, and starting over may help."""
        told = page.scope_digest
        held = {scope: digest_of(self.outbox.held(scope)) for scope in told}
        return held != told and self.outbox.fact("digest_in_vain") != told

    def _start_over(self, why: Any, asked_at: Place, **facts: Any) -> bool:
        """Start the feed over, unless another session moved it since it was asked for."""
        is_new = self.outbox.start_over(asked_at=asked_at, **facts)
        if is_new:
            self.offers_again = True
            self.on_event(FeedReset(why))
        return is_new

    # Media.

    def send_media(self, report: Report) -> None:
        """Send the files that are waiting, turn by turn; one that cannot go does not hold up the others.

        A file that stands aside is tried once another has gone, or when no other is left; after one that
        broke again no other of them is tried in this session.
        """
        sender = FileSender(self.outbox.files, self.office, self.monotonic_ms, self.on_event, self.pace)
        passed: set[UUID] = set()
        aside: Aside = "last"
        while turn := self.outbox.files.next_turn(skipping=passed, aside=aside):
            name = turn.file.evidence_id
            try:
                has_arrived = sender.send(turn)
            except FileRefused as fault:
                passed.add(name)
                self._stick("file", name, str(fault), report)
                continue
            except SyncFault as fault:
                if not (turn.file.is_aside and fault.may_be_content):
                    raise
                aside = "never"
                self._stick("file", name, str(fault), report)
                continue
            aside = "first" if aside == "last" else aside
            if has_arrived:
                report.uploaded += 1
                self.on_event(FileArrived(name, report.uploaded))

    def tidy(self) -> None:
        """Drop what the office has kept for good long enough."""
        anchor = self.outbox.fact("anchor")
        if anchor is not None:
            self.outbox.release(now=server_time(anchor))


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def server_time(anchor: dict[str, Any]) -> datetime:
    """Return the server time an anchor states."""
    return Reader(anchor).instant("server_time")

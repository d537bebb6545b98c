"""How does a session bring a phone to where the feed is?

Page by page, each applied with its cursor; from nothing where the office cannot continue from this phone's
cursor, or holds something else than the phone does. Another session on the same phone may do so at the same
time: what was asked for before it moved the feed is dropped.
"""

from typing import Any, Final, Literal

from sync.connection import Answer, AnswerTooLong, SyncFault
from sync.doubting import hear_record, kept_head, watch_log
from sync.envelope import PublicKey
from sync.events import FeedReset, PageApplied
from sync.feed import digest_of
from sync.outbox import Outbox, Place
from sync.pages import Page, read_page
from sync.rescue import read_rescue_key
from sync.session import Blocked, Session
from sync.store import PhoneFull
from sync.wire import Reader, WireFault, read_envelope
from sync.witness import Head

# So often a session pulls on after another one on this phone was faster; then it leaves the feed to it.
MOST_OVERTAKEN: Final = 3
BROKE: Final = "pull_broke"
"""Under this name a phone keeps that its last pull broke."""


def pull(session: Session) -> bool:
    """Pull until the feed has no more. True if the feed was started over, so that items wait again.

    Raises SyncFault; Blocked from the second time in a row on, where the office answers something small.
    """
    has_broken = bool(session.outbox.fact(BROKE))
    try:
        was_reset = _pull(session)
    except SyncFault as fault:
        if not fault.may_be_content:
            raise
        if has_broken:
            session.find_office()
            raise Blocked(fault) from fault
        session.outbox.remember(**{BROKE: True})
        raise
    if has_broken:
        session.outbox.remember(**{BROKE: None})
    return was_reset


def _pull(session: Session) -> bool:
    was_reset, overtaken = False, 0
    while overtaken <= MOST_OVERTAKEN:
        place, head, others = session.outbox.place(), kept_head(session), session.outbox.store.count_others()
        sent = session.monotonic_ms()
        answer = _ask_page(session, place.cursor, head)
        if answer.status_code == 403 and answer.is_problem:
            # Submit-only: a revoked phone hands in what it holds, learns nothing new.
            hear_record(session, session.ask_status(lambda told: told.optional_digest("record_digest")))
            return was_reset
        if answer.status_code == 410 and answer.is_problem:
            if not place.cursor or was_reset:
                raise SyncFault("the server refuses a pull from the beginning", is_transient=True)
            was_reset = _start_over(session, "stale", place)
            overtaken += not was_reset
            continue
        page = session.office.expect(answer, 200, read_page)
        if not _apply(session, page, place, sent):
            overtaken += 1
            continue
        if page.has_more:
            continue
        if others == session.outbox.store.count_others():  # else more may be handed in than the page knew of
            hear_record(session, page.record_digest)
        if page.growth is not None:
            watch_log(session, head, page.growth)
        here = Place(page.cursor, place.generation)
        if was_reset or not _differs(session.outbox, page):
            return was_reset
        was_reset = _start_over(session, "differs", here, digest_in_vain=page.scope_digest)
        overtaken += not was_reset
    return was_reset


def _ask_page(session: Session, cursor: str | None, head: Head | None) -> Answer:
    kept = {} if head is None else {"log_size": head.size}
    while True:
        query = {"limit": session.pace.page_rows, **kept} | ({"cursor": cursor} if cursor else {})
        try:
            return session.office.send("GET", "/api/v1/sync/pull", params=query)
        except AnswerTooLong:
            if not session.pace.was_too_long():
                raise


def _apply(session: Session, page: Page, asked_at: Place, sent: int) -> bool:
    """Apply a page, unless another session moved the feed since it was asked for."""
    facts = _facts_of(page, session.server_key)
    try:
        is_applied = session.outbox.apply(
            page.changes,
            cursor=page.cursor,
            seen=page.seen,
            is_complete=not page.has_more,
            facts=facts,
            asked_at=asked_at,
        )
    except PhoneFull:
        # Room can only be made from what a page calls durable: that alone has to find a place.
        if session.outbox.learn(facts, asked_at=asked_at):
            session.on_anchor(page.anchor, session.monotonic_ms() - sent)
        raise
    if is_applied:
        session.on_anchor(page.anchor, session.monotonic_ms() - sent)
        session.report.pulled += len(page.changes)
        session.on_event(PageApplied(session.report.pulled, has_more=page.has_more))
    return is_applied


def _facts_of(page: Page, server_key: PublicKey) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if page.durable_through is not None:
        facts["durable_through"] = page.durable_through
    if page.rescue_key is not None and _is_rescue_key(page.rescue_key, server_key):
        facts["rescue_key"] = page.rescue_key
    return facts


def _is_rescue_key(sealed: dict[str, Any], server_key: PublicKey) -> bool:
    """Whether the office signed this key for rescue bundles, of a kind this phone can use."""
    try:
        key = read_rescue_key(read_envelope(Reader(sealed, "/rescue_key")), server_key=server_key)
    except WireFault:
        return False
    return key is not None


def _differs(outbox: Outbox, page: Page) -> bool:
    """Whether this phone holds something else than the office thinks, and starting over may help."""
    told = page.scope_digest
    held = {scope: digest_of(outbox.held(scope)) for scope in told}
    return held != told and outbox.fact("digest_in_vain") != told


def _start_over(session: Session, why: Literal["stale", "differs"], asked_at: Place, **facts: Any) -> bool:
    """Start the feed over, unless another session moved it since it was asked for."""
    is_new = session.outbox.start_over(asked_at=asked_at, **facts)
    if is_new:
        session.offers_again = True
        session.on_event(FeedReset(why))
    return is_new

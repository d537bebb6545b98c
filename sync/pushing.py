"""How do a session's items reach the office, whatever becomes of some of them?

Oldest first, in batches that `sync.caution` bounds; what stands aside comes last, each alone. A batch that
the office cannot read is halved down to the one bad item, which goes raw into quarantine. Nothing counts as
pushed without a receipt whose signature was checked.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sync.caution import Caution
from sync.connection import Answer, SyncFault
from sync.envelope import digest
from sync.events import ItemsReceipted
from sync.protocol import PushedItem, uuid7
from sync.receipts import Told, keep, read_outcomes, require_receipt
from sync.session import Blocked, Session
from sync.wire import Reader, write_clock, write_pushed

QUARANTINED: Final = "quarantined"


def push(session: Session, *, tries_aside: bool = True) -> None:
    """Push everything that has no receipt. Raises SyncFault; Blocked where only the items are the trouble."""
    if not session.outbox.next_batch(1):
        return
    caution = Caution.of(session.outbox)
    if caution.is_warned or session.needs_the_time():
        session.find_office()
    _push_queue(session, caution)
    if tries_aside:
        _push_aside(session, caution)
    caution.end()


def push_again(session: Session) -> None:
    """Push what the pull gave reason to offer again, unless items did not get through in this session."""
    if session.offers_again and not isinstance(session.trouble, Blocked):
        push(session, tries_aside=False)
        session.offers_again = False


def _push_queue(session: Session, caution: Caution) -> None:
    above = 0
    while batch := session.outbox.next_batch(caution.size, above=above, skipping=caution.aside):
        try:
            _push_batch(session, batch)
        except SyncFault as fault:
            if not caution.broke(batch, fault):
                if caution.is_warned and fault.may_be_content:
                    raise Blocked(fault) from fault
                raise
            session.find_office()
            if batch[0].seq in caution.aside:
                session.stick("item", batch[0].id, str(fault))
            continue
        caution.went(batch)
        above = batch[-1].seq  # what is stuck behind us waits for the next session
        _tell_receipts(session)


def _push_aside(session: Session, caution: Caution) -> None:
    for seq in caution.due():
        batch = session.outbox.next_batch(1, above=seq - 1)
        if not batch or batch[0].seq != seq:
            caution.left(seq)
            continue
        try:
            _push_batch(session, batch)
        except SyncFault as fault:
            if not fault.may_be_content:
                raise
            caution.broke_again(seq)
            session.stick("item", batch[0].id, str(fault))
            return
        caution.left(seq)
        _tell_receipts(session)


def _tell_receipts(session: Session) -> None:
    waiting, _ = session.outbox.count_waiting()
    session.on_event(ItemsReceipted(session.report.pushed, waiting))


def _push_batch(session: Session, batch: Sequence[PushedItem]) -> None:
    body = {
        "batch_id": str(uuid7()),
        "clock": write_clock(session.read_clock()),
        "items": [write_pushed(item) for item in batch],
    }
    sent = session.monotonic_ms()
    answer = session.office.send("POST", "/api/v1/sync/push", content=_dump(body))
    if _is_unreadable(answer):
        _bisect(session, batch)
        return
    outcomes = session.office.expect(answer, 200, lambda told: _read_outcomes(session, told, batch, sent))
    keep(outcomes, session.outbox)
    session.report.pushed += len(outcomes)
    session.report.flags += [flag for one in outcomes for flag in one.flags]
    for one in outcomes:
        if one.outcome == QUARANTINED:
            session.stick("item", UUID(one.id), f"the office keeps it aside: {one.why}")


def _read_outcomes(session: Session, told: Reader, batch: Sequence[PushedItem], sent: int) -> list[Told]:
    outcomes = read_outcomes(told, batch)
    for one, item in zip(outcomes, batch, strict=True):
        name = digest(item.envelope.payload_type, item.envelope.payload)
        require_receipt(one.receipt, name, server_key=session.server_key)
    session.take_anchor(told.value.get("anchor"), sent)
    return outcomes


def _is_unreadable(answer: Answer) -> bool:
    """Whether the office cannot read this, or somebody finds it too large."""
    return answer.status_code == 413 or (answer.status_code in (400, 422) and answer.is_problem)


def _bisect(session: Session, batch: Sequence[PushedItem]) -> None:
    """Halve a batch that nobody reads until the one bad item stands alone."""
    if len(batch) > 1:
        middle = len(batch) // 2
        _push_batch(session, batch[:middle])
        _push_batch(session, batch[middle:])
        return
    (item,) = batch
    raw = _dump(write_pushed(item))
    answer = session.office.send("POST", "/api/v1/sync/quarantine", params={"seq": item.seq}, content=raw)
    if _is_unreadable(answer):
        # Nobody takes it now, perhaps a proxy on this network: it stays, and the others go on.
        session.stick("item", item.id, f"it is too large or unreadable ({answer.status_code})")
        return
    name = hashlib.sha256(raw).digest()
    receipt = session.office.expect(
        answer,
        200,
        lambda told: require_receipt(told.required("receipt"), name, server_key=session.server_key),
    )
    keep([Told(str(item.id), QUARANTINED, [], receipt)], session.outbox)
    session.stick("item", item.id, "the office keeps it aside as it could not be read")


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()

"""Who lets an item through, tries it again, or sets it aside, and why?

A supervisor who had no part in it. `seen` is how many decisions the supervisor had seen: a click that comes
twice is one decision, and two supervisors do not decide over each other.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.authority import Actor
from server.database import transaction
from server.errors import Conflict, Fault, Forbidden, Invalid
from server.jobs import enqueue
from server.ledger.commitment import SALT_BYTES, commit
from server.models.people import Device
from server.models.quarantine import DeskDecision
from server.models.visits import Item, RawSubmission, Visit, visit_named_by
from server.workflows.exchange import inbox
from server.workflows.exchange.parents import ACCEPTED
from server.workflows.exchange.senders import lock_sender
from server.workflows.exchange.waiting import project, project_waiting
from server.workflows.quarantine_desk.entries import SEEN, Ref, Stored, decisions_about, find
from server.workflows.quarantine_desk.looking import outcome_of, pushed_of
from sync.admission import examine
from sync.envelope import PublicKey
from sync.protocol import uuid7
from sync.wire import WireFault, read_item

# What may still be decided about, by kind.
OPEN: Final = {
    "item": ("quarantined", "set_aside"),
    "held": ("held", "set_aside"),
    "conflict": ("waiting", "set_aside"),
    "raw": ("waiting", "set_aside"),
}
WAYS: Final = {
    "item": ("retry", "accept", "set_aside", "correct"),
    "held": ("accept", "set_aside", "correct"),
    "fork": ("accept",),
    "doubt": ("accept",),
    "conflict": ("set_aside", "correct"),
    "raw": ("retry", "set_aside", "correct"),
}


@dataclass(frozen=True, slots=True)
class Ruling:
    """What somebody wants to decide, and how many decisions they had seen."""

    decision: str
    reason: str
    seen: int


@dataclass(frozen=True, slots=True)
class Became:
    """What became of an entry."""

    outcome: str
    problem: dict[str, Any] | None = None
    correction_id: UUID | None = None


Carry = Callable[[Session, Stored], Became]


def decide(ref: Ref, ruling: Ruling, *, actor: Actor, now: datetime) -> DeskDecision:
    """Try an entry again, accept it although something is wrong, or set it aside.

    Raises Conflict where that cannot be done, was done otherwise meanwhile, or is not for this kind;
    Forbidden for the visitor concerned.
    """
    require_way(ref, ruling)
    if ref.kind == "raw" and ruling.decision == "retry":
        return _hand_in_again(ref, ruling, actor=actor, now=now)

    def carry(session: Session, found: Stored) -> Became:
        if ruling.decision == "set_aside":
            return _set_aside(found)
        assert isinstance(found, Item)
        if ref.kind in SEEN:
            found.flags = [*found.flags, SEEN[ref.kind]]
            return Became(found.outcome)
        return (_retry if ruling.decision == "retry" else _accept)(session, found, now=now)

    return rule(ref, ruling, carry, actor=actor, now=now)


def require_way(ref: Ref, ruling: Ruling) -> None:
    """Refuse what may not be decided about this kind: what is applied and only wants to be seen stays."""
    if ruling.decision not in WAYS[ref.kind]:
        detail = f"For this kind one may: {', '.join(WAYS[ref.kind])}."
        raise Conflict("decision-not-for-this", detail, allowed=list(WAYS[ref.kind]))


def rule(ref: Ref, ruling: Ruling, carry: Carry, *, actor: Actor, now: datetime) -> DeskDecision:
    """Carry a decision out and record it, once, while nothing else happens to the phone's items."""
    if not ruling.reason.strip():
        fault = Fault("/reason", "Say why: a decision without a reason does not count.")
        raise Invalid("reason-missing", "Correct the fields listed in `errors`.", faults=[fault])
    with transaction() as session:
        find(session, ref)

    def decided(session: Session) -> DeskDecision:
        found = find(session, ref, for_update=True)
        repeated = _repeated(session, ref, ruling, actor)
        if repeated is not None:
            return repeated
        require_uninvolved(session, found, actor)
        _require_open(ref, found)
        became = carry(session, found)
        reason = ruling.reason.strip()
        decision = DeskDecision(
            id=uuid7(),
            kind=ref.kind,
            device_id=ref.device_id,
            item_id=ref.item_id,
            sha256=ref.sha256,
            number=ruling.seen + 1,
            decision=ruling.decision,
            reason=reason,
            reason_commitment=commit(reason, salt=os.urandom(SALT_BYTES)),
            decided_by=actor.staff_id,
            decided_at=now,
            outcome=became.outcome,
            problem=became.problem,
            correction_id=became.correction_id,
        )
        session.add(decision)
        session.flush()
        return decision

    return project(ref.device_id, now=now, then=decided)


def _repeated(session: Session, ref: Ref, ruling: Ruling, actor: Actor) -> DeskDecision | None:
    """Return the decision that this one repeats; refuse it where somebody decided meanwhile."""
    past = decisions_about(session, ref)
    if len(past) < ruling.seen:
        fault = Fault("/seen", f"There are {len(past)} decisions about it.")
        raise Invalid("decisions-unseen", "Look at it again and decide then.", faults=[fault])
    if len(past) == ruling.seen:
        return None
    next_one = past[ruling.seen]
    said = (next_one.decided_by, next_one.decision, next_one.reason)
    if said == (actor.staff_id, ruling.decision, ruling.reason.strip()):
        return next_one
    detail = "Somebody decided about it meanwhile. Look at it again."
    raise Conflict("decided-meanwhile", detail, decision=next_one.decision, decided_by=next_one.decided_by)


def require_uninvolved(session: Session, found: Stored, actor: Actor) -> None:
    """Refuse whoever the phone belongs to, and whoever was at the visit it tells of."""
    people = {session.scalar(sa.select(Device.staff_id).where(Device.id == found.device_id))}
    if isinstance(found, Item) and found.visit_id is not None:
        visit = session.get(Visit, found.visit_id)
        people |= {visit.staff_id, *visit.team} if visit is not None else set()
    if actor.staff_id in people:
        raise Forbidden("own-item", "This is about your own visit; another supervisor must decide.")


def _require_open(ref: Ref, found: Stored) -> None:
    if not (found.content if isinstance(found, RawSubmission) else found.payload):
        raise Conflict("entry-erased", "It was erased: there is nothing left to decide about.")
    if ref.kind in SEEN:
        is_open = isinstance(found, Item) and SEEN[ref.kind] not in found.flags
    else:
        is_open = outcome_of(found) in OPEN[ref.kind]
    if not is_open:
        outcome = outcome_of(found)
        raise Conflict("settled", f"It is {outcome}: there is nothing to decide any more.", outcome=outcome)


def _set_aside(found: Stored) -> Became:
    """Let it rest; its visit is judged without it, where an account that waits here was none missing."""
    if isinstance(found, Item):
        found.outcome = "set_aside"
        if found.visit_id is not None:
            enqueue("reconcile_visits", visit_ids=[str(found.visit_id)])
    else:
        found.settled = "set_aside"
    return Became("set_aside")


def _retry(session: Session, item: Item, *, now: datetime) -> Became:
    """Judge an item as if it came now: code, data or what it waits for may have changed."""
    device = session.get_one(Device, item.device_id)
    key = PublicKey.from_spki(device.public_key, algorithm=device.algorithm)
    pushed = pushed_of(item)
    assert pushed is not None
    candidate = examine(pushed, device_id=item.device_id, key=key)
    if candidate.problem is not None:
        item.outcome, item.problem = "quarantined", candidate.problem
        return Became("quarantined", candidate.problem)
    return _apply_again(session, item, now=now)


def _accept(session: Session, item: Item, *, now: datetime) -> Became:
    """Apply an item on the office's word, although its signature, its sender or its parent is not right."""
    item.flags = [*item.flags, ACCEPTED]
    became = _apply_again(session, item, now=now)
    if became.outcome != "applied":
        raise _cannot_accept(became.problem or {})
    return became


def _cannot_accept(problem: dict[str, Any]) -> Conflict:
    why = problem.get("detail", "It waits for something.")
    detail = f"Nobody's word makes this applicable; correct it instead. {why}"
    return Conflict("cannot-be-accepted", detail, problem=problem)


def _apply_again(session: Session, item: Item, *, now: datetime) -> Became:
    try:
        record = read_item(item.payload)
    except WireFault as fault:
        problem = {"slug": "item-unreadable", "detail": fault.detail, "pointer": fault.pointer}
        item.outcome, item.problem = "quarantined", problem
        return Became("quarantined", problem)
    item.type, item.visit_id = record.type, visit_named_by(record)
    item.outcome, item.problem = "received", None
    session.flush()
    project_waiting(session, lock_sender(session, item.device_id), now=now)
    session.refresh(item)
    return Became(item.outcome, item.problem)


def _hand_in_again(ref: Ref, ruling: Ruling, *, actor: Actor, now: datetime) -> DeskDecision:
    """Push raw bytes in their phone's name, if they are an item by now; then record what became of it."""
    with transaction() as session:
        found = find(session, ref)
        require_uninvolved(session, found, actor)
        pushed = pushed_of(found)
    told: dict[str, Any] = {"outcome": "unreadable", "problem": None}
    if pushed is not None:
        told = inbox.take_in([pushed], device_id=ref.device_id, now=now).outcomes[0]

    def carry(session: Session, raw: Stored) -> Became:
        del session
        assert isinstance(raw, RawSubmission)
        if pushed is not None:
            raw.settled = "released"
        return Became(told["outcome"], told["problem"])

    return rule(ref, ruling, carry, actor=actor, now=now)

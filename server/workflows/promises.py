"""What did debtors promise, who wrote it down, and what did somebody decide about it? (F13, F16, D19, D28)

A promise is the debtor's word. Writing it down accepts no instalment and waives nothing (AMB20, B37): only
the client's letter does, and a supervisor names it. What became of a promise is computed by `settling`.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.authority import Actor
from server.database import db, transaction
from server.deadlines.keeping import OFFICE_PREFIX, confirmation_day
from server.errors import Conflict, Fault, Invalid, NotFound
from server.models.access import AccessEntry
from server.models.cases import Case, Client
from server.models.deadlines import Promise, PromiseEvent
from server.rules.calendar import Calendar
from server.rules.local_time import ONE_DAY, local_day
from server.workflows.case_facts import load_calendar
from server.workflows.settling import settle
from server.workflows.standing_packs import local_zone
from server.workflows.still_kept import of_case as debtor_of
from server.workflows.still_kept import require_kept
from sync.protocol import uuid7

ROWS_AT_ONCE: Final = 1000
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
LISTS: Final = ("open", "due_today", "to_confirm", "broken")


@dataclass(frozen=True, slots=True)
class NewPromise:
    """What the office writes down. `made_at` None: just now."""

    amount_fen: int
    due_on: date
    made_at: datetime | None = None
    follow_up_on: date | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A promise with what a list shows beside it. `confirm_on`: when the debtor is reminded (F20)."""

    promise: Promise
    case_reference: str
    client_reference: str
    confirm_on: date


@dataclass(frozen=True, slots=True)
class OfCase:
    """All promises of a case, newest first, with their events; and whether its status says the truth (D1)."""

    listed: list[Listed]
    events: dict[UUID, list[PromiseEvent]]
    client_id: UUID
    status_code: str
    is_promise_open: bool


def record(case_id: UUID, new: NewPromise, *, actor: Actor, now: datetime) -> Listed:
    """Write a promise down. The same reference with the same content is written once.

    Money that arrived in time already counts for it at once. Without a reference a second click looks like a
    second promise: Conflict, until it is told apart by one.
    """
    _check(new, now=now)
    facts = {one.name: getattr(new, one.name) for one in fields(new) if one.name != "reference"}
    facts = {name: value for name, value in facts.items() if name != "made_at" or value is not None}
    with transaction() as session:
        case = lock_case(session, case_id)
        if case.state != "open":
            raise Conflict("case-closed", "This case is closed; nothing more is promised on it (D18).")
        if new.reference is None:
            _refuse_twin(session, case.id, new)
        reference = f"{OFFICE_PREFIX}{new.reference or uuid7()}"
        standing = session.scalar(
            sa.select(Promise).where(Promise.client_id == case.client_id, Promise.reference == reference)
        )
        if standing is None:
            standing = Promise(
                client_id=case.client_id,
                reference=reference,
                case_id=case.id,
                debtor_id=case.debtor_id,
                source="office",
                recorded_by=actor.staff_id,
                **({"made_at": now} | facts),
            )
            session.add(standing)
            session.flush()
            settle(session, [case.id], now=now)
        elif standing.case_id != case_id or any(getattr(standing, name) != facts[name] for name in facts):
            raise Conflict("reference-taken", "This reference names another promise. Use a new one.")
    return find(standing.id)


def _refuse_twin(session: Session, case_id: UUID, new: NewPromise) -> None:
    twin = session.scalar(
        sa.select(Promise)
        .where(
            Promise.case_id == case_id,
            Promise.source == "office",
            Promise.state != "withdrawn",
            Promise.amount_fen == new.amount_fen,
            Promise.due_on == new.due_on,
        )
        .limit(1)
    )
    if twin is not None:
        detail = "This promise was written down already. If it was made twice, send a reference with it."
        raise Conflict("promise-entered", detail, promise_id=str(twin.id))


def _check(new: NewPromise, *, now: datetime) -> None:
    made_at = new.made_at or now
    faults: list[Fault] = []
    if made_at > now:
        faults.append(Fault("/made_at", "Lies in the future; write down what was promised."))
    if made_at < EARLIEST:
        faults.append(Fault("/made_at", "Lies before the year 2000. Correct it."))
    made_on = local_day(min(max(made_at, EARLIEST), now), local_zone())
    if new.due_on < made_on:
        faults.append(Fault("/due_on", "Lies before the promise was made."))
    if new.follow_up_on is not None and not made_on <= new.follow_up_on <= new.due_on:
        faults.append(Fault("/follow_up_on", "Must lie between the promise and the day it is due."))
    if faults:
        raise Invalid("invalid-input", "Correct the fields listed in `errors`.", faults=faults)


def lock_case(session: Session, case_id: UUID) -> Case:
    """Lock a case, as everybody does who settles its promises."""
    query = sa.select(Case).where(Case.id == case_id).with_for_update(key_share=True)
    case = session.scalar(query.execution_options(populate_existing=True))
    if case is None:
        raise NotFound("case-unknown", "There is no case with this id.")
    return case


def withdraw(promise_id: UUID, *, reason: str, actor: Actor, now: datetime) -> Listed:
    """Take back a promise that was written down wrongly; it stays on file with the reason."""
    with transaction() as session:
        promise = _locked(session, promise_id)
        if promise.state == "withdrawn":
            if _last_reason(session, promise_id) == reason.strip():
                return find(promise_id)
            raise Conflict("promise-withdrawn", "This promise was withdrawn already.")
        if promise.state != "open":
            raise Conflict(
                "promise-settled", f"This promise is {promise.state}; what happened stays on file."
            )
        promise.state, promise.settled_at = "withdrawn", now
        event = {"promise_id": promise_id, "at": now, "by": actor.staff_id}
        session.add(PromiseEvent(kind="withdrawn", reason=reason.strip(), **event))
        session.flush()
        settle(session, [promise.case_id], now=now)
    return find(promise_id)


def accept(promise_id: UUID, *, authorisation: str, actor: Actor, now: datetime) -> Listed:
    """Note by which letter the client accepts what was promised (D28, AMB20). The first letter stands."""
    letter = authorisation.strip()
    with transaction() as session:
        promise = _locked(session, promise_id)
        if promise.accepted_by_client_authorisation == letter:
            return find(promise_id)
        if promise.accepted_by_client_authorisation:
            raise Conflict("promise-accepted", "The client accepted this promise by another letter already.")
        if promise.state != "open":
            raise Conflict("promise-settled", f"This promise is {promise.state}; there is nothing to accept.")
        promise.accepted_by_client_authorisation = letter
        session.add(PromiseEvent(promise_id=promise_id, at=now, kind="accepted", by=actor.staff_id))
    return find(promise_id)


def _locked(session: Session, promise_id: UUID) -> Promise:
    """Lock the case first, as everybody does who settles, and return the promise as it is now."""
    case_id = session.scalar(sa.select(Promise.case_id).where(Promise.id == promise_id))
    if case_id is None:
        raise NotFound("promise-unknown", "There is no promise with this id.")
    require_kept(session, debtor_of(case_id))
    lock_case(session, case_id)
    return session.get_one(Promise, promise_id, populate_existing=True)


def _last_reason(session: Session, promise_id: UUID) -> str | None:
    events = sa.select(PromiseEvent.reason).where(
        PromiseEvent.promise_id == promise_id, PromiseEvent.kind == "withdrawn"
    )
    return session.scalar(events.order_by(PromiseEvent.id.desc()).limit(1))


def find(promise_id: UUID) -> Listed:
    """Return one promise or raise NotFound."""
    row = db.session.execute(_SHOWN.where(Promise.id == promise_id), execution_options=FRESH).first()
    if row is None:
        raise NotFound("promise-unknown", "There is no promise with this id.")
    return _listed([row])[0]


FRESH: Final = {"populate_existing": True}
_SHOWN: Final = (
    sa.select(Promise, Case.reference, Client.reference)
    .join(Case, Case.id == Promise.case_id)
    .join(Client, Client.id == Promise.client_id)
)


def _listed(rows: Sequence[Any]) -> list[Listed]:
    """Add to each promise the day on which the debtor is reminded."""
    if not rows:
        return []
    years = {row[0].due_on.year for row in rows}
    calendar = load_calendar(min(years) - 1, max(years))
    zone = local_zone()
    return [Listed(*row, confirm_on=_confirm_on(row[0], calendar, zone)) for row in rows]


def _confirm_on(promise: Promise, calendar: Calendar, zone: ZoneInfo) -> date:
    return confirmation_day(local_day(promise.made_at, zone), promise.due_on, calendar)


def page(*, which: str, after: UUID | None, limit: int, now: datetime) -> list[Listed]:
    """Return one page of a list over all open cases: what is due first comes first; broken ones newest first.

    `to_confirm` holds what is due before the next day on which anybody may be reminded is over (F20, A12).
    """
    today = local_day(now, local_zone())
    query = _SHOWN.where(Case.state == "open").limit(limit)
    order = sa.tuple_(Promise.due_on, Promise.id)
    last = db.session.get(Promise, after) if after is not None else None
    if which == "broken":
        query = query.where(Promise.state == "broken").order_by(Promise.due_on.desc(), Promise.id.desc())
        query = query.where(order < (last.due_on, last.id)) if last is not None else query
    else:
        query = query.where(Promise.state == "open").order_by(Promise.due_on, Promise.id)
        query = query.where(order > (last.due_on, last.id)) if last is not None else query
        if which == "due_today":
            query = query.where(Promise.due_on == today)
        elif which == "to_confirm":
            query = query.where(Promise.due_on.between(today + ONE_DAY, _next_permitted(today)))
    return _listed(db.session.execute(query).all())


def _next_permitted(today: date) -> date:
    """Return the next day on which somebody may be called, tomorrow where no calendar tells."""
    calendar = load_calendar(today.year, today.year + 1)
    return calendar.permitted_on_or_after(today + ONE_DAY) or today + ONE_DAY


def of_case(case_id: UUID) -> OfCase:
    """Return every promise of a case, newest first, with what became of each."""
    case = db.session.get(Case, case_id)
    if case is None:
        raise NotFound("case-unknown", "There is no case with this id.")
    mine = _SHOWN.where(Promise.case_id == case_id).order_by(Promise.made_at.desc(), Promise.id.desc())
    listed = _listed(db.session.execute(mine.limit(ROWS_AT_ONCE)).all())
    events: dict[UUID, list[PromiseEvent]] = defaultdict(list)
    told = sa.select(PromiseEvent).join(Promise, Promise.id == PromiseEvent.promise_id)
    for event in db.session.scalars(told.where(Promise.case_id == case_id).order_by(PromiseEvent.id)):
        events[event.promise_id].append(event)
    is_open = any(one.promise.state == "open" for one in listed)
    return OfCase(listed, events, case.client_id, case.status_code, is_open)


def table(
    *, state: str | None, due_from: date, due_until: date, actor: Actor, now: datetime
) -> Iterator[Listed]:
    """Give out the promise table of some days, row by row (F13). Who took it is logged before (I7)."""
    with transaction() as session:
        asked = {"state": state, "due_from": due_from.isoformat(), "due_until": due_until.isoformat()}
        entry = {"at": now, "staff_id": actor.staff_id, "action": "export", "entity_kind": "promises"}
        session.add(AccessEntry(entity_id=uuid7(), request=asked, **entry))
    query = _SHOWN.where(Promise.due_on.between(due_from, due_until)).order_by(Promise.due_on, Promise.id)
    return _in_pieces(query if state is None else query.where(Promise.state == state))


def _in_pieces(query: sa.Select[Promise, str, str]) -> Iterator[Listed]:
    """Read on where the last piece ended, with flat memory."""
    last: Promise | None = None
    while True:
        rest = query
        if last is not None:
            rest = query.where(sa.tuple_(Promise.due_on, Promise.id) > (last.due_on, last.id))
        listed = _listed(db.session.execute(rest.limit(ROWS_AT_ONCE)).all())
        yield from listed
        if len(listed) < ROWS_AT_ONCE:
            return
        last = listed[-1].promise
        db.session.expunge_all()

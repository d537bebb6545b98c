"""What did debtors promise at the door, as the account that counts says it? (F13)

Runs after accounts were written, in the same transaction. The newest revision that nothing amends decides:
what it says anew is a promise of source `phone`, and the one it replaces is withdrawn, never overwritten.
Running it again changes nothing; what the office withdrew stays withdrawn while the account says the same.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy.orm import Session

from server.bulk import insert_rows
from server.clock import LAST_DAY
from server.driver import run, uuids
from server.models.deadlines import Promise, PromiseEvent
from server.rules.local_time import local_day
from server.workflows.exchange.arrived import Arrived
from server.workflows.exchange.parents import ACCEPTED
from server.workflows.settling import settle_later
from server.workflows.standing_packs import local_zone
from sync.bodies import AccountWritten
from sync.protocol import uuid7

SUPERSEDED: Final = "a later revision of the account says otherwise"


def arrived_of(items: Iterable[Arrived]) -> dict[UUID, Arrived]:
    """Return the items that bring accounts, by the account."""
    return {one.body.account_id: one for one in items if isinstance(one.body, AccountWritten)}


@dataclass(frozen=True, slots=True)
class _Said:
    """What the account of a visit says that counts; `amount_fen` None: nothing was promised."""

    visit_id: UUID
    account_id: UUID
    author_id: UUID
    made_at: datetime
    case: Any
    amount_fen: int | None
    due_on: date | None


def keep_promises(
    session: Session, visits: Collection[UUID], arrived: Mapping[UUID, Arrived], now: datetime
) -> None:
    """Write down what the accounts of these visits promise. `arrived`: the items they have just come in.

    Most accounts promise nothing and take nothing back: of their visits nothing is read.
    """
    known = _known(session, visits) if visits else {}
    silent = {one.visit_id for one in arrived.values()} - _claiming(arrived) - known.keys()
    concerned = set(visits) - silent
    if not concerned:
        return
    said = _what_counts(session, concerned, arrived)
    touched: set[UUID] = set()
    new: list[_Said] = []
    for one in said:
        last = known.get(one.visit_id)
        if last is not None and (last.amount_fen, last.due_on) == (one.amount_fen, one.due_on):
            continue
        if last is not None and not last.is_taken_back:
            _take_back(session, last.id, by=one.author_id, now=now)
            touched.add(last.case_id)
        if one.due_on is None:
            continue
        if local_day(one.made_at, local_zone()) <= one.due_on <= LAST_DAY:
            new.append(one)
        elif one.account_id in arrived:
            arrived[one.account_id].flag("promise_impossible")
    settle_later(touched | _write(session, new))


def _claiming(arrived: Mapping[UUID, Arrived]) -> set[UUID | None]:
    """Return the visits of which one of these accounts tells a promise."""
    return {
        one.visit_id
        for one in arrived.values()
        if isinstance(one.body, AccountWritten) and one.body.claims.get("promise") is not None
    }


def _what_counts(session: Session, visits: Collection[UUID], arrived: Mapping[UUID, Arrived]) -> list[_Said]:
    """Return for each visit what its newest revision that nothing amends says, as reconciliation reads it.

    Of accounts whose author was not sent there, and that no supervisor let through or wrote, nothing counts:
    what a stranger says about a door is no debtor's promise.
    """
    of_visit: dict[UUID, list[Any]] = defaultdict(list)
    for row in run(session, _ACCOUNTS, {"visits": uuids(visits), "accepted": ACCEPTED}):
        if row.case_id is not None and row.is_theirs:
            of_visit[row.visit_id].append(row)
        elif row.promise is not None and row.id in arrived:
            arrived[row.id].flag("promise_without_case")
    return [_said(_live(revisions)) for _, revisions in sorted(of_visit.items())]


# Each of the three looks up one row. EXISTS would let the planner read the whole table into a hash instead.
_ACCOUNTS: Final = """
    SELECT accounts.id, accounts.visit_id, accounts.parent_id, accounts.author_id, accounts.received_at,
           accounts.claims -> 'promise' AS promise, visits.arrived_latest,
           cases.id AS case_id, cases.client_id, cases.debtor_id,
           ((SELECT true FROM assignment_members AS member
              WHERE member.assignment_id = visits.assignment_id AND member.staff_id = accounts.author_id)
            OR (SELECT %(accepted)s = ANY(flags) FROM items
                 WHERE items.device_id = accounts.device_id AND items.item_id = accounts.item_id)
            OR (SELECT true FROM corrections WHERE corrections.id = accounts.item_id)) IS TRUE AS is_theirs
    FROM accounts JOIN visits ON visits.id = accounts.visit_id
    LEFT JOIN assignments ON assignments.id = visits.assignment_id
    LEFT JOIN cases ON cases.id = assignments.case_id
    WHERE accounts.visit_id = ANY(%(visits)s)
"""


def _live(revisions: Sequence[Any]) -> Any:
    amended = {revision.parent_id for revision in revisions}
    heads = [revision for revision in revisions if revision.id not in amended]
    return max(heads, key=lambda revision: (revision.received_at, revision.id))


def _said(row: Any) -> _Said:
    promise: Mapping[str, Any] = row.promise or {}
    return _Said(
        visit_id=row.visit_id,
        account_id=row.id,
        author_id=row.author_id,
        made_at=row.arrived_latest,
        case=row,
        amount_fen=promise.get("amount_fen"),
        due_on=date.fromisoformat(promise["due_on"]) if promise else None,
    )


def _known(session: Session, visits: Collection[UUID]) -> dict[UUID, Any]:
    """Return the last promise that was written for each visit, also a withdrawn one."""
    return {row.visit_id: row for row in run(session, _PROMISES, {"visits": uuids(visits)})}


_PROMISES: Final = """
    SELECT id, visit_id, case_id, amount_fen, due_on,
           (SELECT true FROM promise_events AS event
             WHERE event.promise_id = promises.id AND event.kind = 'withdrawn' AND event.by IS NOT NULL
             LIMIT 1) IS TRUE AS is_taken_back
    FROM promises WHERE visit_id = ANY(%(visits)s) ORDER BY id
"""


def _take_back(session: Session, promise_id: UUID, *, by: UUID, now: datetime) -> None:
    """Withdraw what somebody's account says otherwise; also what ended when its case was closed."""
    promise = session.get_one(Promise, promise_id, populate_existing=True)
    if promise.state != "withdrawn":
        promise.state, promise.settled_at = "withdrawn", now
    event = {"promise_id": promise.id, "at": now, "kind": "withdrawn", "by": by}
    session.add(PromiseEvent(reason=SUPERSEDED, **event))
    session.flush()


def _write(session: Session, said: Sequence[_Said]) -> set[UUID]:
    """Write the promise of each revision once; return the cases of those that are new."""
    rows = [
        {
            "id": uuid7(),
            "client_id": one.case.client_id,
            "reference": f"account:{one.account_id}",
            "case_id": one.case.case_id,
            "debtor_id": one.case.debtor_id,
            "amount_fen": one.amount_fen,
            "due_on": one.due_on,
            "made_at": one.made_at,
            "source": "phone",
            "recorded_by": one.author_id,
            "visit_id": one.visit_id,
            "account_id": one.account_id,
        }
        for one in said
    ]
    then = "ON CONFLICT (client_id, reference) DO NOTHING RETURNING case_id"
    return set(insert_rows(session, Promise, rows, then=then))

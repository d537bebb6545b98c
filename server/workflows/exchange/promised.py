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

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from server.bulk import any_of
from server.models.cases import Case
from server.models.deadlines import Promise, PromiseEvent
from server.models.dispatch import Assignment, AssignmentMember
from server.models.quarantine import Correction
from server.models.visits import Account, Item, Visit
from server.rules.local_time import local_day
from server.workflows.exchange.arrived import Arrived
from server.workflows.exchange.parents import ACCEPTED
from server.workflows.settling import settle_later
from server.workflows.standing_packs import local_zone
from sync.bodies import AccountWritten

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
    """Write down what the accounts of these visits promise. `arrived`: the items they have just come in."""
    if not visits:
        return
    said = _what_counts(session, visits, arrived)
    known = _known(session, visits)
    touched: set[UUID] = set()
    for one in said:
        last = known.get(one.visit_id)
        if last is not None and (last.amount_fen, last.due_on) == (one.amount_fen, one.due_on):
            continue
        if last is not None and last.state != "withdrawn":
            _withdraw(session, last, now=now)
            touched.add(last.case_id)
        if one.due_on is None:
            continue
        if one.due_on >= local_day(one.made_at, local_zone()):
            touched |= _write(session, one)
        elif one.account_id in arrived:
            arrived[one.account_id].flag("promise_impossible")
    settle_later(touched)


def _what_counts(session: Session, visits: Collection[UUID], arrived: Mapping[UUID, Arrived]) -> list[_Said]:
    """Return for each visit what its newest revision that nothing amends says, as reconciliation reads it.

    Of accounts whose author was not sent there, and that no supervisor let through or wrote, nothing counts:
    what a stranger says about a door is no debtor's promise.
    """
    of_visit: dict[UUID, list[Any]] = defaultdict(list)
    for row in session.execute(_ACCOUNTS, {"visits": list(visits)}):
        if row.case_id is not None and row.is_theirs:
            of_visit[row.visit_id].append(row)
        elif row.promise is not None and row.id in arrived:
            arrived[row.id].flag("promise_without_case")
    return [_said(_live(revisions)) for _, revisions in sorted(of_visit.items())]


_MEMBER: Final = sa.exists().where(
    AssignmentMember.assignment_id == Visit.assignment_id, AssignmentMember.staff_id == Account.author_id
)
_ACCEPTED: Final = sa.exists().where(
    Item.device_id == Account.device_id, Item.item_id == Account.item_id, Item.flags.contains([ACCEPTED])
)
_CORRECTED: Final = sa.exists().where(Correction.id == Account.item_id)
_ACCOUNTS: Final = (
    sa.select(
        Account.id,
        Account.visit_id,
        Account.parent_id,
        Account.author_id,
        Account.received_at,
        Account.claims["promise"].label("promise"),
        Visit.arrived_latest,
        Case.id.label("case_id"),
        Case.client_id,
        Case.debtor_id,
        sa.or_(_MEMBER, _ACCEPTED, _CORRECTED).label("is_theirs"),
    )
    .join(Visit, Visit.id == Account.visit_id)
    .outerjoin(Assignment, Assignment.id == Visit.assignment_id)
    .outerjoin(Case, Case.id == Assignment.case_id)
    .where(any_of(Account.visit_id, "visits"))
)


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


def _known(session: Session, visits: Collection[UUID]) -> dict[UUID, Promise]:
    """Return the last promise that was written for each visit, also a withdrawn one."""
    query = sa.select(Promise).where(any_of(Promise.visit_id, "visits")).order_by(Promise.id)
    found = session.scalars(query, {"visits": list(visits)}, execution_options={"populate_existing": True})
    return {promise.visit_id: promise for promise in found if promise.visit_id is not None}


def _withdraw(session: Session, promise: Promise, *, now: datetime) -> None:
    promise.state, promise.settled_at = "withdrawn", now
    session.add(PromiseEvent(promise_id=promise.id, at=now, kind="withdrawn", reason=SUPERSEDED))
    session.flush()


def _write(session: Session, said: _Said) -> set[UUID]:
    """Write the promise of one revision once; return its case when it is new."""
    written = insert(Promise).values(
        client_id=said.case.client_id,
        reference=f"account:{said.account_id}",
        case_id=said.case.case_id,
        debtor_id=said.case.debtor_id,
        amount_fen=said.amount_fen,
        due_on=said.due_on,
        made_at=said.made_at,
        source="phone",
        recorded_by=said.author_id,
        visit_id=said.visit_id,
        account_id=said.account_id,
    )
    on_file = written.on_conflict_do_nothing(index_elements=["client_id", "reference"])
    return set(session.scalars(on_file.returning(Promise.case_id)))

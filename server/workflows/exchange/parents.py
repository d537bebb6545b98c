"""What becomes of an item whose check-in, or the account it amends, has not come?

It waits five days, because phones hand in late and in any order. Then it is applied all the same and flagged,
so that an auditor sees it: a visit without its check-in, an amendment of something unknown. When the parent
comes later still, it takes its place and the flag is explained. Here is also who may speak of a visit.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.bulk import insert_rows
from server.driver import run, uuids
from server.models.visits import Account, Item, Visit
from server.workflows.exchange.arrived import Arrived, Result
from sync.bodies import AccountWritten, EvidencePromised, VisitEnded
from sync.clock import BEGINNING

WAIT: Final = timedelta(days=5)
MISSING: Final = "parent_missing"
LATE: Final = "late_parent"
# A supervisor let it through as it is, or wrote it: the desk has judged whose visit it is.
ACCEPTED: Final = "accepted_by_office"
CORRECTION: Final = "office_correction"
EVIDENCE_WITHIN: Final = timedelta(hours=24)
STRANGER: Final = {
    "slug": "not-your-visit",
    "detail": "This phone's visitor was not in the team; the office decides what becomes of the item.",
}


@dataclass(frozen=True, slots=True)
class KnownVisit:
    """Who was at a visit. `is_awaited`: its check-in has not come, so that nobody knows for certain."""

    people: frozenset[UUID]
    is_awaited: bool


def sort_out(session: Session, mine: Sequence[Result], *, now: datetime) -> list[Result]:
    """Return the items that are applied now: parents are here or will not come, and the visitor was there.

    The others are held, or quarantined where a stranger speaks of somebody's visit.
    """
    visits = _visits(session, {one.read.needs_visit for one in mine} - {None})
    accounts = _accounts(session, {one.read.needs_account for one in mine} - {None})
    ready, orphans, joining = [], [], []
    for one in _parents_first(mine):
        arrived, visit = one.read, visits.get(one.read.needs_visit)
        is_judged = ACCEPTED in arrived.flags or CORRECTION in arrived.flags
        waits_no_more = ACCEPTED in arrived.flags or one.row.received_at + WAIT <= now
        is_stranger = visit is not None and arrived.sender.staff_id not in visit.people and not is_judged
        has_visit = arrived.needs_visit is None or visit is not None
        parent = arrived.needs_account
        has_parent = parent is None or accounts.get(parent) == arrived.visit_id
        if is_stranger and visit is not None and not visit.is_awaited:
            one.outcome, one.problem = "quarantined", dict(STRANGER)
        elif not waits_no_more and (is_stranger or not has_visit or not has_parent):
            one.outcome = "held"
        else:
            arrived.lacks_parent = not has_parent
            if not has_visit or not has_parent or (visit is not None and visit.is_awaited):
                arrived.flag(MISSING)
            if not has_visit and isinstance(arrived.body, EvidencePromised | VisitEnded | AccountWritten):
                orphans.append(arrived)
            if is_stranger:
                joining.append(arrived)
            ready.append(one)
            accounts.update(dict.fromkeys(arrived.gives_account, arrived.visit_id))
    _stand_in_for_check_ins(session, orphans)
    _join(session, joining)
    return ready


def _parents_first(mine: Sequence[Result]) -> list[Result]:
    """Order items by number, but none before what it amends: a chain then needs one look, however it came."""
    by_number = sorted(mine, key=lambda each: each.read.record.seq)
    bringing = {account_id: one for one in reversed(by_number) for account_id in one.read.gives_account}
    placed: dict[int, Result] = {}
    for one in by_number:
        line: dict[int, Result] = {}
        above: Result | None = one
        while above is not None and id(above) not in placed and id(above) not in line:
            line[id(above)] = above
            above = bringing.get(above.read.needs_account) if above.read.needs_account else None
        placed |= reversed(line.items())
    return list(placed.values())


_VISITS: Final = """
    SELECT id, staff_id, team, started_item,
           (SELECT array_agg(member.staff_id) FROM assignment_members AS member
            WHERE member.assignment_id = visits.assignment_id) AS members
    FROM visits WHERE id = ANY(%(ids)s)
"""
_ACCOUNTS: Final = "SELECT id, visit_id FROM accounts WHERE id = ANY(%(ids)s)"


def _visits(session: Session, ids: set[UUID | None]) -> dict[UUID | None, KnownVisit]:
    rows = run(session, _VISITS, {"ids": uuids(ids)}) if ids else ()
    return {
        row.id: KnownVisit(
            people=frozenset({row.staff_id, *row.team, *(row.members or ())}),
            is_awaited=row.started_item is None,
        )
        for row in rows
    }


def _accounts(session: Session, ids: set[UUID | None]) -> dict[UUID | None, UUID | None]:
    """Return of which visit each of these accounts is; an amendment amends within its own visit only."""
    rows = run(session, _ACCOUNTS, {"ids": uuids(ids)}) if ids else ()
    return {row.id: row.visit_id for row in rows}


def _stand_in_for_check_ins(session: Session, orphans: Sequence[Arrived]) -> None:
    """Write visits of which only what follows the check-in has come, so that an auditor sees them."""
    of_visit: dict[UUID, list[Arrived]] = defaultdict(list)
    for arrived in orphans:
        if arrived.visit_id is not None:
            of_visit[arrived.visit_id].append(arrived)
    rows = [_stand_in(visit_id, told) for visit_id, told in of_visit.items()]
    insert_rows(session, Visit, rows, then="ON CONFLICT (id) DO NOTHING")


def _stand_in(visit_id: UUID, told: Sequence[Arrived]) -> dict[str, Any]:
    """Say of a visit what its later items allow: it began at some time before each of them."""
    first = told[0]
    received_at = min(one.row.received_at for one in told)
    return {
        "id": visit_id,
        "assignment_id": None,
        "debtor_id": None,
        "device_id": first.row.device_id,
        "staff_id": first.sender.staff_id,
        "team": sorted({one.sender.staff_id for one in told}),
        "checklist": {},
        "seen_seq": first.record.seen_seq,
        "arrived_earliest": BEGINNING,
        "arrived_latest": min(one.when.latest for one in told),
        "arrived_method": "received",
        "arrived_at_position": None,
        "flags": [MISSING],
        "state": "started",
        "started_item": None,
        "first_received_at": received_at,
        "evidence_due_at": received_at + EVIDENCE_WITHIN,
    }


def _join(session: Session, joining: Sequence[Arrived]) -> None:
    """Count those who waited to speak of a visit without check-in among its people: nobody knows better."""
    for visit_id, staff_id in {(one.visit_id, one.sender.staff_id) for one in joining}:
        team = sa.func.array_append(Visit.team, staff_id)
        apart = sa.update(Visit).where(Visit.id == visit_id, ~Visit.team.contains([staff_id]))
        session.execute(apart.values(team=team).execution_options(synchronize_session=False))


def link_amendments(session: Session, awaited: Iterable[UUID]) -> None:
    """Link amendments that were applied without what they amend to it, now that it has come.

    One after the other, and never so that a chain of amendments closes to a circle: then no account counts.
    """
    linked = [account_id for account_id in awaited if session.execute(_LINK, {"id": account_id}).first()]
    if linked:
        of_theirs = sa.select(Account.device_id, Account.item_id).where(Account.id.in_(linked))
        explain_items(session, sa.tuple_(Item.device_id, Item.item_id).in_(of_theirs))


_LINK: Final = sa.text(
    """
    WITH RECURSIVE amended (id, parent_id) AS (
        SELECT above.id, above.parent_id FROM accounts above
        JOIN accounts child ON child.missing_parent_id = above.id AND child.visit_id = above.visit_id
        WHERE child.id = :id
        UNION
        SELECT above.id, above.parent_id FROM accounts above JOIN amended ON amended.parent_id = above.id
    )
    UPDATE accounts SET parent_id = missing_parent_id, missing_parent_id = NULL
    WHERE id = :id AND missing_parent_id IN (SELECT id FROM amended) AND id NOT IN (SELECT id FROM amended)
    RETURNING id
    """
)


def explain_items(session: Session, chosen: sa.ColumnElement[bool]) -> None:
    """Note on items that were applied without their parent that it came later."""
    without = sa.and_(chosen, Item.flags.contains([MISSING]), ~Item.flags.contains([LATE]))
    flagged = sa.update(Item).where(without).values(flags=sa.func.array_append(Item.flags, LATE))
    session.execute(flagged.execution_options(synchronize_session=False))

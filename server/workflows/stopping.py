"""Stopping work on a case, in the caller's transaction: shared by office, phones, complaints and imports.

The debtor's row is locked first, as dispatch does, so a stop and an assignment made at the same moment follow
one another: either the assignment sees the stop, or the stop cancels the assignment. Cancelling takes the
assignment, and with it the permit, off the phones at their next contact.
"""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from server.authority import Actor
from server.database import db
from server.models.assignments import end_early
from server.models.cases import HOLD_SCOPE_OF_REASON, Case, Debtor, Hold
from server.models.dispatch import Assignment
from server.workflows.notices import draft_for_hold
from server.workflows.recounting import recount_later


def raise_hold(
    case: Case, *, reason: str, note: str, raised_by: UUID | None, raised_by_item: UUID | None, now: datetime
) -> Hold:
    """Stop everything on the case, or on all cases of its debtor, and cancel what was assigned.

    Holds stand until an instruction releases them (D4, D8, D11, D25); what the client must be told of is
    drafted in the same moment. The same reason standing already on the same case is returned as it is;
    raising twice changes nothing.
    """
    session = db.session()
    session.execute(sa.select(Debtor.id).where(Debtor.id == case.debtor_id).with_for_update())
    standing = session.scalar(
        sa.select(Hold).where(Hold.case_id == case.id, Hold.reason == reason, Hold.released_at.is_(None))
    )
    if standing is not None:
        return standing
    scope = HOLD_SCOPE_OF_REASON[reason]
    hold = Hold(
        scope=scope,
        debtor_id=case.debtor_id,
        case_id=case.id,
        reason=reason,
        note=note,
        raised_at=now,
        raised_by=raised_by,
        raised_by_item=raised_by_item,
    )
    session.add(hold)
    session.flush()
    draft_for_hold(hold, case=case, now=now)
    recount_later(cases=[case.id])
    concerned = Assignment.debtor_id == case.debtor_id if scope == "debtor" else Assignment.case_id == case.id
    end_early(
        concerned,
        state="cancelled",
        reason=f"hold: {reason}",
        actor=Actor(staff_id=raised_by, roles=frozenset()),
        now=now,
    )
    return hold


def close_cases(case_ids: Collection[UUID], *, because: str, actor: Actor, now: datetime) -> list[UUID]:
    """Close cases (D18: paid, or taken back), cancel their visits, and return those that were open."""
    session = db.session()
    debtors = sa.select(Case.debtor_id).where(Case.id.in_(case_ids))
    session.execute(sa.select(Debtor.id).where(Debtor.id.in_(debtors)).order_by(Debtor.id).with_for_update())
    closed = session.scalars(
        sa.update(Case)
        .where(Case.id.in_(case_ids), Case.state == "open")
        .values(state="closed", closed_at=now)
        .returning(Case.id)
    ).all()
    end_early(
        Assignment.case_id.in_(case_ids), state="cancelled", reason=f"closed: {because}", actor=actor, now=now
    )
    recount_later(cases=closed)
    return list(closed)

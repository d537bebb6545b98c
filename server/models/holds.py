"""Raising a hold, in the caller's transaction: what the office and the phones share.

The debtor's row is locked first, as dispatch does, so a hold and an assignment made at the same moment
follow one another: either the assignment sees the hold, or the hold cancels the assignment.
"""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from server.authority import Actor
from server.database import db
from server.models.assignments import end_early
from server.models.cases import HOLD_SCOPE_OF_REASON, Case, Debtor, Hold
from server.models.dispatch import Assignment


def raise_hold(
    case: Case, *, reason: str, note: str, raised_by: UUID | None, raised_by_item: UUID | None, now: datetime
) -> Hold:
    """Stop everything on the case, or on all cases of its debtor, and cancel what was assigned.

    The same reason standing already on the same case is returned as it is; raising twice changes nothing.
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
    concerned = Assignment.debtor_id == case.debtor_id if scope == "debtor" else Assignment.case_id == case.id
    end_early(
        concerned,
        state="cancelled",
        reason=f"hold: {reason}",
        actor=Actor(staff_id=raised_by, roles=frozenset()),
        now=now,
    )
    return hold

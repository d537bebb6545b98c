"""How is one visit judged, and what does it set going?

The facts are gathered and judged outside any transaction; what they change, and why, is one commit.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.database import transaction
from server.jobs import enqueue
from server.models.visits import Visit
from server.reconcile.engine import reconcile
from server.workflows.reconciliation.explaining import explain
from server.workflows.reconciliation.gathering import LIMITS, gather
from server.workflows.reconciliation.later import judge_later
from server.workflows.reconciliation.recording import Outcome, record

# How long around an arrival other visits of the debtor may change its judgement (rolling caps: 7 days).
NEIGHBOURS: Final = timedelta(days=8)

Also = Callable[[Session, Outcome], None]


def judge_again(visit_id: UUID, *, now: datetime, because: str, also: Also | None = None) -> None:
    """Judge one visit, and keep what that changes and why. `also` writes more in the same transaction.

    Where nothing changed nothing is written down but that it was judged.
    """
    facts = gather(visit_id, now=now)
    if facts is None:
        return
    report = reconcile(facts, LIMITS)
    with transaction() as session:
        visit = session.get_one(Visit, facts.visit_id, with_for_update=True, populate_existing=True)
        before = visit.reconciled_at
        visit.account_due_at = facts.account_due_at
        outcome = record(session, visit, report, now=now)
        if outcome or outcome.changes:
            explain(session, facts, outcome, before=before, because=because)
        if facts.letters and facts.account is not None:
            enqueue("record_deliveries", queueing_lock=f"letters-{visit.id}", visit_id=str(visit.id))
        if before is None:
            _judge_neighbours_again(session, visit)
        if also is not None:
            also(session, outcome)


def _judge_neighbours_again(session: Session, visit: Visit) -> None:
    if visit.debtor_id is None:
        return
    near = session.scalars(
        sa.select(Visit.id).where(
            Visit.debtor_id == visit.debtor_id,
            Visit.id != visit.id,
            Visit.reconciled_at.is_not(None),
            Visit.arrived_earliest.between(
                visit.arrived_earliest - NEIGHBOURS, visit.arrived_latest + NEIGHBOURS
            ),
        )
    )
    judge_later(near.all(), because="neighbour")

"""How is one visit judged, and what does it set going?

The facts are gathered and judged outside any transaction; what they change, and why, is one commit.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.database import db, transaction
from server.jobs import enqueue
from server.models.visits import Visit
from server.reconcile.engine import Report, reconcile
from server.reconcile.facts import VisitFacts
from server.workflows.reconciliation.explaining import explain
from server.workflows.reconciliation.gathering import LIMITS, gather
from server.workflows.reconciliation.neighbours import judge_neighbours_later
from server.workflows.reconciliation.recording import Outcome, record

# The row's version: every judgement writes the row.
_VERSION: Final = sa.literal_column("visits.xmin::text")

Also = Callable[[Session, Outcome], None]


def judge_again(visit_id: UUID, *, now: datetime, because: str, also: Also | None = None) -> None:
    """Judge one visit, and keep what that changes and why. `also` writes more in the same transaction.

    Where nothing changed nothing is written down but that it was judged. Whoever was overtaken, by another
    judgement or by what came, looks again: else the older facts would be kept over the newer ones.
    """
    while True:
        seen = db.session.scalar(sa.select(_VERSION).where(Visit.id == visit_id))
        facts = gather(visit_id, now=now)
        if facts is None:
            return
        report = reconcile(facts, LIMITS)
        with transaction() as session:
            locked = sa.select(Visit, _VERSION).where(Visit.id == visit_id).with_for_update()
            visit, version = session.execute(locked.execution_options(populate_existing=True)).one()
            if version == seen:
                outcome = _keep(session, visit, facts, report, because=because)
                if also is not None:
                    also(session, outcome)
                return
            now = max(now, visit.reconciled_at or now)


def _keep(session: Session, visit: Visit, facts: VisitFacts, report: Report, *, because: str) -> Outcome:
    before = visit.reconciled_at
    visit.account_due_at = facts.account_due_at
    outcome = record(session, visit, report, now=facts.judged_at)
    if outcome or outcome.changes:
        explain(session, facts, outcome, before=before, because=because)
    if facts.letters and facts.account is not None:
        enqueue("record_deliveries", queueing_lock=f"letters-{visit.id}", visit_id=str(visit.id))
    if before is None:
        _judge_neighbours_again(visit)
    return outcome


def _judge_neighbours_again(visit: Visit) -> None:
    if visit.debtor_id is not None:
        told = (visit.debtor_id, visit.arrived_earliest, visit.arrived_latest)
        judge_neighbours_later([told], but=visit.id)

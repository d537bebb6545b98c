"""When a visit's account and evidence are in, or overdue: what does not fit?

gather (queries) -> reconcile (pure) -> record (keyed). A rerun changes nothing, keeps what auditors decided,
and marks findings that no longer hold as superseded. A visit that arrives late re-judges the debtor's other
visits of those days, because budgets count in the order of actual time. Evidence that arrives late has those
visits judged again that it may have served too (`again`).
"""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.database import transaction
from server.jobs import enqueue, task
from server.models.visits import Visit
from server.reconcile.engine import reconcile
from server.workflows.reconciliation import again, payments
from server.workflows.reconciliation.explaining import explain
from server.workflows.reconciliation.gathering import LIMITS, gather
from server.workflows.reconciliation.later import judge_later
from server.workflows.reconciliation.recording import record

__all__ = ["again", "judge_again", "payments", "reconcile_due", "reconcile_visit"]

# How long around an arrival other visits of the debtor may change its judgement (rolling caps: 7 days).
NEIGHBOURS: Final = timedelta(days=8)


@task("reconcile_visit")
def reconcile_visit(*, now: datetime, visit_id: str, because: str = "arrived") -> None:
    """Judge one visit again, and the debtor's visits near it when it was judged for the first time."""
    judge_again(UUID(visit_id), now=now, because=because)


def judge_again(visit_id: UUID, *, now: datetime, because: str) -> bool:
    """Judge one visit, keep what that changes and why; return whether it changed anything.

    Where nothing changed nothing is written down but that it was judged.
    """
    facts = gather(visit_id, now=now)
    if facts is None:
        return False
    report = reconcile(facts, LIMITS)
    with transaction() as session:
        visit = session.get_one(Visit, facts.visit_id, with_for_update=True, populate_existing=True)
        before = visit.reconciled_at
        is_first = before is None
        visit.account_due_at = facts.account_due_at
        outcome = record(session, visit, report, now=now)
        if outcome:
            explain(session, facts, outcome, before=before, because=because)
        if facts.letters and facts.account is not None:
            enqueue("record_deliveries", queueing_lock=f"letters-{visit.id}", visit_id=str(visit.id))
        if is_first:
            _judge_neighbours_again(session, visit)
    return bool(outcome)


@task("reconcile_due", every="*/10 * * * *")
def reconcile_due(*, now: datetime) -> None:
    """Judge visits again whose evidence or account has become overdue since they were last judged."""
    with transaction() as session:
        due = session.scalars(
            sa.select(Visit.id)
            .where(sa.or_(_is_due(Visit.evidence_due_at, now), _is_due(Visit.account_due_at, now)))
            .limit(500)
        ).all()
        judge_later(due, because="overdue")


def _is_due(due_at: Any, now: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(due_at <= now, sa.or_(Visit.reconciled_at.is_(None), Visit.reconciled_at < due_at))


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

"""When a visit's account and evidence are in, or overdue: what does not fit?

gather (queries) -> reconcile (pure) -> record (keyed). A rerun changes nothing, keeps what auditors decided,
and marks findings that no longer hold as superseded. A visit that arrives late re-judges the debtor's other
visits of those days, because budgets count in the order of actual time. Evidence that arrives late has those
visits judged again that it may have served too (`again`).
"""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from server.database import transaction
from server.jobs import task
from server.models.retention import Erasure
from server.models.visits import Visit
from server.workflows.reconciliation import again, neighbours, payments
from server.workflows.reconciliation.judging import judge_again
from server.workflows.reconciliation.later import judge_later

__all__ = ["again", "neighbours", "payments", "reconcile_due", "reconcile_visit"]


@task("reconcile_visit")
def reconcile_visit(*, now: datetime, visit_id: str, because: str = "arrived") -> None:
    """Judge one visit again, and the debtor's visits near it when it was judged for the first time."""
    judge_again(UUID(visit_id), now=now, because=because)


@task("reconcile_due", every="*/10 * * * *")
def reconcile_due(*, now: datetime) -> None:
    """Judge visits again whose evidence or account has become overdue since they were last judged.

    What was erased cannot be judged, so it would be due for ever and in the end take every place.
    """
    with transaction() as session:
        due = session.scalars(
            sa.select(Visit.id)
            .where(sa.or_(_is_due(Visit.evidence_due_at, now), _is_due(Visit.account_due_at, now)))
            .where(~sa.exists().where(Erasure.debtor_id == Visit.debtor_id))
            .limit(500)
        ).all()
        judge_later(due, because="overdue")


def _is_due(due_at: Any, now: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(due_at <= now, sa.or_(Visit.reconciled_at.is_(None), Visit.reconciled_at < due_at))

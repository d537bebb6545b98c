"""Which judged visits does another visit of their debtor concern, whoever tells of it?

Budgets and rolling caps count in the order of actual time (A2, A3, A9). So a visit that is told of late, by a
phone, a file or the desk, has those around it judged again. So has an entry that turns out to be about one of
them: until then it counted beside it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from server.database import db, transaction
from server.jobs import task
from server.workflows.reconciliation.later import judge_later

# How long around an arrival other visits of the debtor may change its judgement (rolling caps: 7 days).
REACH: Final = timedelta(days=8)

Told = tuple[UUID, datetime, datetime]
"""A debtor, and the earliest and latest instant at which a visit to them began."""

_NEAR: Final = sa.text(
    """
    SELECT DISTINCT visits.id
    FROM unnest(CAST(:debtors AS uuid[]), CAST(:earliest AS timestamptz[]), CAST(:latest AS timestamptz[]))
         AS told (debtor_id, earliest, latest)
    JOIN visits ON visits.debtor_id = told.debtor_id
     AND visits.arrived_earliest BETWEEN told.earliest - :reach AND told.latest + :reach
    WHERE visits.reconciled_at IS NOT NULL
    """
)


def judge_neighbours_later(told: Sequence[Told], *, but: UUID | None = None) -> None:
    """Have the judged visits near those judged again after the caller's commit, all of them but one."""
    debtors, earliest, latest = (list(each) for each in zip(*told, strict=True))
    about = {"debtors": debtors, "earliest": earliest, "latest": latest, "reach": REACH}
    judge_later((one for one in db.session.scalars(_NEAR, about) if one != but), because="neighbour")


@task("reconcile_neighbours")
def reconcile_neighbours(*, now: datetime, around: list[tuple[str, str, str]]) -> None:
    """Do so for visits that somebody else tells of: debtors, each with the earliest and latest arrival."""
    del now  # which visits are near does not depend on when it is asked
    moments = [(debtor_id, *map(datetime.fromisoformat, told)) for debtor_id, *told in around]
    with transaction():
        judge_neighbours_later([(UUID(debtor_id), first, last) for debtor_id, first, last in moments])

"""What is the score of these visits now, and do they still wait?

Called in the transaction that changed a visit's findings, under the visit's lock: queue and findings never
differ. One statement reads the facts of any number of visits, one writes their rows.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from server.auditing.weighing import OpenFinding, current_weights, score, weigh
from server.bulk import any_of
from server.database import db, transaction
from server.jobs import enqueue, task
from server.models.auditing import QueuedVisit
from server.models.findings import Finding
from server.models.visits import Visit
from server.rules.local_time import local_day
from server.workflows.standing_packs import local_zone

AT_ONCE: Final = 2000


def put_in_queue(session: Session, visit_ids: Sequence[UUID]) -> None:
    """Score visits and put them into the queue, or bring their rows up to date."""
    if not visit_ids:
        return
    session.flush()
    weights = current_weights()
    within = timedelta(days=weights.repeat_within_days)
    facts = session.execute(_FACTS, {"ids": list(visit_ids), "within": within})
    rows = [_row(one) for one in facts]
    session.execute(_WRITE, rows)


def _row(facts: Any) -> dict[str, Any]:
    weights = current_weights()
    open_ones = [OpenFinding(**finding) for finding in facts.open]
    visited_on = local_day(facts.visited_at, local_zone())
    parts = weigh(open_ones, joined_on=facts.joined_on, visited_on=visited_on, weights=weights)
    return {
        "visit_id": facts.id,
        "score": score(parts),
        "parts": [{"because": part.because, "points": part.points} for part in parts],
        "checks": sorted({finding.check for finding in open_ones}),
        "weights": weights.name,
        "staff_id": facts.staff_id,
        "branch": facts.branch,
        "client_id": facts.client_id,
        "visited_on": visited_on,
        "state": "waiting" if open_ones or not facts.is_concluded else "audited",
    }


# A repeat is a standing finding of the same check in an earlier visit of the same visitor.
_FACTS: Final = sa.text(
    """
    SELECT visit.id, visit.staff_id, visit.visited_at,
           staff.branch, staff.joined_on, debtors.client_id,
           EXISTS (SELECT FROM audits WHERE audits.visit_id = visit.id) AS is_concluded,
           coalesce((
               SELECT jsonb_agg(jsonb_build_object(
                   'check', found."check", 'severity', found.severity, 'confidence', found.confidence,
                   'repeats', EXISTS (
                       SELECT FROM findings AS before JOIN visits AS other ON other.id = before.visit_id
                        WHERE before.stands AND before."check" = found."check" AND other.id <> visit.id
                          AND other.staff_id = visit.staff_id
                          AND other.visited_at BETWEEN visit.visited_at - :within AND visit.visited_at)))
                 FROM findings AS found WHERE found.visit_id = visit.id AND found.state = 'open'
           ), '[]') AS open
      FROM visits AS visit JOIN staff ON staff.id = visit.staff_id
      LEFT JOIN debtors ON debtors.id = visit.debtor_id
     WHERE visit.id = ANY(:ids)
    """
)
_INSERT = insert(QueuedVisit)
_WRITE: Final = _INSERT.on_conflict_do_update(
    index_elements=["visit_id"],
    set_={
        name: getattr(_INSERT.excluded, name)
        for name in (
            "score",
            "parts",
            "checks",
            "weights",
            "staff_id",
            "branch",
            "client_id",
            "visited_on",
            "state",
        )
    },
)


def weigh_again_later(finding: Finding, *, staff_id: UUID) -> None:
    """Have the visitor's other waiting visits weighed again: what stands against them makes repeats."""
    enqueue(
        "weigh_repeats",
        queueing_lock=f"weigh-{staff_id}-{finding.check}",
        staff_id=str(staff_id),
        check=finding.check,
    )


@task("weigh_repeats")
def weigh_repeats(*, now: datetime, staff_id: str, check: str) -> None:
    """Weigh a visitor's waiting visits with a finding of this check again."""
    query = sa.select(QueuedVisit.visit_id).where(
        QueuedVisit.state == "waiting",
        QueuedVisit.staff_id == UUID(staff_id),
        QueuedVisit.checks.contains([check]),
    )
    _weigh_in_batches(db.session.scalars(query).all())


@task("weigh_outdated", every="*/10 * * * *")
def weigh_outdated(*, now: datetime) -> None:
    """Weigh visits again that were weighed with other weights, or never."""
    after, current = UUID(int=0), current_weights().name
    # No index leads to what is not equal; both sides of it are found, or that there are none.
    others = sa.or_(QueuedVisit.weights < current, QueuedVisit.weights > current)
    outdated = sa.select(QueuedVisit.visit_id).where(sa.text("audit_queue.state = 'waiting'"), others)
    while True:
        page = outdated.where(QueuedVisit.visit_id > after).order_by(QueuedVisit.visit_id).limit(AT_ONCE)
        batch = db.session.scalars(page).all()
        if not batch:
            return
        _weigh_in_batches(batch)
        after = batch[-1]


def _weigh_in_batches(visit_ids: Sequence[UUID]) -> None:
    """Weigh visits under their locks, in the order of their ids."""
    ordered = sorted(visit_ids)
    for start in range(0, len(ordered), AT_ONCE):
        batch = ordered[start : start + AT_ONCE]
        with transaction() as session:
            lock = sa.select(Visit.id).where(any_of(Visit.id, "ids")).order_by(Visit.id)
            session.execute(lock.with_for_update(), {"ids": batch})
            put_in_queue(session, batch)

"""Which payments after a visit does the client's statement not bear out? (C3)"""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from server.database import db, transaction
from server.jobs import task
from server.models.deadlines import Payment
from server.models.dispatch import Assignment
from server.models.visits import Visit
from server.reconcile.facts import PaymentFact
from server.workflows.reconciliation.later import judge_later
from server.workflows.settling import lapses_before

# How long after a visit an entry may be its fruit.
AFTER: Final = timedelta(days=7)
MOST: Final = 20
MOST_VISITS: Final = 1000


def doubtful_payments(case_id: UUID, visit: Visit, *, now: datetime) -> tuple[PaymentFact, ...]:
    """Return entries on the visit's case that no line of the statement shows by now, or shows otherwise.

    Of several visits of whoever made the entry it belongs to the last one before: nothing counts twice.
    """
    line, later, sent = aliased(Payment), aliased(Visit), aliased(Assignment)
    is_of_later = (
        sa.exists()
        .where(sent.id == later.assignment_id, sent.case_id == case_id, later.id != visit.id)
        .where(later.arrived_earliest > visit.arrived_earliest)
        .where(later.arrived_earliest <= Payment.recorded_at)
        .where(Payment.recorded_by == sa.any_(sa.func.array_append(later.team, later.staff_id)))
    )
    rows = db.session.execute(
        sa.select(Payment.id, Payment.amount_fen, Payment.paid_on, Payment.recorded_by, line.amount_fen)
        .outerjoin(line, line.id == Payment.confirmed_by)
        .where(
            Payment.case_id == case_id,
            Payment.source == "office",
            Payment.voided_at.is_(None),
            Payment.recorded_at.between(visit.arrived_earliest, visit.arrived_latest + AFTER),
            ~is_of_later,
            sa.or_(
                sa.and_(line.id.is_(None), Payment.recorded_at < lapses_before(now)),
                line.amount_fen != Payment.amount_fen,
            ),
        )
        .order_by(Payment.recorded_at, Payment.id)
        .limit(MOST)
    )
    return tuple(PaymentFact(*row) for row in rows)


@task("reconcile_unconfirmed_payments", every="40 3 * * *")
def reconcile_unconfirmed_payments(*, now: datetime) -> None:
    """Judge visits again once an entry made after them should have been on the statement for a day or two."""
    lapsed = lapses_before(now)
    with transaction() as session:
        visit_ids = session.scalars(
            sa.select(Visit.id)
            .join(Assignment, Assignment.id == Visit.assignment_id)
            .join(Payment, Payment.case_id == Assignment.case_id)
            .where(
                Payment.source == "office",
                Payment.confirmed_by.is_(None),
                Payment.voided_at.is_(None),
                Payment.recorded_at.between(lapsed - timedelta(days=2), lapsed),
                Visit.arrived_earliest <= Payment.recorded_at,
                Visit.arrived_latest >= Payment.recorded_at - AFTER,
            )
            .distinct()
            .limit(MOST_VISITS)
        ).all()
        judge_later(visit_ids, because="payment")

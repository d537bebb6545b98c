"""What an assignment left behind: in feeds, in its permit, in the debtors' budget."""

from datetime import date
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from server.database import db
from server.models.dispatch import BudgetSlot
from server.models.feed import FeedRow, staff_scope
from server.models.people import Staff
from server.workflows.dispatch import VisitRefused, assign
from tests.office import NOW, Door, Office


def in_feed(staff: Staff) -> dict[UUID, str]:
    """What a person's feed says about assignments."""
    rows = db.session.execute(
        sa.select(FeedRow.entity_id, FeedRow.op).where(
            FeedRow.scope == staff_scope(staff.id), FeedRow.kind == "assignment"
        )
    )
    return {row.entity_id: row.op for row in rows}


def slots_of(door: Door) -> list[tuple[date, int]]:
    rows = sa.select(BudgetSlot.day, BudgetSlot.slot).where(BudgetSlot.debtor_id == door.case.debtor_id)
    return [(row.day, row.slot) for row in db.session.execute(rows.order_by(BudgetSlot.slot))]


def refusal_of(wanted: Any, office: Office, **more: Any) -> list[str]:
    with pytest.raises(VisitRefused) as refused:
        assign(wanted, actor=office.actor(), now=NOW, **more)
    return sorted(refused.value.verdict.rules)

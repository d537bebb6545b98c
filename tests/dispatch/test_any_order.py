"""Whatever dispatchers, phones and the clock do, in any order, no debtor's budget is exceeded."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.database import db
from server.errors import DomainError
from server.models.dispatch import ENDED_EARLY, Assignment, BudgetSlot
from server.workflows import assignments
from server.workflows.dispatch import assign, reassign
from tests.builders import a_ledger_entry
from tests.office import NOW, Office, a_door, a_team, a_wish

deeds = st.lists(
    st.tuples(
        st.sampled_from(
            ["assign", "assign", "assign", "evidenced", "cancel", "reassign", "visited", "expire"]
        ),
        st.integers(0, 3),
        st.integers(8, 18),
        st.integers(0, 5),
    ),
    min_size=4,
    max_size=16,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deeds=deeds, hardship=st.booleans())
def test_budgets_hold_in_any_order(office: Office, deeds: list[Any], hardship: bool):
    door = a_door(hardship=("pregnancy",) if hardship else ())
    teams = [a_team() for _ in range(6)]
    asked = [a_ledger_entry(door.case, channel="inbound", at=NOW, asks_for_visit=True).id for _ in range(2)]
    made: list[UUID] = []

    for deed, days, hour, which in deeds:
        start = f"2026-11-{24 + days} {hour:02}:00"
        evidence = asked[which % 2] if deed == "evidenced" else None
        try:
            if deed in ("assign", "evidenced"):
                wish = a_wish(door, *teams[which], start=start, evidence=evidence)
                made.append(assign(wish, actor=office.actor(), now=NOW).id)
            elif deed == "visited":
                a_ledger_entry(door.case, channel="visit", at=NOW + timedelta(days=days, hours=hour - 10))
            elif deed == "expire":
                assignments.expire_overdue(now=NOW + timedelta(days=days))
            elif made and deed == "cancel":
                assignments.cancel(made[which % len(made)], reason="x", actor=office.actor(), now=NOW)
            elif made:
                ids = tuple(member.id for member in teams[which])
                one = made[which % len(made)]
                made.append(
                    reassign(one, team=ids, lead=ids[0], reason="x", actor=office.actor(), now=NOW).id
                )
        except DomainError:
            continue
        finally:
            db.session.rollback()

    budget_is_kept(door.case.debtor_id, is_hardship=hardship)


def budget_is_kept(debtor_id: UUID, *, is_hardship: bool) -> None:
    """Open assignments and slots agree; what goes beyond a cap has evidence of its own."""
    rows = db.session.execute(
        sa.select(Assignment.id, Assignment.window_start, BudgetSlot.slot, BudgetSlot.evidence_entry_id)
        .outerjoin(BudgetSlot, BudgetSlot.assignment_id == Assignment.id)
        .where(Assignment.debtor_id == debtor_id, Assignment.state.not_in(ENDED_EARLY))
        .order_by(Assignment.window_start)
    ).all()
    slots = sa.select(sa.func.count()).select_from(BudgetSlot).where(BudgetSlot.debtor_id == debtor_id)
    assert db.session.scalar(slots) == len(rows)
    assert all(row.slot is not None for row in rows)
    by_day: dict[Any, list[Any]] = {}
    for row in rows:
        by_day.setdefault((row.window_start + timedelta(hours=8)).date(), []).append(row)
    for of_day in by_day.values():
        assert len(of_day) <= 3
        assert sum(row.evidence_entry_id is None for row in of_day) <= 2
    used = [row.evidence_entry_id for row in rows if row.evidence_entry_id]
    assert len(used) == len(set(used))
    if is_hardship:
        assert sum(row.evidence_entry_id is None for row in rows) <= 1

"""Which visits are assigned, what is left of a debtor's budget, and which assignments ran out?

Reading, cancelling and expiring; granting is `dispatch.py`. A visit that took place is never undone here: it
keeps its place in the budget.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from server.authority import SYSTEM, Actor
from server.database import db, transaction
from server.errors import Conflict, NotFound
from server.jobs import task
from server.models.assignments import end_early
from server.models.cases import Case
from server.models.dispatch import Assignment, AssignmentMember, Decision
from server.rules.checks.budget import left_on
from server.rules.evidence import REQUEST_OR_RETURN, usable
from server.rules.facts import CaseFacts
from server.rules.local_time import ONE_DAY, at_local, local_day
from server.rules.pack import RulePack
from server.rules.periods import visits_on
from server.workflows.case_facts import load_calendar, load_case_facts
from server.workflows.standing_packs import active_pack, pack_of_case

GRACE_WHERE_NO_CALENDAR: Final = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class AssignmentView:
    """An assignment with its team, and who approved what it needed approval for, and why (A14-A17)."""

    assignment: Assignment
    team: tuple[UUID, ...]
    approved_by: UUID | None
    approval_reason: str


@dataclass(frozen=True, slots=True)
class Budget:
    """A debtor's visits on one day of local time, over all cases, addresses and teams."""

    day: date
    visits: int
    facts: CaseFacts
    pack: RulePack

    @property
    def left(self) -> int:
        """Visits that may still be assigned without evidence."""
        return left_on(self.day, self.facts, self.pack)

    @property
    def usable_evidence(self) -> tuple[UUID, ...]:
        """Ledger entries with which the debtor's own wish can be shown for this day."""
        return usable(day=self.day, facts=self.facts, pack=self.pack, channels=REQUEST_OR_RETURN)


def find_assignment(assignment_id: UUID) -> Assignment:
    """Return an assignment or raise NotFound."""
    assignment = db.session.get(Assignment, assignment_id)
    if assignment is None:
        raise NotFound("assignment-unknown", "There is no assignment with this id.")
    return assignment


def with_teams(assignments: Sequence[Assignment]) -> list[AssignmentView]:
    """Add the teams, leads first, and the approvals; two queries for any number of assignments."""
    members = db.session.execute(
        sa.select(AssignmentMember.assignment_id, AssignmentMember.staff_id)
        .where(AssignmentMember.assignment_id.in_([assignment.id for assignment in assignments]))
        .order_by(AssignmentMember.is_lead.desc(), AssignmentMember.staff_no)
    ).all()
    decisions = sa.select(Decision.id, Decision.approved_by, Decision.approval_reason).where(
        Decision.id.in_([assignment.decision_id for assignment in assignments])
    )
    approvals = {row.id: (row.approved_by, row.approval_reason) for row in db.session.execute(decisions)}
    return [
        AssignmentView(
            one,
            tuple(row.staff_id for row in members if row.assignment_id == one.id),
            *approvals[one.decision_id],
        )
        for one in assignments
    ]


def list_assignments(*, filters: Mapping[str, Any], after: UUID | None, limit: int) -> list[AssignmentView]:
    """Return one page in the order of issue; `filters` are those of the API's query."""
    query = sa.select(Assignment).order_by(Assignment.id).limit(limit)
    if after is not None:
        query = query.where(Assignment.id > after)
    if filters.get("case_id"):
        query = query.where(Assignment.case_id == filters["case_id"])
    if filters.get("state"):
        query = query.where(Assignment.state == filters["state"])
    if filters.get("staff_id"):
        theirs = sa.select(AssignmentMember.assignment_id).where(
            AssignmentMember.staff_id == filters["staff_id"]
        )
        query = query.where(Assignment.id.in_(theirs))
    if filters.get("starts_from"):
        query = query.where(Assignment.window_start >= filters["starts_from"])
    if filters.get("starts_before"):
        query = query.where(Assignment.window_start < filters["starts_before"])
    return with_teams(db.session.scalars(query).all())


def cancel(assignment_id: UUID, *, reason: str, actor: Actor, now: datetime) -> AssignmentView:
    """End an open assignment: budget released, team freed, taken off the phones. Conflict when it is over."""
    find_assignment(assignment_id)
    with transaction():
        chosen = Assignment.id == assignment_id
        ended = end_early(chosen, state="cancelled", reason=reason, actor=actor, now=now)
        assignment = db.session.get_one(Assignment, assignment_id, populate_existing=True)
        if not ended:
            detail = f"The assignment is already {assignment.state}; only an open one can be cancelled."
            raise Conflict("assignment-not-open", detail, state=assignment.state)
    return with_teams([assignment])[0]


def budget_of(case_id: UUID, *, day: date | None, now: datetime) -> Budget:
    """Return what the debtor of a case may still receive on a day (today when none is named)."""
    zone = active_pack(now).zone
    day = day or local_day(now, zone)
    around = at_local(day, time.min, zone)
    pack = pack_of_case(case_id, max(around, now))
    facts = load_case_facts(
        case_id=case_id, address_id=None, team=(), around=around, now=now, zone=pack.timezone
    )
    return Budget(day=day, visits=visits_on(day, facts, pack), facts=facts, pack=pack)


@task("assignments.expire", every="*/15 * * * *")
def expire_overdue(*, now: datetime) -> None:
    """Release what was never reported: after the end of the working day that follows the window.

    Not sooner: the phone may still hold a visit that took place offline, and its place in the budget must
    not be given away before its report was due.
    """
    waiting = db.session.execute(
        sa.select(Assignment.id, Assignment.window_end, Case.client_id)
        .join(Case, Case.id == Assignment.case_id)
        .where(Assignment.state.in_(("issued", "acknowledged")), Assignment.window_end < now - ONE_DAY)
    ).all()
    if not waiting:
        return
    calendar = load_calendar(min(row.window_end for row in waiting).year, now.year + 1)
    packs = {client_id: active_pack(now, client_id) for client_id in {row.client_id for row in waiting}}
    overdue: list[UUID] = []
    for assignment_id, window_end, client_id in waiting:
        pack = packs[client_id]
        due = calendar.working_day_after(local_day(window_end, pack.zone), pack.report_due_working_days)
        ends = window_end + GRACE_WHERE_NO_CALENDAR
        if due is not None:
            ends = at_local(due + ONE_DAY, time.min, pack.zone)
        if ends <= now:
            overdue.append(assignment_id)
    with transaction():
        chosen = Assignment.id.in_(overdue) & Assignment.state.in_(("issued", "acknowledged"))
        end_early(chosen, state="expired", reason="never reported", actor=SYSTEM, now=now)

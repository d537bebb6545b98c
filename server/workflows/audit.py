"""What should an auditor look at first, and who may decide it? (GOV2)

Findings worst first; a decision is made once, by an auditor who had no part in the visit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.authority import Actor, Role
from server.database import db, transaction
from server.errors import Conflict, Forbidden, Invalid, NotFound
from server.models.dispatch import Assignment, AssignmentMember, Decision
from server.models.evidence import Evidence
from server.models.findings import Finding
from server.models.visits import Account, Item, Visit
from server.workflows.quarantine_desk.correcting import ShownCorrection, corrections_of

SEES_ALL = (Role.AUDITOR, Role.SUPERVISOR)


def list_findings(
    *,
    state: str | None,
    severity: str | None,
    check: str | None,
    visit_id: UUID | None,
    after: UUID | None,
    limit: int,
) -> Sequence[Finding]:
    """Return one page of findings, worst first. `after` is the id of the last one seen."""
    query = sa.select(Finding).order_by(Finding.severity_rank.desc(), Finding.confidence.desc(), Finding.id)
    filters = {
        Finding.state: state,
        Finding.severity: severity,
        Finding.check: check,
        Finding.visit_id: visit_id,
    }
    for column, wanted in filters.items():
        if wanted is not None:
            query = query.where(column == wanted)
    if after is not None:
        query = query.where(_after(_find(after)))
    return db.session.scalars(query.limit(limit)).all()


def _after(last: Finding) -> sa.ColumnElement[bool]:
    """Say which findings come after this one in the order worst first."""
    lower_rank = Finding.severity_rank < last.severity_rank
    same_rank = Finding.severity_rank == last.severity_rank
    less_sure = sa.and_(same_rank, Finding.confidence < last.confidence)
    later = sa.and_(same_rank, Finding.confidence == last.confidence, Finding.id > last.id)
    return sa.or_(lower_rank, less_sure, later)


def _find(finding_id: UUID) -> Finding:
    finding = db.session.get(Finding, finding_id)
    if finding is None:
        raise NotFound("finding-unknown", "There is no finding with this id.")
    return finding


def decide(finding_id: UUID, *, decision: str, reason: str, actor: Actor, now: datetime) -> Finding:
    """Confirm or dismiss a finding, once. Repeating the same decision changes nothing.

    Raises Forbidden when the auditor had a part in the visit, Conflict when it was decided otherwise or
    no longer stands.
    """
    if not reason.strip():
        raise Invalid("reason-missing", "Say why: a decision without a reason does not count.")
    with transaction() as session:
        finding = session.get(Finding, finding_id, with_for_update=True, populate_existing=True)
        if finding is None:
            raise NotFound("finding-unknown", "There is no finding with this id.")
        part = part_in_visit(session, finding.visit_id, actor)
        if part is not None:
            raise Forbidden("auditor-involved", f"You {part}; another auditor must decide.", part=part)
        if finding.state in ("confirmed", "dismissed"):
            if (finding.state, finding.decided_by, finding.reason) == (decision, actor.staff_id, reason):
                return finding
            raise Conflict("already-decided", f"This finding was {finding.state}.", state=finding.state)
        if finding.state != "open":
            raise Conflict("finding-superseded", "Newer evidence settled this; there is nothing to decide.")
        finding.state, finding.reason = decision, reason
        finding.decided_by, finding.decided_at = actor.staff_id, now
    return finding


def part_in_visit(session: Session, visit_id: UUID, actor: Actor) -> str | None:
    """Say what part the actor had in a visit; None when none."""
    row = session.execute(
        sa.select(Visit.staff_id, Visit.team, Assignment.issued_by, Decision.approved_by, Assignment.id)
        .outerjoin(Assignment, Assignment.id == Visit.assignment_id)
        .outerjoin(Decision, Decision.id == Assignment.decision_id)
        .where(Visit.id == visit_id)
    ).one()
    member = sa.exists().where(
        AssignmentMember.assignment_id == row.id, AssignmentMember.staff_id == actor.staff_id
    )
    if actor.staff_id == row.staff_id or actor.staff_id in row.team or session.scalar(sa.select(member)):
        return "were in the visit's team"
    if actor.staff_id == row.issued_by:
        return "assigned the visit"
    if actor.staff_id == row.approved_by:
        return "approved the visit"
    return None


@dataclass(frozen=True, slots=True)
class VisitFile:
    """Everything the office holds of one visit, for its timeline."""

    visit: Visit
    assignment: Assignment | None
    items: Sequence[Any]
    accounts: Sequence[Account]
    evidence: Sequence[Evidence]
    findings: Sequence[Finding]
    corrections: Sequence[ShownCorrection]


def list_visits(
    *, state: str | None, staff_id: UUID | None, after: UUID | None, limit: int, actor: Actor
) -> Sequence[Any]:
    """Return one page of visits, newest first, with how many findings stand open. Visitors see their own."""
    open_ones = (
        sa.select(sa.func.count())
        .where(Finding.visit_id == Visit.id, Finding.state == "open")
        .scalar_subquery()
    )
    worst = (
        sa.select(sa.func.max(Finding.severity_rank))
        .where(Finding.visit_id == Visit.id, Finding.state == "open")
        .scalar_subquery()
    )
    query = sa.select(Visit, open_ones.label("open_findings"), worst.label("worst")).order_by(Visit.id.desc())
    if not actor.has(*SEES_ALL, Role.DISPATCHER):
        query = query.where(_is_theirs(actor))
    if state is not None:
        query = query.where(Visit.state == state)
    if staff_id is not None:
        query = query.where(Visit.staff_id == staff_id)
    if after is not None:
        query = query.where(Visit.id < after)
    return db.session.execute(query.limit(limit)).all()


def _is_theirs(actor: Actor) -> sa.ColumnElement[bool]:
    return sa.or_(Visit.staff_id == actor.staff_id, Visit.team.contains([actor.staff_id]))


def open_visit(visit_id: UUID, *, actor: Actor) -> VisitFile:
    """Load a visit's whole file. A visitor who was not there is told that it does not exist."""
    query = sa.select(Visit).where(Visit.id == visit_id)
    if not actor.has(*SEES_ALL, Role.DISPATCHER):
        query = query.where(_is_theirs(actor))
    visit = db.session.scalar(query)
    if visit is None:
        raise NotFound("visit-unknown", "There is no visit with this id.")
    assignment = _assignment_of(visit, actor)
    items = db.session.execute(
        sa.select(
            Item.item_id,
            Item.seq,
            Item.type,
            Item.received_at,
            Item.outcome,
            Item.flags,
            Item.receipt,
            Item.sha256,
        )
        .where(Item.visit_id == visit_id)
        .order_by(Item.seq)
    ).all()
    return VisitFile(
        visit=visit,
        assignment=assignment,
        items=items,
        accounts=_of_visit(Account, visit_id),
        evidence=_of_visit(Evidence, visit_id),
        corrections=corrections_of(visit_id),
        findings=db.session.scalars(
            sa.select(Finding)
            .where(Finding.visit_id == visit_id)
            .order_by(Finding.severity_rank.desc(), Finding.confidence.desc(), Finding.id)
        ).all(),
    )


def _assignment_of(visit: Visit, actor: Actor) -> Assignment | None:
    """Return the visit's assignment. A phone may name any: the permit is shown to whom it was given."""
    given = sa.exists().where(
        AssignmentMember.assignment_id == Assignment.id, AssignmentMember.staff_id == actor.staff_id
    )
    query = sa.select(Assignment).where(Assignment.id == visit.assignment_id)
    if not actor.has(*SEES_ALL, Role.DISPATCHER):
        query = query.where(given)
    return db.session.scalar(query)


def _of_visit(model: type[Any], visit_id: UUID) -> Sequence[Any]:
    return db.session.scalars(sa.select(model).where(model.visit_id == visit_id).order_by(model.id)).all()

"""What does an auditor see of visits and findings? (GOV2)

Findings worst first, visits newest first, and a visit's whole file. Every look is written to the access log
before it is shown. Deciding is `auditing.deciding`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.authority import Actor, Role
from server.database import db, transaction
from server.errors import NotFound
from server.models.access import AccessEntry
from server.models.dispatch import Assignment, AssignmentMember
from server.models.evidence import Evidence
from server.models.findings import Finding
from server.models.judgement import ReconciliationRun
from server.models.visits import Account, Item, Visit
from server.workflows.quarantine_desk.correcting import ShownCorrection, corrections_of

SEES_ALL = (Role.AUDITOR, Role.SUPERVISOR)
MOST_RUNS: Final = 100
ALL_FINDINGS: Final = UUID(int=0)
"""What the access log calls the list of findings: there is one."""


def list_findings(
    *,
    state: str | None,
    severity: str | None,
    check: str | None,
    visit_id: UUID | None,
    after: UUID | None,
    limit: int,
    actor: Actor,
    now: datetime,
) -> Sequence[Finding]:
    """Return one page of findings, worst first, and log the look. `after` is the id of the last one seen."""
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
    with transaction() as session:
        found = session.scalars(query.limit(limit)).all()
        shown = {"findings": [str(finding.id) for finding in found]}
        _log_look(session, "findings.list", "findings", ALL_FINDINGS, actor=actor, now=now, request=shown)
    return found


def _log_look(
    session: Session,
    action: str,
    kind: str,
    entity_id: UUID,
    *,
    actor: Actor,
    now: datetime,
    fields: Sequence[str] = (),
    request: dict[str, Any] | None = None,
) -> None:
    session.add(
        AccessEntry(
            at=now,
            staff_id=actor.staff_id,
            action=action,
            entity_kind=kind,
            entity_id=entity_id,
            fields=list(fields),
            request=request or {},
        )
    )


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
    runs: Sequence[ReconciliationRun]


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


def open_visit(visit_id: UUID, *, actor: Actor, now: datetime) -> VisitFile:
    """Load a visit's whole file and log the look. A visitor who was not there is told it does not exist."""
    query = sa.select(Visit).where(Visit.id == visit_id)
    if not actor.has(*SEES_ALL, Role.DISPATCHER):
        query = query.where(_is_theirs(actor))
    visit = db.session.scalar(query)
    if visit is None:
        raise NotFound("visit-unknown", "There is no visit with this id.")
    with transaction() as session:
        read = ("accounts.narrative", "findings.observation")
        _log_look(session, "visit.read", "visit", visit_id, actor=actor, now=now, fields=read)
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
        runs=_newest_runs(visit_id),
        findings=db.session.scalars(
            sa.select(Finding)
            .where(Finding.visit_id == visit_id)
            .order_by(Finding.severity_rank.desc(), Finding.confidence.desc(), Finding.id)
        ).all(),
    )


def _newest_runs(visit_id: UUID) -> Sequence[ReconciliationRun]:
    """Return the last judgements that changed something, the newest first."""
    return db.session.scalars(
        sa.select(ReconciliationRun)
        .where(ReconciliationRun.visit_id == visit_id)
        .order_by(ReconciliationRun.ran_at.desc(), ReconciliationRun.id.desc())
        .limit(MOST_RUNS)
    ).all()


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


def log_finding_read(finding_id: UUID, *, actor: Actor, now: datetime) -> None:
    """Write down that somebody opened a finding with its comments and replies."""
    with transaction() as session:
        read = ("finding_comments.text", "finding_replies.text")
        _log_look(session, "finding.read", "finding", finding_id, actor=actor, now=now, fields=read)


def log_breaches_read(breach_ids: Sequence[UUID], *, actor: Actor, now: datetime) -> None:
    """Write down that somebody was shown these breaches."""
    with transaction() as session:
        for breach_id in breach_ids:
            read = ("breaches.summary", "breach_endings.cause")
            _log_look(session, "breach.read", "breach", breach_id, actor=actor, now=now, fields=read)

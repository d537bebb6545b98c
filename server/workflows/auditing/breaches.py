"""What follows from findings that stand? (GOV1, E8)

A breach is opened for one person, from findings whose right of reply has passed. The first of its kind means
coaching, a repeat discipline (`server.auditing.repeating`); which it was is written down for good. It closes
only with cause, education and prevention, and never by the hand of the person it is about.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.auditing.hearing import was_heard
from server.auditing.repeating import Failure, measure_for, repeats_of
from server.authority import Actor
from server.database import db, transaction
from server.errors import Conflict, Fault, Forbidden, Invalid, NotFound
from server.models.breaches import Breach, BreachEnding, BreachFinding
from server.models.casework import Complaint
from server.models.findings import Finding, FindingReply, Hearing
from server.models.people import Staff
from server.models.visits import Visit
from server.reports.tariff import tariff
from server.workflows.breach_history import counted_since, is_withdrawn, told_before
from server.workflows.casework_history import Lessons, require_lessons
from server.workflows.separation import require_no_part
from server.workflows.standing_packs import local_zone
from sync.protocol import uuid7


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose breach, of which findings, with which complaints."""

    staff_id: UUID
    finding_ids: Sequence[UUID]
    complaint_ids: Sequence[UUID] = ()
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """A breach, and how it ended if it did."""

    breach: Breach
    ending: BreachEnding | None

    @property
    def state(self) -> str:
        return "open" if self.ending is None else self.ending.outcome


def open_breach(wanted: Wanted, *, actor: Actor, now: datetime) -> Shown:
    """Open a breach. Invalid names every finding and complaint it cannot be opened from, and why."""
    if actor.staff_id == wanted.staff_id:
        raise Forbidden("own-breach", "Nobody opens a breach about themselves; ask another supervisor.")
    with transaction() as session:
        person = sa.select(Staff.id).where(Staff.id == wanted.staff_id).with_for_update(key_share=True)
        if session.scalar(person) is None:
            fault = Fault("/staff_id", "There is no person with this id.")
            raise Invalid("breach-faulty", "Correct what is listed in `errors`.", faults=[fault])
        findings = _findings(session, wanted, now=now)
        visits = {finding.visit_id for finding in findings}
        _require_complaints(session, wanted, visits=visits)
        require_no_part(session, visits, actor)
        repeats = _repeats(session, wanted.staff_id, findings, now=now)
        breach = Breach(
            id=uuid7(),
            staff_id=wanted.staff_id,
            measure=measure_for(repeats),
            repeats=repeats,
            checks=sorted({finding.check for finding in findings}),
            finding_ids=sorted(finding.id for finding in findings),
            complaint_ids=sorted(set(wanted.complaint_ids)),
            summary=wanted.summary.strip(),
            opened_by=actor.staff_id,
            opened_at=now,
        )
        session.add(breach)
        session.flush()
        for finding in findings:
            session.add(BreachFinding(finding_id=finding.id, staff_id=wanted.staff_id, breach_id=breach.id))
    return Shown(breach, None)


def _findings(session: Session, wanted: Wanted, *, now: datetime) -> list[Finding]:
    """Lock the findings and return them; Invalid unless each stands, was heard and is in no other breach."""
    ids = set(wanted.finding_ids)
    session.execute(sa.select(Finding.id).where(Finding.id.in_(ids)).order_by(Finding.id).with_for_update())
    replied = sa.exists().where(
        FindingReply.finding_id == Finding.id, FindingReply.staff_id == wanted.staff_id
    )
    until = sa.func.reply_until(Finding.id, Hearing.due_at, wanted.staff_id)
    rows = {
        row.Finding.id: row
        for row in session.execute(
            sa.select(
                Finding, Hearing, replied.label("has_reply"), BreachFinding.breach_id, until.label("until")
            )
            .outerjoin(Hearing, Hearing.finding_id == Finding.id)
            .outerjoin(
                BreachFinding,
                sa.and_(BreachFinding.finding_id == Finding.id, BreachFinding.staff_id == wanted.staff_id),
            )
            .where(Finding.id.in_(ids))
            .execution_options(populate_existing=True)
        )
    }
    faults = [
        Fault(f"/finding_ids/{number}", why)
        for number, finding_id in enumerate(wanted.finding_ids)
        if (why := _why_not(rows.get(finding_id), wanted.staff_id, now=now)) is not None
    ]
    if faults:
        raise Invalid("breach-faulty", "Correct what is listed in `errors`.", faults=faults)
    return [row.Finding for row in rows.values()]


def _why_not(row: Any, staff_id: UUID, *, now: datetime) -> str | None:
    """Say why a finding cannot make a breach of this person; None: it can."""
    if row is None:
        return "There is no finding with this id."
    if not row.Finding.stands or row.Hearing is None:
        return "It does not stand: only a confirmed finding makes a breach."
    if staff_id not in row.Hearing.people:
        return "This person was not at the visit."
    if not was_heard(has_reply=row.has_reply, due_at=row.until, now=now):
        return f"The right of reply ends at {row.until.isoformat()}; wait for it or for a reply."
    if row.breach_id is not None:
        return "A breach of this person holds it already."
    return None


def _require_complaints(session: Session, wanted: Wanted, *, visits: set[UUID]) -> None:
    """Invalid unless each complaint is about the person or one of the visits."""
    query = sa.select(Complaint.id, Complaint.visit_id, Complaint.about_staff)
    rows = session.execute(query.where(Complaint.id.in_(set(wanted.complaint_ids)))).all()
    related = {row.id for row in rows if row.visit_id in visits or wanted.staff_id in row.about_staff}
    faults = [
        Fault(f"/complaint_ids/{number}", "Is no complaint about this person or these visits.")
        for number, complaint_id in enumerate(wanted.complaint_ids)
        if complaint_id not in related
    ]
    if faults:
        raise Invalid("breach-faulty", "Correct what is listed in `errors`.", faults=faults)


def _repeats(session: Session, staff_id: UUID, findings: Sequence[Finding], *, now: datetime) -> list[UUID]:
    """Return the person's earlier breaches that these findings repeat (E8); the person's row is locked."""
    ids = [finding.id for finding in findings]
    visited = sa.select(Finding.check, Visit.visited_at).join(Visit, Visit.id == Finding.visit_id)
    rows = session.execute(visited.where(Finding.id.in_(ids)))
    failures = [Failure(row.check, row.visited_at) for row in rows]
    earlier = told_before(session, [staff_id])[staff_id]
    since = counted_since(now, months=tariff().repeat_months, zone=local_zone())
    return repeats_of(failures, earlier, since=since)


def close(breach_id: UUID, lessons: Lessons, *, actor: Actor, now: datetime) -> Shown:
    """Close a breach with cause, education and prevention (GOV1). Repeating with the same changes nothing."""
    told = require_lessons(lessons)
    words = {"cause": told.cause, "education": told.education, "prevention": told.prevention}
    with transaction() as session:
        breach = _locked(session, breach_id, actor=actor)
        known = session.scalar(sa.select(BreachEnding).where(BreachEnding.breach_id == breach_id))
        if known is not None:
            same = all(getattr(known, name) == word for name, word in words.items())
            return _as_it_ended(breach, known, is_same=same and known.outcome == "closed")
        ending = _ending(breach, outcome="closed", actor=actor, now=now, **words)
        session.add(ending)
    return Shown(breach, ending)


def withdraw(breach_id: UUID, *, reason: str, actor: Actor, now: datetime) -> Shown:
    """Take a breach back that should not have been opened; its findings are free for a second look.

    Forbidden, as opening it is, to whoever had a part in its visits: closing it teaches, this decides.
    """
    told = reason.strip()
    if not told:
        fault = Fault("/reason", "Say why it is withdrawn.")
        raise Invalid("reason-missing", "A breach is withdrawn with a reason.", faults=[fault])
    with transaction() as session:
        breach = _locked(session, breach_id, actor=actor)
        visits = session.scalars(sa.select(Finding.visit_id).where(Finding.id.in_(breach.finding_ids))).all()
        require_no_part(session, visits, actor)
        known = session.scalar(sa.select(BreachEnding).where(BreachEnding.breach_id == breach_id))
        if known is not None:
            return _as_it_ended(breach, known, is_same=(known.outcome, known.reason) == ("withdrawn", told))
        later = session.scalar(
            sa.select(Breach.id)
            .where(Breach.staff_id == breach.staff_id, Breach.repeats.contains([breach_id]), ~is_withdrawn())
            .limit(1)
        )
        if later is not None:
            detail = "A later breach counts as a repeat of this one; withdraw that one first."
            raise Conflict("breach-is-cited", detail, breach_id=str(later))
        ending = _ending(breach, outcome="withdrawn", actor=actor, now=now, reason=told)
        session.add(ending)
        session.execute(sa.delete(BreachFinding).where(BreachFinding.breach_id == breach_id))
    return Shown(breach, ending)


def _locked(session: Session, breach_id: UUID, *, actor: Actor) -> Breach:
    """Lock the breach's person, then the breach: openings and endings of one person take turns."""
    staff_id = session.scalar(sa.select(Breach.staff_id).where(Breach.id == breach_id))
    if staff_id is None:
        raise NotFound("breach-unknown", "There is no breach with this id.")
    if staff_id == actor.staff_id:
        raise Forbidden("own-breach", "This breach is about you; another supervisor must end it.")
    session.execute(sa.select(Staff.id).where(Staff.id == staff_id).with_for_update(key_share=True))
    return session.get_one(Breach, breach_id, with_for_update=True)


def _as_it_ended(breach: Breach, known: BreachEnding, *, is_same: bool) -> Shown:
    if not is_same:
        detail = f"This breach was {known.outcome}; a new failure is a new breach."
        raise Conflict("breach-over", detail, state=known.outcome)
    return Shown(breach, known)


def _ending(breach: Breach, *, outcome: str, actor: Actor, now: datetime, **words: str) -> BreachEnding:
    texts = dict.fromkeys(("cause", "education", "prevention", "reason"), "") | words
    return BreachEnding(
        id=uuid7(),
        breach_id=breach.id,
        staff_id=breach.staff_id,
        outcome=outcome,
        ended_by=actor.staff_id,
        ended_at=now,
        **texts,
    )


def list_breaches(
    *, staff_id: UUID | None, state: str | None, after: UUID | None, limit: int
) -> Sequence[Shown]:
    """Return one page of breaches, newest first."""
    query = _with_endings().order_by(Breach.id.desc()).limit(limit)
    if staff_id is not None:
        query = query.where(Breach.staff_id == staff_id)
    if state is not None:
        query = query.where(sa.func.coalesce(BreachEnding.outcome, "open") == state)
    if after is not None:
        query = query.where(Breach.id < after)
    return [Shown(row.Breach, row.BreachEnding) for row in db.session.execute(query)]


def find_breach(breach_id: UUID) -> Shown:
    """Return one breach and how it ended."""
    row = db.session.execute(_with_endings().where(Breach.id == breach_id)).first()
    if row is None:
        raise NotFound("breach-unknown", "There is no breach with this id.")
    return Shown(row.Breach, row.BreachEnding)


def _with_endings() -> sa.Select[Breach, BreachEnding]:
    return sa.select(Breach, BreachEnding).outerjoin(BreachEnding, BreachEnding.breach_id == Breach.id)


def breaches_of(finding_id: UUID) -> Sequence[Shown]:
    """Return the breaches opened from a finding, withdrawn ones too."""
    told = sa.select(sa.func.unnest(Hearing.people)).where(Hearing.finding_id == finding_id)
    of_theirs = _with_endings().where(Breach.staff_id.in_(told))
    query = of_theirs.where(Breach.finding_ids.contains([finding_id])).order_by(Breach.id)
    return [Shown(row.Breach, row.BreachEnding) for row in db.session.execute(query)]

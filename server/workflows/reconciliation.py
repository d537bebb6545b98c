"""When a visit's account and evidence are in, or overdue: what does not fit?

gather (queries) -> reconcile (pure) -> record (keyed). A rerun changes nothing, keeps what auditors decided,
and marks findings that no longer hold as superseded. A visit that arrives late re-judges the debtor's other
visits of those days, because budgets count in the order of actual time.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from flask import current_app
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from server.database import db, release_connection, transaction
from server.jobs import enqueue, task
from server.models.cases import Address
from server.models.dispatch import Assignment, AssignmentMember
from server.models.evidence import Evidence
from server.models.findings import Finding as FindingRow
from server.models.visits import Account, Item, Visit
from server.reconcile.engine import Report, reconcile
from server.reconcile.facts import (
    AccountFact,
    EvidenceFact,
    Image,
    Limits,
    Place,
    Reuse,
    Sound,
    VisitFacts,
)
from server.reconcile.finding import Finding
from server.rules import facts as rule_facts
from server.rules import pack as packs
from server.rules.engine import judge_afterwards
from server.rules.local_time import at_local, local_day
from server.rules.verdict import Reason
from server.workflows.case_facts import load_calendar, load_case_facts
from sync.clock import Interval, Method
from sync.protocol import uuid7

# How long around an arrival other visits of the debtor may change its judgement (rolling caps: 7 days).
NEIGHBOURS: Final = timedelta(days=8)
LIMITS: Final = Limits()
REUSE_BITS: Final = LIMITS.picture_distance


@task("reconcile_visit")
def reconcile_visit(*, now: datetime, visit_id: str) -> None:
    """Judge one visit again, and the debtor's visits near it when it was judged for the first time."""
    facts = gather(UUID(visit_id), now=now)
    if facts is None:
        return
    report = reconcile(facts, LIMITS)
    with transaction() as session:
        visit = session.get_one(Visit, facts.visit_id, with_for_update=True, populate_existing=True)
        is_first = visit.reconciled_at is None
        visit.account_due_at = facts.account_due_at
        record(session, visit, report, now=now)
        if is_first:
            _judge_neighbours_again(session, visit)


@task("reconcile_due", every="*/10 * * * *")
def reconcile_due(*, now: datetime) -> None:
    """Judge visits again whose evidence or account has become overdue since they were last judged."""
    with transaction() as session:
        due = session.scalars(
            sa.select(Visit.id)
            .where(sa.or_(_is_due(Visit.evidence_due_at, now), _is_due(Visit.account_due_at, now)))
            .limit(500)
        ).all()
        for visit_id in due:
            enqueue("reconcile_visit", queueing_lock=f"reconcile-{visit_id}", visit_id=str(visit_id))


def _is_due(due_at: Any, now: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(due_at <= now, sa.or_(Visit.reconciled_at.is_(None), Visit.reconciled_at < due_at))


def _judge_neighbours_again(session: Session, visit: Visit) -> None:
    if visit.debtor_id is None:
        return
    near = session.scalars(
        sa.select(Visit.id).where(
            Visit.debtor_id == visit.debtor_id,
            Visit.id != visit.id,
            Visit.reconciled_at.is_not(None),
            Visit.arrived_earliest.between(
                visit.arrived_earliest - NEIGHBOURS, visit.arrived_latest + NEIGHBOURS
            ),
        )
    )
    for visit_id in near.all():
        enqueue("reconcile_visit", queueing_lock=f"reconcile-{visit_id}", visit_id=str(visit_id))


# Gather.


def gather(visit_id: UUID, *, now: datetime) -> VisitFacts | None:
    """Load everything one reconciliation looks at: a fixed number of queries. None: no such visit."""
    row = db.session.execute(
        sa.select(Visit, Assignment, Address.latitude, Address.longitude)
        .outerjoin(Assignment, Assignment.id == Visit.assignment_id)
        .outerjoin(Address, Address.id == Assignment.address_id)
        .where(Visit.id == visit_id)
        .execution_options(populate_existing=True)
    ).first()
    if row is None:
        return None
    visit, assignment = row.Visit, row.Assignment
    pack = packs.load(current_app.extensions["config"].rule_pack, visit.arrived_earliest.date())
    evidence = db.session.scalars(
        sa.select(Evidence).where(Evidence.visit_id == visit_id).execution_options(populate_existing=True)
    ).all()
    revisions = tuple(_revision(account) for account in _accounts(visit_id))
    facts = VisitFacts(
        visit_id=visit_id,
        judged_at=now,
        arrival=_interval(visit.arrived_earliest, visit.arrived_latest, visit.arrived_method),
        departure=_departure(visit),
        assigned_team=None if assignment is None else _team(assignment.id),
        present_team=frozenset(visit.team),
        address=None if row.latitude is None else Place(row.latitude, row.longitude),
        check_in=_place(visit.arrived_at_position),
        check_out=_place(visit.left_at_position),
        account=_live(revisions),
        revisions=revisions,
        evidence=tuple(sorted((_evidence(one) for one in evidence), key=lambda one: one.id)),
        account_due_at=_account_due(visit, pack),
        evidence_due_at=visit.evidence_due_at,
        reuses=_reuses(visit_id),
        flags=_flags(visit_id),
        broken_rules=() if assignment is None else _broken_rules(visit, assignment, pack=pack, now=now),
    )
    release_connection()
    return facts


def _accounts(visit_id: UUID) -> Sequence[Account]:
    return db.session.scalars(
        sa.select(Account).where(Account.visit_id == visit_id).order_by(Account.received_at, Account.id)
    ).all()


def _revision(account: Account) -> AccountFact:
    return AccountFact(
        id=account.id,
        parent_id=account.parent_id,
        claims=account.claims,
        narrative=account.narrative,
        received_at=account.received_at,
    )


def _live(revisions: Sequence[AccountFact]) -> AccountFact | None:
    """Return the revision that counts: the newest that nothing amends."""
    amended = {revision.parent_id for revision in revisions}
    heads = [revision for revision in revisions if revision.id not in amended]
    return max(heads, key=lambda revision: (revision.received_at, revision.id), default=None)


def _interval(earliest: datetime, latest: datetime, method: str | None) -> Interval:
    methods: dict[str, Method] = {"anchored": "anchored", "anchored-browser": "anchored-browser"}
    return Interval(earliest=earliest, latest=latest, method=methods.get(method or "", "wall"))


def _departure(visit: Visit) -> Interval | None:
    if visit.left_earliest is None or visit.left_latest is None:
        return None
    return _interval(visit.left_earliest, visit.left_latest, visit.left_method)


def _team(assignment_id: UUID) -> frozenset[UUID]:
    members = sa.select(AssignmentMember.staff_id).where(AssignmentMember.assignment_id == assignment_id)
    return frozenset(db.session.scalars(members))


def _place(position: Mapping[str, Any] | None) -> Place | None:
    if position is None:
        return None
    return Place(
        lat=position["lat"],
        lon=position["lon"],
        accuracy_m=position.get("accuracy_m") or 0.0,
        mock=bool(position.get("mock", False)),
    )


def _evidence(one: Evidence) -> EvidenceFact:
    inspection = one.inspection or {}
    sound = inspection.get("sound")
    return EvidenceFact(
        id=one.id,
        kind=one.kind or "unknown",
        purpose=one.purpose or "other",
        state=one.state,
        captured_from=_captured(one.captured_from_earliest, one.captured_from_latest),
        captured_until=_captured(one.captured_until_earliest, one.captured_until_latest),
        place=_place(one.position),
        image=_image(inspection.get("image")),
        sound=None if sound is None else Sound(sound["duration_seconds"], sound["speech_seconds"]),
        failed=inspection.get("failed"),
    )


def _captured(earliest: datetime | None, latest: datetime | None) -> Interval | None:
    if earliest is None or latest is None:
        return None
    return Interval(earliest=earliest, latest=latest, method="wall")


def _image(image: Mapping[str, Any] | None) -> Image | None:
    if image is None:
        return None
    taken_at = image.get("taken_at")
    return Image(
        taken_at=datetime.fromisoformat(taken_at) if taken_at else None, place=_place(image.get("position"))
    )


_REUSES = sa.text(
    """
    SELECT mine.id AS evidence_id, other.id AS other_id, other.visit_id,
           CASE WHEN mine.sha256 = other.sha256 THEN NULL
                ELSE bit_count(mine.perceptual_hash # other.perceptual_hash) END AS bits
    FROM evidence mine
    JOIN evidence other ON other.visit_id <> mine.visit_id AND other.state = 'verified'
     -- Who took the picture first is not the one to doubt; when that is undecidable, both are.
     AND other.captured_from_earliest <= mine.captured_until_latest
     AND (other.sha256 = mine.sha256
          OR bit_count(mine.perceptual_hash # other.perceptual_hash) <= :bits)
    WHERE mine.visit_id = :visit_id AND mine.state = 'verified'
    ORDER BY 1, 2
    LIMIT 100
    """
)


def _reuses(visit_id: UUID) -> tuple[Reuse, ...]:
    """Find files of this visit that serve another one: the same bytes, or a picture that looks the same."""
    rows = db.session.execute(_REUSES, {"visit_id": visit_id, "bits": REUSE_BITS})
    return tuple(Reuse(row.evidence_id, row.other_id, row.visit_id, row.bits) for row in rows)


def _flags(visit_id: UUID) -> frozenset[str]:
    """Collect what the inbox noted on the visit's items."""
    return frozenset(
        db.session.scalars(sa.select(sa.func.unnest(Item.flags)).where(Item.visit_id == visit_id).distinct())
    )


def _account_due(visit: Visit, pack: packs.RulePack) -> datetime | None:
    """Return the end of the working day on which the account is due; None in an unpublished year."""
    left = local_day(visit.left_latest or visit.arrived_latest, pack.zone)
    calendar = load_calendar(left.year, left.year + 1)
    due_day = calendar.working_day_after(left, pack.report_due_working_days)
    return None if due_day is None else at_local(due_day + timedelta(days=1), time(0), pack.zone)


def _broken_rules(
    visit: Visit, assignment: Assignment, *, pack: packs.RulePack, now: datetime
) -> tuple[Reason, ...]:
    """Judge the assignment rules again, on the actual times, place and team."""
    facts = load_case_facts(
        case_id=assignment.case_id,
        address_id=assignment.address_id,
        team=visit.team,
        around=visit.arrived_earliest,
        now=now,
        zone=pack.timezone,
    )
    actual = rule_facts.ActualVisit(
        visit_id=visit.id,
        arrival=rule_facts.Interval(visit.arrived_earliest, visit.arrived_latest),
        departure=None
        if visit.left_earliest is None or visit.left_latest is None
        else rule_facts.Interval(visit.left_earliest, visit.left_latest),
        team=tuple(visit.team),
        address_id=assignment.address_id,
        assignment_id=assignment.id,
    )
    return judge_afterwards(actual, facts, pack).reasons


# Record.


def record(session: Session, visit: Visit, report: Report, *, now: datetime) -> None:
    """Write a report. Vanished findings are superseded, decided ones stay as they were decided."""
    rows = [_row(visit.id, finding, now=now) for finding in report.findings]
    if rows:
        statement = insert(FindingRow)
        refreshed = {
            name: getattr(statement.excluded, name)
            for name in (
                "rule",
                "severity",
                "severity_rank",
                "confidence",
                "claim",
                "observation",
                "citation",
            )
        }
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["visit_id", "key"],
                set_={**refreshed, "state": "open"},
                where=FindingRow.decided_by.is_(None),
            ),
            rows,
        )
    session.execute(
        sa.update(FindingRow)
        .where(
            FindingRow.visit_id == visit.id,
            FindingRow.state == "open",
            FindingRow.key.not_in([row["key"] for row in rows]),
        )
        .values(state="superseded")
    )
    visit.claim_marks = [{"claim": one.claim, "mark": one.mark} for one in report.claims]
    visit.reconciled_at = now
    if visit.state == "reported":
        visit.state = "reconciled"
        session.execute(
            sa.update(Assignment)
            .where(Assignment.id == visit.assignment_id, Assignment.state == "reported")
            .values(state="reconciled")
        )


def _row(visit_id: UUID, finding: Finding, *, now: datetime) -> dict[str, Any]:
    return {
        "id": uuid7(),
        "visit_id": visit_id,
        "key": finding.key,
        "check": finding.check,
        "rule": finding.rule,
        "severity": finding.severity,
        "severity_rank": finding.rank,
        "confidence": finding.confidence,
        "claim": finding.claim,
        "observation": _json(finding.observation),
        "citation": _json(finding.citation),
        "found_at": now,
        "state": "open",
    }


def _json(value: Any) -> Any:
    """Turn times and ids inside an observation into text."""
    if isinstance(value, Mapping):
        return {str(key): _json(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_json(part) for part in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, str | int | float | bool | None) else str(value)

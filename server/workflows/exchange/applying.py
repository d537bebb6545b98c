"""How does each type of item change the office's tables?

One function per type, each taking many items at once and using a fixed number of statements. They run
inside a savepoint of `projections`. What breaks a rule is written and flagged, never refused.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from server.authority import Actor, Role
from server.jobs import enqueue
from server.models.assignments import end_early
from server.models.cases import Case, Hold
from server.models.dispatch import ENDED_EARLY, Assignment, AssignmentMember
from server.models.evidence import Evidence
from server.models.feed import FeedRow, staff_scope
from server.models.holds import raise_hold
from server.models.visits import Account, FieldReport, Visit
from server.signing import current_signer
from server.workflows.exchange.anchors import read_anchor
from server.workflows.exchange.arrived import Arrived
from sync.bodies import (
    AccountWritten,
    AssignmentAnswered,
    EvidencePromised,
    HoldRequested,
    Reported,
    VisitEnded,
    VisitStarted,
)
from sync.clock import Interval, locate
from sync.protocol import Clock

EVIDENCE_WITHIN: Final = timedelta(hours=24)
PROMISED: Final = (
    "visit_id",
    "promised_item",
    "kind",
    "purpose",
    "sha256",
    "size_bytes",
    "mime",
    "captured_from_earliest",
    "captured_from_latest",
    "captured_until_earliest",
    "captured_until_latest",
    "position",
)


class CannotApply(Exception):
    """An item says something that cannot be written; it is quarantined with this slug."""

    def __init__(self, slug: str, detail: str) -> None:
        super().__init__(detail)
        self.slug = slug


def answer_assignments(session: Session, items: Sequence[Arrived], now: datetime) -> None:
    """assignment.acknowledged, assignment.declined."""
    for arrived in items:
        body = arrived.body
        assert isinstance(body, AssignmentAnswered)
        known = _assignments(session, {body.assignment_id})
        if body.assignment_id not in known:
            arrived.flag("assignment_unknown")
        elif arrived.record.staff_id not in known[body.assignment_id].team:
            arrived.flag("not_on_team")
        elif arrived.record.type == "assignment.declined":
            _decline(arrived, body, now=now)
        else:
            session.execute(
                sa.update(Assignment)
                .where(Assignment.id == body.assignment_id, Assignment.state == "issued")
                .values(state="acknowledged")
            )


def _decline(arrived: Arrived, body: AssignmentAnswered, *, now: datetime) -> None:
    actor = Actor(staff_id=arrived.record.staff_id, roles=frozenset({Role.VISITOR}))
    ended = end_early(
        sa.and_(Assignment.id == body.assignment_id, Assignment.state != "started"),
        state="declined",
        reason=body.reason or "declined by the visitor",
        actor=actor,
        now=now,
    )
    if not ended:
        arrived.flag("assignment_over")


class KnownAssignment:
    """What the office knows of an assignment when its visit is reported."""

    def __init__(self, row: Any, team: frozenset[UUID]) -> None:
        self.assignment: Assignment = row
        self.team = team


def _assignments(session: Session, ids: set[UUID]) -> dict[UUID, KnownAssignment]:
    rows = session.execute(
        sa.select(Assignment, sa.func.array_agg(AssignmentMember.staff_id).label("team"))
        .join(AssignmentMember, AssignmentMember.assignment_id == Assignment.id)
        .where(Assignment.id.in_(ids))
        .group_by(Assignment.id)
    )
    return {row.Assignment.id: KnownAssignment(row.Assignment, frozenset(row.team)) for row in rows}


def start_visits(session: Session, items: Sequence[Arrived], now: datetime) -> None:
    """visit.started: one row per visit; the assignment counts as started even if it was cancelled since."""
    bodies = [(arrived, arrived.body) for arrived in items if isinstance(arrived.body, VisitStarted)]
    known = _assignments(session, {body.assignment_id for _, body in bodies})
    holds = _holds(session, {one.assignment.debtor_id for one in known.values()})
    removed = _removals(session, bodies)
    rows = []
    for arrived, body in bodies:
        assigned = known.get(body.assignment_id)
        _flag_start(arrived, body, assigned, holds=holds, removed_at=removed.get(_feed_key(arrived, body)))
        rows.append(_visit_row(arrived, body, assigned))
    statement = insert(Visit).on_conflict_do_nothing(index_elements=["id"]).returning(Visit.id)
    written = set(session.scalars(statement, rows))
    for arrived, body in bodies:
        if body.visit_id not in written:
            arrived.flag("visit_started_twice")
    started = [body.assignment_id for _, body in bodies if body.assignment_id in known]
    session.execute(
        sa.update(Assignment)
        .where(Assignment.id.in_(started), Assignment.state.in_(["issued", "acknowledged"]))
        .values(state="started")
    )


def _feed_key(arrived: Arrived, body: VisitStarted) -> tuple[str, UUID]:
    return staff_scope(arrived.record.staff_id), body.assignment_id


def _removals(
    session: Session, bodies: Sequence[tuple[Arrived, VisitStarted]]
) -> dict[tuple[str, UUID], int]:
    """Return where in each visitor's feed these assignments were taken away."""
    scopes = {staff_scope(arrived.record.staff_id) for arrived, _ in bodies}
    ids = {body.assignment_id for _, body in bodies}
    rows = session.execute(
        sa.select(FeedRow.scope, FeedRow.entity_id, FeedRow.seq).where(
            FeedRow.scope.in_(scopes),
            FeedRow.kind == "assignment",
            FeedRow.entity_id.in_(ids),
            FeedRow.op == "remove",
        )
    )
    return {(row.scope, row.entity_id): row.seq for row in rows}


def _holds(session: Session, debtor_ids: set[UUID]) -> list[Hold]:
    if not debtor_ids:
        return []
    return list(session.scalars(sa.select(Hold).where(Hold.debtor_id.in_(debtor_ids))))


def _flag_start(
    arrived: Arrived,
    body: VisitStarted,
    assigned: KnownAssignment | None,
    *,
    holds: Sequence[Hold],
    removed_at: int | None,
) -> None:
    """Note what was wrong at arrival, and whether the phone could have known it."""
    if assigned is None:
        arrived.flag("assignment_unknown")
        return
    assignment = assigned.assignment
    if arrived.record.staff_id not in assigned.team:
        arrived.flag("not_on_team")
    if assignment.state in ENDED_EARLY:
        arrived.flag("assignment_cancelled")
    was_told = removed_at is not None and removed_at <= arrived.record.seen_seq
    if any(_stood(hold, assignment, arrived.when) for hold in holds):
        arrived.flag("after_hold" if was_told else "hold_not_delivered")
    if arrived.when.latest < assignment.window_start or arrived.when.earliest > assignment.window_end:
        arrived.flag("outside_window")


def _stood(hold: Hold, assignment: Assignment, when: Interval) -> bool:
    """Whether a hold on this case or debtor certainly stood at the arrival."""
    concerns = hold.debtor_id == assignment.debtor_id and (
        hold.scope == "debtor" or hold.case_id == assignment.case_id
    )
    return (
        concerns
        and hold.raised_at < when.earliest
        and (hold.released_at is None or hold.released_at > when.latest)
    )


def _visit_row(arrived: Arrived, body: VisitStarted, assigned: KnownAssignment | None) -> dict[str, Any]:
    return {
        "id": body.visit_id,
        "assignment_id": body.assignment_id if assigned else None,
        "debtor_id": assigned.assignment.debtor_id if assigned else None,
        "device_id": arrived.row.device_id,
        "staff_id": arrived.device.staff_id,
        "team": list(body.team),
        "checklist": body.checklist,
        "seen_seq": arrived.record.seen_seq,
        "arrived_earliest": arrived.when.earliest,
        "arrived_latest": arrived.when.latest,
        "arrived_method": arrived.when.method,
        "arrived_at_position": body.position,
        "flags": list(arrived.flags),
        "state": "started",
        "started_item": arrived.row.item_id,
        "first_received_at": arrived.row.received_at,
        "evidence_due_at": arrived.row.received_at + EVIDENCE_WITHIN,
    }


def promise_evidence(session: Session, items: Sequence[Arrived], now: datetime) -> None:
    """visit.evidence: the promise of one file. If the bytes came first, they are compared with it now."""
    bodies = [(arrived, arrived.body) for arrived in items if isinstance(arrived.body, EvidencePromised)]
    statement = insert(Evidence)
    promised = {name: getattr(statement.excluded, name) for name in PROMISED}
    taken = statement.on_conflict_do_update(
        index_elements=["id"],
        set_=promised,
        where=sa.and_(Evidence.promised_item.is_(None), Evidence.device_id == statement.excluded.device_id),
    ).returning(Evidence.id, Evidence.storage_key)
    rows = {body.evidence_id: _evidence_row(arrived, body) for arrived, body in reversed(bodies)}
    written = {row.id: row.storage_key for row in session.execute(taken, list(rows.values()))}
    for arrived, body in bodies:
        if rows[body.evidence_id]["promised_item"] != arrived.row.item_id or body.evidence_id not in written:
            arrived.flag("evidence_promised_twice")
        elif written[body.evidence_id] is not None:
            enqueue("settle_evidence", evidence_id=str(body.evidence_id))


def _evidence_row(arrived: Arrived, body: EvidencePromised) -> dict[str, Any]:
    begin, end = (_when(arrived, clock) for clock in (body.captured_from, body.captured_until))
    return {
        "id": body.evidence_id,
        "visit_id": body.visit_id,
        "device_id": arrived.row.device_id,
        "promised_item": arrived.row.item_id,
        "kind": body.kind,
        "purpose": body.purpose,
        "sha256": body.sha256,
        "size_bytes": body.size_bytes,
        "mime": body.mime,
        "captured_from_earliest": begin.earliest,
        "captured_from_latest": begin.latest,
        "captured_until_earliest": end.earliest,
        "captured_until_latest": end.latest,
        "position": body.position,
        "state": "expected",
    }


def _when(arrived: Arrived, clock: Clock) -> Interval:
    """Place readings inside an item that were taken before the item itself."""
    received_at = arrived.row.received_at
    anchored = read_anchor(clock.anchor, current_signer(), device_id=arrived.device.id, now=received_at)
    return locate(clock, anchor_time=anchored, received_at=received_at)


def end_visits(session: Session, items: Sequence[Arrived], now: datetime) -> None:
    """visit.ended: the check-out; the first one counts."""
    for arrived in items:
        body = arrived.body
        assert isinstance(body, VisitEnded)
        changed = session.execute(
            sa.update(Visit)
            .where(Visit.id == body.visit_id, Visit.ended_item.is_(None))
            .values(
                left_earliest=arrived.when.earliest,
                left_latest=arrived.when.latest,
                left_method=arrived.when.method,
                left_at_position=body.position,
                ended_item=arrived.row.item_id,
                state=sa.case((Visit.state == "started", "ended"), else_=Visit.state),
            )
            .returning(Visit.id)
        ).first()
        if changed is None:
            arrived.flag("visit_ended_twice")


def write_accounts(session: Session, items: Sequence[Arrived], now: datetime) -> None:
    """visit.account: a revision of the written account. Parents stand before their children in `items`."""
    bodies = [(arrived, arrived.body) for arrived in items if isinstance(arrived.body, AccountWritten)]
    statement = insert(Account).on_conflict_do_nothing(index_elements=["id"]).returning(Account.id)
    rows = [_account_row(arrived, body) for arrived, body in bodies]
    written = set(session.scalars(statement, rows))
    for arrived, body in bodies:
        if body.account_id not in written:
            arrived.flag("account_written_twice")
    visits = [body.visit_id for _, body in bodies]
    told = session.scalars(
        sa.update(Visit).where(Visit.id.in_(visits)).values(state="reported").returning(Visit.assignment_id)
    ).all()
    assigned = [assignment_id for assignment_id in told if assignment_id]
    if assigned:
        session.execute(
            sa.update(Assignment)
            .where(Assignment.id.in_(assigned), Assignment.state == "started")
            .values(state="reported")
        )


def _account_row(arrived: Arrived, body: AccountWritten) -> dict[str, Any]:
    return {
        "id": body.account_id,
        "visit_id": body.visit_id,
        "parent_id": body.parent,
        "device_id": arrived.row.device_id,
        "item_id": arrived.row.item_id,
        "author_id": arrived.device.staff_id,
        "claims": body.claims,
        "narrative": body.narrative,
        "written_earliest": arrived.when.earliest,
        "written_latest": arrived.when.latest,
        "received_at": arrived.row.received_at,
    }


def request_holds(session: Session, items: Sequence[Arrived], now: datetime) -> None:
    """hold.requested: collection stops at once; the office releases it when the client says so."""
    for arrived in items:
        body = arrived.body
        assert isinstance(body, HoldRequested)
        case = session.get(Case, body.case_id)
        if case is None:
            raise CannotApply(
                "case-unknown", "There is no such case; the office must find out which was meant."
            )
        raise_hold(
            case,
            reason=body.reason,
            note=body.text,
            raised_by=arrived.device.staff_id,
            raised_by_item=arrived.row.item_id,
            now=now,
        )


def file_reports(session: Session, items: Sequence[Arrived], now: datetime) -> None:
    """Everything else a phone reports is kept whole for the office."""
    rows = [
        {
            "device_id": arrived.row.device_id,
            "item_id": arrived.row.item_id,
            "type": arrived.record.type,
            "visit_id": arrived.body.visit_id,
            "case_id": arrived.body.case_id,
            "body": arrived.record.body,
            "received_at": arrived.row.received_at,
        }
        for arrived in items
        if isinstance(arrived.body, Reported)
    ]
    session.execute(sa.insert(FieldReport), rows)

"""What does the office note when a visit begins?

A check-in becomes a visit whatever was wrong with it; what was wrong is flagged, and whether the phone could
have known it: a hold that had not reached the phone is the office's lateness, not the visitor's fault.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.bulk import insert_rows
from server.jobs import enqueue
from server.models.cases import Debtor, Hold
from server.models.dispatch import ENDED_EARLY, Assignment, AssignmentMember
from server.models.feed import FeedRow, staff_scope
from server.models.visits import Item, Visit
from server.rules.json_form import stamp
from server.workflows.exchange import parents
from server.workflows.exchange.arrived import Arrived
from server.workflows.exchange.promised import keep_promises
from server.workflows.rejudging import rejudge_later
from sync.bodies import VisitStarted
from sync.clock import Interval

UNEXPECTED: Final = frozenset({"assignment_cancelled", "outside_window"})
EVIDENCE_WITHIN: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class KnownAssignment:
    """What the office knows of an assignment when its visit is reported. `is_hardship`: of its debtor."""

    assignment: Assignment
    team: frozenset[UUID]
    is_hardship: bool


def known_assignments(session: Session, ids: set[UUID]) -> dict[UUID, KnownAssignment]:
    """Load assignments with their teams."""
    rows = session.execute(
        sa.select(Assignment, sa.func.array_agg(AssignmentMember.staff_id), Debtor.hardship)
        .join(AssignmentMember, AssignmentMember.assignment_id == Assignment.id)
        .join(Debtor, Debtor.id == Assignment.debtor_id)
        .where(Assignment.id.in_(ids))
        .group_by(Assignment.id, Debtor.id)
    )
    return {one.id: KnownAssignment(one, frozenset(team), bool(hardship)) for one, team, hardship in rows}


def start_visits(session: Session, items: Sequence[Arrived], now: datetime) -> None:
    """visit.started: one row per visit; the assignment counts as started even if it was cancelled since."""
    bodies = [(arrived, arrived.body) for arrived in items if isinstance(arrived.body, VisitStarted)]
    known = known_assignments(session, {body.assignment_id for _, body in bodies})
    holds = _holds(session, {one.assignment.debtor_id for one in known.values()})
    removed = _removals(session, bodies)
    rows: dict[UUID, dict[str, Any]] = {}
    for arrived, body in bodies:
        assigned = known.get(body.assignment_id)
        _flag_start(arrived, body, assigned, holds=holds, removed_at=removed.get(_feed_key(arrived, body)))
        rows.setdefault(body.visit_id, _visit_row(arrived, body, assigned))
    found = list(rows.values())
    awaited = _awaited(session, rows)
    written = set(insert_rows(session, Visit, found, then=_TAKES_ITS_PLACE))
    for arrived, body in bodies:
        if body.visit_id not in written or rows[body.visit_id]["started_item"] != arrived.row.item_id:
            arrived.flag("visit_started_twice")
        elif body.visit_id in awaited:
            arrived.flag("check_in_late")
    parents.explain_items(session, Item.visit_id.in_(awaited))
    keep_promises(session, awaited, {}, now)
    started = [body.assignment_id for arrived, body in bodies if _is_theirs(arrived, body, known)]
    session.execute(
        sa.update(Assignment)
        .where(Assignment.id.in_(started), Assignment.state.in_(["issued", "acknowledged"]))
        .values(state="started")
    )
    _rejudge_plans(bodies, known)
    _judge_neighbours_again([rows[visit_id] for visit_id in awaited])


def _awaited(session: Session, ids: Collection[UUID]) -> Collection[UUID]:
    """Return those of these visits that stand already, without their check-in."""
    without = sa.select(Visit.id).where(Visit.id.in_(ids), Visit.started_item.is_(None))
    return session.scalars(without).all()


# A check-in takes the place of a visit that only what follows it has told of; one that stands stays.
_TAKES_ITS_PLACE: Final = """
    ON CONFLICT (id) DO UPDATE
    SET assignment_id = excluded.assignment_id, debtor_id = excluded.debtor_id,
        device_id = excluded.device_id, staff_id = excluded.staff_id, team = excluded.team,
        checklist = excluded.checklist, seen_seq = excluded.seen_seq,
        arrived_earliest = excluded.arrived_earliest, arrived_latest = excluded.arrived_latest,
        arrived_method = excluded.arrived_method, arrived_at_position = excluded.arrived_at_position,
        started_item = excluded.started_item,
        flags = visits.flags || excluded.flags || ARRAY['check_in_late']
                || CASE WHEN visits.team <@ (excluded.team || excluded.staff_id) THEN ARRAY[]::text[]
                        ELSE ARRAY['items_of_strangers'] END
    WHERE visits.started_item IS NULL
    RETURNING id
"""


def _is_theirs(arrived: Arrived, body: VisitStarted, known: Mapping[UUID, KnownAssignment]) -> bool:
    """Whether the visitor was sent: what a stranger says about a door moves nobody's assignment."""
    return body.assignment_id in known and arrived.sender.staff_id in known[body.assignment_id].team


def _rejudge_plans(
    bodies: Sequence[tuple[Arrived, VisitStarted]], known: Mapping[UUID, KnownAssignment]
) -> None:
    """A visit may leave too little for those still planned: one that the budget did not expect then (A2, A3),
    and any to people in hardship, whose week runs from the arrival and not from the start of the window (A9).
    """
    told = [(arrived, known[body.assignment_id]) for arrived, body in bodies if body.assignment_id in known]
    concerned = {
        one.assignment.debtor_id
        for arrived, one in told
        if one.is_hardship or UNEXPECTED.intersection(arrived.flags)
    }
    if concerned:
        rejudge_later(Assignment.debtor_id.in_(concerned))


def _judge_neighbours_again(late: Sequence[Mapping[str, Any]]) -> None:
    """A visit that was judged before anybody knew whose debtor it was concerns that debtor's other visits."""
    around = [
        (str(row["debtor_id"]), stamp(row["arrived_earliest"]), stamp(row["arrived_latest"]))
        for row in late
        if row["debtor_id"] is not None
    ]
    if around:
        enqueue("reconcile_neighbours", around=around)


def _feed_key(arrived: Arrived, body: VisitStarted) -> tuple[str, UUID]:
    return staff_scope(arrived.sender.staff_id), body.assignment_id


def _removals(
    session: Session, bodies: Sequence[tuple[Arrived, VisitStarted]]
) -> dict[tuple[str, UUID], int]:
    """Return where in each visitor's feed these assignments were taken away."""
    scopes = {staff_scope(arrived.sender.staff_id) for arrived, _ in bodies}
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
    if arrived.sender.staff_id not in assigned.team:
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
        "staff_id": arrived.sender.staff_id,
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

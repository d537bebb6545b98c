"""How does each type of item change the office's tables?

One function per type, each taking many items at once and using a fixed number of statements. They run
inside a savepoint of `projections`. What breaks a rule is written and flagged, never refused. Check-ins have
their own module, `checkins`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from server.authority import Actor, Role
from server.bulk import insert_rows
from server.driver import run, uuids
from server.jobs import enqueue
from server.models.assignments import end_early
from server.models.dispatch import Assignment
from server.models.evidence import Evidence
from server.models.visits import Account, FieldReport, Visit
from server.workflows.exchange import parents
from server.workflows.exchange.arrived import Arrived, place
from server.workflows.exchange.checkins import known_assignments
from server.workflows.exchange.promised import arrived_of, keep_promises
from sync.bodies import (
    AccountWritten,
    AssignmentAnswered,
    EvidencePromised,
    Reported,
    VisitEnded,
)
from sync.protocol import uuid7

PROMISED: Final = (
    "visit_id",
    "device_id",
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
        known = known_assignments(session, {body.assignment_id})
        if body.assignment_id not in known:
            arrived.flag("assignment_unknown")
        elif arrived.sender.staff_id not in known[body.assignment_id].team:
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
    actor = Actor(staff_id=arrived.sender.staff_id, roles=frozenset({Role.VISITOR}))
    ended = end_early(
        sa.and_(Assignment.id == body.assignment_id, Assignment.state != "started"),
        state="declined",
        reason=body.reason or "declined by the visitor",
        actor=actor,
        now=now,
    )
    if not ended:
        arrived.flag("assignment_over")


def promise_evidence(session: Session, items: Sequence[Arrived], now: datetime) -> None:
    """visit.evidence: the promise of one file. If the bytes came first, they are compared with it now.

    They may have come from another phone of the same visitor, as they may after the promise; the file belongs
    to the phone that promised it.
    """
    bodies = [(arrived, arrived.body) for arrived in items if isinstance(arrived.body, EvidencePromised)]
    statement = insert(Evidence)
    promised = {name: getattr(statement.excluded, name) for name in PROMISED}
    taken = statement.on_conflict_do_update(
        index_elements=["id"],
        set_=promised,
        where=sa.and_(Evidence.promised_item.is_(None), _OF_ONE_VISITOR),
    ).returning(Evidence.id, Evidence.storage_key)
    rows = {body.evidence_id: _evidence_row(arrived, body) for arrived, body in reversed(bodies)}
    written = {row.id: row.storage_key for row in session.execute(taken, list(rows.values()))}
    for arrived, body in bodies:
        if rows[body.evidence_id]["promised_item"] != arrived.row.item_id or body.evidence_id not in written:
            arrived.flag("evidence_promised_twice")
        elif written[body.evidence_id] is not None:
            enqueue("settle_evidence", evidence_id=str(body.evidence_id))


_OF_ONE_VISITOR: Final = sa.text(
    """
    (SELECT staff_id FROM devices WHERE id = evidence.device_id)
        = (SELECT staff_id FROM devices WHERE id = excluded.device_id)
    """
)


def _evidence_row(arrived: Arrived, body: EvidencePromised) -> dict[str, Any]:
    begin, end = (
        place(clock, row=arrived.row, written=arrived.record.clock)
        for clock in (body.captured_from, body.captured_until)
    )
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
    """visit.account: a revision of the written account, and what it promises.

    Parents stand before their children in `items`.
    """
    bodies = [(arrived, arrived.body) for arrived in items if isinstance(arrived.body, AccountWritten)]
    rows = {body.account_id: _account_row(arrived, body) for arrived, body in reversed(bodies)}
    # Reversed twice: of two items with one account id the first counts, and parents stay before children.
    ordered = list(rows.values())[::-1]
    written = set(insert_rows(session, Account, ordered, then="ON CONFLICT (id) DO NOTHING RETURNING id"))
    for arrived, body in bodies:
        if body.account_id not in written or rows[body.account_id]["item_id"] != arrived.row.item_id:
            arrived.flag("account_written_twice")
    visits = {body.visit_id for _, body in bodies}
    awaited = run(session, _REPORTED, {"visits": uuids(visits), "written": uuids(written)})
    parents.link_amendments(session, [row.id for row in awaited])
    keep_promises(session, visits, arrived_of(items), now)


_REPORTED: Final = """
    WITH told AS (
        UPDATE visits SET state = 'reported' WHERE id = ANY(%(visits)s) RETURNING assignment_id, staff_id
    ), moved AS (
        UPDATE assignments SET state = 'reported'
        FROM told JOIN assignment_members member USING (assignment_id, staff_id)
        WHERE assignments.id = member.assignment_id AND assignments.state = 'started'
    )
    SELECT id FROM accounts WHERE missing_parent_id = ANY(%(written)s) ORDER BY id
"""


def _account_row(arrived: Arrived, body: AccountWritten) -> dict[str, Any]:
    return {
        "id": body.account_id,
        "visit_id": body.visit_id,
        "parent_id": None if arrived.lacks_parent else body.parent,
        "missing_parent_id": body.parent if arrived.lacks_parent else None,
        "device_id": arrived.row.device_id,
        "item_id": arrived.row.item_id,
        "author_id": arrived.corrected_by or arrived.sender.staff_id,
        "claims": body.claims,
        "narrative": body.narrative,
        "written_earliest": arrived.when.earliest,
        "written_latest": arrived.when.latest,
        "received_at": arrived.row.received_at,
    }


def file_reports(session: Session, items: Sequence[Arrived], now: datetime) -> None:
    """Everything else a phone reports is kept whole for the office."""
    rows = [
        {
            "id": uuid7(),
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
    insert_rows(session, FieldReport, rows)

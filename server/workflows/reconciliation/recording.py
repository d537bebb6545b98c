"""How is a report kept, so that reruns change nothing and decisions stay?"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from server.database import db
from server.models.dispatch import Assignment
from server.models.findings import Finding as FindingRow
from server.models.visits import Visit
from server.reconcile.claims import ClaimMark
from server.reconcile.difference import COMPARED, Change, Known, difference
from server.reconcile.engine import Report
from server.reconcile.finding import Finding
from server.workflows.auditing.scoring import put_in_queue
from sync.protocol import uuid7


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a judgement changes about a visit: findings, and claims that stand otherwise (before, after).

    True where it changes anything: what it says of decided findings is told, and changes nothing.
    """

    changes: tuple[Change, ...]
    marks: Mapping[str, tuple[str | None, str | None]]

    def __bool__(self) -> bool:
        return bool(self.marks) or any(not change.is_decided for change in self.changes)


def compare(visit: Visit, report: Report) -> Outcome:
    """Hold a report against what is on record of a visit. Reads only: one query."""
    stored = db.session.execute(
        sa.select(
            FindingRow.key,
            FindingRow.check,
            FindingRow.rule,
            FindingRow.severity,
            FindingRow.confidence,
            FindingRow.claim,
            FindingRow.observation,
            FindingRow.citation,
            FindingRow.state,
            FindingRow.raised_by.is_not(None),
        ).where(FindingRow.visit_id == visit.id)
    )
    judged = [_known(finding) for finding in report.findings]
    before = {mark["claim"]: mark["mark"] for mark in visit.claim_marks}
    after: dict[str, str] = {mark.claim: mark.mark for mark in report.claims}
    return Outcome(
        changes=difference((Known(*row) for row in stored), judged),
        marks={
            claim: (before.get(claim), after.get(claim))
            for claim in sorted(before.keys() | after.keys())
            if before.get(claim) != after.get(claim)
        },
    )


def record(session: Session, visit: Visit, report: Report, *, now: datetime) -> Outcome:
    """Write what a report changes, and the visit's place in the audit's queue.

    Vanished findings are superseded; decided ones, and those an auditor raised, stay as they are.
    """
    outcome = compare(visit, report)
    written = {change.key for change in outcome.changes if change.after and not change.is_decided}
    rows = [_row(visit.id, finding, now=now) for finding in report.findings if finding.key in written]
    if rows:
        statement = insert(FindingRow)
        refreshed = {name: getattr(statement.excluded, name) for name in (*COMPARED, "severity_rank")}
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["visit_id", "key"],
                set_={**refreshed, "state": "open"},
                where=FindingRow.decided_by.is_(None),
            ),
            rows,
        )
    gone = [change.key for change in outcome.changes if change.what == "gone"]
    if gone:
        session.execute(
            sa.update(FindingRow)
            .where(
                FindingRow.visit_id == visit.id,
                FindingRow.state == "open",
                FindingRow.raised_by.is_(None),
                FindingRow.key.in_(gone),
            )
            .values(state="superseded")
        )
    visit.claim_marks = [_mark(one) for one in report.claims]
    visit.reconciled_at = now
    if visit.state == "reported":
        visit.state = "reconciled"
        session.execute(
            sa.update(Assignment)
            .where(Assignment.id == visit.assignment_id, Assignment.state == "reported")
            .values(state="reconciled")
        )
    put_in_queue(session, [visit.id])
    return outcome


def _row(visit_id: UUID, finding: Finding, *, now: datetime) -> dict[str, Any]:
    one = _known(finding)
    return {name: getattr(one, name) for name in ("key", "check", *COMPARED)} | {
        "id": uuid7(),
        "visit_id": visit_id,
        "severity_rank": finding.rank,
        "found_at": now,
        "state": "open",
    }


def _known(finding: Finding) -> Known:
    return Known(
        key=finding.key,
        check=finding.check,
        rule=finding.rule,
        severity=finding.severity,
        confidence=finding.confidence,
        claim=finding.claim,
        observation=_json(finding.observation),
        citation=_json(finding.citation),
    )


def _mark(one: ClaimMark) -> dict[str, str]:
    return {"claim": one.claim, "mark": one.mark} | ({"why": one.why} if one.why else {})


def _json(value: Any) -> Any:
    """Turn times and ids inside an observation into text."""
    if isinstance(value, Mapping):
        return {str(key): _json(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_json(part) for part in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, str | int | float | bool | None) else str(value)

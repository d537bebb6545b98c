"""How is a report kept, so that reruns change nothing and decisions stay?"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from server.models.dispatch import Assignment
from server.models.findings import Finding as FindingRow
from server.models.visits import Visit
from server.reconcile.claims import ClaimMark
from server.reconcile.engine import Report
from server.reconcile.finding import Finding
from server.workflows.auditing.scoring import put_in_queue
from sync.protocol import uuid7


def record(session: Session, visit: Visit, report: Report, *, now: datetime) -> None:
    """Write a report and the visit's place in the audit's queue.

    Vanished findings are superseded; decided ones, and those an auditor raised, stay as they are.
    """
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
            FindingRow.raised_by.is_(None),
            FindingRow.key.not_in([row["key"] for row in rows]),
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

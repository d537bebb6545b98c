"""Visits with findings, as reconciliation leaves them."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from uuid import UUID

import sqlalchemy as sa
from werkzeug.test import TestResponse

from server.database import db, transaction
from server.models.cases import Case
from server.models.dispatch import Assignment
from server.models.findings import Finding
from server.models.people import Staff
from server.models.visits import Visit
from server.reconcile.finding import RANK
from server.workflows.auditing.scoring import put_in_queue
from sync.protocol import uuid7
from tests.builders import Person, a_handset, now

DAY = date(2026, 11, 23)
Found = tuple[str, str, float]
"""Check, severity, confidence."""


def a_judged_visit(
    visitor: Staff,
    *findings: Found,
    day: date = DAY,
    case: Case | None = None,
    assignment: Assignment | None = None,
    team: Sequence[Staff] = (),
) -> UUID:
    """A visit that was reconciled with these findings, at noon of a day."""
    at = datetime.combine(day, time(4), UTC)
    visit = Visit(
        id=uuid7(), assignment_id=assignment and assignment.id, debtor_id=case and case.debtor_id,
        device_id=a_handset(visitor).device.id, staff_id=visitor.id,
        team=[visitor.id, *(one.id for one in team)], checklist={}, seen_seq=0, arrived_earliest=at,
        arrived_latest=at, arrived_method="anchored", state="reconciled", first_received_at=at,
        evidence_due_at=at, reconciled_at=at, claim_marks=[], flags=[],
    )  # fmt: skip
    with transaction() as session:
        session.add(visit)
        session.flush()
        for number, (check, severity, confidence) in enumerate(findings):
            session.add(
                Finding(
                    visit_id=visit.id, key=f"{check}:{number}", check=check, rule="C14", severity=severity,
                    severity_rank=RANK[severity], confidence=confidence, claim="", observation={},
                    citation={}, found_at=now(),
                )
            )  # fmt: skip
        put_in_queue(session, [visit.id])
    return visit.id


def the_finding(visit_id: UUID) -> UUID:
    """The id of a visit's only finding."""
    return db.session.scalars(sa.select(Finding.id).where(Finding.visit_id == visit_id)).one()


def slug_of(answer: TestResponse) -> str:
    """The stable name of a problem."""
    return answer.get_json()["type"].rsplit("/", 1)[-1]


def decide(
    person: Person, finding_id: UUID, decision: str = "confirmed", reason: str = "I saw it"
) -> TestResponse:
    return person.post(
        f"/api/v1/findings/{finding_id}/decision", json={"decision": decision, "reason": reason}
    )


def look_again(person: Person, finding_id: UUID, outcome: str, reason: str = "I looked too") -> TestResponse:
    body = {"outcome": outcome, "reason": reason}
    return person.post(f"/api/v1/findings/{finding_id}/second-look", json=body)

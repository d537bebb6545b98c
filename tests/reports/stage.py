"""An agency in October 2026 as its audit left it: visits, confirmed findings, complaints."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from server.authority import Role
from server.database import transaction
from server.models.cases import Case, Hold
from server.models.casework import Complaint
from server.models.deadlines import CaseClock
from server.models.dispatch import Assignment, Decision
from server.models.findings import Finding
from server.models.people import Staff
from server.models.visits import Visit
from sync.clock import BEGINNING
from sync.protocol import uuid7
from tests.builders import a_case, a_handset, add, an_address, an_assignment
from tests.office import NOW, Office, Stopped, china

RANK = {"severe": 3, "serious": 2, "minor": 1, "note": 0}


def a_visit(visitor: Staff, at: str = "2026-10-12 10:00", **facts: Any) -> Visit:
    """A visit as its phone reported it."""
    arrived = china(at)
    defaults = {
        "id": uuid7(),
        "device_id": a_handset(visitor).device.id,
        "staff_id": visitor.id,
        "team": [visitor.id],
        "seen_seq": 0,
        "arrived_earliest": arrived,
        "arrived_latest": arrived,
        "arrived_method": "anchor",
        "first_received_at": arrived,
        "evidence_due_at": arrived + timedelta(days=2),
    }
    return add(Visit(**(defaults | facts)))


def a_visit_without_times(visitor: Staff, by: str) -> Visit:
    """A visit that was over by then: its check-in never came, or the phone's clock says nothing."""
    return a_visit(visitor, by, arrived_earliest=BEGINNING, arrived_method="received")


def a_visit_with(part: str, person: Staff, visitor: Staff, *, case: Case) -> Visit:
    """A visitor's visit in which another person had this part: mate, dispatcher, approver; or none."""
    assignment = an_assignment(case, an_address(case), visitor)
    issued = sa.update(Assignment).where(Assignment.id == assignment.id).values(issued_by=person.id)
    approved = sa.update(Decision).where(Decision.id == assignment.decision_id).values(approved_by=person.id)
    statement = {"dispatcher": issued, "approver": approved}.get(part)
    if statement is not None:
        with transaction() as session:
            session.execute(statement)
    team = [visitor.id, person.id] if part == "mate" else [visitor.id]
    return a_visit(visitor, assignment_id=assignment.id, debtor_id=case.debtor_id, team=team)


def a_finding(
    visit: Visit, auditor: Staff, *, rule: str = "B8", severity: str = "minor", **facts: Any
) -> Finding:
    """A finding that an auditor confirmed, or `state`."""
    decided = (
        {"decided_by": auditor.id, "decided_at": NOW} if facts.get("state", "confirmed") != "open" else {}
    )
    defaults = {
        "visit_id": visit.id,
        "key": f"evidence-not-taken:{uuid7()}",
        "check": "evidence-not-taken",
        "rule": rule,
        "severity": severity,
        "severity_rank": RANK[severity],
        "confidence": 1.0,
        "claim": "",
        "observation": {},
        "citation": {},
        "found_at": NOW,
        "state": "confirmed",
    }
    return add(Finding(**(defaults | decided | facts)))


def a_complaint(about: Staff, at: str = "2026-10-20 15:00", **facts: Any) -> Complaint:
    """A serious complaint about somebody that was upheld."""
    case = a_case()
    raised = china(at)
    hold = _a_hold(case.id, case.debtor_id)
    defaults = {
        "case_id": case.id,
        "debtor_id": case.debtor_id,
        "hold_id": hold,
        "raised_at": raised,
        "channel": "client",
        "level": "serious",
        "client_pursues": True,
        "text": "语气粗暴",
        "about_staff": [about.id],
        "threatens_to_escalate": False,
        "publicity_risk": False,
        "take_over_due_at": raised,
        "merits": "upheld",
    }
    return add(Complaint(**(defaults | facts)))


def _a_hold(case_id: UUID, debtor_id: UUID) -> UUID:
    hold = Hold(scope="debtor", case_id=case_id, debtor_id=debtor_id, reason="complaint", raised_at=NOW)
    return add(hold).id


def a_clock(
    rule: str = "F1", *, due: str = "2026-10-15 21:00", state: str = "missed", **facts: Any
) -> CaseClock:
    """A clock of a case as it was counted."""
    case = a_case()
    defaults = {
        "case_id": case.id,
        "client_id": case.client_id,
        "opened_on": china("2026-10-09 00:00").date(),
        "opened_by": "allocation",
        "updated_at": NOW,
    }
    return add(CaseClock(rule=rule, due_at=china(due), state=state, **(defaults | facts)))


def at(office: Office, moment: str) -> None:
    """Stop the office's clock at another moment."""
    office.app.extensions["clock"] = Stopped(at=china(moment))


def auditor(office: Office) -> Staff:
    return office.person(Role.AUDITOR).staff

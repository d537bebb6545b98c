"""What the same people wrote and where they were for other visits, from stored items, on the real tables."""

from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
from flask import Flask

from server.authority import Role
from server.database import db, transaction
from server.models.cases import Address
from server.models.dispatch import Assignment
from server.models.findings import Finding
from server.models.people import Staff
from server.models.visits import Visit
from server.workflows.reconciliation import reconcile_visit
from server.workflows.reconciliation.same_people import MOST_STOPS
from sync.client import Report
from sync.phone import Phone, claims_of
from sync.protocol import uuid7
from tests.builders import a_case, a_person, an_address, an_assignment, now
from tests.phones import office
from tests.reconcile.test_likeness import LONG

BEIJING = {"lat": 39.9087, "lon": 116.4605, "accuracy_m": 10, "mock": False}
SHANGHAI = {"lat": 31.2304, "lon": 121.4737, "accuracy_m": 10, "mock": False}


def a_visit(
    app: Flask,
    phone: Phone,
    visitor: Staff,
    position: dict[str, object],
    narrative: str,
    *,
    days: int = 0,
) -> UUID:
    """One whole visit of now, to a debtor of its own, assigned for some day."""
    case = a_case()
    assignment = an_assignment(
        case,
        an_address(case),
        visitor,
        issued_by=a_person(Role.DISPATCHER),
        start=now() + timedelta(days=days),
    )
    visit_id, moment = uuid7(), now()
    phone.record(
        "visit.started",
        {
            "visit_id": str(visit_id),
            "assignment_id": str(assignment.id),
            "position": position,
            "team": [str(phone.staff_id)],
        },
    )
    phone.end_visit(visit_id, position=None)
    claims = claims_of(
        arrived_at=moment, left_at=moment, team=[phone.staff_id], met="debtor", outcome="other"
    )
    phone.write_account(visit_id, claims=claims, narrative=narrative)
    with office(app) as http:
        phone.connect(http).push(Report())
    return visit_id


def findings_of(visit_id: UUID) -> dict[str, Finding]:
    reconcile_visit(now=now(), visit_id=str(visit_id))
    db.session.rollback()
    rows = db.session.scalars(sa.select(Finding).where(Finding.visit_id == visit_id))
    return {row.check: row for row in rows}


def test_only_the_later_of_two_equal_accounts_repeats_the_other(
    app: Flask, phone: Phone, visitor: Staff
) -> None:
    first = a_visit(app, phone, visitor, BEIJING, LONG)
    second = a_visit(app, phone, visitor, BEIJING, LONG, days=1)
    with transaction() as session:
        session.execute(
            sa.update(Visit)
            .where(Visit.id == first)
            .values(arrived_earliest=Visit.arrived_earliest - timedelta(hours=2))
        )

    earlier, later = findings_of(first), findings_of(second)

    assert "narrative-repeated" not in earlier
    assert later["narrative-repeated"].observation["other_visit_id"] == str(first)


def test_one_phone_in_two_towns_within_a_minute_is_found(app: Flask, phone: Phone, visitor: Staff) -> None:
    first = a_visit(app, phone, visitor, BEIJING, "债务人开门。")
    second = a_visit(app, phone, visitor, SHANGHAI, "债务人在家。", days=1)
    with transaction() as session:
        session.execute(sa.update(Visit).values(arrived_method="anchored"))

    found, of_the_first = findings_of(second), findings_of(first)

    assert found["impossible-travel"].severity == "severe"
    assert found["impossible-travel"].observation["other_visit_id"] == str(first)
    assert of_the_first["impossible-travel"].severity == "note"
    marks = {one["claim"]: one for one in db.session.get_one(Visit, second).claim_marks}
    assert marks["recording_announced"] == {
        "claim": "recording_announced",
        "mark": "silent",
        "why": "no recording",
    }


def test_one_phone_at_two_right_doors_within_a_minute_is_found_at_both(
    app: Flask, phone: Phone, visitor: Staff
) -> None:
    first = a_visit(app, phone, visitor, BEIJING, "债务人开门。")
    second = a_visit(app, phone, visitor, SHANGHAI, "债务人在家。", days=1)
    with transaction() as session:
        session.execute(sa.update(Visit).values(arrived_method="anchored"))
        of_second = (
            sa.select(Assignment.address_id)
            .join(Visit, Visit.assignment_id == Assignment.id)
            .where(Visit.id == second)
        )
        session.execute(
            sa.update(Address)
            .where(Address.id == of_second.scalar_subquery())
            .values(latitude=SHANGHAI["lat"], longitude=SHANGHAI["lon"], datum="WGS-84")
        )

    assert findings_of(second)["impossible-travel"].severity == "serious"
    assert findings_of(first)["impossible-travel"].severity == "serious"


def test_nobody_hides_where_they_were_behind_many_other_check_ins(
    app: Flask, phone: Phone, visitor: Staff
) -> None:
    first = a_visit(app, phone, visitor, BEIJING, "债务人开门。")
    second = a_visit(app, phone, visitor, SHANGHAI, "债务人在家。", days=1)
    with transaction() as session:
        session.execute(sa.update(Visit).values(arrived_method="anchored"))
        for n in range(MOST_STOPS):
            at = now() - timedelta(hours=20, minutes=n)
            session.add(
                Visit(
                    id=uuid7(), device_id=phone.device_id, staff_id=visitor.id, team=[visitor.id], seen_seq=0,
                    arrived_earliest=at, arrived_latest=at, arrived_method="anchored", first_received_at=at,
                    arrived_at_position=SHANGHAI, evidence_due_at=now(), reconciled_at=now(),
                )
            )  # fmt: skip

    found = findings_of(second)

    assert found["impossible-travel"].observation["other_visit_id"] == str(first)

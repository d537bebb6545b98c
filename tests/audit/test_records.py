"""What phones, files and payments of a visit are gathered for the checks, on the real tables."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from server.authority import Role
from server.database import db, transaction
from server.models.cases import Address, Case
from server.models.deadlines import Payment
from server.models.dispatch import Assignment
from server.models.evidence import Evidence
from server.models.people import Device, Staff
from server.models.visits import Item, Visit
from server.workflows.reconciliation import records
from server.workflows.reconciliation.gathering import gather
from server.workflows.reconciliation.payments import reconcile_unconfirmed_payments
from sync.phone import Phone
from sync.protocol import uuid7
from tests.audit.test_reconciliation import a_fabricated_visit, judge
from tests.builders import Cast, a_case, a_person, a_visitor, add, an_address, an_assignment, now
from tests.desk import decide, desk, told, unsigned
from tests.phones import a_phone
from tests.pushing import account_body, begin, push, waiting

OVERDUE = timedelta(hours=30)


@pytest.fixture
def mate(app: Flask) -> Staff:
    return a_visitor()


@pytest.fixture
def assignment(app: Flask, visitor: Staff) -> Assignment:
    case = a_case()
    return an_assignment(case, an_address(case), visitor, issued_by=a_person(Role.DISPATCHER))


def with_sound(visit_id: UUID, **sound: object) -> None:
    """The visit's promised file came, and is a recording of twenty minutes."""
    measured = {"duration_seconds": 1200.0, "speech_seconds": 300.0, **sound}
    with transaction() as session:
        session.execute(
            sa.update(Evidence)
            .where(Evidence.visit_id == visit_id)
            .values(state="verified", kind="audio", inspection={"sound": measured})
        )


def test_a_gap_is_found_until_the_phone_explains_it(app: Flask, phone: Phone, assignment: Assignment) -> None:
    visit_id = a_fabricated_visit(app, phone, assignment)
    with_sound(visit_id, gaps=[[300.0, 420.0]])
    before = judge(visit_id)["recording-gaps"].state

    phone.record("gap.explained", {"visit_id": str(visit_id), "evidence_id": "no id", "why": "a call"})
    push(app, phone)
    after = judge(visit_id)["recording-gaps"].state

    assert (before, after) == ("open", "superseded")


@pytest.mark.parametrize(
    ("type_", "body"),
    [("gap.explained", {"why": "a call"}), ("incident.raised", {"kind": "recorder_failure", "text": "坏了"})],
)
def test_nobody_explains_the_gap_of_another_team(
    app: Flask, phone: Phone, mate: Staff, assignment: Assignment, tmp_path: Path, type_: str, body: Any
) -> None:
    visit_id = a_fabricated_visit(app, phone, assignment)
    with_sound(visit_id, gaps=[[300.0, 420.0]])
    friend = a_phone(mate, tmp_path / "friend")

    friend.record(type_, {"visit_id": str(visit_id), **body})
    push(app, friend)

    assert judge(visit_id)["recording-gaps"].state == "open"
    phone.record(type_, {"visit_id": str(visit_id), **body})
    push(app, phone)
    assert judge(visit_id)["recording-gaps"].state == "superseded"


def test_every_record_is_read_with_its_clock_and_place(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    facts = gather(a_fabricated_visit(app, phone, assignment), now=now())

    assert facts is not None
    assert [item.type for item in facts.items] == [
        "visit.started",
        "visit.evidence",
        "visit.ended",
        "visit.account",
    ]
    assert {item.boot_id for item in facts.items} == {phone.read_clock().boot_id}
    first = facts.items[0]
    assert first.place is not None and first.place.lat == pytest.approx(31.2304)
    assert first.when.earliest <= first.wall <= first.when.latest
    assert facts.chain_gaps == () and [one.id for one in facts.phones] == [phone.device_id]


def test_nobody_hides_a_step_or_a_team_mate_behind_many_records(
    app: Flask, phone: Phone, visitor: Staff, mate: Staff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "MOST_ITEMS", 4)
    handset, case = a_phone(mate, tmp_path / "mate"), a_case()
    assignment = an_assignment(case, an_address(case), visitor, mate)
    visit_id = begin(phone, assignment.id, team=[str(visitor.id), str(mate.id)])
    for one in (phone, handset):
        for n in range(6):
            one.record("gap.explained", {"visit_id": str(visit_id), "why": str(n)})
    phone.record("visit.ended", {"visit_id": str(visit_id), "position": None})
    push(app, phone)
    push(app, handset)

    facts = gather(visit_id, now=now())

    assert facts is not None
    types = {
        owner: [item.type for item in facts.items if item.device_id == owner]
        for owner in (phone.device_id, handset.device_id)
    }
    assert types == {
        phone.device_id: ["visit.started", "gap.explained", "gap.explained", "visit.ended"],
        handset.device_id: ["gap.explained"] * 4,
    }


def test_a_record_that_never_came_is_a_gap_of_the_chain(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    visit_id = a_fabricated_visit(app, phone, assignment)
    with transaction() as session:
        lost = sa.select(Item.item_id).where(Item.visit_id == visit_id, Item.type == "visit.ended")
        session.execute(sa.delete(Item).where(Item.item_id.in_(lost)))
        session.execute(sa.update(Device).where(Device.id == phone.device_id).values(acked_seq=0))

    found = judge(visit_id, later=OVERDUE)

    assert found["chain-gap"].observation == {"missing": 1}


def test_what_a_revoked_phone_wrote_before_and_delivered_later_is_a_note(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    visit_id = a_fabricated_visit(app, phone, assignment)
    with transaction() as session:
        session.execute(sa.update(Device).values(revoked_at=now() + timedelta(minutes=20)))
        session.execute(sa.update(Item).values(flags=["key_revoked"]))

    honest = judge(visit_id)["key-revoked"].severity
    with transaction() as session:
        session.execute(sa.update(Device).values(revoked_at=now() - timedelta(hours=2)))
    fake = judge(visit_id)["key-revoked"].severity

    assert (honest, fake) == ("note", "serious")


def test_a_file_that_nobody_promised_belongs_to_the_last_visit_before_it(
    app: Flask, phone: Phone, visitor: Staff, assignment: Assignment
) -> None:
    case = a_case()
    other = an_assignment(case, an_address(case), visitor, start=now() + timedelta(days=1))
    first, last = (a_fabricated_visit(app, phone, one) for one in (assignment, other))
    add(Evidence(id=uuid7(), device_id=phone.device_id, state="stored", stored_at=now()))

    found = [judge(visit_id, later=OVERDUE) for visit_id in (first, last)]

    assert ["loose-file" in one for one in found] == [False, True]


def test_a_team_mate_s_habit_is_counted_over_the_last_visits(
    app: Flask, phone: Phone, visitor: Staff, mate: Staff, tmp_path: Path
) -> None:
    handset = a_phone(mate, tmp_path / "mate")
    with transaction() as session:
        session.execute(sa.update(Device).values(enrolled_at=now() - timedelta(days=90)))
    visits: list[UUID] = []
    for n in range(3):
        case = a_case()
        assignment = an_assignment(case, an_address(case), visitor, mate, start=now() + timedelta(days=n))
        visits.append(a_fabricated_visit(app, phone, assignment))
        if n != 2:
            handset.record("gap.explained", {"visit_id": str(visits[-1]), "why": "here too"})
    push(app, handset)
    handset.close()
    with transaction() as session:
        session.execute(sa.update(Visit).values(team=[visitor.id, mate.id]))

    facts = gather(visits[-1], now=now())

    assert facts is not None
    assert {one.staff_id: one.wrote_beside for one in facts.phones} == {visitor.id: (0, 0), mate.id: (2, 2)}


def test_a_payment_that_no_statement_shows_is_found_when_it_should_have(
    app: Flask, phone: Phone, assignment: Assignment, visitor: Staff
) -> None:
    visit_id = a_fabricated_visit(app, phone, assignment)
    with transaction() as session:
        session.add(
            Payment(
                client_id=session.scalar(sa.text("SELECT client_id FROM cases")),
                reference="office:1",
                case_id=assignment.case_id,
                amount_fen=50_000,
                paid_on=now().date(),
                source="office",
                recorded_by=visitor.id,
                recorded_at=now(),
            )
        )
    soon = judge(visit_id)
    with transaction() as session:
        session.execute(sa.text("DELETE FROM procrastinate_jobs"))

    later = judge(visit_id, later=timedelta(days=20))
    reconcile_unconfirmed_payments(now=now() + timedelta(days=3))
    early = queued()
    for days in range(4, 20):
        reconcile_unconfirmed_payments(now=now() + timedelta(days=days))

    assert "payment-unconfirmed" not in soon
    assert later["payment-unconfirmed"].severity == "serious"
    assert (early, queued()) == (0, 1)


def test_a_payment_after_two_visits_is_found_once_at_the_last_one_of_whoever_entered_it(
    app: Flask, phone: Phone, visitor: Staff, assignment: Assignment
) -> None:
    case = db.session.get_one(Case, assignment.case_id)
    address = db.session.get_one(Address, assignment.address_id)
    first = a_fabricated_visit(app, phone, assignment)
    again = an_assignment(case, address, visitor, start=now() + timedelta(days=1))
    second = a_fabricated_visit(app, phone, again)
    add(
        Payment(
            client_id=db.session.scalar(sa.text("SELECT client_id FROM cases")),
            reference="office:1",
            case_id=case.id,
            amount_fen=50_000,
            paid_on=now().date(),
            source="office",
            recorded_by=visitor.id,
            recorded_at=now(),
        )
    )

    found = [judge(visit_id, later=timedelta(days=20)) for visit_id in (first, second)]

    assert ["payment-unconfirmed" in one for one in found] == [False, True]


QUEUED = "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'reconcile_visit' AND status = 'todo'"


def queued() -> int:
    """How many visits wait to be judged."""
    with transaction() as session:
        return session.scalar(sa.text(QUEUED)) or 0


def test_what_nobody_signed_and_the_office_accepted_is_for_the_auditor_to_know(
    app: Flask, phone: Phone, assignment: Assignment, cast: Cast
) -> None:
    visit_id = begin(phone, assignment.id)
    phone.record("visit.account", account_body(phone, visit_id))
    check_in, account = waiting(phone)
    push(app, phone, [check_in, unsigned(phone, account)])
    supervisor = cast.person(Role.SUPERVISOR)
    (entry,) = desk(supervisor)
    before = judge(visit_id)

    told(decide(supervisor, entry, "accept"))
    found = judge(visit_id)

    assert "signature-invalid" not in before
    assert found["signature-invalid"].citation["item_id"] == str(account.id)


def test_what_the_phone_signed_and_the_office_accepted_is_no_finding(
    app: Flask, phone: Phone, assignment: Assignment, cast: Cast
) -> None:
    visit_id = begin(phone, assignment.id, team="nobody")
    phone.record("visit.account", account_body(phone, visit_id))
    push(app, phone)
    accepted = {"flags": ["accepted_by_office"], "outcome": "applied", "visit_id": visit_id}
    moments = dict.fromkeys(
        ("arrived_earliest", "arrived_latest", "first_received_at", "evidence_due_at"), now()
    )
    with transaction() as session:
        session.execute(sa.update(Item).values(accepted))
    who = {"device_id": phone.device_id, "staff_id": phone.staff_id, "team": [phone.staff_id]}
    add(
        Visit(
            id=visit_id, assignment_id=assignment.id, seen_seq=0, arrived_method="anchored", **who, **moments
        )
    )

    facts = gather(visit_id, now=now())

    assert facts is not None
    assert [item.is_signed for item in facts.items] == [True, True]

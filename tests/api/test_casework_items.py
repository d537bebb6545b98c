"""What a phone reports about people: stored first, applied once, and kept when it cannot be applied."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa
from flask import Flask

from server.database import db
from server.models.cases import Case, Hold
from server.models.casework import ClientNotice, Complaint, Incident
from server.models.dispatch import Assignment
from server.models.people import Staff
from server.models.visits import FieldReport, Item
from sync.phone import Phone
from sync.protocol import uuid7
from sync.wire import write_clock, write_pushed
from tests.builders import a_case, a_visitor, an_address, an_assignment
from tests.office import NOW, Office
from tests.phones import Watch, a_phone
from tests.stored import stored

NOBODY = "01890000-0000-7000-8000-00000000dead"


@pytest.fixture
def visitor(office: Office) -> Staff:
    return a_visitor()


@pytest.fixture
def phone(visitor: Staff, tmp_path: Path) -> Iterator[Phone]:
    handset = a_phone(visitor, tmp_path / "phone", watch=Watch(real=lambda: NOW))
    yield handset
    handset.close()


@pytest.fixture
def case(office: Office) -> Case:
    return a_case()


@pytest.fixture
def assignment(case: Case, visitor: Staff) -> Assignment:
    return an_assignment(case, an_address(case), visitor)


def start(phone: Phone, assignment: Assignment) -> UUID:
    """Check in; the visit's id."""
    visit_id = uuid7()
    body = {
        "visit_id": str(visit_id),
        "assignment_id": str(assignment.id),
        "permit_id": None,
        "position": None,
        "team": [str(phone.staff_id)],
        "checklist": {},
    }
    phone.record("visit.started", body)
    return visit_id


def push(app: Flask, phone: Phone, items: list[Any] | None = None) -> list[dict[str, Any]]:
    """Push these items (all that wait); what became of each."""
    waiting = phone.outbox.next_batch(100) if items is None else items
    body = {
        "batch_id": str(uuid7()),
        "clock": write_clock(phone.read_clock()),
        "items": [write_pushed(item) for item in waiting],
    }
    headers = {"Authorization": f"Bearer {phone.outbox.fact('token')}", "Content-Type": "application/json"}
    with httpx.Client(transport=httpx.WSGITransport(app=app), base_url="http://office") as http:
        answer = http.post("/api/v1/sync/push", content=json.dumps(body).encode(), headers=headers)
    db.session.rollback()
    assert answer.status_code == 200, answer.text
    return answer.json()["outcomes"]


def test_a_complaint_at_the_door_is_about_the_case_of_the_visit(
    app: Flask, phone: Phone, assignment: Assignment, visitor: Staff
) -> None:
    visit_id = start(phone, assignment)
    body = {"text": "要投诉", "about_staff": [str(visitor.id)], "threatens_to_escalate": True}
    phone.record("complaint.raised", {"visit_id": str(visit_id), **body})

    push(app, phone)

    complaint = db.session.scalars(sa.select(Complaint)).one()
    assert (complaint.case_id, complaint.visit_id, complaint.channel) == (
        assignment.case_id,
        visit_id,
        "visit",
    )
    assert (complaint.text, complaint.about_staff, complaint.threatens_to_escalate) == (
        "要投诉",
        [visitor.id],
        True,
    )
    assert (complaint.raised_by, complaint.state) == (visitor.id, "open")
    state = db.session.scalar(sa.select(Assignment.state).where(Assignment.id == assignment.id))
    assert state == "cancelled"


def test_a_publicity_risk_from_a_phone_is_drafted_for_the_client(
    app: Flask, phone: Phone, case: Case
) -> None:
    phone.record("complaint.raised", {"case_id": str(case.id), "text": "记者", "publicity_risk": True})

    push(app, phone)

    assert db.session.scalars(sa.select(ClientNotice.kind)).all() == ["publicity_risk"]


@pytest.mark.parametrize(
    ("kind", "known_as", "must_end"),
    [
        ("self_defence", "self_defence", True),
        ("threat", "threat", True),
        ("recorder_failure", "recorder_failure", True),
        ("accident", "accident", False),
        ("kind of a later version", "other", False),
        (None, "other", False),
    ],
)
def test_the_phone_is_told_when_the_visit_must_end(
    app: Flask, phone: Phone, case: Case, kind: str | None, known_as: str, must_end: bool
) -> None:
    phone.record("incident.raised", {"case_id": str(case.id), "kind": kind, "text": "x"})

    (told,) = push(app, phone)

    assert (told["outcome"], "visit_must_end" in told["flags"]) == ("applied", must_end)
    assert db.session.scalars(sa.select(Incident.kind)).all() == [known_as]


@pytest.mark.parametrize("type_", ["complaint.raised", "incident.raised", "contact.refused"])
def test_what_comes_before_its_check_in_waits_for_it(
    app: Flask, phone: Phone, assignment: Assignment, type_: str
) -> None:
    visit_id = start(phone, assignment)
    phone.record(type_, {"visit_id": str(visit_id), "text": "x", "kind": "threat", "why": "angry"})
    started, told = phone.outbox.next_batch(2)

    early = push(app, phone, [told])
    before = stored(FieldReport)
    push(app, phone, [started])

    assert (early[0]["outcome"], before) == ("held", 0)
    outcome = db.session.scalar(sa.select(Item.outcome).where(Item.item_id == told.id))
    assert (outcome, stored(FieldReport)) == ("applied", 1)


@pytest.mark.parametrize("type_", ["complaint.raised", "incident.raised", "contact.refused"])
def test_a_stranger_says_nothing_about_somebody_elses_visit(
    app: Flask, phone: Phone, assignment: Assignment, tmp_path: Path, type_: str
) -> None:
    visit_id = start(phone, assignment)
    push(app, phone)
    other = a_phone(a_visitor(), tmp_path / "other", watch=Watch(real=lambda: NOW))
    other.record(type_, {"visit_id": str(visit_id), "text": "x", "kind": "threat", "why": "angry"})

    (told,) = push(app, other)
    other.close()

    assert (told["outcome"], told["problem"]["slug"]) == ("quarantined", "not-your-visit")
    assert stored(Hold) == 0


@pytest.mark.parametrize(
    ("type_", "body", "outcome"),
    [
        ("complaint.raised", {"case_id": NOBODY, "text": "x"}, "quarantined"),
        ("complaint.raised", {"text": "x"}, "quarantined"),
        ("complaint.raised", {"about_staff": "everybody"}, "quarantined"),
        ("incident.raised", {"case_id": NOBODY, "text": "x", "kind": "threat"}, "applied"),
        ("incident.raised", {"text": "x"}, "applied"),  # as phones of the first version say it
        ("incident.raised", {"case_id": 7}, "quarantined"),
        ("something.of.a.later.version", {"x": 1}, "applied"),
    ],
)
def test_one_odd_report_holds_up_no_other(
    app: Flask, phone: Phone, case: Case, type_: str, body: dict[str, Any], outcome: str
) -> None:
    phone.record("complaint.raised", {"case_id": str(case.id), "text": "first"})
    phone.record(type_, body)
    phone.record("incident.raised", {"case_id": str(case.id), "text": "last", "kind": "threat"})

    told = push(app, phone)

    assert [one["outcome"] for one in told] == ["applied", outcome, "applied"]
    assert all(one["receipt"] is not None for one in told)
    reasons = set(db.session.scalars(sa.select(Hold.reason)))
    assert reasons == {"complaint", "other"}


def test_the_same_batch_again_changes_nothing(app: Flask, phone: Phone, case: Case) -> None:
    body = {"case_id": str(case.id), "text": "x"}
    phone.record("complaint.raised", body)
    phone.record("incident.raised", body | {"kind": "violence"})
    phone.record("contact.refused", body | {"why": "angry", "name": "王五"})
    batch = phone.outbox.next_batch(10)

    first, again = push(app, phone, batch), push(app, phone, batch)

    assert [one["outcome"] for one in first] == ["applied"] * 3
    assert [one["outcome"] for one in again] == ["duplicate"] * 3
    assert (stored(Complaint), stored(Incident), stored(Hold), stored(ClientNotice)) == (1, 1, 2, 1)


def test_what_phones_say_of_people_is_nowhere_in_clear(app: Flask, phone: Phone, case: Case) -> None:
    phone.record("complaint.raised", {"case_id": str(case.id), "text": "王五很生气"})
    phone.record("hold.requested", {"case_id": str(case.id), "reason": "deceased", "text": "王五去世"})

    push(app, phone)

    kept = db.session.execute(sa.text("SELECT note FROM holds UNION SELECT text FROM complaints")).scalars()
    assert not any("王五".encode() in bytes(words) for words in kept)

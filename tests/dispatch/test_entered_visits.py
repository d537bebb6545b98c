"""A visit that the desk enters beside the phone's own report of it is one visit, not two."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from server.database import db
from server.models.cases import Client
from server.models.visits import Visit
from server.workflows import assignments
from server.workflows.eligibility import which_cases
from server.workflows.moved import CONTACTS
from tests.api.test_imports_effects import imported
from tests.audit.test_out_of_order import catch_up, found
from tests.builders import a_ledger_entry
from tests.dispatch.test_wished_visits import HOUSE, Field
from tests.office import NOW, Door, Office, a_body, a_door, a_team, china

PREGNANT = ("pregnancy",)
RETURN = {
    "reference": "return-1",
    "channel": "visit",
    "at": "2026-11-24T10:15:00+08:00",
    "asks_for_visit": True,
    "visit_on": "2026-11-24",
}


@pytest.fixture
def field(app: Flask, office: Office, tmp_path: Path) -> Any:
    field = Field(app, office, tmp_path)
    yield field
    field.phone.close()


def visited(field: Field, door: Door, start: str = "2026-11-24 10:00") -> UUID:
    """The team visits the door and reports it; the id of the visit."""
    one = field.grant(door, start)
    field.turn(start)
    field.sync()
    field.visit(one)
    field.sync()
    catch_up(field.app)
    field.turn("2026-11-24 12:00")
    return db.session.scalars(sa.select(Visit.id).where(Visit.assignment_id == one.id)).one()


def entered(office: Office, door: Door, **more: Any) -> TestResponse:
    return office.ask(f"/cases/{door.case.id}/ledger", RETURN | more)


def left_today(door: Door) -> int:
    db.session.rollback()
    budget = assignments.budget_of(
        door.case.id, day=china("2026-11-24 12:00").date(), now=china("2026-11-24 12:00")
    )
    (answer,) = which_cases(
        day=budget.day, now=china("2026-11-24 12:00"), pack=HOUSE, case_ids=[door.case.id]
    )
    assert budget.left == answer.budget_left
    return budget.left


def test_an_agreed_return_entered_with_its_visit_takes_no_second_place(field: Field, office: Office) -> None:
    door = a_door()
    visit = visited(field, door)

    answer = entered(office, door, visit_id=str(visit))

    assert (answer.status_code, answer.get_json()["visit_id"]) == (201, str(visit))
    assert left_today(door) == 1
    entry = answer.get_json()["id"]
    second = office.ask("/assignments", a_body(door, *a_team(), start="2026-11-24 14:00"))
    third = office.ask(
        "/assignments", a_body(door, *a_team(), start="2026-11-24 16:00", evidence_entry_id=entry)
    )
    assert (second.status_code, third.status_code) == (201, 201)


def test_nobody_is_accused_of_the_entry_of_their_own_visit(field: Field, office: Office, app: Flask) -> None:
    """Entered before the phone reports, it stands as an earlier visit of that week until it is named."""
    door = a_door(hardship=PREGNANT)
    one = field.grant(door, "2026-11-24 10:00")
    field.turn("2026-11-24 10:20")
    field.sync()
    field.visit(one)
    assert entered(office, door, at="2026-11-24T10:15:00+08:00").status_code == 201
    field.sync()
    catch_up(app)
    (visit,) = found("hardship-weekly-cap")
    field.turn("2026-11-24 12:00")

    answer = entered(office, door, visit_id=str(visit))
    catch_up(app)

    assert (answer.status_code, answer.get_json()["visit_id"]) == (201, str(visit))
    assert found("hardship-weekly-cap") == {}
    assert entered(office, door).get_json() == answer.get_json()


def test_a_visit_that_the_desk_tells_of_late_is_held_against_those_after_it(
    field: Field, office: Office, app: Flask
) -> None:
    door = a_door(hardship=PREGNANT)
    visit = visited(field, door)
    assert found("hardship-weekly-cap") == {}

    assert entered(office, door, at="2026-11-22T10:15:00+08:00", visit_on=None).status_code == 201
    catch_up(app)

    assert set(found("hardship-weekly-cap")) == {visit}


def test_a_visit_is_entered_once(field: Field, office: Office) -> None:
    door = a_door()
    visit = visited(field, door)
    assert entered(office, door, visit_id=str(visit)).status_code == 201

    again = entered(office, door, visit_id=str(visit))
    other = entered(office, door, reference="return-2", visit_id=str(visit))

    assert again.status_code == 201
    assert (other.status_code, other.get_json()["reference"]) == (409, "return-1")


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"channel": "inbound"}, "/visit_id"),
        ({"at": "2026-11-23T09:00:00+08:00"}, "/at"),
        ({"visit_id": str(UUID(int=1))}, "/visit_id"),
    ],
)
def test_a_visit_that_the_entry_cannot_be_about_is_refused(
    field: Field, office: Office, changed: dict[str, Any], pointer: str
) -> None:
    door = a_door()
    visit = visited(field, door)

    answer = entered(office, door, **({"visit_id": str(visit)} | changed))

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.get_json()["errors"]] == [pointer]


def test_another_case_s_visit_is_not_its_own(field: Field, office: Office) -> None:
    visit = visited(field, a_door())

    answer = entered(office, a_door(), visit_id=str(visit))

    assert [error["pointer"] for error in answer.get_json()["errors"]] == ["/visit_id"]


def test_reports_count_the_visit_once(field: Field, office: Office) -> None:
    door = a_door()
    visit = visited(field, door)
    a_ledger_entry(door.case, channel="visit", at=NOW)

    assert entered(office, door, visit_id=str(visit)).status_code == 201

    count = sa.text(f"SELECT count(*) FROM {CONTACTS} c WHERE case_id = :case AND channel = 'visit'")
    assert db.session.scalar(count, {"case": door.case.id}) == 2


def test_a_visit_that_a_file_tells_of_late_is_held_against_those_after_it(
    field: Field, office: Office, app: Flask
) -> None:
    door = a_door(hardship=PREGNANT)
    visit = visited(field, door)
    bank = db.session.get_one(Client, door.case.client_id).reference
    told = {"kind": "ledger", "client_reference": bank, "case_reference": door.case.reference}

    imported(app, office, told | {"reference": "V1", "channel": "visit", "at": "2026-11-22 10:15"})
    catch_up(app)

    assert set(found("hardship-weekly-cap")) == {visit}

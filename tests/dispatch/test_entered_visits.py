"""What the desk or a file tells of a visit is held against the debtor's other visits."""

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
from tests.api.test_imports_effects import imported
from tests.audit.test_out_of_order import catch_up, found
from tests.dispatch.test_wished_visits import Field
from tests.office import Door, Office, a_door

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


def test_a_visit_that_the_desk_tells_of_late_is_held_against_those_after_it(
    field: Field, office: Office, app: Flask
) -> None:
    door = a_door(hardship=PREGNANT)
    visit = visited(field, door)
    assert found("hardship-weekly-cap") == {}

    assert entered(office, door, at="2026-11-22T10:15:00+08:00", visit_on=None).status_code == 201
    catch_up(app)

    assert set(found("hardship-weekly-cap")) == {visit}


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

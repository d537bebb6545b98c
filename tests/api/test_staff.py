"""People: opened once, trained, away, and gone at once with everything they carry."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from server import passwords
from server.authority import Role
from server.database import db, transaction
from server.errors import Conflict
from server.models.dispatch import Assignment
from server.models.feed import FeedRow, staff_scope
from server.models.people import Staff
from server.workflows.people import create_first_admin
from tests.builders import Cast, Person, a_case, a_handset, a_person, a_visitor, an_address, an_assignment
from tests.office import Office, Stopped, china

NEW = {"employee_number": "E900", "name": "新员工", "roles": ["dispatcher"], "password": "long enough one"}


@pytest.fixture
def admin(cast: Cast) -> Person:
    return cast.person(Role.ADMIN)


def test_a_person_added_with_a_password_can_sign_in(admin: Person, stranger: FlaskClient) -> None:
    added = admin.post("/api/v1/staff", json=NEW)

    assert added.status_code == 201
    assert "password" not in added.get_json()
    body = {"employee_number": "E900", "password": NEW["password"]}
    assert stranger.post("/api/v1/tokens", json=body).status_code == 201


@pytest.mark.parametrize("shown", ["2026-11-23 00:00", "2026-11-23 07:59", "2026-11-23 23:59"])
def test_who_is_added_without_a_day_joined_today_in_china(office: Office, shown: str) -> None:
    office.app.extensions["clock"] = Stopped(at=china(shown))

    added = office.ask("/staff", NEW, by=Role.ADMIN)

    assert (added.status_code, added.get_json()["joined_on"]) == (201, "2026-11-23")


def test_an_employee_number_is_given_once(admin: Person) -> None:
    admin.post("/api/v1/staff", json=NEW)

    answer = admin.post("/api/v1/staff", json=NEW | {"name": "Somebody Else"})

    assert answer.status_code == 409
    assert answer.get_json()["type"].endswith("employee-number-taken")


@pytest.mark.parametrize(
    "changed",
    [
        {"password": "short"},
        {"roles": []},
        {"roles": ["king"]},
        {"name": ""},
        {"joined_on": "yesterday"},
        {"x": 1},
    ],
)
def test_a_person_with_faults_is_not_added(admin: Person, changed: dict[str, Any]) -> None:
    answer = admin.post("/api/v1/staff", json=NEW | changed)

    assert answer.status_code == 422
    assert answer.get_json()["errors"]


def test_people_are_listed_page_by_page(admin: Person) -> None:
    for _ in range(4):
        a_person(Role.AUDITOR)
    seen: list[str] = []
    after = ""
    while after is not None:
        page = admin.get(f"/api/v1/staff?limit=2{after and '&after=' + after}").get_json()
        seen += [person["id"] for person in page["staff"]]
        after = page["next"]

    assert len(seen) == len(set(seen)) == 5


def test_a_training_file_counts_the_attempts(admin: Person) -> None:
    staff = a_visitor(qualified=False)
    line = {"kind": "onboarding_exam", "score": 70, "obtained_on": "2026-01-05"}

    admin.post(f"/api/v1/staff/{staff.id}/qualifications", json=line)
    resit = admin.post(f"/api/v1/staff/{staff.id}/qualifications", json=line | {"score": 85})

    assert resit.get_json()["attempt"] == 2
    written = admin.get(f"/api/v1/staff/{staff.id}/qualifications").get_json()
    assert [entry["score"] for entry in written] == [70, 85]


def test_blanks_around_a_number_do_not_make_a_second_person(admin: Person) -> None:
    assert admin.post("/api/v1/staff", json=NEW | {"name": " 新员工 "}).get_json()["name"] == "新员工"

    again = admin.post("/api/v1/staff", json=NEW | {"employee_number": " E900\u3000"})
    nobody = admin.post("/api/v1/staff", json=NEW | {"employee_number": " ", "name": "\u3000"})

    assert (again.status_code, again.get_json()["type"]) == (409, "/problems/employee-number-taken")
    assert [fault["pointer"] for fault in nobody.get_json()["errors"]] == ["/employee_number", "/name"]


def test_a_failed_exam_sent_twice_leaves_its_resit(admin: Person) -> None:
    staff = a_visitor(qualified=False)
    path = f"/api/v1/staff/{staff.id}/qualifications"
    line = {"kind": "onboarding_exam", "score": 70, "obtained_on": "2026-01-05"}

    first, again = (admin.post(path, json=line).get_json() for _ in range(2))
    resit = admin.post(path, json=line | {"score": 85, "obtained_on": "2026-01-19"}).get_json()

    assert again == first
    assert (first["attempt"], resit["attempt"]) == (1, 2)


def test_an_absence_ends_after_it_starts(admin: Person) -> None:
    staff = a_visitor()
    body = {"kind": "leave", "starts_at": "2026-12-01T00:00:00Z", "ends_at": "2026-12-02T00:00:00Z"}
    path = f"/api/v1/staff/{staff.id}/absences"

    assert admin.post(path, json=body).status_code == 201
    for ends_at in (body["starts_at"], "9999-12-31T23:00:00-23:00"):
        assert admin.post(path, json=body | {"ends_at": ends_at}).status_code == 422


def test_leaving_ends_everything_at_once(app: Flask, cast: Cast, admin: Person) -> None:
    leaver, mate = a_visitor(), a_visitor()
    office, handset = cast.sign_in(leaver), a_handset(leaver)
    case = a_case()
    open_one = an_assignment(case, an_address(case), leaver, mate)

    answer = admin.post(f"/api/v1/staff/{leaver.id}/departure")

    assert answer.get_json() == {"cancelled_assignments": 1}
    assert office.get("/api/v1/cases").status_code == 401
    pull = app.test_client().get("/api/v1/sync/pull", headers=handset.headers)
    assert pull.status_code == 403
    db.session.expire_all()
    assert db.session.get_one(Assignment, open_one.id).state == "cancelled"
    told = sa.select(FeedRow.op).where(
        FeedRow.scope == staff_scope(mate.id), FeedRow.entity_id == open_one.id
    )
    assert db.session.scalar(told) == "remove"


def test_leaving_twice_changes_nothing(admin: Person) -> None:
    leaver = a_visitor()
    admin.post(f"/api/v1/staff/{leaver.id}/departure")
    first = admin.get(f"/api/v1/staff/{leaver.id}").get_json()["left_at"]

    assert admin.post(f"/api/v1/staff/{leaver.id}/departure").get_json() == {"cancelled_assignments": 0}
    assert admin.get(f"/api/v1/staff/{leaver.id}").get_json()["left_at"] == first


def test_the_last_administrator_stays(cast: Cast, admin: Person) -> None:
    theirs = f"/api/v1/staff/{admin.staff.id}/departure"
    other = cast.sign_in(a_person(Role.ADMIN))
    assert admin.post(f"/api/v1/staff/{other.staff.id}/departure").status_code == 200

    refused = admin.post(theirs)

    assert (refused.status_code, refused.get_json()["type"]) == (409, "/problems/last-administrator")
    third = cast.sign_in(a_person(Role.ADMIN))
    assert admin.post(theirs).status_code == 200
    assert third.get("/api/v1/staff").status_code == 200


def test_an_agency_whose_administrators_all_left_makes_a_first_one_again(cast: Cast, admin: Person) -> None:
    with transaction() as session:
        session.execute(sa.update(Staff).values(left_at=datetime.now(UTC)))

    made = create_first_admin(
        employee_number="AGAIN", name="A", password="long enough one", now=datetime.now(UTC)
    )

    assert made.roles == ["admin"]


def test_the_colleagues_of_a_leaver_stay(cast: Cast, admin: Person) -> None:
    stays, leaver = cast.person(Role.DISPATCHER), a_visitor()

    admin.post(f"/api/v1/staff/{leaver.id}/departure")

    assert stays.get("/api/v1/cases").status_code == 200


def test_nobody_is_found_under_an_unknown_id(admin: Person) -> None:
    for method, path in [("get", ""), ("get", "/qualifications"), ("post", "/departure")]:
        assert getattr(admin, method)(f"/api/v1/staff/{uuid4()}{path}").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "allowed"),
    [
        ("post", "/staff", NEW, {Role.ADMIN}),
        ("get", "/staff", None, {Role.ADMIN, Role.SUPERVISOR, Role.DISPATCHER}),
        ("get", "/staff/{id}", None, {Role.ADMIN, Role.SUPERVISOR, Role.DISPATCHER}),
        ("get", "/staff/{id}/qualifications", None, {Role.ADMIN, Role.SUPERVISOR, Role.DISPATCHER}),
        (
            "post",
            "/staff/{id}/qualifications",
            {"kind": "nda", "obtained_on": "2026-01-05"},
            {Role.ADMIN, Role.SUPERVISOR},
        ),
        (
            "post",
            "/staff/{id}/absences",
            {"kind": "leave", "starts_at": "2026-12-01T00:00:00Z", "ends_at": "2026-12-02T00:00:00Z"},
            {Role.ADMIN, Role.SUPERVISOR, Role.DISPATCHER},
        ),
        ("post", "/staff/{id}/departure", None, {Role.ADMIN}),
    ],
)
def test_each_door_opens_for_its_roles_only(
    cast: Cast, stranger: FlaskClient, method: str, path: str, body: Any, allowed: set[Role]
) -> None:
    url = "/api/v1" + path.replace("{id}", str(a_visitor().id))
    request = {} if body is None else {"json": body}

    assert getattr(stranger, method)(url, **request).status_code == 401
    for role in Role:
        status = getattr(cast.person(role), method)(url, **request).status_code
        assert (status == 403) == (role not in allowed), role


def test_two_first_administrators_at_once_are_one(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "PATIENCE_SECONDS", 600)  # a slow machine sends nobody away

    def make(number: int) -> str:
        with app.app_context():
            try:
                create_first_admin(
                    employee_number=f"A{number}", name="A", password="long enough one", now=datetime.now(UTC)
                )
            except Conflict as refusal:
                return refusal.slug
            return "made"

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(make, range(4))) == ["admin-exists"] * 3 + ["made"]


def test_the_first_administrator_is_made_once(app: Flask, stranger: FlaskClient) -> None:
    first = datetime.now(UTC)
    create_first_admin(employee_number="ADMIN", name="First", password="long enough one", now=first)

    with pytest.raises(Conflict, match="admin-exists"):
        create_first_admin(
            employee_number="SECOND", name="Second", password="long enough one", now=first + timedelta(days=1)
        )
    body = {"employee_number": "ADMIN", "password": "long enough one"}
    assert stranger.post("/api/v1/tokens", json=body).status_code == 201

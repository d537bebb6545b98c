"""Separation of duties: whoever a complaint is about takes part in nothing that rules on it."""

from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from server.database import transaction
from server.models.casework import Complaint
from server.models.people import Staff
from tests.builders import a_case, a_visitor
from tests.complaining import another_supervisor, complain, handle, resolve, slug
from tests.office import NOW, Office
from tests.reports.stage import a_visit_with

PARTS = {
    "named": "are named in the complaint",
    "approver": "approved the visit",
    "dispatcher": "assigned the visit",
    "none": None,
}


def involving(office: Office, part: str, person: Staff) -> dict[str, Any]:
    """A serious complaint about a visit, in which a supervisor had this part."""
    case = a_case()
    visit = a_visit_with(part, person, a_visitor(), case=case)
    about = [str(person.id)] if part == "named" else []
    raised = complain(office, case, level="serious", client_pursues=True, about_staff=about)
    with transaction() as session:
        session.execute(sa.update(Complaint).values(visit_id=visit.id))
    return raised


@pytest.mark.parametrize(("part", "told"), PARTS.items())
@pytest.mark.parametrize(
    ("ruling", "body"),
    [
        ("assessment", {"level": "minor"}),
        ("assessment", {"merits": "not_upheld"}),
        ("resolve", {"resolution": "已道歉", "is_calmed": True}),
    ],
)
def test_whoever_a_complaint_is_about_calms_and_warns_and_rules_on_nothing(
    office: Office, part: str, told: str | None, ruling: str, body: dict[str, Any]
) -> None:
    person = another_supervisor(office)
    path = f"/api/v1/complaints/{involving(office, part, person.staff)['id']}"

    taken = person.post(f"{path}/takeover")
    contacted = person.post(f"{path}/events", json={"kind": "contacted", "text": "已电话致歉"})
    warned = person.put(f"{path}/assessment", json={"publicity_risk": True, "is_calmed": False})
    escalated = person.post(f"{path}/escalate")
    ruled = (person.put if ruling == "assessment" else person.post)(f"{path}/{ruling}", json=body)

    calming = [taken, contacted, warned, escalated]
    assert [one.status_code for one in calming] == [200, 201, 200, 200]
    assert ruled.status_code == (403 if told else 200)
    assert ruled.get_json().get("part") == told


@pytest.mark.parametrize("merits", ["upheld", "not_upheld"])
@pytest.mark.parametrize(("part", "told"), PARTS.items())
def test_whoever_a_complaint_is_about_does_not_close_it_when_another_has_resolved_it(
    office: Office, part: str, told: str | None, merits: str
) -> None:
    person = another_supervisor(office)
    raised = involving(office, part, person.staff)
    handle(office, raised, "takeover")
    resolve(office, raised)

    lessons = {"cause": "语气", "education": "培训", "prevention": "抽检"}
    answer = person.post(f"/api/v1/complaints/{raised['id']}/close", json={"merits": merits} | lessons)

    assert answer.status_code == (403 if told else 200)
    assert answer.get_json().get("part") == told


@pytest.mark.parametrize(
    "ruling",
    [
        {"level": "minor"},
        {"merits": "upheld"},
        {"state": "resolved", "resolved_at": NOW, "resolution": "已道歉"},
    ],
)
@pytest.mark.parametrize(("part", "told"), PARTS.items())
def test_the_database_takes_no_ruling_from_them_nor_from_nobody(
    office: Office, part: str, told: str | None, ruling: dict[str, Any]
) -> None:
    person = another_supervisor(office).staff
    complaint = UUID(involving(office, part, person)["id"])

    def ruled(by: UUID | None) -> bool:
        try:
            with transaction() as session:
                session.execute(
                    sa.update(Complaint).where(Complaint.id == complaint).values(ruling | {"ruled_by": by})
                )
        except IntegrityError as error:
            assert "no part in what is decided" in str(error)
            return False
        return True

    assert [ruled(None), ruled(person.id)] == [False, told is None]


def test_a_complaint_about_its_supervisor_is_taken_over_by_one_who_had_no_part(office: Office) -> None:
    holder, uninvolved = another_supervisor(office), another_supervisor(office)
    other = another_supervisor(office)
    about = [str(one.staff.id) for one in (holder, other)]
    path = f"/api/v1/complaints/{complain(office, about_staff=about)['id']}"
    holder.post(f"{path}/takeover")

    by_other = other.post(f"{path}/takeover")
    by_uninvolved = uninvolved.post(f"{path}/takeover")
    back = holder.post(f"{path}/takeover")

    assert (by_other.status_code, slug(by_other)) == (409, "complaint-taken")
    assert by_uninvolved.get_json()["supervisor_id"] == str(uninvolved.staff.id)
    assert (back.status_code, slug(back)) == (409, "complaint-taken")


def test_nobody_rules_on_a_complaint_about_themselves(office: Office) -> None:
    themselves = another_supervisor(office)
    about = {"level": "serious", "client_pursues": True, "about_staff": [str(themselves.staff.id)]}
    path = f"/api/v1/complaints/{complain(office, **about)['id']}"

    themselves.post(f"{path}/takeover")
    resolved = themselves.post(f"{path}/resolve", json={"resolution": "已道歉", "is_calmed": True})
    closed = themselves.post(f"{path}/close", json={"merits": "not_upheld"})

    assert [slug(one) for one in (resolved, closed)] == ["complaint-involved"] * 2

"""The training ledger: approved courses, Friday afternoons, who came, and what is still due."""

from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from server.authority import Role
from server.database import db, transaction
from server.errors import DomainError
from server.models.people import Absence, Qualification
from server.workflows.dispatch import assign
from server.workflows.training import enrol
from tests.builders import a_person, a_visitor
from tests.dispatch.test_concurrency import at_once
from tests.office import NOW, Office, Stopped, a_body, a_door, a_team, a_wish, china

COURSE = {
    "reference": "law",
    "version": 1,
    "title": "法律法规培训",
    "audience": "staff",
    "modules": ["law_and_rules", "new_card_collection_knowledge"],
    "approved_by": "总经理 马建军",
    "approved_on": "2026-01-10",
}


def a_course(office: Office, **facts: Any) -> str:
    answer = office.ask("/training/courses", COURSE | facts, by=Role.SUPERVISOR)
    assert answer.status_code == 201, answer.get_data(as_text=True)
    return answer.get_json()["id"]


def sessions(office: Office, course: str, month: str = "2026-11-01") -> list[dict[str, Any]]:
    body = {"month": month, "led_by": str(office.person(Role.SUPERVISOR).staff.id)}
    answer = office.ask(f"/training/courses/{course}/schedule", body, by=Role.SUPERVISOR)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return answer.get_json()


def friday(office: Office) -> str:
    """The session of 27 November 2026, 13:00-18:00."""
    return sessions(office, a_course(office))[0]["id"]


def test_a_month_s_sessions_lie_on_friday_afternoons_to_come(office: Office):
    course = a_course(office)

    first, again = sessions(office, course), sessions(office, course)

    assert [one["starts_at"] for one in first] == ["2026-11-27T05:00:00+00:00"]
    assert first == again


def test_who_is_enrolled_gets_no_visit_in_that_slot(office: Office):
    session, team = friday(office), a_team()
    enrolled = office.ask(f"/training/sessions/{session}/enrolments", {"staff_ids": [str(team[1].id)]})

    inside = office.ask("/assignments", a_body(a_door(), *team, start="2026-11-27 14:00"))
    before = office.ask("/assignments", a_body(a_door(), *team, start="2026-11-27 11:00"))

    assert enrolled.get_json() == {"enrolled": [str(team[1].id)]}
    assert "G6" in {reason["rule"] for reason in inside.get_json()["reasons"]}
    assert before.status_code == 201


def test_who_has_a_visit_then_is_named_and_nobody_is_enrolled(office: Office):
    session, team = friday(office), a_team()
    visit = office.ask("/assignments", a_body(a_door(), *team, start="2026-11-27 14:00")).get_json()["id"]
    everybody = [str(a_visitor().id), str(team[0].id)]

    answer = office.ask(f"/training/sessions/{session}/enrolments", {"staff_ids": everybody})

    assert (answer.status_code, answer.get_json()["assignments"]) == (409, [visit])
    assert db.session.query(Absence).count() == 0


def test_enrolling_twice_blocks_once(office: Office):
    session, person = friday(office), a_visitor()
    body = {"staff_ids": [str(person.id)]}

    answers = [office.ask(f"/training/sessions/{session}/enrolments", body).get_json() for _ in range(2)]

    assert answers == [{"enrolled": [str(person.id)]}, {"enrolled": []}]
    assert db.session.query(Absence).count() == 1


@pytest.mark.parametrize("attempt", range(3))
def test_a_visit_and_an_enrolment_at_once_never_both_happen(office: Office, app: Flask, attempt: int):
    session, team, actor = UUID(friday(office)), a_team(), office.actor()
    wish = a_wish(a_door(), *team, start="2026-11-27 14:00")

    def quietly(deed: Any) -> Any:
        try:
            return deed()
        except DomainError as refusal:
            return refusal

    results = at_once(
        app,
        [
            lambda: quietly(lambda: assign(wish, actor=actor, now=NOW)),
            lambda: quietly(lambda: enrol(session, staff_ids=[team[1].id], now=NOW)),
        ],
    )

    assert sum(isinstance(result, DomainError) for result in results) == 1


@pytest.mark.parametrize(
    ("now", "status"), [("2026-11-27 01:00", 200), ("2026-11-27 01:01", 409)], ids=["in time", "too late"]
)
def test_leave_is_asked_for_half_a_day_ahead(office: Office, app: Flask, now: str, status: int):
    session, person = friday(office), a_visitor()
    office.ask(f"/training/sessions/{session}/enrolments", {"staff_ids": [str(person.id)]})
    app.extensions["clock"] = Stopped(at=china(now))

    answer = office.ask(f"/training/sessions/{session}/enrolments/{person.id}/excuse", {}, by=Role.SUPERVISOR)

    assert answer.status_code == status
    assert db.session.query(Absence).count() == (0 if status == 200 else 1)


def test_who_came_is_on_file_and_feedback_is_due_within_three_months(office: Office, app: Flask):
    session, person = friday(office), a_visitor()
    office.ask(f"/training/sessions/{session}/enrolments", {"staff_ids": [str(person.id)]})
    path = f"/api/v1/training/sessions/{session}/enrolments/{person.id}"
    supervisor = office.person(Role.SUPERVISOR)
    early = supervisor.put(path, json={"attended": True})
    app.extensions["clock"] = Stopped(at=china("2026-11-27 18:30"))

    noted = supervisor.put(path, json={"attended": True})

    assert (early.status_code, noted.status_code) == (409, 200)
    shown = supervisor.get(f"/api/v1/staff/{person.id}/training-file").get_json()
    assert [(one["course"], one["state"]) for one in shown["sessions"]] == [("law", "attended")]
    assert len(shown["qualifications"]) == 4
    due = supervisor.get("/api/v1/training/due").get_json()["due"]
    assert {"staff_id": str(person.id), "rule": "G25", "slug": "feedback-due", "due_on": "2027-02-25"} in due


@pytest.mark.parametrize(("scores", "slug"), [((79,), "resit-due"), ((79, 60), "second-fail-to-hr")])
def test_a_failed_exam_asks_for_a_resit_and_then_for_hr(office: Office, scores: tuple[int, ...], slug: str):
    person = a_person(Role.VISITOR)
    with transaction() as session:
        for number, score in enumerate(scores, start=1):
            line = {"kind": "onboarding_exam", "score": score, "attempt": number, "obtained_on": NOW.date()}
            session.add(Qualification(staff_id=person.id, **line))

    due = office.person(Role.SUPERVISOR).get("/api/v1/training/due").get_json()["due"]

    assert (str(person.id), "G22", slug) in {(one["staff_id"], one["rule"], one["slug"]) for one in due}


@pytest.mark.parametrize(
    ("facts", "pointer"),
    [
        ({"modules": ["law_and_rules"]}, "/modules"),
        ({"audience": "manager"}, "/modules"),
        ({"approved_on": "2026-12-24"}, "/approved_on"),
        ({"approved_on": "2026-02-30"}, "/approved_on"),
        ({"version": 0}, "/version"),
    ],
)
def test_a_course_that_was_not_approved_or_has_holes_is_refused(
    office: Office, facts: dict[str, Any], pointer: str
):
    answer = office.ask("/training/courses", COURSE | facts, by=Role.SUPERVISOR)

    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.get_json()["errors"]] == [pointer]


def test_a_version_is_entered_once(office: Office):
    a_course(office)

    again = office.ask("/training/courses", COURSE, by=Role.SUPERVISOR)

    assert again.status_code == 409

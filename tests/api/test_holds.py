"""Holds: everything stops at once, on the phones too, and goes on only by an instruction."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from server.authority import Role
from server.database import db, transaction
from server.models.cases import Case, Debtor, Hold
from server.models.dispatch import Assignment, BudgetSlot
from server.models.feed import FeedRow, staff_scope
from server.models.people import Staff
from tests.builders import Cast, Person, a_case, a_visitor, an_address, an_assignment, now


@pytest.fixture
def dispatcher(cast: Cast) -> Person:
    return cast.person(Role.DISPATCHER)


@pytest.fixture
def supervisor(cast: Cast) -> Person:
    return cast.person(Role.SUPERVISOR)


def a_reserved_visit(case: Case, *team: Staff) -> Assignment:
    """An open assignment with its place in the debtor's budget."""
    assignment = an_assignment(case, an_address(case), *team, start=now() + timedelta(hours=2))
    with transaction() as session:
        session.add(
            BudgetSlot(
                debtor_id=case.debtor_id,
                day=now().date() + timedelta(days=len(case.reference)),
                slot=1,
                assignment_id=assignment.id,
            )
        )
    return assignment


def hold(person: Person, case: Case, reason: str, **more: Any) -> dict[str, Any]:
    answer = person.post(f"/api/v1/cases/{case.id}/holds", json={"reason": reason, **more})
    assert answer.status_code == 201, answer.get_data(as_text=True)
    return answer.get_json()


def state_of(assignment: Assignment) -> str | None:
    return db.session.scalar(sa.select(Assignment.state).where(Assignment.id == assignment.id))


def test_a_hold_cancels_the_open_visit_frees_the_budget_and_leaves_the_phones(dispatcher: Person) -> None:
    case, lead, mate = a_case(), a_visitor(), a_visitor()
    assignment = a_reserved_visit(case, lead, mate)

    raised = hold(dispatcher, case, "complaint", note="called the branch")

    assert raised["raised_by"] == str(dispatcher.staff.id)
    assert state_of(assignment) == "cancelled"
    assert db.session.scalar(sa.select(sa.func.count()).select_from(BudgetSlot)) == 0
    told = sa.select(FeedRow.scope, FeedRow.op).where(FeedRow.entity_id == assignment.id)
    assert {tuple(row) for row in db.session.execute(told)} == {
        (staff_scope(lead.id), "remove"),
        (staff_scope(mate.id), "remove"),
    }


def test_a_reason_about_the_debtor_stops_all_their_cases(dispatcher: Person) -> None:
    case = a_case()
    debtor = db.session.get_one(Debtor, case.debtor_id)
    sibling, stranger_case = a_case(debtor=debtor), a_case()
    theirs = an_assignment(sibling, an_address(sibling), a_visitor())
    others = an_assignment(stranger_case, an_address(stranger_case), a_visitor())

    hold(dispatcher, case, "deceased")

    assert (state_of(theirs), state_of(others)) == ("cancelled", "issued")
    listed = dispatcher.get(f"/api/v1/cases/{sibling.id}/holds").get_json()
    assert [one["reason"] for one in listed] == ["deceased"]
    shown = dispatcher.get(f"/api/v1/cases/{sibling.id}").get_json()
    assert [one["scope"] for one in shown["holds"]] == ["debtor"]


def test_a_reason_about_one_case_leaves_the_others_alone(dispatcher: Person) -> None:
    case = a_case()
    sibling = a_case(debtor=db.session.get_one(Debtor, case.debtor_id))
    theirs = an_assignment(sibling, an_address(sibling), a_visitor())

    hold(dispatcher, case, "amount_disputed")

    assert state_of(theirs) == "issued"
    assert dispatcher.get(f"/api/v1/cases/{sibling.id}/holds").get_json() == []


def test_raising_twice_is_one_hold_and_another_reason_is_another(dispatcher: Person) -> None:
    case = a_case()

    first, again, other = (hold(dispatcher, case, reason) for reason in ("paid", "paid", "other"))

    assert first["id"] == again["id"] != other["id"]


def test_only_an_instruction_lets_work_go_on(dispatcher: Person, supervisor: Person) -> None:
    raised = hold(dispatcher, a_case(), "paid")
    path = f"/api/v1/holds/{raised['id']}/release"

    assert supervisor.post(path, json={"instruction": "  "}).status_code == 422
    assert supervisor.post(path, json={}).status_code == 422
    released = supervisor.post(path, json={"instruction": "bank's letter of 5 January"})

    assert released.get_json()["released_by"] == str(supervisor.staff.id)
    assert dispatcher.get(f"/api/v1/cases/{raised['case_id']}").get_json()["holds"] == []
    history = dispatcher.get(f"/api/v1/cases/{raised['case_id']}/holds").get_json()
    assert history[0]["release_instruction"] == "bank's letter of 5 January"


def test_a_release_may_be_repeated_and_not_rewritten(dispatcher: Person, supervisor: Person) -> None:
    path = f"/api/v1/holds/{hold(dispatcher, a_case(), 'paid')['id']}/release"
    first = supervisor.post(path, json={"instruction": "letter 7"})

    again = supervisor.post(path, json={"instruction": "letter 7"})
    other = supervisor.post(path, json={"instruction": "letter 8"})

    assert again.get_json() == first.get_json()
    assert (other.status_code, other.get_json()["type"]) == (409, "/problems/hold-released")


def test_the_same_reason_can_return_after_a_release(dispatcher: Person, supervisor: Person) -> None:
    case = a_case()
    first = hold(dispatcher, case, "stop_requested")
    supervisor.post(f"/api/v1/holds/{first['id']}/release", json={"instruction": "debtor agreed"})

    second = hold(dispatcher, case, "stop_requested")

    assert second["id"] != first["id"]
    assert db.session.scalar(sa.select(sa.func.count()).where(Hold.released_at.is_(None))) == 1


@pytest.mark.parametrize("body", [{}, {"reason": "mood"}, {"reason": "paid", "note": 7}, {"reason": None}])
def test_a_hold_without_a_known_reason_is_refused(dispatcher: Person, body: Any) -> None:
    assert dispatcher.post(f"/api/v1/cases/{a_case().id}/holds", json=body).status_code == 422


def test_only_a_supervisor_releases(cast: Cast, stranger: FlaskClient, dispatcher: Person) -> None:
    path = f"/api/v1/holds/{hold(dispatcher, a_case(), 'paid')['id']}/release"
    body = {"instruction": "letter 7"}

    assert stranger.post(path, json=body).status_code == 401
    for role in (Role.VISITOR, Role.DISPATCHER, Role.AUDITOR, Role.ADMIN):
        assert cast.person(role).post(path, json=body).status_code == 403

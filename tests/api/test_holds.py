"""Holds: everything stops at once, on the phones too, and goes on only by an instruction."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask, current_app
from flask.testing import FlaskClient

from server.authority import Role
from server.database import db, transaction
from server.models.cases import HOLD_SCOPE_OF_REASON, Case, Debtor, Hold
from server.models.casework import ClientNotice, Instruction
from server.models.dispatch import Assignment, BudgetSlot
from server.models.feed import FeedRow, staff_scope
from server.models.people import Staff
from tests.builders import Cast, Person, a_case, a_visitor, an_address, an_assignment, now
from tests.office import CHINA, Stopped


@pytest.fixture(autouse=True)
def nine_o_clock(app: Flask) -> None:
    """It is nine in the morning of today in China for the whole story: no midnight falls into it."""
    app.extensions["clock"] = Stopped(at=now().astimezone(CHINA).replace(hour=9).astimezone(UTC))


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


def the_clients_word(instruction: str = "letter 7", **more: Any) -> dict[str, Any]:
    """An instruction of the client, received today in China, with its evidence."""
    word = {"given_by": "client", "reference": "REF-7", "received_on": today().isoformat()}
    return {"instruction": instruction, **word, **more}


def this_moment() -> datetime:
    return current_app.extensions["clock"].now()


def today(days: int = 0) -> date:
    return this_moment().astimezone(CHINA).date() + timedelta(days=days)


def released(person: Person, raised: dict[str, Any], word: dict[str, Any]) -> tuple[int, Any]:
    answer = person.post(f"/api/v1/holds/{raised['id']}/release", json=word)
    return answer.status_code, answer.get_json()


def test_only_an_instruction_lets_work_go_on(dispatcher: Person, supervisor: Person) -> None:
    raised = hold(dispatcher, a_case(), "paid")
    path = f"/api/v1/holds/{raised['id']}/release"

    assert supervisor.post(path, json=the_clients_word("  ")).status_code == 422
    assert supervisor.post(path, json={}).status_code == 422
    released = supervisor.post(path, json=the_clients_word("bank's letter of 5 January"))

    assert released.get_json()["released_by"] == str(supervisor.staff.id)
    assert dispatcher.get(f"/api/v1/cases/{raised['case_id']}").get_json()["holds"] == []
    history = dispatcher.get(f"/api/v1/cases/{raised['case_id']}/holds").get_json()
    assert history[0]["release_instruction"] == "bank's letter of 5 January"


def test_a_release_may_be_repeated_and_not_rewritten(dispatcher: Person, supervisor: Person) -> None:
    path = f"/api/v1/holds/{hold(dispatcher, a_case(), 'paid')['id']}/release"
    first = supervisor.post(path, json=the_clients_word("letter 7"))

    again = supervisor.post(path, json=the_clients_word("letter 7"))
    other = supervisor.post(path, json=the_clients_word("letter 8"))

    assert again.get_json() == first.get_json()
    assert (other.status_code, other.get_json()["type"]) == (409, "/problems/hold-released")


def test_the_same_reason_can_return_after_a_release(dispatcher: Person, supervisor: Person) -> None:
    case = a_case()
    first = hold(dispatcher, case, "stop_requested")
    word = {"instruction": "the debtor agreed on the telephone", "given_by": "debtor"}
    assert released(supervisor, first, word)[0] == 200

    second = hold(dispatcher, case, "stop_requested")

    assert second["id"] != first["id"]
    assert db.session.scalar(sa.select(sa.func.count()).where(Hold.released_at.is_(None))) == 1


@pytest.mark.parametrize("body", [{}, {"reason": "mood"}, {"reason": "paid", "note": 7}, {"reason": None}])
def test_a_hold_without_a_known_reason_is_refused(dispatcher: Person, body: Any) -> None:
    assert dispatcher.post(f"/api/v1/cases/{a_case().id}/holds", json=body).status_code == 422


def test_only_a_supervisor_releases(cast: Cast, stranger: FlaskClient, dispatcher: Person) -> None:
    path = f"/api/v1/holds/{hold(dispatcher, a_case(), 'paid')['id']}/release"
    body = the_clients_word()

    assert stranger.post(path, json=body).status_code == 401
    for role in (Role.VISITOR, Role.DISPATCHER, Role.AUDITOR, Role.ADMIN):
        assert cast.person(role).post(path, json=body).status_code == 403


ONLY_THE_CLIENT = sorted(set(HOLD_SCOPE_OF_REASON) - {"complaint", "stop_requested", "other"})


@pytest.mark.parametrize("reason", ONLY_THE_CLIENT)
def test_what_the_client_must_answer_is_released_by_nobody_else(
    dispatcher: Person, supervisor: Person, reason: str
) -> None:
    raised = hold(dispatcher, a_case(), reason)

    refused = [
        released(supervisor, raised, {"instruction": "go on", "given_by": giver})
        for giver in ("supervisor", "debtor")
    ]
    allowed, _ = released(supervisor, raised, the_clients_word())

    assert [(status, told["type"]) for status, told in refused] == [
        (422, "/problems/instruction-insufficient")
    ] * 2
    assert {told["errors"][0]["pointer"] for _, told in refused} == {"/given_by"}
    assert {tuple(told["given_by"]) for _, told in refused} == {("client",)}
    assert allowed == 200


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        (lambda: {"reference": " "}, "/reference"),
        (lambda: {"received_on": None}, "/received_on"),
        (lambda: {"received_on": today(1).isoformat()}, "/received_on"),
        (lambda: {"received_on": today(-1).isoformat()}, "/received_on"),
        (lambda: {"instruction": " "}, "/instruction"),
    ],
    ids=["no reference", "no day", "a day to come", "before the hold", "no words"],
)
def test_the_clients_word_needs_its_evidence(
    dispatcher: Person, supervisor: Person, change: Callable[[], dict[str, Any]], pointer: str
) -> None:
    raised = hold(dispatcher, a_case(), "identity_disputed")

    status, told = released(supervisor, raised, the_clients_word() | change())

    assert (status, [one["pointer"] for one in told["errors"]]) == (422, [pointer])
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Instruction)) == 0


def test_the_instruction_becomes_a_record(dispatcher: Person, supervisor: Person) -> None:
    raised = hold(dispatcher, a_case(), "amount_disputed")

    released(supervisor, raised, the_clients_word("The amount was corrected."))

    record = db.session.scalars(sa.select(Instruction)).one()
    assert (str(record.hold_id), record.given_by, record.reference) == (raised["id"], "client", "REF-7")
    assert (record.received_on, record.recorded_by) == (today(), supervisor.staff.id)


def test_a_complaint_is_released_once_it_is_resolved(dispatcher: Person, supervisor: Person) -> None:
    raised = hold(dispatcher, a_case(), "complaint", note="called the branch")
    complaint = dispatcher.get("/api/v1/complaints").get_json()["complaints"][0]
    word = {"instruction": "settled with the debtor"}

    early = released(supervisor, raised, word)
    path = f"/api/v1/complaints/{complaint['id']}"
    supervisor.post(f"{path}/takeover")
    supervisor.post(f"{path}/resolve", json={"resolution": "apologised", "is_calmed": True})
    late = released(supervisor, raised, word)

    assert (early[0], early[1]["type"]) == (409, "/problems/complaint-unresolved")
    assert early[1]["complaints"] == [complaint["id"]]
    assert late[0] == 200


@pytest.mark.parametrize("giver", ["client", "debtor"])
def test_a_complaint_is_no_matter_of_the_clients_or_the_debtors_word(
    dispatcher: Person, supervisor: Person, giver: str
) -> None:
    raised = hold(dispatcher, a_case(), "complaint")

    status, told = released(supervisor, raised, the_clients_word(given_by=giver))

    assert (status, told["given_by"]) == (422, ["supervisor"])


def open_ones(person: Person, query: str = "") -> list[dict[str, Any]]:
    return person.get(f"/api/v1/holds{query}").get_json()["holds"]


def test_open_holds_are_listed_with_whose_word_they_need(dispatcher: Person, supervisor: Person) -> None:
    case = a_case()
    disputed = hold(dispatcher, case, "identity_disputed")
    other = hold(dispatcher, a_case(), "other")
    over = hold(dispatcher, a_case(), "paid")
    released(supervisor, over, the_clients_word())

    listed = open_ones(supervisor)

    assert [one["id"] for one in listed] == [disputed["id"], other["id"]]
    assert listed[0]["case_reference"] == case.reference
    assert listed[0]["released_by_word_of"] == ["client"]
    assert listed[0]["notice_due_at"] is not None and listed[1]["notice_id"] is None
    assert [one["id"] for one in open_ones(supervisor, "?reason=other")] == [other["id"]]


def test_open_holds_come_in_pages(dispatcher: Person) -> None:
    raised = [hold(dispatcher, a_case(), "other")["id"] for _ in range(3)]

    first = dispatcher.get("/api/v1/holds?limit=2").get_json()
    second = dispatcher.get(f"/api/v1/holds?limit=2&after={first['next']}").get_json()

    assert [one["id"] for one in first["holds"] + second["holds"]] == raised
    assert second["next"] is None


def test_holds_whose_client_should_know_by_now_are_found(dispatcher: Person) -> None:
    late, early, without = (
        hold(dispatcher, a_case(), reason) for reason in ("identity_disputed", "transaction_denied", "other")
    )
    with transaction() as session:
        of_late = sa.update(ClientNotice).where(ClientNotice.hold_id == late["id"])
        session.execute(of_late.values(due_at=this_moment() - timedelta(seconds=1)))

    assert [one["id"] for one in open_ones(dispatcher, "?overdue_notice=true")] == [late["id"]]
    in_time = {one["id"] for one in open_ones(dispatcher, "?overdue_notice=false")}
    assert in_time == {early["id"], without["id"]}
    shown = {one["id"]: one["is_notice_overdue"] for one in open_ones(dispatcher)}
    assert [name for name, is_late in shown.items() if is_late] == [late["id"]]

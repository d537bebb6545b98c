"""A client's file changes what a visit rests on: the visit is taken back, on the phones too."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from server.authority import Role
from server.database import db
from server.jobs import run_worker
from server.models.cases import Address, Case, Client, Contact, Debtor
from server.models.dispatch import Assignment, BudgetSlot
from server.models.feed import FeedRow
from tests.api.files import lines, news, send
from tests.api.test_push_locks import wait_until_somebody_waits
from tests.builders import a_contact, an_address
from tests.office import Door, Office, a_body, a_door, a_team


def a_visit(office: Office, door: Door, *, start: str = "2026-11-24 10:00", size: int = 2) -> str:
    """Assign a visit over HTTP and return its id."""
    answer = office.ask("/assignments", a_body(door, *a_team(size), start=start))
    assert answer.status_code == 201, answer.get_data(as_text=True)
    return answer.get_json()["id"]


def row(model: Any, thing: Any, **facts: Any) -> dict[str, Any]:
    """A file's row about something that is stored, saying only these facts."""
    bank = db.session.get_one(Client, thing.client_id).reference
    kind = {Case: "cases", Debtor: "debtors", Contact: "contacts", Address: "addresses"}[model]
    said = {"kind": kind, "client_reference": bank, "reference": thing.reference, **facts}
    if model is Case:
        said["debtor_reference"] = db.session.get_one(Debtor, thing.debtor_id).reference
    if model in (Contact, Address):
        said["case_reference"] = db.session.get_one(Case, thing.case_id).reference
    return said


def imported(app: Flask, office: Office, *rows: dict[str, Any]) -> None:
    content = "\n".join(json.dumps(one, ensure_ascii=False) for one in rows).encode()
    answer = send(office.person(Role.DISPATCHER), content)
    assert answer.get_json()["rejected"] == 0, answer.get_data(as_text=True)
    run_worker(app, until_idle=True)


def ending(assignment_id: str) -> tuple[str, str]:
    db.session.expire_all()
    assignment = db.session.get_one(Assignment, assignment_id)
    return assignment.state, assignment.ended_reason


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"state": "closed"}, "closed: taken back by the client"),
        ({"outstanding": "0"}, "closed: the client's balance is settled"),
        ({"outstanding": "-3.20"}, "closed: the client's balance is settled"),
    ],
)
def test_a_case_that_the_file_ends_loses_its_visit_at_once(
    app: Flask, office: Office, facts: dict[str, Any], why: str
):
    door = a_door()
    visit = a_visit(office, door)

    imported(app, office, row(Case, door.case, **facts))

    assert ending(visit) == ("cancelled", why)
    assert db.session.get_one(Case, door.case.id).state == "closed"
    assert db.session.scalar(sa.select(sa.func.count()).select_from(BudgetSlot)) == 0
    removed = sa.select(FeedRow.op).where(FeedRow.entity_id == db.session.get_one(Assignment, visit).id)
    assert set(db.session.scalars(removed)) == {"remove"}


def of_case(**facts: Any) -> Callable[[Door, Contact], dict[str, Any]]:
    return lambda door, _: row(Case, door.case, **facts)


def of_debtor(**facts: Any) -> Callable[[Door, Contact], dict[str, Any]]:
    return lambda door, _: row(Debtor, db.session.get_one(Debtor, door.case.debtor_id), **facts)


def of_contact(**facts: Any) -> Callable[[Door, Contact], dict[str, Any]]:
    return lambda _, contact: row(Contact, contact, **facts)


def of_address(**facts: Any) -> Callable[[Door, Contact], dict[str, Any]]:
    return lambda door, _: row(Address, door.address, text=door.address.text, **facts)


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        (of_case(special_flags="stolen_card"), "A1"),
        (of_case(special_note="call the branch first"), "A6"),
        (of_case(daily_visit_cap="0"), "A2"),
        (of_case(outstanding="499.99"), "B18"),
        (of_contact(stop_contact="true", stop_reason="asked us to stop"), "D24"),
        (of_contact(liable="false"), "D23"),
        (of_address(status="invalid", source="neighbour", verified_on="2026-11-23"), "A18"),
    ],
)
def test_what_a_file_forbids_is_taken_back_and_says_by_which_rule(
    app: Flask, office: Office, changed: Callable[[Door, Contact], dict[str, Any]], rule: str
):
    door = a_door()
    contact = a_contact(door.case, liable=True)
    door = Door(door.case, an_address(door.case, contact_id=contact.id))
    visit = a_visit(office, door)

    imported(app, office, changed(door, contact))

    state, reason = ending(visit)
    assert state == "cancelled"
    assert reason.startswith(f"no longer allowed: {rule} ")


def test_hardship_learned_from_a_file_takes_back_the_second_visit_of_the_week(app: Flask, office: Office):
    door = a_door()
    first, second = a_visit(office, door), a_visit(office, door, start="2026-11-25 10:00")

    imported(app, office, of_debtor(name="王建国", hardship="pregnancy")(door, a_contact(door.case)))

    assert [state for state, _ in map(ending, (first, second))] == ["issued", "cancelled"]
    assert "A9" in ending(second)[1]


def test_what_a_file_changes_without_forbidding_leaves_the_visit(app: Flask, office: Office):
    door = a_door()
    visit = a_visit(office, door)

    imported(app, office, row(Case, door.case, outstanding="8000", balance_as_of="2026-11-22"))

    assert ending(visit) == ("issued", "")


def test_a_visit_another_agency_made_uses_up_the_day(app: Flask, office: Office):
    door = a_door()
    visits = [a_visit(office, door, start=f"2026-11-23 {hour}:00") for hour in (14, 16)]
    bank = db.session.get_one(Client, door.case.client_id).reference
    entry = {"kind": "ledger", "client_reference": bank, "reference": "L-other"}
    entry |= {"case_reference": door.case.reference, "channel": "visit", "at": "2026-11-23 09:00"}

    imported(app, office, entry)

    assert sorted(state for state, _ in map(ending, visits)) == ["cancelled", "issued"]


def noted(answer: Any) -> list[tuple[str, str]]:
    """The notes of an import: column, and the first words of the reason."""
    return [(one["column"], one["reason"]) for one in answer.get_json()["notes"]]


@pytest.mark.parametrize(
    ("facts", "columns"),
    [
        ({}, ["outstanding"]),
        ({"outstanding": None}, ["outstanding"]),
        ({"outstanding": None, "principal": None, "balance_as_of": None}, ["outstanding"]),
        ({"outstanding": "", "balance_as_of": "2026-11-22"}, ["outstanding", "balance_as_of"]),
    ],
)
def test_a_new_case_without_a_balance_is_open_and_nobody_may_go_there(
    office: Office, facts: dict[str, Any], columns: list[str]
):
    desk = office.person(Role.DISPATCHER)
    case = {"kind": "cases", "client_reference": "BANK", "reference": "C1", "debtor_reference": "D1"}
    balance = {"outstanding": "500.00", "balance_as_of": "2026-11-22"}

    answer = send(desk, lines(news("clients"), news("debtors"), case | facts))
    kept = db.session.scalars(sa.select(Case)).one()
    address = an_address(kept)
    blocked = office.ask("/visitability", {"day": "2026-11-24", "case_ids": [str(kept.id)]}).get_json()
    send(desk, lines(case | {"balance_as_of": "2026-11-22"}))
    db.session.refresh(kept)
    still_unknown = kept.balance_as_of
    later = send(desk, lines(case | balance))
    open_now = office.ask("/visitability", {"day": "2026-11-24", "case_ids": [str(kept.id)]}).get_json()

    assert (answer.status_code, [column for column, _ in noted(answer)]) == (201, columns)
    (shown,) = blocked["cases"]
    assert shown["status"] == "blocked"
    assert "C4" in [reason["rule"] for reason in shown["reasons"]]
    assert still_unknown is None
    db.session.refresh(kept)
    assert (kept.state, kept.closed_at, kept.outstanding_fen) == ("open", None, 50_000)
    assert (noted(later), open_now["cases"][0]["address_id"]) == ([], str(address.id))
    assert "C4" not in [reason["rule"] for reason in open_now["cases"][0]["reasons"]]


def test_a_balance_of_null_says_nothing_as_an_empty_cell_does(app: Flask, office: Office):
    door = a_door()
    visit = a_visit(office, door)

    imported(app, office, row(Case, door.case, outstanding=None, principal=None, balance_as_of=None))

    kept = db.session.get_one(Case, door.case.id, populate_existing=True)
    assert (kept.state, kept.outstanding_fen, kept.balance_as_of) == ("open", 1_234_500, date(2026, 11, 20))
    assert ending(visit) == ("issued", "")


@pytest.mark.parametrize(
    ("facts", "column"),
    [
        ({"state": "open"}, "state"),
        ({"state": "open", "outstanding": "500"}, "state"),
        ({"outstanding": "500"}, "outstanding"),
    ],
)
def test_what_would_open_a_closed_case_again_is_noted(office: Office, facts: dict[str, Any], column: str):
    desk, case = office.person(Role.DISPATCHER), a_door().case
    first = send(desk, lines(row(Case, case, outstanding="0", state="open")))

    again = send(desk, lines(row(Case, case, **facts)))

    assert noted(first) == [("state", "The case owes nothing, so it is closed (D18).")]
    assert [one for one, reason in noted(again) if "stays so" in reason] == [column]
    assert db.session.get_one(Case, case.id, populate_existing=True).state == "closed"


def test_an_older_balance_never_replaces_a_newer_one(app: Flask, office: Office):
    door = a_door(outstanding_fen=500_000)

    imported(app, office, row(Case, door.case, outstanding="9999", balance_as_of="2026-11-19"))
    kept = db.session.get_one(Case, door.case.id)
    db.session.refresh(kept)

    assert (kept.outstanding_fen, kept.balance_as_of) == (500_000, date(2026, 11, 20))


def test_a_closed_case_is_not_opened_by_a_file(app: Flask, office: Office):
    door = a_door(state="closed")

    imported(app, office, row(Case, door.case, state="open", balance_as_of="2026-11-22"))

    assert db.session.get_one(Case, door.case.id, populate_existing=True).state == "closed"


@pytest.mark.parametrize("kind", [Contact, Address])
def test_an_import_waits_for_the_debtor_before_it_touches_what_a_visit_may_rest_on(
    app: Flask, office: Office, kind: Any
):
    """Else a visit granted meanwhile would not see the import, and the import would not see the visit."""
    door = a_door()
    thing: Any = a_contact(door.case, liable=True) if kind is Contact else door.address
    said = of_contact(liable="false") if kind is Contact else of_address(status="invalid")
    content = json.dumps(said(door, thing), ensure_ascii=False).encode()
    person = office.person(Role.DISPATCHER)
    debtor = sa.select(Debtor.id).where(Debtor.id == door.case.debtor_id).with_for_update()
    untouched = sa.select(kind.id).where(kind.id == thing.id).with_for_update(nowait=True)
    db.session.rollback()
    with db.engine.connect() as dispatcher, db.engine.connect() as watcher, ThreadPoolExecutor(1) as pool:
        dispatcher.execute(debtor)
        answer = pool.submit(send, person, content)
        wait_until_somebody_waits(watcher)

        dispatcher.execute(untouched)
        dispatcher.rollback()

        assert answer.result().get_json()["rejected"] == 0

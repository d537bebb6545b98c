"""Payments: what the office enters is held against the client's statement, and no debt changes by itself."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from server.authority import Role
from server.database import db
from server.models.cases import Case, Hold
from server.models.deadlines import Payment, Promise
from server.models.dispatch import Assignment
from server.workflows.settling import settle_due
from tests.api.files import counts, lines, send
from tests.api.test_imports_effects import row
from tests.api.test_promises import a_line, go_on, imported, of_case, promised
from tests.builders import a_case
from tests.office import Office, Stopped, a_body, a_door, a_team, china

PAID: dict[str, Any] = {"amount_fen": 50_000, "paid_on": "2026-11-20"}


def entered(office: Office, case: Case, **facts: Any) -> dict[str, Any]:
    answer = office.ask(f"/cases/{case.id}/payments", PAID | facts)
    assert answer.status_code == 201, answer.get_data(as_text=True)
    return answer.get_json()


def discrepancies(office: Office) -> list[tuple[str, str, int | None]]:
    found = office.person(Role.AUDITOR).get("/api/v1/payments/discrepancies").get_json()["discrepancies"]
    return [(one["id"], one["kind"], one["statement_fen"]) for one in found]


def test_a_statement_is_taken_in_once_and_changes_no_debt(app: Flask, office: Office):
    case = a_case()

    first, again = imported(app, office, a_line(case)), imported(app, office, a_line(case))
    corrected = imported(app, office, a_line(case, amount="450.00"))

    assert (first, again, corrected) == ((1, 0, 0, 0), (0, 0, 1, 0), (0, 1, 0, 0))
    shown = office.person(Role.DISPATCHER).get(f"/api/v1/cases/{case.id}/payments").get_json()["payments"]
    assert [(one["amount_fen"], one["paid_on"], one["source"]) for one in shown] == [
        (45_000, "2026-11-20", "import")
    ]
    debt = db.session.get_one(Case, case.id, populate_existing=True)
    assert (debt.outstanding_fen, debt.state) == (case.outstanding_fen, "open")


def test_a_correction_of_the_client_takes_back_what_looked_kept(app: Flask, office: Office):
    case = a_case()
    imported(app, office, a_line(case, "promises"), a_line(case))
    assert of_case(office, case)["promises"][0]["state"] == "kept"

    imported(app, office, a_line(case, amount="450.00"))

    (shown,) = of_case(office, case)["promises"]
    assert (shown["state"], shown["paid_fen"]) == ("open", 45_000)
    assert [event["kind"] for event in shown["events"]] == ["kept", "reopened"]


def test_an_entry_counts_at_once_and_only_once_when_the_statement_shows_it(app: Flask, office: Office):
    case = a_case()
    promised(office, case, amount_fen=100_000, made_at="2026-11-19T10:00:00+08:00")
    entry = entered(office, case)
    assert of_case(office, case)["promises"][0]["paid_fen"] == 50_000

    imported(app, office, a_line(case, paid_on="2026-11-22"))

    assert of_case(office, case)["promises"][0]["paid_fen"] == 50_000
    line = db.session.scalars(sa.select(Payment).where(Payment.source == "import")).one()
    assert db.session.get_one(Payment, entry["id"], populate_existing=True).confirmed_by == line.id
    go_on(app, "2026-12-10 10:00")
    assert discrepancies(office) == []


def test_an_entry_that_no_statement_shows_is_listed_and_counts_no_longer(app: Flask, office: Office):
    case = a_case()
    promised(office, case, made_at="2026-11-19T10:00:00+08:00")
    entry = entered(office, case)
    assert of_case(office, case)["promises"][0]["state"] == "kept"

    go_on(app, "2026-11-30 23:59")
    in_time = discrepancies(office)
    go_on(app, "2026-12-01 00:20")

    assert in_time == []
    assert discrepancies(office) == [(entry["id"], "missing", None)]
    (shown,) = of_case(office, case)["promises"]
    assert (shown["state"], [event["kind"] for event in shown["events"]]) == ("broken", ["kept", "broken"])


def test_an_entry_under_the_banks_own_reference_may_differ_from_the_line(app: Flask, office: Office):
    case = a_case()
    entry = entered(office, case, reference="T1")

    imported(app, office, a_line(case, amount="480.00"))

    assert discrepancies(office) == [(entry["id"], "differs", 48_000)]


@pytest.mark.parametrize(
    ("noun", "body"),
    [
        ("payments", PAID),
        ("promises", {"amount_fen": 50_000, "due_on": "2026-12-05"}),
    ],
)
def test_a_second_click_is_no_second_entry_and_a_real_second_one_is_told_apart(
    app: Flask, office: Office, noun: str, body: dict[str, Any]
):
    path = f"/cases/{a_case().id}/{noun}"
    headers = {"Authorization": f"Bearer {office.person(Role.DISPATCHER).token}"}
    gate = Barrier(2)

    def click(_: int) -> TestResponse:
        gate.wait()
        return app.test_client().post(f"/api/v1{path}", json=body, headers=headers)

    with ThreadPoolExecutor(2) as pool:
        twice = list(pool.map(click, range(2)))
    told_apart = office.ask(path, body | {"reference": "the second one"})
    other = office.ask(path, body | {"amount_fen": 50_001})

    assert sorted(answer.status_code for answer in twice) == [201, 409]
    refused = next(answer.get_json() for answer in twice if answer.status_code == 409)
    assert "send a reference" in refused["detail"]
    assert (told_apart.status_code, other.status_code) == (201, 201)
    assert len(office.person(Role.AUDITOR).get(f"/api/v1{path}").get_json()[noun]) == 3


def test_a_supervisor_takes_back_what_was_a_mistake_of_the_office(app: Flask, office: Office):
    case = a_case()
    promised(office, case, made_at="2026-11-19T10:00:00+08:00")
    entry = entered(office, case)
    path = f"/payments/{entry['id']}/void"

    by_dispatcher = office.ask(path, {"reason": "typed twice"})
    void, again = (office.ask(path, {"reason": "typed twice"}, by=Role.SUPERVISOR) for _ in range(2))

    assert (by_dispatcher.status_code, void.status_code, again.status_code) == (403, 200, 200)
    assert of_case(office, case)["promises"][0]["state"] == "open"
    go_on(app, "2026-12-10 10:00")
    assert discrepancies(office) == []


def test_what_the_client_says_is_not_the_offices_to_take_back(app: Flask, office: Office):
    imported(app, office, a_line(a_case()))
    line = db.session.scalars(sa.select(Payment)).one()

    answer = office.ask(f"/payments/{line.id}/void", {"reason": "not true"}, by=Role.SUPERVISOR)

    assert answer.status_code == 409


@pytest.mark.parametrize(
    ("facts", "pointer"),
    [
        ({"paid_on": "2026-11-24"}, "/paid_on"),
        ({"paid_on": "1999-12-31"}, "/paid_on"),
        ({"amount_fen": -1}, "/amount_fen"),
        ({"amount_fen": 10**16}, "/amount_fen"),
    ],
)
def test_what_cannot_have_been_paid_is_refused(office: Office, facts: dict[str, Any], pointer: str):
    answer = office.ask(f"/cases/{a_case().id}/payments", PAID | facts)

    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.get_json()["errors"]] == [pointer]


def test_the_clients_file_never_takes_over_an_entry_of_the_office(app: Flask, office: Office):
    case = a_case()
    entered(office, case, reference="T1")

    answer = send(office.person(Role.DISPATCHER), lines(a_line(case, reference="office:T1", amount="1")))

    assert [error["column"] for error in answer.get_json()["errors"]] == ["reference"]


def test_who_says_it_is_paid_stops_everything_and_the_clients_balance_closes_it(app: Flask, office: Office):
    door, other = a_door(), a_door()
    visits = [office.ask("/assignments", a_body(one, *a_team())).get_json()["id"] for one in (door, other)]

    office.ask(f"/cases/{door.case.id}/holds", {"reason": "paid", "note": "showed the slip"})
    stopped = [db.session.get_one(Assignment, one, populate_existing=True).state for one in visits]
    claimed = db.session.get_one(Case, door.case.id, populate_existing=True).state
    refused = office.ask("/assignments", a_body(door, *a_team(), start="2026-11-25 10:00"))
    assert imported(app, office, a_line(door.case, amount="12345.00")) == (1, 0, 0, 0)
    unchanged = db.session.get_one(Case, door.case.id, populate_existing=True)
    assert (unchanged.state, unchanged.outstanding_fen) == ("open", door.case.outstanding_fen)
    settled = {"outstanding": "0", "balance_as_of": "2026-11-23"}
    assert imported(app, office, row(Case, door.case, **settled)) == (0, 1, 0, 0)

    assert (stopped, claimed) == (["cancelled", "issued"], "open")
    assert "hold-paid" in {reason["slug"] for reason in refused.get_json()["reasons"]}
    assert db.session.get_one(Case, door.case.id, populate_existing=True).state == "closed"
    again = office.ask("/assignments", a_body(door, *a_team(), start="2026-11-25 10:00"))
    assert {"hold-paid", "case-closed"} <= {reason["slug"] for reason in again.get_json()["reasons"]}
    assert db.session.scalars(sa.select(Hold.reason)).all() == ["paid"]


@pytest.mark.parametrize("attempt", range(3))
def test_the_same_statement_twice_at_once_doubles_nothing(app: Flask, office: Office, attempt: int):
    cases = [a_case() for _ in range(8)]
    rows = [a_line(case, reference=f"T{n}") for n, case in enumerate(cases)]
    rows += [a_line(case, "promises", reference=f"P{n}") for n, case in enumerate(cases)]
    office.person(Role.DISPATCHER)
    gate = Barrier(2)

    def take_in(order: list[dict[str, Any]]) -> tuple[int, int, int, int]:
        browser = app.test_client()
        headers = {
            "Authorization": f"Bearer {office.person(Role.DISPATCHER).token}",
            "Content-Type": "application/x-ndjson",
        }
        gate.wait()
        return counts(browser.post("/api/v1/imports", data=lines(*order), headers=headers))

    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(take_in, [rows, rows[::-1]]))
    imported(app, office, rows[0])

    assert sorted(told) == [(0, 0, 16, 0), (16, 0, 0, 0)]
    assert [db.session.scalar(sa.select(sa.func.count()).select_from(one)) for one in (Payment, Promise)] == [
        8,
        8,
    ]
    assert set(db.session.scalars(sa.select(Promise.state))) == {"kept"}


DEEDS = ("promise 1", "promise 2", "line 1", "line 2", "entry 1", "night")


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(DEEDS))
def test_whatever_comes_first_the_end_is_the_same(app: Flask, office: Office, order: list[str]):
    case = a_case()
    now = china("2026-11-23 10:00")
    app.extensions["clock"] = Stopped(at=now)
    made_at = "2026-11-18T09:00:00+08:00"
    deeds = {
        "promise 1": lambda: promised(
            office, case, amount_fen=70_000, due_on="2026-11-22", made_at=made_at, reference="P1"
        ),
        "promise 2": lambda: promised(
            office, case, amount_fen=50_000, due_on="2026-11-30", made_at=made_at, reference="P2"
        ),
        "line 1": lambda: imported(app, office, a_line(case, reference="L1", amount="500")),
        "line 2": lambda: imported(
            app, office, a_line(case, reference="L2", amount="300", paid_on="2026-11-23")
        ),
        "entry 1": lambda: entered(office, case, amount_fen=50_000, paid_on="2026-11-19"),
        "night": lambda: settle_due(now=now),
    }

    for deed in order:
        deeds[deed]()
    settle_due(now=now)

    ended = {one["reference"]: (one["state"], one["paid_fen"]) for one in of_case(office, case)["promises"]}
    # The entry is the statement's first line: 500 for the first promise in time, 300 for the second.
    assert ended == {"office:P1": ("broken", 50_000), "office:P2": ("open", 30_000)}

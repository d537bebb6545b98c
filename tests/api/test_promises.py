"""What a debtor promised is written down, never rewritten, and becomes kept or broken by what arrives."""

import csv
import io
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from server.authority import Role
from server.database import db, transaction
from server.jobs import run_worker
from server.models.access import AccessEntry
from server.models.cases import Case, Client
from server.models.deadlines import Promise, PromiseEvent
from server.workflows.settling import settle_due
from server.workflows.stopping import close_cases
from tests.api.files import counts, lines, send
from tests.builders import a_case
from tests.office import NOW, Office, Stopped, china

SAID: dict[str, Any] = {"amount_fen": 50_000, "due_on": "2026-11-27"}


def promised(office: Office, case: Case, **facts: Any) -> dict[str, Any]:
    """Write a promise down over HTTP."""
    answer = office.ask(f"/cases/{case.id}/promises", SAID | facts)
    assert answer.status_code == 201, answer.get_data(as_text=True)
    return answer.get_json()


def of_case(office: Office, case: Case) -> dict[str, Any]:
    return office.person(Role.AUDITOR).get(f"/api/v1/cases/{case.id}/promises").get_json()


def listed(office: Office, which: str, **query: Any) -> list[str]:
    found = office.person(Role.DISPATCHER).get(f"/api/v1/promises?list={which}", query_string=query or None)
    return [one["id"] for one in found.get_json()["promises"]]


def bank(case: Case) -> str:
    return db.session.get_one(Client, case.client_id).reference


def a_line(case: Case, kind: str = "payments", **facts: Any) -> dict[str, Any]:
    """A line of the client's file."""
    named = {"kind": kind, "client_reference": bank(case), "case_reference": case.reference}
    rest = {"payments": {"reference": "T1", "amount": "500.00", "paid_on": "2026-11-20"}}
    rest["promises"] = {
        "reference": "P1",
        "amount": "500.00",
        "due_on": "2026-11-27",
        "made_at": "2026-11-20 15:00",
    }
    return named | rest[kind] | facts


def imported(app: Flask, office: Office, *rows: dict[str, Any]) -> tuple[int, int, int, int]:
    answer = send(office.person(Role.DISPATCHER), lines(*rows))
    run_worker(app, until_idle=True)
    db.session.rollback()
    return counts(answer)


def go_on(app: Flask, to: str) -> None:
    """Let the clock show another time, and the hourly job run."""
    now = china(to)
    app.extensions["clock"] = Stopped(at=now)
    settle_due(now=now)


def test_a_promise_is_the_debtors_word_and_accepts_nothing(app: Flask, office: Office):
    case = a_case()

    shown = promised(office, case, follow_up_on="2026-11-25", reference="book 7")

    assert (shown["state"], shown["source"], shown["amount_fen"]) == ("open", "office", 50_000)
    assert (shown["accepted_by_client_authorisation"], shown["paid_fen"]) == ("", 0)
    assert (shown["confirm_on"], shown["reference"]) == ("2026-11-26", "office:book 7")
    app.extensions["clock"] = Stopped(at=china("2026-11-23 10:05"))
    assert promised(office, case, follow_up_on="2026-11-25", reference="book 7") == shown
    other = office.ask(f"/cases/{case.id}/promises", SAID | {"reference": "book 7", "amount_fen": 1})
    assert other.status_code == 409
    slipped_in = office.ask(f"/cases/{case.id}/promises", SAID | {"accepted_by_client_authorisation": "x"})
    assert slipped_in.status_code == 422


def test_only_a_named_letter_of_the_client_accepts_it(office: Office):
    path = f"/promises/{promised(office, a_case())['id']}/acceptance"

    by_dispatcher = office.ask(path, {"authorisation": "letter 2026/11"})
    unnamed = office.ask(path, {"authorisation": ""}, by=Role.SUPERVISOR)
    named, again, another = (
        office.ask(path, {"authorisation": letter}, by=Role.SUPERVISOR)
        for letter in ("letter 2026/11", "letter 2026/11", "letter 2026/12")
    )

    assert (by_dispatcher.status_code, unnamed.status_code) == (403, 422)
    assert named.get_json()["accepted_by_client_authorisation"] == "letter 2026/11"
    assert (again.status_code, another.status_code) == (200, 409)


@pytest.mark.parametrize(
    ("facts", "pointer"),
    [
        ({"amount_fen": 0}, "/amount_fen"),
        ({"amount_fen": 1.5}, "/amount_fen"),
        ({"due_on": "2026-11-22"}, "/due_on"),
        ({"due_on": "2026-02-30"}, "/due_on"),
        ({"made_at": "2026-11-23T10:01:00+08:00"}, "/made_at"),
        ({"made_at": "1999-01-01T00:00:00Z"}, "/made_at"),
        ({"follow_up_on": "2026-11-28"}, "/follow_up_on"),
        ({"follow_up_on": "2026-11-22"}, "/follow_up_on"),
    ],
)
def test_what_cannot_have_been_promised_is_refused(office: Office, facts: dict[str, Any], pointer: str):
    answer = office.ask(f"/cases/{a_case().id}/promises", SAID | facts)

    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.get_json()["errors"]] == [pointer]


def test_nothing_more_is_promised_on_a_closed_case_or_an_unknown_one(office: Office):
    closed = office.ask("/promises", SAID | {"case_id": str(a_case(state="closed").id)})
    unknown = office.ask("/promises", SAID | {"case_id": "00000000-0000-7000-8000-000000000000"})

    assert (closed.status_code, unknown.status_code) == (409, 404)


@pytest.mark.parametrize(
    ("amount", "paid_on", "state", "paid_fen"),
    [
        ("500.00", "2026-11-27", "kept", 50_000),
        ("500.00", "2026-11-28", "broken", 0),
        ("499.99", "2026-11-27", "broken", 49_999),
        ("500.00", "2026-11-22", "broken", 0),
    ],
    ids=["on the day", "a day late", "a fen short", "before it was promised"],
)
def test_the_clients_statement_keeps_a_promise_or_lets_it_break(
    app: Flask, office: Office, amount: str, paid_on: str, state: str, paid_fen: int
):
    case = a_case()
    promise = promised(office, case)
    go_on(app, "2026-11-27 23:59")
    assert listed(office, "open") == [promise["id"]]
    app.extensions["clock"] = Stopped(at=china("2026-11-28 09:00"))

    imported(app, office, a_line(case, amount=amount, paid_on=paid_on))
    go_on(app, "2026-11-28 10:20")

    (shown,) = of_case(office, case)["promises"]
    assert (shown["state"], shown["paid_fen"]) == (state, paid_fen)
    assert [event["kind"] for event in shown["events"]] == [state]
    assert listed(office, "broken") == ([promise["id"]] if state == "broken" else [])
    debt = db.session.get_one(Case, case.id, populate_existing=True)
    assert (debt.outstanding_fen, debt.state) == (case.outstanding_fen, "open")


def test_a_statement_that_comes_late_mends_what_looked_broken(app: Flask, office: Office):
    case = a_case()
    promised(office, case)
    go_on(app, "2026-11-30 00:20")
    assert of_case(office, case)["promises"][0]["state"] == "broken"

    imported(app, office, a_line(case, paid_on="2026-11-26"))

    (shown,) = of_case(office, case)["promises"]
    assert (shown["state"], [event["kind"] for event in shown["events"]]) == ("kept", ["broken", "kept"])


def test_settling_again_writes_no_second_event(app: Flask, office: Office):
    case = a_case()
    promised(office, case)

    for hour in ("00:20", "01:20", "02:20"):
        go_on(app, f"2026-11-28 {hour}")

    assert db.session.scalar(sa.select(sa.func.count()).select_from(PromiseEvent)) == 1


def test_nobody_breaks_a_promise_on_a_case_that_ended(app: Flask, office: Office):
    case = a_case()
    promised(office, case)
    with transaction():
        close_cases([case.id], because="taken back", actor=office.actor(), now=NOW)

    go_on(app, "2026-11-28 00:20")

    (shown,) = of_case(office, case)["promises"]
    assert shown["state"] == "withdrawn"
    assert shown["events"][0]["reason"] == "the case was closed before the day was over"
    assert listed(office, "broken") == []


def test_a_supervisor_withdraws_with_a_reason_and_it_stays_on_file(app: Flask, office: Office):
    case = a_case()
    first, second = promised(office, case), promised(office, case, due_on="2026-11-30")
    office.ask(f"/cases/{case.id}/payments", {"amount_fen": 50_000, "paid_on": "2026-11-23"})
    path = f"/promises/{second['id']}/withdraw"

    by_dispatcher = office.ask(path, {"reason": "typed twice"})
    taken, again, another = (
        office.ask(path, {"reason": reason}, by=Role.SUPERVISOR)
        for reason in ("typed twice", "typed twice", "something else")
    )
    kept = office.ask(f"/promises/{first['id']}/withdraw", {"reason": "typed twice"}, by=Role.SUPERVISOR)

    assert (by_dispatcher.status_code, taken.status_code, again.status_code) == (403, 200, 200)
    assert (another.status_code, kept.status_code) == (409, 409)
    shown = {one["id"]: one for one in of_case(office, case)["promises"]}
    assert shown[second["id"]]["state"] == "withdrawn"
    assert shown[second["id"]]["events"][0]["reason"] == "typed twice"
    assert shown[first["id"]]["state"] == "kept"
    raw = db.session.scalar(sa.text("SELECT reason FROM promise_events WHERE kind = 'withdrawn'"))
    assert b"typed" not in raw


def test_the_lists_say_what_is_due_and_whom_to_remind_and_can_be_leafed_through(app: Flask, office: Office):
    due = ("2026-11-27", "2026-11-23", "2026-11-24", "2026-11-25")
    ids = dict(zip(due, [promised(office, a_case(), due_on=day)["id"] for day in due], strict=True))

    assert listed(office, "open") == [ids[day] for day in sorted(due)]
    assert listed(office, "due_today") == [ids["2026-11-23"]]
    assert listed(office, "to_confirm") == [ids["2026-11-24"]]
    reader = office.person(Role.DISPATCHER)
    first = reader.get("/api/v1/promises?limit=3").get_json()
    rest = reader.get(f"/api/v1/promises?limit=3&after={first['next']}").get_json()
    assert [one["id"] for one in first["promises"] + rest["promises"]] == listed(office, "open")
    go_on(app, "2026-11-26 00:20")
    assert listed(office, "broken") == [ids[day] for day in ("2026-11-25", "2026-11-24", "2026-11-23")]


def test_before_a_break_everybody_is_reminded_whose_day_comes_before_it_is_over(app: Flask, office: Office):
    app.extensions["clock"] = Stopped(at=china("2026-09-30 09:00"))
    inside = promised(office, a_case(), due_on="2026-10-03")
    after = promised(office, a_case(), due_on="2026-10-08")
    later = promised(office, a_case(), due_on="2026-10-09")

    assert listed(office, "to_confirm") == [inside["id"], after["id"]]
    assert [one["confirm_on"] for one in (inside, after, later)] == ["2026-09-30", "2026-09-30", "2026-10-08"]
    go_on(app, "2026-10-03 12:00")
    assert listed(office, "broken") == []


def test_a_status_that_says_more_than_stands_is_shown(office: Office):
    case = a_case(status_code="PTP2")
    before = of_case(office, case)["is_status_true"]

    promised(office, case)

    assert (before, of_case(office, case)["is_status_true"]) == (False, True)
    assert of_case(office, a_case(status_code="FOUND1"))["is_status_true"] is True


def test_the_table_is_a_spreadsheet_that_executes_nothing(office: Office):
    case = a_case(reference="=HYPERLINK(1)")
    letter = {"authorisation": "@SUM(A1)"}
    office.ask(f"/promises/{promised(office, case)['id']}/acceptance", letter, by=Role.SUPERVISOR)
    for reference in ("+1", "-1", "\t=1", "　=1", "plain"):
        promised(office, a_case(reference=reference), due_on="2026-11-28")

    answer = office.person(Role.AUDITOR).get(
        "/api/v1/promises/table?due_from=2026-11-01&due_until=2026-11-30"
    )

    assert answer.mimetype == "text/csv"
    text = answer.get_data(as_text=True)
    assert text.startswith("\ufeffclient,case,amount,due_on")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    references = ["'=HYPERLINK(1)", "'+1", "'-1", "'\t=1", "'　=1", "plain"]
    assert [row["case"] for row in rows] == references
    assert rows[0]["accepted_by_client_authorisation"] == "'@SUM(A1)"
    assert (rows[0]["amount"], rows[0]["due_on"], rows[0]["state"]) == ("500.00", "2026-11-27", "open")
    entry = db.session.scalars(sa.select(AccessEntry).where(AccessEntry.action == "export")).one()
    assert entry.staff_id == office.person(Role.AUDITOR).staff.id


def test_promises_come_in_a_file_and_are_never_rewritten_by_one(app: Flask, office: Office):
    case = a_case()
    row = a_line(case, "promises")

    first, again = imported(app, office, row), imported(app, office, row)
    moved = send(
        office.person(Role.DISPATCHER), lines(row | {"amount": "300"}, row | {"due_on": "2026-12-01"})
    )

    assert (first, again, counts(moved)) == ((1, 0, 0, 0), (0, 0, 1, 0), (0, 0, 0, 2))
    assert [error["column"] for error in moved.get_json()["errors"]] == ["amount", "due_on"]
    stored = db.session.scalars(sa.select(Promise)).one()
    assert (stored.amount_fen, stored.due_on, stored.source) == (50_000, date(2026, 11, 27), "import")
    assert (stored.debtor_id, stored.accepted_by_client_authorisation) == (case.debtor_id, "")


def test_a_promise_and_its_payment_may_come_in_one_file(app: Flask, office: Office):
    case = a_case()

    rows = [a_line(case), a_line(case, "promises")]

    assert imported(app, office, *rows) == (2, 0, 0, 0)
    assert of_case(office, case)["promises"][0]["state"] == "kept"
    assert imported(app, office, *rows) == (0, 0, 2, 0)
    assert db.session.scalar(sa.select(sa.func.count()).select_from(PromiseEvent)) == 1


@pytest.mark.parametrize(
    ("kind", "facts", "column"),
    [
        ("promises", {"due_on": "2026-11-19"}, "due_on"),
        ("promises", {"made_at": "2026-12-24 10:00", "due_on": "2026-12-25"}, "made_at"),
        ("promises", {"made_at": "2026-12-24", "due_on": "2026-12-25"}, "made_at"),
        ("promises", {"made_at": "yesterday"}, "made_at"),
        ("promises", {"due_on": "2026-02-30"}, "due_on"),
        ("promises", {"due_on": ""}, "due_on"),
        ("promises", {"follow_up_on": "2026-11-28"}, "due_on"),
        ("promises", {"amount": "0"}, "amount"),
        ("promises", {"amount": "-5"}, "amount"),
        ("promises", {"amount": None}, "amount"),
        ("promises", {"case_reference": "nobody's"}, "case_reference"),
        ("promises", {"client_reference": "nobody"}, "client_reference"),
        ("payments", {"paid_on": "2026-11-24"}, "paid_on"),
        ("payments", {"paid_on": "20261131"}, "paid_on"),
        ("payments", {"amount": "1.005"}, "amount"),
        ("payments", {"amount": "0.00"}, "amount"),
        ("payments", {"reference": ""}, "reference"),
        ("payments", {"case_reference": "nobody's"}, "case_reference"),
    ],
)
def test_a_bad_line_is_told_and_the_others_are_kept(
    app: Flask, office: Office, kind: str, facts: dict[str, Any], column: str
):
    case = a_case()
    rows = [
        a_line(case, kind, reference="first"),
        a_line(case, kind, **facts),
        a_line(case, kind, reference="last"),
    ]

    answer = send(office.person(Role.DISPATCHER), lines(*rows))

    assert counts(answer) == (2, 0, 0, 1)
    assert [(one["line"], one["column"]) for one in answer.get_json()["errors"]] == [(2, column)]
    assert answer.get_json()["errors"][0]["reason"]


def test_a_spreadsheet_with_chinese_headings_brings_promises(app: Flask, office: Office):
    case = a_case()
    text = (
        "委托机构编号,承诺编号,案件编号,承诺金额,承诺还款日期,承诺日期\r\n"
        f'{bank(case)},P9,{case.reference},"1,500.00元",2026年11月27日,2026/11/20\r\n'
    )

    answer = send(office.person(Role.DISPATCHER), text.encode("gb18030"), kind="promises", mime="text/csv")

    assert counts(answer) == (1, 0, 0, 0)
    stored = db.session.scalars(sa.select(Promise)).one()
    assert (stored.amount_fen, stored.made_at) == (150_000, china("2026-11-20 00:00"))

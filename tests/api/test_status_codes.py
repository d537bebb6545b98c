"""A case's status is exact or refused, and calls are counted against their caps."""

from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask

from server.authority import Role
from server.database import db
from server.models.cases import Case, Client, Debtor, LedgerEntry
from tests.api.files import counts, lines, send
from tests.api.test_imports_effects import imported, row
from tests.builders import a_case, a_ledger_entry
from tests.office import NOW, Office, a_body, a_door, a_team, china


def codes(office: Office, case: Case) -> dict[str, tuple[str, str]]:
    answer = office.person(Role.AUDITOR).get(f"/api/v1/clients/{case.client_id}/status-codes")
    return {one["code"]: (one["meaning"], one["rule"]) for one in answer.get_json()["codes"]}


def enter(office: Office, case: Case, *rows: dict[str, Any]) -> Any:
    return office.ask(f"/clients/{case.client_id}/status-codes", {"codes": list(rows)}, by=Role.ADMIN)


def status_of(case: Case) -> str:
    return db.session.get_one(Case, case.id, populate_existing=True).status_code


def set_status(office: Office, case: Case, code: str) -> Any:
    return office.person(Role.DISPATCHER).put(
        f"/api/v1/cases/{case.id}/status-code", json={"status_code": code}
    )


def test_the_codes_of_the_house_rules_are_there_from_the_beginning(office: Office):
    case = a_case()

    assert codes(office, case) == {
        "PTP": ("promise", "F5"),
        "PTP2": ("promise", "D1"),
        "FOUND1": ("tracing", "D1"),
    }
    assert [set_status(office, case, code).status_code for code in ("PTP", "PTP2", "FOUND1", "")] == [200] * 4


@pytest.mark.parametrize("code", ["PTP3", "ptp2", "PTP2 ", "跟票"])
def test_a_code_that_is_not_exactly_in_the_table_is_refused(office: Office, code: str):
    case = a_case(status_code="PTP")

    answer = set_status(office, case, code)

    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.get_json()["errors"]] == ["/status_code"]
    assert status_of(case) == "PTP"


def test_a_file_with_an_unknown_code_loses_that_row_only(app: Flask, office: Office):
    cases = [a_case() for _ in range(3)]
    said = zip(cases, ("PTP2", "NOPE", "FOUND1"), strict=True)
    rows = [row(Case, case, status_code=code) for case, code in said]

    answer = send(office.person(Role.DISPATCHER), lines(*rows))

    assert counts(answer) == (0, 2, 0, 1)
    (error,) = answer.get_json()["errors"]
    assert (error["line"], error["column"]) == (2, "status_code")
    assert "table of codes" in error["reason"] and "NOPE" not in error["reason"]
    assert [status_of(case) for case in cases] == ["PTP2", "", "FOUND1"]


def test_an_administrator_or_the_clients_file_fills_the_table(app: Flask, office: Office):
    case, other = a_case(), a_case()
    bank = db.session.get_one(Client, case.client_id).reference

    entered = enter(office, case, {"code": "LEGAL", "title": "诉讼"})
    again = enter(office, case, {"code": "LEGAL", "title": "已诉"})
    filed = {"kind": "status_codes", "client_reference": bank, "code": "LOST", "meaning": "寻人"}
    imported(app, office, filed, row(Case, case, status_code="LOST"))

    assert (entered.status_code, again.status_code) == (200, 200)
    assert codes(office, case) | {"LEGAL": ("other", ""), "LOST": ("tracing", "")} == codes(office, case)
    assert status_of(case) == "LOST"
    assert set_status(office, other, "LEGAL").status_code == 422
    assert set_status(office, case, "LEGAL").status_code == 200


def test_a_code_leaves_the_table_when_no_case_carries_it(office: Office):
    case = a_case()
    enter(office, case, {"code": "LEGAL"})
    set_status(office, case, "LEGAL")
    admin, path = office.person(Role.ADMIN), f"/api/v1/clients/{case.client_id}/status-codes/LEGAL"

    carried = admin.delete(path)
    set_status(office, case, "")
    free, gone = admin.delete(path), admin.delete(path)

    assert (carried.status_code, free.status_code, gone.status_code) == (409, 204, 404)


@pytest.mark.parametrize("code", ["N/A", "诉讼/一审", "a b?#%2F", "...", "C:\\x"])
def test_whatever_code_was_entered_can_be_taken_out(office: Office, code: str):
    case, admin = a_case(), office.person(Role.ADMIN)
    table = f"/api/v1/clients/{case.client_id}/status-codes"
    entered = enter(office, case, {"code": code})

    removed = admin.delete(f"{table}/{quote(code, safe='')}")

    assert (entered.status_code, removed.status_code) == (200, 204)
    assert code not in [one["code"] for one in admin.get(table).get_json()["codes"]]


def test_a_code_of_a_file_that_no_address_can_name_is_refused(office: Office):
    bank = db.session.get_one(Client, a_case().client_id).reference
    rows = [{"kind": "status_codes", "client_reference": bank, "code": code} for code in ("N/A", "A//B")]

    answer = send(office.person(Role.DISPATCHER), lines(*rows))

    assert counts(answer) == (1, 0, 0, 1)
    assert [(one["line"], one["column"]) for one in answer.get_json()["errors"]] == [(2, "code")]


@pytest.mark.parametrize(
    ("rows", "pointer"),
    [
        ([{"code": "PTP2"}], "/codes/0/code"),
        ([{"code": "A"}, {"code": "A"}], "/codes/1/code"),
        ([{"code": "A", "meaning": "mood"}], "/codes/0/meaning"),
        ([{"code": ""}], "/codes/0/code"),
        *(([{"code": code}], "/codes/0/code") for code in (".", "..", "/", "/A", "A/", "A//B", "A/../B")),
    ],
)
def test_a_table_with_faults_is_refused(office: Office, rows: list[dict[str, Any]], pointer: str):
    answer = enter(office, a_case(), *rows)

    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.get_json()["errors"]] == [pointer]


# Calls against their caps.


def a_call(case: Case, reference: str, at: str, **facts: Any) -> dict[str, Any]:
    bank = db.session.get_one(Client, case.client_id).reference
    named = {"kind": "ledger", "client_reference": bank, "case_reference": case.reference}
    return named | {"reference": reference, "channel": "call", "at": at} | facts


def calls(office: Office, case: Case) -> dict[str, Any]:
    return office.person(Role.DISPATCHER).get(f"/api/v1/cases/{case.id}/contact-counts").get_json()


def test_imported_calls_keep_who_answered_with_whom_and_what_came_of_it(app: Flask, office: Office):
    case = a_case()
    facts = {"effective": "是", "connected": "是", "counterpart": "本人", "result": "承诺周五还款"}

    imported(app, office, a_call(case, "K1", "2026-11-23 09:00", **facts))
    imported(app, office, a_call(case, "K2", "2026-11-23 09:05", connected="否"))

    stored = {one.reference: one for one in db.session.query(LedgerEntry).filter_by(case_id=case.id)}
    first, second = stored["K1"], stored["K2"]
    assert (first.effective, first.connected) == (True, True)
    assert (first.counterpart, first.result) == ("本人", "承诺周五还款")
    assert (second.effective, second.connected) == (False, False)
    shown = office.person(Role.DISPATCHER).get(f"/api/v1/cases/{case.id}/ledger").get_json()["entries"]
    assert [one["connected"] for one in shown[:2]] == [False, True]


def test_todays_calls_are_shown_against_the_caps(app: Flask, office: Office):
    case = a_case()
    rows = [a_call(case, f"K{n}", f"2026-11-23 09:0{n}", connected="yes") for n in range(2)]
    rows += [a_call(case, f"U{n}", f"2026-11-23 09:1{n}", connected="no") for n in range(2)]
    rows += [a_call(case, "old", "2026-11-22 23:59")]
    rows += [a_call(case, "in", "2026-11-23 09:30", channel="inbound")]
    imported(app, office, *rows)
    before = calls(office, case)

    imported(app, office, a_call(case, "U9", "2026-11-23 09:59", connected="no"))
    after = calls(office, case)

    assert (before["today"]["total"], before["is_cap_reached"]) == (4, False)
    assert before["calls_from"] == "2026-11-23"
    assert after["today"] == {"effective": 0, "connected": 2, "unanswered": 3, "total": 5}
    assert (after["is_cap_reached"], after["calls_from"]) == (True, "2026-11-24")
    reached = [(cap["rule"], cap["made"], cap["most"]) for cap in after["caps"] if cap["is_reached"]]
    assert reached == [("J18", 3, 3)]


def test_people_in_hardship_are_called_once_in_two_days_whichever_case_it_was_about(office: Office):
    case = a_case(hardship=("pregnancy",))
    sister = a_case(debtor=db.session.get_one(Debtor, case.debtor_id))
    a_ledger_entry(sister, channel="call", at=china("2026-11-22 15:00"))

    shown = calls(office, case)

    assert shown["today"]["total"] == 0
    assert [cap["rule"] for cap in shown["caps"] if cap["is_reached"]] == ["J8"]
    assert (shown["is_cap_reached"], shown["calls_from"]) == (True, "2026-11-24")


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({"effective": "yes", "connected": "no"}, None),
        ({"effective": "yes"}, {"connected": "no"}),
    ],
)
def test_an_effective_call_that_nobody_answered_is_told(
    app: Flask, office: Office, first: dict[str, Any], then: dict[str, Any] | None
):
    case = a_case()
    rows = [a_call(case, "K1", "2026-11-23 09:00", **facts) for facts in (first, then) if facts is not None]

    answer = send(office.person(Role.DISPATCHER), lines(*rows))

    assert [error["column"] for error in answer.get_json()["errors"]] == ["connected"]


def test_a_call_that_turns_out_effective_was_answered(app: Flask, office: Office):
    case = a_case()
    imported(app, office, a_call(case, "K1", "2026-11-23 09:00", connected="no"))

    imported(app, office, a_call(case, "K1", "2026-11-23 09:00", effective="yes"))

    assert db.session.query(LedgerEntry).filter_by(reference="K1").one().connected is True


# Balances.


def test_a_stale_balance_blocks_until_a_newer_one_comes_and_an_older_one_rolls_nothing_back(
    app: Flask, office: Office
):
    door, team = a_door(balance_as_of=NOW.date().replace(day=15), outstanding_fen=500_000), a_team()
    ask = a_body(door, *team)

    stale = office.ask("/assignments", ask)
    imported(app, office, row(Case, door.case, outstanding="4000", balance_as_of="2026-11-22"))
    back = row(Case, door.case, outstanding="9999", balance_as_of="2026-11-16")
    older = send(office.person(Role.DISPATCHER), lines(back))
    fresh = office.ask("/assignments", ask)

    assert [reason["rule"] for reason in stale.get_json()["reasons"]] == ["C4"]
    assert counts(older) == (0, 0, 1, 0)
    notes = [(note["line"], note["column"]) for note in older.get_json()["notes"]]
    assert (older.get_json()["note_count"], notes) == (1, [(1, "balance_as_of")])
    kept = db.session.get_one(Case, door.case.id, populate_existing=True)
    assert (kept.outstanding_fen, str(kept.balance_as_of)) == (400_000, "2026-11-22")
    assert fresh.status_code == 201


@pytest.mark.parametrize("on", ["2026-11-24", "2027-01-01"])
def test_a_balance_of_a_day_to_come_is_refused(office: Office, on: str):
    case = a_case()

    answer = send(office.person(Role.DISPATCHER), lines(row(Case, case, balance_as_of=on)))

    assert [error["column"] for error in answer.get_json()["errors"]] == ["balance_as_of"]

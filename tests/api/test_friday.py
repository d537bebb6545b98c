"""The Friday report: what a week brought, per client and team."""

from datetime import date
from typing import Any

import pytest

from server.authority import Role
from server.database import db
from server.models.cases import Case, Client
from server.models.deadlines import Payment, Promise
from sync.protocol import uuid7
from tests.api.worklists import a_bare_case
from tests.builders import a_ledger_entry, a_person, add
from tests.office import NOW, Office


def money(case: Case, kind: Any, **facts: Any) -> Any:
    return add(kind(client_id=case.client_id, reference=str(uuid7()), case_id=case.id, **facts))


def test_the_friday_report_sums_the_week_per_client_and_team(office: Office):
    clerk = a_person(Role.DISPATCHER, branch="East")
    case, quiet = a_bare_case(overdue_since=date(2026, 10, 24)), a_bare_case()
    of_east = {"recorded_by": clerk.id, "source": "office"}
    for day, fen in ((23, 3_000), (29, 500), (22, 7_777), (30, 8_888)):
        month_day = date(2026, 11, day)
        money(case, Payment, amount_fen=fen, paid_on=month_day, recorded_at=NOW, **of_east)
    money(case, Payment, amount_fen=40, paid_on=date(2026, 11, 24), recorded_at=NOW, source="import")
    money(
        case,
        Promise,
        debtor_id=case.debtor_id,
        amount_fen=9_000,
        due_on=date(2026, 12, 8),
        made_at=NOW,
        **of_east,
    )
    a_ledger_entry(case, channel="call", at=NOW)
    a_ledger_entry(quiet, channel="call", at=NOW)

    answer = office.person(Role.SUPERVISOR).get("/api/v1/work/friday-report").get_json()

    bank = db.session.get_one(Client, case.client_id).reference
    nothing = {"promises_made": 0, "promised_fen": 0, "promises_kept": 0, "promises_broken": 0}
    assert answer["totals"] == [
        {"client": bank, "team": "", "payments": 1, "paid_fen": 40, **nothing},
        {"client": bank, "team": "East", "payments": 2, "paid_fen": 3_500, **nothing,
         "promises_made": 1, "promised_fen": 9_000},
    ]  # fmt: skip
    [line] = answer["lines"]
    assert line["case_id"] == str(case.id)
    assert (line["paid_fen"], line["promised_fen"], line["next_promised_on"]) == (3_540, 9_000, "2026-12-08")
    assert (line["days_overdue"], line["calls"], line["visits"]) == (30, 1, 0)
    assert line["debtor_name"] == "张**"
    assert answer["week"] == {
        "rule": "F12", "first": "2026-11-23", "last": "2026-11-29", "due_at": "2026-11-27T13:00:00+00:00",
        "is_provisional": False,
    }  # fmt: skip


def test_an_entry_that_the_statement_confirms_is_counted_once(office: Office):
    case = a_bare_case()
    line = money(case, Payment, amount_fen=300, paid_on=NOW.date(), recorded_at=NOW, source="import")
    money(
        case,
        Payment,
        amount_fen=300,
        paid_on=NOW.date(),
        recorded_at=NOW,
        source="office",
        confirmed_by=line.id,
    )

    answer = office.person(Role.SUPERVISOR).get("/api/v1/work/friday-report").get_json()

    assert [(total["payments"], total["paid_fen"]) for total in answer["totals"]] == [(1, 300)]


def test_the_report_of_another_week_and_client_is_paged(office: Office):
    cases = [a_bare_case() for _ in range(3)]
    for case in cases:
        money(case, Payment, amount_fen=10, paid_on=date(2026, 11, 18), recorded_at=NOW, source="import")
    ask = office.person(Role.SUPERVISOR).get
    path = "/api/v1/work/friday-report"

    first = ask(path, query_string={"week": "2026-11-16", "limit": 2}).get_json()
    rest = ask(path, query_string={"week": "2026-11-16", "limit": 2, "after": first["next"]}).get_json()
    bank = db.session.get_one(Client, cases[0].client_id).reference
    of_one = ask(path, query_string={"week": "2026-11-16", "client": bank}).get_json()

    found = [line["case_id"] for line in (*first["lines"], *rest["lines"])]
    assert found == sorted(str(case.id) for case in cases)
    assert [line["case_id"] for line in of_one["lines"]] == [str(cases[0].id)]
    assert ask(path).get_json()["lines"] == []


@pytest.mark.parametrize("day", ["0001-01-01", "1899-12-31", "2201-01-01", "9999-12-31"])
@pytest.mark.parametrize(
    "path",
    [
        "/work/friday-report?week={}",
        "/reports/friday?week={}",
        "/reports/friday/file?format=csv&week={}",
        "/reports/client?client=BANK&first={0}&last={0}",
        "/reports/client/file?client=BANK&format=csv&first={0}&last={0}",
    ],
)
def test_a_day_that_nobody_means_is_told_as_a_fault(office: Office, path: str, day: str):
    answer = office.person(Role.SUPERVISOR).get("/api/v1" + path.format(day))

    assert answer.status_code == 422
    assert {fault["pointer"].rpartition("/")[2] for fault in answer.get_json()["errors"]} <= {
        "week", "first", "last",
    }  # fmt: skip


@pytest.mark.parametrize("day", ["1900-01-01", "2200-12-31"])
def test_the_first_and_the_last_day_that_can_be_named_have_a_report(office: Office, day: str):
    answer = office.person(Role.SUPERVISOR).get(f"/api/v1/work/friday-report?week={day}")

    assert answer.status_code == 200

"""The Friday report and a client's report as figures and files, and their hand-in (F12, I7, AMB10)."""

import base64
import csv
import hashlib
import io
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from server.authority import Role
from server.database import db, transaction
from server.models.access import AccessEntry
from server.models.cases import Case, Client
from server.models.deadlines import Payment, Promise
from server.models.visits import Visit
from sync.protocol import uuid7
from tests.builders import a_case, a_ledger_entry, a_visitor, add, an_address, an_assignment
from tests.office import NOW, Office, china
from tests.reports.stage import a_complaint, a_finding, a_visit, a_visit_without_times, at, auditor

FRIDAY = "/api/v1/reports/friday"
CLIENT = "/api/v1/reports/client"
NOVEMBER: dict[str, Any] = {"first": "2026-11-01", "last": "2026-11-30"}


def ask(office: Office, path: str, *, by: Role = Role.SUPERVISOR, status: int = 200, **query: Any) -> Any:
    answer = office.person(by).get(path, query_string=query)
    assert answer.status_code == status, answer.text
    return answer


def a_payment(case: Case, fen: int, *, on: date = date(2026, 11, 23), **facts: Any) -> Payment:
    defaults = {"paid_on": on, "source": "import", "recorded_at": NOW, "reference": f"P{uuid7()}"}
    return add(Payment(client_id=case.client_id, case_id=case.id, amount_fen=fen, **(defaults | facts)))


def a_promise(case: Case, fen: int) -> Promise:
    return add(
        Promise(
            client_id=case.client_id, case_id=case.id, debtor_id=case.debtor_id, amount_fen=fen,
            due_on=date(2026, 12, 8), made_at=NOW, source="office", reference=f"W{uuid7()}",
        )
    )  # fmt: skip


def bank_of(case: Case) -> str:
    return db.session.get_one(Client, case.client_id).reference


def lines_of(answer: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.get_data().decode("utf-8-sig"))))


def test_the_weeks_numbers_count_visits_findings_and_money_by_day(office: Office) -> None:
    visitor = a_visitor(branch="East")
    case = a_case()
    done = a_visit(visitor, "2026-11-23 09:00", debtor_id=case.debtor_id, state="reconciled")
    a_visit(visitor, "2026-11-23 11:00", debtor_id=case.debtor_id, state="reported")
    waiting = a_visit(visitor, "2026-11-24 09:00", debtor_id=case.debtor_id, state="reconciled")
    a_visit(visitor, "2026-11-22 23:59", debtor_id=case.debtor_id)
    a_finding(done, auditor(office), rule="C14", severity="severe")
    a_finding(done, auditor(office), rule="C14", severity="severe", state="dismissed")
    a_finding(done, auditor(office), severity="note")
    open_ = {"state": "open", "decided_by": None, "decided_at": None}
    a_finding(waiting, auditor(office), rule="C14", severity="severe", **open_)
    a_payment(case, 3_000)
    a_payment(case, 999, on=date(2026, 11, 30))
    a_promise(case, 5_000)

    found = ask(office, FRIDAY).get_json()

    by_day = {one["day"]: one for one in found["days"]}
    assert (len(found["days"]), found["first"], found["last"]) == (7, "2026-11-23", "2026-11-29")
    assert by_day["2026-11-23"] == {
        "day": "2026-11-23", "visits": 2, "reviewed": 1, "paid_fen": 3_000, "promised_fen": 5_000,
    }  # fmt: skip
    assert (by_day["2026-11-24"]["visits"], by_day["2026-11-24"]["reviewed"]) == (1, 0)
    counts = {"confirmed": 1, "open": 1, "dismissed": 1}
    assert found["checks"] == [{"check": "evidence-not-taken", "rule": "C14", **counts}]
    [one] = found["visitors"]
    assert (one["branch"], one["employee_number"], one["visits"]) == ("East", visitor.employee_number, 3)
    assert {name: one[name] for name in counts} == counts


def test_a_visit_without_times_is_counted_when_it_was_over(office: Office) -> None:
    visitor, case = a_visitor(), a_case()
    assignment = an_assignment(case, an_address(case), visitor)
    visit = a_visit_without_times(visitor, "2026-11-23 11:00")
    with transaction() as session:
        told = {"debtor_id": case.debtor_id, "assignment_id": assignment.id}
        session.execute(sa.update(Visit).where(Visit.id == visit.id).values(told))

    week = ask(office, FRIDAY).get_json()
    client = ask(office, CLIENT, client=bank_of(case), **NOVEMBER).get_json()

    assert [one["day"] for one in week["days"] if one["visits"]] == ["2026-11-23"]
    assert [one["visits"] for one in week["visitors"]] == [1]
    assert [one["visits"] for one in client["lines"]] == [1]


@pytest.mark.parametrize(
    ("format", "begins"),
    [("pdf", b"%PDF-"), ("xlsx", b"PK"), ("html", b"<!doctype"), ("csv", b"\xef\xbb\xbf")],
)
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_file_says_its_digest_and_who_took_it_is_logged(
    office: Office, format: str, begins: bytes, lang: str
) -> None:
    a_payment(a_case(), 3_000)

    answer = ask(office, f"{FRIDAY}/file", format=format, lang=lang)

    body = answer.get_data()
    digest = hashlib.sha256(body)
    assert body.lstrip().startswith(begins)
    assert answer.headers["X-Report-SHA256"] == digest.hexdigest()
    assert answer.headers["Repr-Digest"] == f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
    assert int(answer.headers["Content-Length"]) == len(body)
    known = ask(office, f"/api/v1/reports/files/{digest.hexdigest()}").get_json()
    assert (known["kind"], known["format"], known["rows"], known["size_bytes"]) == (
        "friday", format, 1, len(body),
    )  # fmt: skip
    entry = db.session.scalars(sa.select(AccessEntry)).one()
    assert (entry.action, entry.staff_id) == ("export", office.person(Role.SUPERVISOR).staff.id)
    assert entry.request["sha256"] == digest.hexdigest()


def test_the_lines_of_a_file_are_those_on_the_screen(office: Office) -> None:
    cases = [a_case() for _ in range(5)]
    for number, case in enumerate(cases, 1):
        a_payment(case, 100 * number)
    a_ledger_entry(a_case(), channel="call", at=NOW)

    shown = ask(office, "/api/v1/work/friday-report").get_json()["lines"]
    written = lines_of(ask(office, f"{FRIDAY}/file", format="csv", lang="en"))

    assert [(one["Case"], one["Paid"]) for one in written] == [
        (line["case_reference"], f"{line['paid_fen'] / 100:.2f}") for line in shown
    ]
    assert len(written) == 5


def test_a_client_sees_its_own_worked_cases_masked_and_nobody_of_the_staff(office: Office) -> None:
    visitor = a_visitor(name="王小二", employee_number="E0777")
    case, other = a_case(account_number="6222021234567890"), a_case()
    a_visit(visitor, "2026-11-20 09:00", debtor_id=case.debtor_id)
    a_visit(visitor, "2026-11-20 10:00", debtor_id=other.debtor_id)
    a_ledger_entry(case, channel="visit", at=china("2026-11-20 09:00"))
    a_payment(other, 77_777, on=date(2026, 11, 20))
    a_complaint(visitor, "2026-11-21 09:00")

    found = ask(office, CLIENT, client=bank_of(case), **NOVEMBER).get_json()
    files = [
        ask(office, f"{CLIENT}/file", client=bank_of(case), format=format, **NOVEMBER).get_data()
        for format in ("html", "csv")
    ]

    assert [line["case_reference"] for line in found["lines"]] == [case.reference]
    assert (found["lines"][0]["debtor_name"], found["lines"][0]["visits"]) == ("张**", 1)
    assert sum(day["visits"] for day in found["days"]) == 1
    assert (found["complaints"], found["teams"]) == (0, [])
    assert not {"checks", "visitors"} & set(found)
    named = (case.reference, bank_of(case), db.session.get_one(Client, case.client_id).name)
    for text in [body.decode() for body in files]:
        assert case.reference in text
        for name in named:  # their running numbers may hold any digits
            text = text.replace(name, "…")
        for secret in ("张小明", "110101", "138123", "6222", "王小二", "E0777", other.reference, "777.77"):
            assert secret not in text, secret


def test_a_clients_lines_are_paged(office: Office) -> None:
    first = a_case()
    again = a_case(debtor=None)
    with_client: dict[str, Any] = {"client": bank_of(first), **NOVEMBER}
    a_ledger_entry(first, channel="call", at=NOW)
    a_ledger_entry(again, channel="call", at=NOW)

    page = ask(office, CLIENT, limit=1, **with_client).get_json()
    rest = ask(office, CLIENT, limit=1, after=page["next"], **with_client).get_json()

    assert [line["case_id"] for line in page["lines"]] == [str(first.id)]
    assert (rest["lines"], rest["next"]) == ([], None)


@pytest.mark.parametrize(
    "days", [("2026-11-02", "2026-11-01"), ("2025-01-01", "2026-11-01"), ("2026-13-01", "2026-11-01")]
)
def test_impossible_days_are_refused(office: Office, days: tuple[str, str]) -> None:
    bank = bank_of(a_case())

    for path in (CLIENT, f"{CLIENT}/file"):
        ask(office, path, client=bank, first=days[0], last=days[1], status=422)


def handed_in(office: Office, sha256: str, **body: Any) -> Any:
    return office.person(Role.SUPERVISOR).post("/api/v1/reports/hand-ins", json={"sha256": sha256} | body)


def test_a_hand_in_says_who_when_and_which_bytes(office: Office) -> None:
    file = ask(office, f"{FRIDAY}/file", format="pdf")
    digest = file.headers["X-Report-SHA256"]
    at(office, "2026-11-27 15:00")

    first, again = handed_in(office, digest), handed_in(office, digest)
    listed = ask(office, "/api/v1/reports/hand-ins", by=Role.AUDITOR, kind="friday").get_json()["hand_ins"]

    assert (first.status_code, again.status_code) == (201, 201)
    [one] = listed
    assert one == first.get_json() == again.get_json()
    assert one["handed_in_by"] == str(office.person(Role.SUPERVISOR).staff.id)
    assert (one["recipient"], one["is_late"]) == ("行政后勤处", False)
    assert one["due_at"] == "2026-11-27T13:00:00+00:00"
    assert (one["file"]["sha256"], one["file"]["first"]) == (digest, "2026-11-23")


def test_after_the_window_of_friday_a_hand_in_is_late(office: Office) -> None:
    digest = ask(office, f"{FRIDAY}/file").headers["X-Report-SHA256"]

    at(office, "2026-11-27 21:00")
    in_time = handed_in(office, digest).get_json()["is_late"]
    at(office, "2026-11-27 21:01")
    late = handed_in(office, digest, recipient="总部").get_json()["is_late"]

    assert (in_time, late) == (False, True)


@pytest.mark.parametrize(("sha256", "status"), [("0" * 64, 404), ("0" * 63, 422), ("g" * 64, 422)])
def test_only_a_file_that_was_made_here_is_handed_in(office: Office, sha256: str, status: int) -> None:
    answer = handed_in(office, sha256)

    assert answer.status_code == status


def test_a_file_can_be_taken_again_and_every_taking_is_on_record(office: Office) -> None:
    one, two = (ask(office, f"{FRIDAY}/file", format="csv") for _ in range(2))

    assert one.headers["X-Report-SHA256"] == two.headers["X-Report-SHA256"]
    assert db.session.scalar(sa.select(sa.func.count()).select_from(AccessEntry)) == 2
    assert handed_in(office, one.headers["X-Report-SHA256"]).status_code == 201


def equal_files(office: Office, *moments: str) -> list[Any]:
    """The Friday reports of quiet weeks: the same bytes, taken at these moments."""
    files: list[Any] = []
    for moment in moments:
        at(office, moment)
        files.append(ask(office, f"{FRIDAY}/file", format="csv"))
    assert len({file.headers["X-Report-SHA256"] for file in files}) == 1
    return files


TWO_FRIDAYS = ("2026-11-20 15:00", "2026-11-27 15:00")


def test_equal_files_of_two_weeks_are_handed_in_each_for_its_own(office: Office) -> None:
    def taken_and_handed_in(moment: str) -> Any:
        [file] = equal_files(office, moment)
        return handed_in(office, file.headers["X-Report-SHA256"]).get_json()

    first, second = (taken_and_handed_in(moment) for moment in TWO_FRIDAYS)

    assert (first["file"]["first"], second["file"]["first"]) == ("2026-11-16", "2026-11-23")
    assert (first["is_late"], second["is_late"]) == (False, False)
    assert first["id"] != second["id"]


def test_of_equal_files_one_may_be_named_and_the_last_one_taken_is_meant(office: Office) -> None:
    earlier, later = equal_files(office, *TWO_FRIDAYS)
    digest = earlier.headers["X-Report-SHA256"]

    unnamed, again = handed_in(office, digest).get_json(), handed_in(office, digest).get_json()
    named = handed_in(office, digest, file_id=earlier.headers["X-Report-Id"]).get_json()

    assert unnamed == again
    assert (unnamed["file"]["first"], unnamed["file"]["id"]) == ("2026-11-23", later.headers["X-Report-Id"])
    assert (named["file"]["first"], named["is_late"]) == ("2026-11-16", True)


def test_a_report_that_is_taken_again_is_still_handed_in_once(office: Office) -> None:
    first, _, again = equal_files(office, *TWO_FRIDAYS, "2026-11-20 16:00")
    digest = first.headers["X-Report-SHA256"]

    answers = [
        handed_in(office, digest, **named).get_json()
        for named in (
            {},
            {"file_id": again.headers["X-Report-Id"]},
            {"file_id": first.headers["X-Report-Id"]},
        )
    ]

    assert [one["file"]["first"] for one in answers] == ["2026-11-16"] * 3
    assert len({one["id"] for one in answers}) == 1


def test_the_reports_of_two_banks_may_be_equal_too(office: Office) -> None:
    banks = [bank_of(a_case()) for _ in range(2)]
    files = [ask(office, f"{FRIDAY}/file", format="csv", client=bank) for bank in banks]

    handed = [
        handed_in(office, file.headers["X-Report-SHA256"], file_id=file.headers["X-Report-Id"]).get_json()
        for file in files
    ]

    assert len({one["file"]["client_id"] for one in handed}) == 2


def test_a_digest_tells_of_every_report_that_was_these_bytes(office: Office) -> None:
    files = equal_files(office, *TWO_FRIDAYS, "2026-11-27 16:00")

    known = ask(office, f"/api/v1/reports/files/{files[0].headers['X-Report-SHA256']}").get_json()

    assert (known["first"], known["id"]) == ("2026-11-23", files[1].headers["X-Report-Id"])
    assert [(one["first"], one["id"]) for one in known["others"]] == [
        ("2026-11-16", files[0].headers["X-Report-Id"])
    ]


def test_a_file_of_other_bytes_is_not_named_by_a_digest(office: Office) -> None:
    page, table = (ask(office, f"{FRIDAY}/file", format=format) for format in ("html", "csv"))
    digest = table.headers["X-Report-SHA256"]

    for file_id in (page.headers["X-Report-Id"], str(uuid7())):
        assert handed_in(office, digest, file_id=file_id).status_code == 404


def test_hand_ins_are_paged_newest_first(office: Office) -> None:
    digest = ask(office, f"{FRIDAY}/file").headers["X-Report-SHA256"]
    for name in ("a", "b", "c"):
        handed_in(office, digest, recipient=name)

    first = ask(office, "/api/v1/reports/hand-ins", limit=2).get_json()
    rest = ask(office, "/api/v1/reports/hand-ins", limit=2, after=UUID(first["next"])).get_json()

    assert [one["recipient"] for one in (*first["hand_ins"], *rest["hand_ins"])] == ["c", "b", "a"]


def test_an_empty_week_has_files_too(office: Office) -> None:
    quiet = (NOW.date() - timedelta(days=700)).isoformat()

    for format in ("pdf", "xlsx", "html", "csv"):
        assert ask(office, f"{FRIDAY}/file", format=format, week=quiet).get_data()


def test_a_visit_that_a_phone_reported_is_in_the_clients_lines(office: Office) -> None:
    visitor, case, unvisited = a_visitor(), a_case(), a_case()
    assignment = an_assignment(case, an_address(case), visitor)
    for when in ("2026-11-20 09:00", "2026-11-20 15:00", "2026-12-01 00:00"):
        a_visit(visitor, when, debtor_id=case.debtor_id, assignment_id=assignment.id)
    a_ledger_entry(case, channel="visit", at=china("2026-11-21 09:00"))
    a_payment(case, 500, on=date(2026, 11, 20))

    found = ask(office, CLIENT, client=bank_of(case), **NOVEMBER).get_json()
    written = lines_of(
        ask(office, f"{CLIENT}/file", client=bank_of(case), format="csv", lang="en", **NOVEMBER)
    )

    assert [(line["case_reference"], line["visits"]) for line in found["lines"]] == [(case.reference, 3)]
    assert [(line["Case"], line["Visits"]) for line in written] == [(case.reference, "3")]
    assert unvisited.reference not in {line["case_reference"] for line in found["lines"]}


def test_a_case_that_was_only_visited_by_a_phone_is_one_of_the_worked_ones(office: Office) -> None:
    visitor, case = a_visitor(), a_case()
    assignment = an_assignment(case, an_address(case), visitor)
    a_visit(visitor, "2026-11-20 09:00", debtor_id=case.debtor_id, assignment_id=assignment.id)

    found = ask(office, CLIENT, client=bank_of(case), **NOVEMBER).get_json()

    assert [(line["case_reference"], line["visits"]) for line in found["lines"]] == [(case.reference, 1)]

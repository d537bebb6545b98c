"""A client's file becomes cases: what is good is kept, what is bad is told, and nothing is doubled."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from server.authority import Role
from server.database import db
from server.models.cases import Address, Case, Contact, Debtor, ImportRun, LedgerEntry
from server.models.feed import FeedRow
from tests.api.files import CSV, counts, lines, news, send, whole_file
from tests.builders import Cast, Person, a_visitor, an_assignment, now


@pytest.fixture
def dispatcher(cast: Cast) -> Person:
    return cast.person(Role.DISPATCHER)


def the(model: type[Any], reference: str) -> Any:
    """Return the one row of this reference as it is stored now."""
    query = sa.select(model).where(model.reference == reference)
    return db.session.scalars(query.execution_options(populate_existing=True)).one()


def test_one_file_brings_client_debtor_case_contact_address_and_ledger(dispatcher: Person) -> None:
    answer = send(dispatcher, whole_file())

    assert counts(answer) == (6, 0, 0, 0)
    assert the(Debtor, "D1").name == "王建国"
    assert the(Case, "C1").outstanding_fen == 1_234_560
    assert the(Contact, "K1").liable is False
    assert the(Address, "A1").status == "verified"
    assert the(LedgerEntry, "L1").debtor_id == the(Debtor, "D1").id


def test_sending_the_same_file_again_changes_nothing(dispatcher: Person) -> None:
    send(dispatcher, whole_file())
    before = db.session.scalar(sa.text("SELECT name FROM debtors"))

    again = send(dispatcher, whole_file())

    assert counts(again) == (0, 0, 6, 0)
    assert db.session.scalar(sa.text("SELECT name FROM debtors")) == before


def test_a_changed_row_is_updated_and_keeps_its_id(dispatcher: Person) -> None:
    send(dispatcher, whole_file())
    known = the(Case, "C1").id

    answer = send(dispatcher, lines(news("cases", outstanding="99.00"), news("debtors", name="王建军")))

    assert counts(answer) == (0, 2, 0, 0)
    assert the(Case, "C1").id == known
    assert the(Case, "C1").outstanding_fen == 9_900
    assert the(Debtor, "D1").name == "王建军"


def test_what_a_file_leaves_out_or_empty_stays_as_it_was(dispatcher: Person) -> None:
    send(dispatcher, whole_file())

    csv = "client_reference,reference,name,phone\nBANK,D1,王建国,\n".encode()
    answer = send(dispatcher, csv, kind="debtors", mime=CSV)

    assert counts(answer) == (0, 0, 1, 0)
    assert the(Debtor, "D1").phone == "13812345678"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_chinese_spreadsheets_are_read_as_excel_writes_them(dispatcher: Person, encoding: str) -> None:
    send(dispatcher, lines(news("clients")))
    csv = '银行代码,客户号,姓名,身份证号,手机号\r\nBANK,="007",王建国,11010119900307001X,13812345678\r\n'

    answer = send(dispatcher, csv.encode(encoding), kind="debtors", mime=f"{CSV}; charset=whatever")

    assert counts(answer) == (1, 0, 0, 0)
    assert the(Debtor, "007").name == "王建国"


def test_bad_rows_are_told_by_line_column_and_reason_and_good_ones_kept(dispatcher: Person) -> None:
    send(dispatcher, lines(news("clients"), news("debtors")))
    csv = (
        "client_reference,reference,debtor_reference,outstanding,balance_as_of\n"
        "BANK,C1,D1,100,2026-01-05\n"
        "BANK,C2,D1,much,2026-02-30\n"
        "BANK,C3,NOBODY,100,2026-01-05\n"
        "OTHER,C4,D1,100,2026-01-05\n"
        "BANK,C5,D1,100,2026-01-05\n"
    )

    answer = send(dispatcher, csv.encode(), kind="cases", mime=CSV)

    assert counts(answer) == (2, 0, 0, 3)
    errors = answer.get_json()["errors"]
    assert [(error["line"], error["column"]) for error in errors] == [
        (3, "outstanding"),
        (3, "balance_as_of"),
        (4, "debtor_reference"),
        (5, "client_reference"),
    ]
    assert "'NOBODY'" in errors[2]["reason"] and "Import it" in errors[2]["reason"]
    assert answer.get_json()["error_count"] == 4
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Case)) == 2


def test_only_the_first_thousand_faults_are_listed_and_all_are_counted(dispatcher: Person) -> None:
    answer = send(dispatcher, b"{}\n" * 1_500)

    assert counts(answer) == (0, 0, 0, 1_500)
    assert len(answer.get_json()["errors"]) == 1_000
    assert answer.get_json()["error_count"] == 1_500


def test_the_last_of_two_rows_with_one_reference_counts(dispatcher: Person) -> None:
    send(dispatcher, whole_file())

    answer = send(dispatcher, lines(news("cases", outstanding="1"), news("cases", outstanding="2")))

    assert counts(answer) == (0, 2, 0, 0)
    assert the(Case, "C1").outstanding_fen == 200


def test_two_clients_may_use_the_same_references(dispatcher: Person) -> None:
    send(dispatcher, whole_file())
    other = [
        news("clients", reference="OTHER"),
        news("debtors", client_reference="OTHER", name="Someone Else"),
        news("cases", client_reference="OTHER"),
    ]

    assert counts(send(dispatcher, lines(*other))) == (3, 0, 0, 0)
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Debtor)) == 2


def test_a_case_never_moves_to_another_debtor(dispatcher: Person) -> None:
    send(dispatcher, whole_file())

    answer = send(dispatcher, lines(news("debtors", reference="D2"), news("cases", debtor_reference="D2")))

    assert counts(answer) == (1, 0, 0, 1)
    assert answer.get_json()["errors"][0]["column"] == "debtor_reference"
    assert the(Case, "C1").debtor_id == the(Debtor, "D1").id


def test_an_address_belongs_to_a_contact_of_its_own_case(dispatcher: Person) -> None:
    send(dispatcher, whole_file())
    rows = [
        news("cases", reference="C2"),
        news("addresses", reference="A2", contact_reference="K1"),
        news("addresses", reference="A3", case_reference="C2", contact_reference="K1"),
        news("addresses", reference="A4", contact_reference="K9"),
    ]

    answer = send(dispatcher, lines(*rows))

    assert counts(answer) == (2, 0, 0, 2)
    assert [error["column"] for error in answer.get_json()["errors"]] == ["contact_reference"] * 2
    assert the(Address, "A2").contact_id == the(Contact, "K1").id


def test_identities_are_ciphertext_in_the_table_and_no_two_alike(dispatcher: Person) -> None:
    send(dispatcher, lines(news("clients"), news("debtors"), news("debtors", reference="D2")))

    rows = db.session.execute(sa.text("SELECT name, id_number, phone FROM debtors")).all()

    assert all("王建国".encode() not in bytes(cell) for row in rows for cell in row)
    assert all(b"13812345678" not in bytes(cell) for row in rows for cell in row)
    assert bytes(rows[0].name) != bytes(rows[1].name)


def test_a_verified_address_whose_text_changes_must_be_verified_again(dispatcher: Person) -> None:
    send(dispatcher, whole_file())
    moved = news("addresses", text="北京市海淀区中关村大街1号", status=None, source=None)
    del moved["latitude"], moved["longitude"], moved["status"], moved["source"]

    send(dispatcher, lines(moved))

    address = the(Address, "A1")
    assert (address.status, address.verified_at, address.latitude) == ("unverified", None, None)


def test_a_row_that_moves_an_address_may_verify_it_itself(dispatcher: Person) -> None:
    send(dispatcher, whole_file())

    send(dispatcher, lines(news("addresses", text="北京市海淀区中关村大街1号", source="phone call")))

    assert (the(Address, "A1").status, the(Address, "A1").source) == ("verified", "phone call")


def test_the_offices_own_judgement_of_an_address_outlives_an_older_file(dispatcher: Person) -> None:
    send(dispatcher, whole_file())
    address = the(Address, "A1")
    judged = dispatcher.post(
        f"/api/v1/addresses/{address.id}/verification", json={"status": "invalid", "source": "neighbour"}
    )
    assert judged.status_code == 200
    yesterday = (now() - timedelta(days=1)).date().isoformat()

    answer = send(dispatcher, lines(news("addresses", verified_on=yesterday)))

    assert counts(answer) == (0, 0, 1, 0)
    assert the(Address, "A1").status == "invalid"


def test_a_file_adds_hardship_and_stop_requests_and_never_takes_them_away(dispatcher: Person) -> None:
    send(dispatcher, whole_file())
    send(dispatcher, lines(news("debtors", hardship="怀孕"), news("contacts", stop_contact="是")))

    answer = send(dispatcher, lines(news("debtors", hardship="重病"), news("contacts", stop_contact="否")))

    assert counts(answer) == (0, 1, 1, 0)
    assert the(Debtor, "D1").hardship == ["pregnancy", "serious_illness"]
    assert the(Contact, "K1").stop_contact is True


def test_new_flags_and_notes_ask_for_a_new_review_and_acknowledgement(dispatcher: Person, cast: Cast) -> None:
    send(dispatcher, whole_file())
    send(dispatcher, lines(news("cases", special_flags="vip", special_note="call first")))
    case = the(Case, "C1").id
    cast.person(Role.SUPERVISOR).post(f"/api/v1/cases/{case}/review")
    dispatcher.post(f"/api/v1/cases/{case}/acknowledge-note")
    assert the(Case, "C1").reviewed_at and the(Case, "C1").note_acknowledged_at

    send(dispatcher, lines(news("cases", special_flags="vip;lawyer", special_note="write first")))

    assert (the(Case, "C1").reviewed_at, the(Case, "C1").note_acknowledged_at) == (None, None)


def test_phones_fetch_an_assignment_again_when_its_address_changed(dispatcher: Person) -> None:
    send(dispatcher, whole_file())
    visitor = a_visitor()
    assignment = an_assignment(the(Case, "C1"), the(Address, "A1"), visitor)
    told = sa.select(FeedRow.rev).where(FeedRow.entity_id == assignment.id)
    assert db.session.scalar(told) == 1

    send(dispatcher, lines(news("addresses", text="北京市海淀区中关村大街1号")))
    send(dispatcher, lines(news("addresses", text="北京市海淀区中关村大街1号")))

    assert db.session.scalar(told) == 2


def test_two_imports_of_one_file_at_once_double_nothing(app: Flask, dispatcher: Person) -> None:
    def import_it(_: int) -> tuple[int, int, int, int]:
        person = Person(staff=dispatcher.staff, token=dispatcher.token, browser=app.test_client())
        return counts(send(person, whole_file()))

    with ThreadPoolExecutor(4) as pool:
        outcomes = sorted(pool.map(import_it, range(4)))

    assert outcomes == [(0, 0, 6, 0)] * 3 + [(6, 0, 0, 0)]


def test_the_run_is_kept_and_can_be_read_again(dispatcher: Person) -> None:
    first = send(dispatcher, whole_file()).get_json()
    second = send(dispatcher, whole_file()).get_json()

    assert dispatcher.get(f"/api/v1/imports/{first['id']}").get_json() == first
    page = dispatcher.get("/api/v1/imports?limit=1").get_json()
    assert [run["id"] for run in page["imports"]] == [second["id"]]
    later = dispatcher.get(f"/api/v1/imports?limit=1&after={page['next']}").get_json()
    assert [run["id"] for run in later["imports"]] == [first["id"]]
    assert db.session.scalars(sa.select(ImportRun.by)).all() == [dispatcher.staff.id] * 2


@pytest.mark.parametrize(
    ("query", "mime", "content", "status", "slug"),
    [
        ({"kind": "planets"}, CSV, b"a,b\n", 422, "invalid-input"),
        ({}, CSV, b"reference,name\nB,Bank\n", 422, "import-unreadable"),
        ({"kind": "clients"}, CSV, b"", 422, "import-unreadable"),
        ({"kind": "clients"}, CSV, b"reference\nB\n", 422, "import-unreadable"),
        ({"kind": "clients"}, "application/json", b"{}", 415, "unsupported-media-type"),
        ({"kind": "clients"}, CSV, "reference,name\n".encode("utf-16"), 422, "import-unreadable"),
    ],
)
def test_a_file_that_cannot_be_taken_at_all_is_refused_with_the_reason(
    dispatcher: Person, query: dict[str, str], mime: str, content: bytes, status: int, slug: str
) -> None:
    answer = dispatcher.post(
        "/api/v1/imports", data=content, query_string=query, headers={"Content-Type": mime}
    )

    assert answer.status_code == status
    assert answer.get_json()["type"].endswith(slug)
    assert answer.get_json()["detail"]


def test_a_file_over_the_limit_is_refused_before_it_is_read(dispatcher: Person) -> None:
    limit = dispatcher.browser.application.extensions["config"].import_limit_bytes

    answer = dispatcher.post(
        "/api/v1/imports?kind=cases",
        headers={"Content-Type": CSV},
        environ_overrides={"CONTENT_LENGTH": str(limit + 1)},
    )

    assert answer.status_code == 413


def test_only_dispatchers_and_administrators_import(cast: Cast, stranger: FlaskClient) -> None:
    for role in (Role.VISITOR, Role.AUDITOR, Role.SUPERVISOR):
        assert send(cast.person(role), whole_file()).status_code == 403
    assert stranger.post("/api/v1/imports", data=whole_file()).status_code == 401
    assert stranger.get("/api/v1/imports").status_code == 401
    assert cast.person(Role.VISITOR).get("/api/v1/imports").status_code == 403
    assert db.session.scalar(sa.select(sa.func.count()).select_from(ImportRun)) == 0
    assert counts(send(cast.person(Role.ADMIN), whole_file()))[0] == 6


def test_dates_of_the_china_day_are_not_in_the_future(dispatcher: Person) -> None:
    far = (now() + timedelta(days=3)).date().isoformat()
    send(dispatcher, whole_file())

    answer = send(dispatcher, lines(news("cases", balance_as_of=far)))

    assert counts(answer) == (0, 0, 0, 1)
    assert the(Case, "C1").balance_as_of == date(2026, 1, 5)


def test_a_file_may_be_larger_than_any_other_request(dispatcher: Person) -> None:
    padding = ("#" * 60_000 + "\n") * 200
    assert len(padding) > dispatcher.browser.application.extensions["config"].json_limit_bytes

    answer = send(dispatcher, lines(news("clients")) + b"\n" + padding.encode())

    assert counts(answer) == (1, 0, 0, 200)


def test_the_format_says_what_a_file_may_hold(dispatcher: Person) -> None:
    kinds = dispatcher.get("/api/v1/imports/format").get_json()["kinds"]

    assert list(kinds) == [
        *("clients", "status_codes", "debtors", "cases", "contacts", "addresses", "ledger"),
        *("promises", "payments"),
    ]
    names = {column["name"]: column for column in kinds["debtors"]}
    assert names["name"]["required"] and "姓名" in names["name"]["headings"]


def test_an_unlikely_year_is_a_fault_of_its_row(dispatcher: Person) -> None:
    send(dispatcher, whole_file())

    answer = send(dispatcher, lines(news("ledger", reference="L2", at="1899-01-05 10:00")))

    assert counts(answer) == (0, 0, 0, 1)

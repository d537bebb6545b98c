"""A month's assessment as a file: proposals, sums and limits, and that they are only proposals."""

import csv
import io
from typing import Any

import pytest
from fpdf import FPDF

from server.authority import Role
from server.reports.document import FONT, MARGIN, PADDING
from server.reports.month import LINE
from server.reports.words import words
from tests.builders import a_visitor
from tests.office import Office
from tests.reports.stage import a_complaint, a_finding, a_visit, at, auditor

FILE = "/api/v1/reports/assessment/file"


def ask(office: Office, *, by: Role = Role.SUPERVISOR, status: int = 200, **query: Any) -> Any:
    answer = office.person(by).get(FILE, query_string={"month": "2026-10"} | query)
    assert answer.status_code == status, answer.text
    return answer


def lines_of(answer: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.get_data().decode("utf-8-sig"))))


def a_month(office: Office) -> None:
    """One record in the East that its recording contradicts, one serious complaint in the West."""
    a_finding(a_visit(a_visitor(branch="East")), auditor(office), rule="C14", severity="severe")
    a_complaint(a_visitor(branch="West"))


def test_every_proposal_is_a_line_with_its_rule_its_amounts_and_what_it_rests_on(office: Office) -> None:
    a_month(office)

    told = lines_of(ask(office, format="csv", lang="en"))

    wanted = ("Branch", "Rule", "Least", "Most", "Warn", "Evidence")
    assert sorted(tuple(line[name] for name in wanted) for line in told) == [
        ("East", "E3", "200.00", "200.00", "Warn", "C14"),
        ("West", "E4", "500.00", "500.00", "", "E4"),
    ]


def test_a_branch_sees_its_own_and_a_closed_month_what_was_kept(office: Office) -> None:
    a_month(office)
    at(office, "2026-11-02 09:00")
    assert office.ask("/assessments/2026-10/close", {}, by=Role.SUPERVISOR).status_code == 201
    a_complaint(a_visitor(branch="West"), "2026-10-21 15:00")

    west = lines_of(ask(office, format="csv", lang="en", branch="West"))
    page = ask(office, format="html", lang="en").get_data(as_text=True)

    assert [line["Branch"] for line in west] == ["West"]
    assert "Closed, revision 1, digest " in page
    assert "More became known since" in page
    assert "nothing is deducted from anybody" in page


@pytest.mark.parametrize(
    ("format", "begins"),
    [("pdf", b"%PDF-"), ("xlsx", b"PK"), ("html", b"<!doctype"), ("csv", b"\xef\xbb\xbf")],
)
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_file_can_be_found_again_by_its_digest(
    office: Office, format: str, begins: bytes, lang: str
) -> None:
    a_month(office)

    answer = ask(office, format=format, lang=lang)

    assert answer.get_data().startswith(begins)
    known = office.person(Role.AUDITOR).get(f"/api/v1/reports/files/{answer.headers['X-Report-SHA256']}")
    assert known.status_code == 200
    assert (known.get_json()["kind"], known.get_json()["first"]) == ("assessment", "2026-10-01")
    assert known.get_json()["rows"] == 2


def test_a_month_with_nothing_in_it_is_a_file_that_says_so(office: Office) -> None:
    page = ask(office, format="html", lang="en", month="2026-09").get_data(as_text=True)

    assert "Nothing in these days." in page
    assert "Not closed yet" in page


@pytest.mark.parametrize("month", ["2026", "2026-13", "0000-01", "2026-1", "2026-10-01"])
def test_what_is_no_month_is_named(office: Office, month: str) -> None:
    answer = ask(office, month=month, status=422)

    assert answer.get_json()["errors"][0]["pointer"] == "/month"


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_heads_of_the_long_table_fit_their_columns(lang: str) -> None:
    page = FPDF(unit="pt", format="A4")
    page.add_font("sans", fname=FONT)
    page.set_font("sans", size=7.5)
    share = (page.w - 2 * MARGIN) / sum(width for _, _, width in LINE)

    for word, _, width in LINE:
        assert page.get_string_width(words(lang)[word]) <= share * width - 2 * PADDING, word


def test_a_dispatcher_gets_nobodys_month(office: Office) -> None:
    ask(office, by=Role.DISPATCHER, status=403)

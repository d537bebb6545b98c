"""Reports as bytes: pages, workbooks, PDFs, CSV; nothing in them is executed, Chinese shows everywhere."""

import csv
import io
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from zipfile import ZipFile

import pytest
from fontTools.ttLib import TTFont
from fpdf import FPDF

from server.reports.charts import MOST_BARS, Series, lying, standing
from server.reports.composing import Heading, compose
from server.reports.document import FONT, MARGIN, PADDING, shown, write_document
from server.reports.drawing import Bar, Drawing, Label, svg
from server.reports.figures import ByCheck, ByDay, ByTeam, ByVisitor, Figures
from server.reports.page import write_page
from server.reports.sheet import MOST_ROWS_TO_READ, Sheet
from server.reports.spreadsheet import write
from server.reports.words import LANGUAGES, words
from server.reports.workbook import write_workbook

DANGEROUS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "＝1",
    " =1",
    "<script>alert(1)</script>",
    "&amp;",
]
FIGURES = Figures(
    days=tuple(ByDay(date(2026, 11, 23 + day), day, day, day * 1_000, 0) for day in range(7)),
    checks=(ByCheck("same-picture", "C17", 2, 1, 0),),
    visitors=(ByVisitor("东区", "E007", "王五", 21, 2, 1, 0),),
    teams=(ByTeam("BANK1", "东区", 3, 123_456, 1, 50_000, 1, 0),),
)


def a_line(number: int = 0, **facts: Any) -> dict[str, Any]:
    defaults = {
        "case_reference": f"C{number}", "client": "BANK1", "debtor_name": "张**",
        "outstanding_fen": 1_234_567, "days_overdue": 45, "paid_fen": 100, "promised_fen": 0,
        "next_promised_on": "2026-12-08", "calls": 1,
        "letters": 0, "visits": 2, "inbound": 0,
    }  # fmt: skip
    return defaults | facts


def a_sheet(*lines: dict[str, Any], kind: Any = "friday", lang: str = "zh", client: str = "") -> Sheet:
    heading = Heading(
        kind=kind, lang=lang, first="2026-11-23", last="2026-11-29", client=client,
        made_at=datetime(2026, 11, 27, 8, 0, tzinfo=UTC), made="2026-11-27 16:00", due="2026-11-27 21:00",
    )  # fmt: skip
    return compose(heading, FIGURES, iter(lines))


def page_of(sheet: Sheet) -> str:
    target = io.BytesIO()
    write_page(sheet, target)
    return target.getvalue().decode()


def pdf_of(sheet: Sheet) -> bytes:
    target = io.BytesIO()
    write_document(sheet, target)
    return target.getvalue()


def cells_of(sheet: Sheet, folder: Path) -> tuple[list[str], str]:
    """Every text of a workbook, and its sheets' XML."""
    target = io.BytesIO()
    write_workbook(sheet, target, folder=folder)
    with ZipFile(target) as parts:
        xml = "".join(parts.read(name).decode() for name in parts.namelist() if "worksheets/" in name)
        return re.findall(r"<t[^>]*>([^<]*)</t>", xml), xml


@pytest.mark.parametrize("text", DANGEROUS)
def test_a_workbook_holds_text_as_text_whatever_it_begins_with(text: str, tmp_path: Path) -> None:
    _, xml = cells_of(a_sheet(a_line(case_reference=text)), tmp_path)

    root = ElementTree.fromstring(f"<all>{re.sub(r'<[?][^>]*[?]>', '', xml)}</all>")
    found = ["".join(one.itertext()) for one in root.iter() if one.tag.endswith("}is")]
    assert text.strip() in [one.replace("_x000D_", "").strip() for one in found]
    assert "<f>" not in xml
    assert "hyperlink" not in xml


@pytest.mark.parametrize("text", DANGEROUS[:8])
def test_a_csv_cell_that_begins_like_a_formula_is_only_shown(text: str) -> None:
    target = io.BytesIO()

    rows = write(a_sheet(a_line(case_reference=text)).lines, target)

    raw = target.getvalue()
    [_, cells] = list(csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline="")))
    assert raw.startswith(b"\xef\xbb\xbf")
    assert (rows, cells[0]) == (1, f"'{text}")
    assert cells[3] == "12345.67"


@pytest.mark.parametrize(("fen", "text"), [(-150, "-1.50"), (-1, "-0.01"), (0, "0.00"), (5, "0.05")])
def test_an_overpaid_balance_is_written_as_it_is(fen: int, text: str) -> None:
    target = io.BytesIO()

    write(a_sheet(a_line(outstanding_fen=fen)).lines, target)

    assert target.getvalue().decode("utf-8-sig").splitlines()[1].split(",")[3] == text


def test_a_page_escapes_everything_and_loads_nothing_from_anywhere() -> None:
    page = page_of(a_sheet(a_line(case_reference="<script>alert(1)</script>"), client='"><img src=x>'))

    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"<[^>]*\b(src|href)=|url\(|@import", page)


def test_a_workbook_has_money_as_numbers_and_days_as_dates(tmp_path: Path) -> None:
    texts, xml = cells_of(a_sheet(a_line()), tmp_path)

    assert "<v>12345.67</v>" in xml
    assert "<v>46364</v>" in xml
    assert "2026-12-08" not in texts


def test_the_font_is_embedded_and_only_what_is_used_of_it() -> None:
    pdf = pdf_of(a_sheet(a_line()))

    assert b"+NotoSansSC" in pdf
    assert b"/FontFile3" in pdf
    assert pdf.count(b"/Type /Font\n") + pdf.count(b"/Type /Font ") >= 1
    assert len(pdf) < 200_000


def test_the_font_has_every_word_that_reports_say_and_its_licence_lies_beside_it() -> None:
    with TTFont(FONT) as font:
        known = set(font.getBestCmap() or ())

    said = "".join(text for lang in LANGUAGES for text in words(lang).values())
    assert {one for one in said if ord(one) not in known} == set()
    assert len(known) > 7_000
    assert "SIL OPEN FONT LICENSE" in FONT.with_name("OFL.txt").read_text("utf-8")


def test_a_character_that_the_font_lacks_is_marked_and_not_left_out() -> None:
    assert shown("张㛃\U0001f600\n三") == "张〓〓 三"


def test_the_same_report_gives_the_same_bytes(tmp_path: Path) -> None:
    def drawn() -> list[bytes]:
        target = io.BytesIO()
        write_workbook(a_sheet(a_line()), target, folder=tmp_path)
        return [target.getvalue(), pdf_of(a_sheet(a_line())), page_of(a_sheet(a_line())).encode()]

    assert drawn() == drawn()


@pytest.mark.parametrize("write_it", [write_page, write_document])
def test_where_people_read_a_long_table_is_cut_and_says_by_how_much(write_it: Any) -> None:
    drawn: list[int] = []

    def lines() -> Iterator[dict[str, Any]]:
        for number in range(MOST_ROWS_TO_READ + 7):
            drawn.append(number)
            yield a_line(number)

    target = io.BytesIO()
    heading = Heading(
        "client", "en", "2026-11-01", "2026-11-30", "Bank", datetime(2026, 12, 1, tzinfo=UTC), "x"
    )
    count = write_it(compose(heading, FIGURES, lines()), target)

    assert count == MOST_ROWS_TO_READ + 7 == len(drawn)
    if write_it is write_page:
        page = target.getvalue().decode()
        assert "7 more lines" in page
        assert f">C{MOST_ROWS_TO_READ - 1}<" in page
        assert f">C{MOST_ROWS_TO_READ}<" not in page


def test_no_number_and_no_usual_reference_is_cut_on_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    cells: list[str] = []
    cell = FPDF.cell

    def read(self: FPDF, w: float, h: float, text: str = "", *more: Any, **named: Any) -> Any:
        assert "{total}" in text or self.get_string_width(text) <= w + 0.01, text
        cells.append(text)
        return cell(self, w, h, text, *more, **named)

    monkeypatch.setattr(FPDF, "cell", read)
    bank = "中国某某银行股份有限公司上海市分行信用卡中心个人金融业务部" * 4
    rich = {"outstanding_fen": 123_456_789_00, "paid_fen": 1_000_000_00, "promised_fen": -12_345_678_90}
    pdf_of(a_sheet(a_line(case_reference="CC-2026-000123456", **rich), kind="client", client=bank))

    assert {"CC-2026-000123456", "123,456,789.00", "1,000,000.00", "-12,345,678.90"} <= set(cells)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_no_head_of_a_column_is_too_long_for_its_place(lang: str) -> None:
    sheet = a_sheet(a_line(), lang=lang)
    page = FPDF(unit="pt", format="A4")
    page.add_font("sans", fname=FONT)
    page.set_font("sans", size=7.5)

    for table in (*sheet.tables, sheet.lines):
        share = (page.w - 2 * MARGIN) / sum(column.width for column in table.columns)
        for column in table.columns:
            assert page.get_string_width(column.title) <= share * column.width - 2 * PADDING, column.title


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_clients_report_names_no_staff_and_no_finding(lang: str, tmp_path: Path) -> None:
    inside = page_of(a_sheet(a_line(), lang=lang))
    outside = page_of(a_sheet(a_line(), lang=lang, kind="client"))
    texts, _ = cells_of(a_sheet(a_line(), lang=lang, kind="client"), tmp_path)

    for secret in ("E007", words(lang)["findings_by_check"]):
        assert secret in inside
        assert secret not in outside
        assert secret not in texts


def test_both_languages_say_the_same_things() -> None:
    assert set(words("zh")) == set(words("en"))
    for key, text in words("zh").items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", words("en")[key])), key


# --- charts ------------------------------------------------------------------------------------------------


def bars(drawing: Drawing) -> list[Bar]:
    """The bars without those of the legend."""
    return [one for one in drawing.shapes if isinstance(one, Bar) and one.y > 10]


def labels(drawing: Drawing) -> list[str]:
    return [one.text for one in drawing.shapes if isinstance(one, Label)]


def test_lying_bars_are_as_long_as_their_numbers_and_the_longest_comes_first() -> None:
    series = [Series("a", (1, 4, 0)), Series("b", (1, 0, 0))]

    drawing = lying("t", ["two", "four", "none"], series, rest="rest", nothing="nothing")

    four, one, other = bars(drawing)
    assert four.width == pytest.approx(4 * one.width)
    assert one.width == pytest.approx(other.width)
    assert other.x == pytest.approx(one.x + one.width)
    assert "none" not in labels(drawing)
    assert labels(drawing).index("four") < labels(drawing).index("two")


def test_many_bars_end_in_one_for_the_rest_and_no_number_is_lost() -> None:
    names = [f"n{number}" for number in range(30)]

    drawing = lying("t", names, [Series("a", tuple(range(1, 31)))], rest="rest", nothing="nothing")

    assert len(bars(drawing)) == MOST_BARS
    assert str(sum(range(1, 20))) in labels(drawing)
    assert "rest" in labels(drawing)


def test_standing_columns_are_as_high_as_their_numbers_and_stand_on_the_floor() -> None:
    drawing = standing("t", ["1", "2"], [Series("a", (10, 5))], write=str, nothing="nothing")

    high, low = bars(drawing)
    assert high.height == pytest.approx(2 * low.height)
    assert high.y + high.height == pytest.approx(low.y + low.height)


@pytest.mark.parametrize("days", [1, 7, 31, 366])
def test_columns_stay_on_the_sheet_however_many_days_there_are(days: int) -> None:
    values = tuple(range(1, days + 1))
    names = [str(number) for number in values]

    drawing = standing("t", names, [Series("a", values), Series("b", values)], write=str, nothing="nothing")

    for bar in bars(drawing):
        assert bar.width > 0
        assert 0 <= bar.x <= bar.x + bar.width <= drawing.width
        assert 0 <= bar.y <= bar.y + bar.height <= drawing.height


def test_a_chart_of_nothing_says_so() -> None:
    empty = standing("t", ["1"], [Series("a", (0,))], write=str, nothing="nothing")

    assert labels(empty) == ["nothing"]
    assert labels(lying("t", [], [], rest="rest", nothing="nothing")) == ["nothing"]


def test_svg_is_well_formed_and_escapes_its_words() -> None:
    drawing = Drawing(10, 10, "<t>", (Label(0, 0, "<b>&", 8, "#000"), Bar(1, 1, 2, 2, "#000")))

    root = ElementTree.fromstring(svg(drawing))

    assert [child.tag.split("}")[1] for child in root] == ["title", "text", "rect"]
    assert root[1].text == "<b>&"

"""What import files say: encodings, delimiters, what Excel does, and every fault by line and column."""

import io
import json
import re
from datetime import UTC, date, datetime
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.intake import cells
from server.intake.encoding import detect
from server.intake.faults import CellFault, FileFault
from server.intake.kinds import KINDS
from server.intake.reading import Form, Reading, Rejected, Row, read
from server.rules.catalogue import catalogue

TODAY = date(2026, 11, 23)
CASES = "client_reference,reference,debtor_reference,outstanding\n"


def begin(text: str | bytes, *, kind: str | None = "cases", form: Form = "csv") -> Reading:
    content = text if isinstance(text, bytes) else text.encode()
    return read(io.BytesIO(content), form=form, kind=kind, today=TODAY)


def rows_of(text: str | bytes, **options: Any) -> list[Row | Rejected]:
    return list(begin(text, **options).rows)


def faults_of(text: str | bytes, **options: Any) -> list[tuple[int, str | None]]:
    rejected = [row for row in rows_of(text, **options) if isinstance(row, Rejected)]
    return [(fault.line, fault.column) for row in rejected for fault in row.faults]


def first_row(text: str | bytes, **options: Any) -> dict[str, Any]:
    row = rows_of(text, **options)[0]
    assert isinstance(row, Row), row
    return row.values


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk"])
def test_chinese_text_is_read_in_every_encoding_excel_writes(encoding: str) -> None:
    text = "委托机构编号,客户号,姓名\n城市银行,D1,王建国\n"

    values = first_row(text.encode(encoding), kind="debtors")

    assert values == {"client_reference": "城市银行", "reference": "D1", "name": "王建国"}


def test_the_encoding_is_found_behind_a_megabyte_of_plain_ascii() -> None:
    many = "".join(f"BANK,D{number},Smith\n" for number in range(80_000))
    text = "client_reference,reference,name\n" + many + "BANK,LAST,王建国\n"
    assert text[: 1024 * 1024].isascii()

    last = rows_of(text.encode("gb18030"), kind="debtors")[-1]

    assert isinstance(last, Row)
    assert last.values["name"] == "王建国"


def test_a_character_cut_by_the_probe_is_no_evidence_against_utf_8() -> None:
    for shift in range(3):
        text = "client_reference,reference,name\n" + " " * shift + "王" * 20_000
        text += "\n" + ("BANK,D1,王建国\n" * 60_000)
        assert begin(text, kind="debtors").encoding == "utf-8"


def test_bytes_that_are_no_text_cost_their_row_only() -> None:
    good, bad = "BANK,D1,王建国\n".encode(), b"BANK,D2,\xff\xfe\n"
    header = "client_reference,reference,name\n".encode("utf-8-sig")

    rows = rows_of(header + good + bad + good, kind="debtors")

    assert [type(row) for row in rows] == [Row, Rejected, Row]
    assert faults_of(header + good + bad, kind="debtors") == [(3, "name")]


def test_a_row_cut_inside_a_character_costs_that_row_only() -> None:
    text = "client_reference,reference,name\n" + "BANK,D1,王建国\nBANK,D2,欧阳修\n"
    whole = text.encode()

    for cut in (1, 2, 3):  # the line end, then into the last character
        rows = rows_of(whole[:-cut], kind="debtors")

        assert next(row.values["name"] for row in rows if isinstance(row, Row)) == "王建国"
        assert [type(row) for row in rows[1:]] == [Row if cut == 1 else Rejected]


def test_the_encoding_is_one_for_the_whole_file_wherever_its_damage_is() -> None:
    good = "BANK,D1,王建国\n".encode()
    plain = b"BANK,D2,Smith\n" * 80_000  # the first characters beyond it are damaged ones
    damaged = b"BANK,D3,\xe7\x8e\n"

    content = b"client_reference,reference,name\n" + plain + damaged + plain + good * 3

    assert begin(content, kind="debtors").encoding == "utf-8"
    assert faults_of(content, kind="debtors") == [(80_002, "name")]


HANZI: Final = "".join(
    re.findall("[\u4e00-\u9fff]+", "".join(rule.quotation for rule in catalogue().values()))
)
WORDS: Final = st.tuples(st.integers(0, len(HANZI) - 60), st.integers(5, 60)).map(
    lambda place: HANZI[place[0] : place[0] + place[1]]
)


@given(text=WORDS, place=st.integers(0), bits=st.integers(1, 255))
def test_one_damaged_byte_and_no_cut_makes_a_utf_8_file_another(text: str, place: int, bits: int) -> None:
    damaged = bytearray(text.encode())
    damaged[place % len(damaged)] ^= bits

    assert detect(io.BytesIO(damaged)) == "utf-8"
    assert [detect(io.BytesIO(text.encode()[:-cut])) for cut in (1, 2)] == ["utf-8", "utf-8"]


@given(text=WORDS, place=st.integers(0), bits=st.integers(1, 255))
def test_what_chinese_excel_writes_is_never_taken_for_utf_8(text: str, place: int, bits: int) -> None:
    damaged = bytearray(text.encode("gb18030"))
    damaged[place % len(damaged)] ^= bits

    assert detect(io.BytesIO(text.encode("gb18030"))) == "gb18030"
    assert detect(io.BytesIO(damaged)) == "gb18030"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_the_one_that_makes_headings_known(delimiter: str) -> None:
    text = (CASES + "BANK,C1,D1,12.5\n").replace(",", delimiter)

    assert first_row(text)["outstanding_fen"] == 1250


def test_excels_separator_line_is_obeyed() -> None:
    text = "sep=;\n" + (CASES + "BANK,C1,D1,12.5\n").replace(",", ";")

    assert first_row(text)["reference"] == "C1"


def test_a_quoted_cell_may_hold_delimiters_and_line_breaks() -> None:
    text = "client_reference,reference,debtor_reference,special_note\n"
    text += 'BANK,C1,D1,"call first,\nthen ""write"""\nBANK,C2,D2,\n'

    rows = rows_of(text)

    assert isinstance(rows[0], Row) and rows[0].values["special_note"] == 'call first,\nthen "write"'
    assert [row.line for row in rows] == [2, 4]


def test_a_quote_never_closed_costs_its_line_and_not_the_file() -> None:
    text = CASES + 'BANK,"C1,D1,1\n' + "".join(f"BANK,C{number},D1,1\n" for number in range(2, 100))

    rows = rows_of(text)

    assert faults_of(text) == [(2, None)]
    assert sum(isinstance(row, Row) for row in rows) == 98


def test_a_line_without_end_is_skipped_and_not_held() -> None:
    text = CASES + "BANK,C1,D1," + "9" * 200_000 + "\nBANK,C2,D2,1\n"

    rows = rows_of(text)

    assert faults_of(text) == [(2, None)]
    assert isinstance(rows[1], Row) and rows[1].line == 3


def test_every_fault_of_a_row_is_told_with_line_and_column_and_never_the_value() -> None:
    text = "client_reference,reference,debtor_reference,outstanding,balance_as_of,hand\n"
    text += "BANK,C1,D1,secret-1,2026-13-40,ninth\n,C2,D2,1,2026-01-05,first\n"

    rejected = [row for row in rows_of(text) if isinstance(row, Rejected)]

    assert faults_of(text) == [
        (2, "outstanding"),
        (2, "balance_as_of"),
        (2, "hand"),
        (3, "client_reference"),
    ]
    assert "secret-1" not in str(rejected) and "ninth" not in str(rejected)


def test_blank_lines_are_no_rows_and_count_as_lines() -> None:
    text = CASES + "\n,,,\nBANK,C1,D1,1\n\n"

    assert [row.line for row in rows_of(text)] == [4]


@pytest.mark.parametrize("row", ["BANK,C1,D1\n", "BANK,C1,D1,1,2\n"], ids=["short", "long"])
def test_a_shifted_row_is_refused_whole(row: str) -> None:
    assert faults_of(CASES + row) == [(2, None)]


@pytest.mark.parametrize(
    ("text", "kind", "named"),
    [
        ("", "cases", "empty"),
        ("reference,name\rBANK,Bank\r", "clients", "line breaks"),
        ("reference,outstanding\nC1,1\n", "cases", "client_reference, debtor_reference"),
        ("reference,reference,name\n", "clients", "twice: reference"),
        ("reference,name\n", None, "kind"),
        ("reference,name\n", "planets", "clients, status_codes, debtors"),
    ],
    ids=["empty", "old line ends", "columns missing", "column twice", "no kind", "unknown kind"],
)
def test_a_file_that_cannot_be_read_at_all_says_why(text: str, kind: str | None, named: str) -> None:
    with pytest.raises(FileFault, match=named):
        begin(text, kind=kind)


def test_utf_16_is_refused_with_the_way_out() -> None:
    with pytest.raises(FileFault, match="CSV UTF-8"):
        begin((CASES + "BANK,C1,D1,1\n").encode("utf-16"))


@pytest.mark.parametrize("begins", [b"PK\x03\x04\x14\x00", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"])
def test_a_workbook_sent_as_it_is_hears_that_it_is_one(begins: bytes) -> None:
    with pytest.raises(FileFault, match=r"is a workbook.*CSV UTF-8"):
        begin(begins + bytes(range(256)) * 8)


def test_headings_nobody_knows_are_reported() -> None:
    reading = begin("client_reference,reference,name,shoe size\nBANK,D1,Li,43\n", kind="debtors")

    assert len(list(reading.rows)) == 1
    assert reading.ignored == {"shoe size"}


def test_an_empty_cell_says_nothing_and_an_explicit_null_says_nothing_is_known() -> None:
    line = {"client_reference": "BANK", "reference": "D1", "name": "Li", "phone": None, "id_number": ""}

    values = first_row(json.dumps(line), kind="debtors", form="jsonl")

    assert values == {"client_reference": "BANK", "reference": "D1", "name": "Li", "phone": None}


def test_json_lines_may_mix_kinds() -> None:
    lines = [
        {"kind": "clients", "reference": "BANK", "name": "Bank"},
        {"kind": "debtors", "client_reference": "BANK", "reference": "D1", "name": "Li"},
    ]
    text = "\n".join(map(json.dumps, lines))

    assert [row.kind for row in rows_of(text, kind=None, form="jsonl") if isinstance(row, Row)] == [
        "clients",
        "debtors",
    ]


def test_numbers_in_json_keep_all_their_digits() -> None:
    text = '{"client_reference":"B","reference":"C1","debtor_reference":"D1",'
    text += '"account_number":6227000012345678901}'

    assert first_row(text, form="jsonl")["account_number"] == "6227000012345678901"


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("{", None),
        ("[1]", None),
        ('{"kind":"cases","kind":"cases"}', None),
        ('{"kind":"planets"}', "kind"),
        ("{}", "kind"),
        ('{"kind":"clients","name":{"a":1},"reference":"B"}', "name"),
        ('{"kind":"clients","name":NaN,"reference":"B"}', None),
        ('{"kind":"clients","name":"\\ud800","reference":"B"}', "name"),
        ('{"kind":"clients","name":"a\\u0000","reference":"B"}', "name"),
        ('{"kind":"debtors","client_reference":"B","reference":"1","name":"a","姓名":"b"}', "name"),
        ("[" * 30_000, None),
    ],
)
def test_a_broken_json_line_costs_itself_only(line: str, column: str | None) -> None:
    good = '{"kind":"clients","reference":"BANK","name":"Bank"}'

    rows = rows_of(f"{good}\n{line}\n{good}", kind=None, form="jsonl")

    assert [type(row) for row in rows] == [Row, Rejected, Row]
    assert faults_of(f"{good}\n{line}", kind=None, form="jsonl") == [(2, column)]


def test_a_verified_address_says_who_verified_it() -> None:
    text = "client_reference,reference,case_reference,text,status,latitude\nB,A1,C1,Street 1,verified,39.9\n"

    assert faults_of(text, kind="addresses") == [(2, "longitude"), (2, "source")]


@pytest.mark.parametrize(
    ("channel", "column", "on", "lines"),
    [
        ("letter", "received_on", "2026-11-19", [(2, "received_on")]),
        ("letter", "received_on", "2026-11-20", []),
        ("inbound", "visit_on", "2026-11-19", [(2, "visit_on")]),
        ("inbound", "visit_on", "2026-11-20", []),
    ],
)
def test_days_come_in_a_possible_order(
    channel: str, column: str, on: str, lines: list[tuple[int, str]]
) -> None:
    head = f"client_reference,reference,case_reference,channel,at,{column}"
    text = f"{head}\nB,L1,C1,{channel},2026-11-20 23:30,{on}\n"

    assert faults_of(text, kind="ledger") == lines


def test_what_happened_cannot_lie_in_the_future() -> None:
    text = "client_reference,reference,case_reference,channel,at\nB,L1,C1,call,2026-11-30 10:00\n"

    assert faults_of(text, kind="ledger") == [(2, "at")]


@pytest.mark.parametrize(
    ("read_cell", "text", "value"),
    [
        (cells.amount_fen, "1,234.50", 123450),
        (cells.amount_fen, "¥1234.5", 123450),
        (cells.amount_fen, "-0.01", -1),
        (cells.amount_fen, "12,345元", 1234500),
        (cells.day, "2026/1/5", date(2026, 1, 5)),
        (cells.day, "2026-01-05", date(2026, 1, 5)),
        (cells.day, "20260105", date(2026, 1, 5)),
        (cells.day, "2026年1月5日", date(2026, 1, 5)),
        (cells.day, "2026/1/5 0:00", date(2026, 1, 5)),
        (cells.instant, "2026/1/5 14:30", datetime(2026, 1, 5, 6, 30, tzinfo=UTC)),
        (cells.instant, "2026-01-05T14:30:05Z", datetime(2026, 1, 5, 14, 30, 5, tzinfo=UTC)),
        (cells.instant, "2026-01-05T14:30:05.25+09:00", datetime(2026, 1, 5, 5, 30, 5, tzinfo=UTC)),
        (cells.code_of(20), "001234", "001234"),
        (cells.code_of(20), "'001", "001"),
        (cells.phone_number, "13800138000.0", "13800138000"),
        (cells.phone_number, "+86 138 0013 8000", "+86 138 0013 8000"),
        (cells.phone_number, "010-62345678转12", "010-62345678转12"),
        (cells.identity_number, "11010119900307001x", "11010119900307001X"),
        (cells.yes_or_no, "是", True),
    ],
)
def test_cells_are_read_as_people_write_them(read_cell: cells.Reader, text: str, value: object) -> None:
    assert read_cell(text) == value


@pytest.mark.parametrize(
    ("read_cell", "text", "said"),
    [
        (cells.code_of(64), "6.22700E+18", "scientific"),
        (cells.identity_number, "110101199003070000", "rounded"),
        (cells.code_of(3), "abcd", "longer"),
        (cells.amount_fen, "1.234,50", "amount"),
        (cells.amount_fen, "12,34", "amount"),
        (cells.amount_fen, "1.005", "fen"),
        (cells.amount_fen, "9" * 300, "large"),
        (cells.day, "05/01/2026", "date"),
        (cells.day, "2026-02-30", "exist"),
        (cells.day, "0026-02-03", "1900"),
        (cells.instant, "2026-03-07", "time"),
        (cells.instant, "2026-01-05 25:00", "exist"),
        (cells.degrees(90), "91", "degrees"),
        (cells.degrees(90), "nan", "degrees"),
        (cells.yes_or_no, "perhaps", "true or false"),
        (cells.whole_number(0, 2), "²", "whole"),
    ],
)
def test_what_was_destroyed_or_unclear_is_refused_and_never_guessed(
    read_cell: cells.Reader, text: str, said: str
) -> None:
    with pytest.raises(CellFault, match=said) as refused:
        read_cell(text)
    assert text not in str(refused.value)


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [(' ="001" ', "001"), ("\u3000王建国\u00a0", "王建国"), ("\ufeffA1", "A1")],
)
def test_what_spreadsheets_wrap_around_a_value_is_undone(raw: str, cleaned: str) -> None:
    assert cells.clean(raw) == cleaned


@pytest.mark.parametrize("raw", ["#REF!", "#N/A", "########", "a\x00b", "\ud800", "\ufffd"])
def test_a_value_that_excel_lost_is_refused(raw: str) -> None:
    with pytest.raises(CellFault):
        cells.clean(raw)


def test_full_width_digits_are_digits() -> None:
    assert first_row(CASES + "BANK,C１２,D1,1\n")["reference"] == "C12"


HEADERS = st.text(max_size=30) | st.sampled_from(
    [CASES.strip(), "client_reference,reference,name", "委托机构编号;案件编号;客户号", ""]
)


@settings(max_examples=300, deadline=None)
@given(
    header=HEADERS,
    body=st.binary(max_size=400) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace")),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "gb18030"]),
    kind=st.sampled_from([*KINDS, None]),
    form=st.sampled_from(["csv", "jsonl"]),
)
def test_no_file_whatever_raises_anything_but_a_file_fault(
    header: str, body: bytes, encoding: str, kind: str | None, form: Form
) -> None:
    try:
        rows = rows_of((header + "\n").encode(encoding, "replace") + body, kind=kind, form=form)
    except FileFault:
        return
    assert all(row.line >= 1 for row in rows)


@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    members=st.dictionaries(
        st.sampled_from(["reference", "client_reference", "name", "text", "at", "outstanding", "latitude"]),
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=30) | st.lists(st.text(max_size=5), max_size=3)
        | st.from_regex(r"\A[0-9,.:T+/ Ee¥年月日-]{1,25}\Z"),
    ),
)  # fmt: skip
def test_no_cell_whatever_raises_anything_but_its_fault(kind: str, members: dict[str, Any]) -> None:
    rows = rows_of(json.dumps({"kind": kind, **members}), kind=None, form="jsonl")

    assert len(rows) == 1

"""What a template needs, and where its faults are."""

import re
from datetime import date
from itertools import cycle
from typing import Any

import pytest

from server.letters.lint import lint
from server.letters.placeholders import read_placeholders
from server.letters.rendering import digest, make_pairing_code, render, yuan
from server.letters.template import check_template
from tests.letters.builders import BODY, PARTS, PHONE, SLIP, a_notice, a_slip, some_data


def test_sound_templates_have_no_problem() -> None:
    assert check_template(a_notice()) == check_template(a_slip()) == ()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("尊敬的{{ surname }}", (1, 4)),
        ("第一行\n第{{ seal }}二{{ case_reference", (2, 13)),
        ("{{ case_reference\n}}", (1, 1)),
        ("甲}}", (1, 2)),
        ("{ seal }", (1, 1)),
        ("{{}}", (1, 1)),
        ("{{ Seal }}", (1, 1)),
        ("{{{ seal }}}", (1, 1)),
        ("甲{{ __class__ }}", (1, 2)),
    ],
)
def test_holes_are_told_with_line_and_column(text: str, place: tuple[int, int]) -> None:
    _, holes = read_placeholders(text)

    assert (holes[0].line, holes[0].column) == place


@pytest.mark.parametrize(
    ("facts", "pointer", "rule"),
    [
        ({"body": BODY.replace("{{ seal }}", "")}, "/body", "H18"),
        ({"body": BODY.replace("{{ debt_cause }}", "")}, "/body", "H16"),
        ({"body": BODY + "{{ reminder }}"}, "/body", "H16"),
        ({"parts": {**PARTS, "bank_measures": " "}}, "/parts/bank_measures", "H16"),
        ({"parts": {k: v for k, v in PARTS.items() if k != "reminder"}}, "/parts/reminder", "H16"),
        ({"parts": {**PARTS, "joke": "x"}}, "/parts/joke", "H16"),
        ({"parts": {**PARTS, "reminder": "{{ debt_cause }}"}}, "/parts/reminder", ""),
        ({"parts": {**PARTS, "reminder": "{{ oops }}"}}, "/parts/reminder", ""),
        ({"title": "律师函"}, "/title", "B31"),
        ({"parts": {**PARTS, "expectation": "否则报警"}}, "/parts/expectation", "B21"),
        ({"agency_phone": "13812345678"}, "/agency_phone", "I1"),
    ],
)
def test_a_letter_lacks_nothing_and_says_nothing_forbidden(
    facts: dict[str, Any], pointer: str, rule: str
) -> None:
    problems = check_template(a_notice(**facts))

    assert (pointer, rule) in {(problem.pointer, problem.rule) for problem in problems}


@pytest.mark.parametrize(
    ("facts", "pointer"),
    [
        ({"body": SLIP + "{{ recipient_name }}"}, "/body"),
        ({"body": SLIP + "{{ outstanding_amount }}"}, "/body"),
        ({"body": SLIP + "{{ client_name }}"}, "/body"),
        ({"body": SLIP + "事关您的欠款"}, "/body"),
        ({"body": "请回电{{ agency_name }}"}, "/body"),
        ({"title": "催收回执"}, "/title"),
        ({"agency_name": "某催收公司"}, "/agency_name"),
        ({"parts": PARTS}, "/parts"),
    ],
)
def test_a_slip_holds_the_agencys_contact_and_nothing_else(facts: dict[str, Any], pointer: str) -> None:
    problems = check_template(a_slip(**facts))

    assert {(problem.pointer, problem.rule) for problem in problems} == {(pointer, "H7")}


def test_the_letter_holds_its_data_its_parts_and_its_code() -> None:
    text = render(a_notice(), some_data())

    for words in ("张小明：", "C1001", "12,345.00元", "2026年11月20日", "2026年12月1日", "示例银行", PHONE):
        assert words in text
    assert PARTS["debt_cause"] in text and "（催收章）" in text
    assert text.endswith("〔KD7P-3XQA〕\n") and "{" not in text
    assert len(digest(text)) == 32 and digest(text) != digest(text + " ")


def test_data_with_braces_is_printed_as_it_is() -> None:
    assert "{{ seal }}：" in render(a_notice(), some_data(recipient_name="{{ seal }}"))


def test_a_day_to_pay_by_that_nobody_gave_is_missed() -> None:
    with pytest.raises(KeyError, match="pay_by"):
        render(a_notice(), some_data(pay_by=None))


@pytest.mark.parametrize(("fen", "text"), [(0, "0.00元"), (5, "0.05元"), (100_000_001, "1,000,000.01元")])
def test_amounts_are_exact(fen: int, text: str) -> None:
    assert yuan(fen) == text


@pytest.mark.parametrize("liked", ["9", "X", "X9", "XX9", "XXXX9999"])
def test_a_pairing_code_is_short_and_never_a_number(liked: str) -> None:
    """Whatever is drawn: a letter with a number in it would be refused, one in tens of thousands."""
    wishes = cycle(liked)

    code = make_pairing_code(lambda signs: sign if (sign := next(wishes)) in signs else signs[0])

    assert re.fullmatch(r"[A-Z][A-Z3-9]{3}-[A-Z][A-Z3-9]{3}", code)
    assert lint(f"〔{code}〕", kind="notice") == ()


def test_days_are_chinese() -> None:
    assert "2026年1月2日" in render(a_notice(), some_data(balance_as_of=date(2026, 1, 2)))

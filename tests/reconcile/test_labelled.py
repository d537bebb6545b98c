"""How well are the labelled accounts read, and are they what their README says?"""

import json
from collections import Counter
from typing import get_args

import pytest

from bench.narratives.marked import JUDGING, MARKED, MARKS, PROMISED, marked, parse
from bench.narratives.scoring import ACCOUNTS, labelled, score
from server.reconcile.narrative import Kind

# Floors a little below what is read today; README.md beside the accounts says what the parts are worth.
FLOORS = [("building", 0.99, 0.985), ("held_out", 0.96, 0.94)]


@pytest.mark.parametrize(("part", "precision", "recall"), FLOORS)
def test_the_labelled_accounts_are_read_as_well_as_before(part: str, precision: float, recall: float) -> None:
    accounts = [one for one in labelled() if one.part == part]

    together = score(accounts)["all"]

    assert len(accounts) >= 589
    assert together.precision >= precision, together
    assert together.recall >= recall, together


def test_each_label_lies_where_it_says() -> None:
    rows = [json.loads(line) for line in ACCOUNTS.read_text("utf-8").splitlines()]

    misplaced = [
        (row["text"], one)
        for row in rows
        for one in row["claims"]
        if not one["span"] or not row["text"].startswith(one["span"], one["at"])
    ]

    assert len(rows) >= 2000
    assert misplaced == []


def test_the_held_out_accounts_say_every_kind_of_claim_often_enough_to_measure_it() -> None:
    held_out = [one for one in labelled() if one.part == "held_out"]

    said = Counter(kind for one in held_out for kind, _, _ in one.claims)

    assert {kind: said[kind] for kind in get_args(Kind) if said[kind] < 40} == {}


def test_no_account_that_the_reader_is_built_against_is_held_out_too() -> None:
    accounts = list(labelled())

    texts = {part: {one.text for one in accounts if one.part == part} for part in ("building", "held_out")}

    assert texts["building"] & texts["held_out"] == set()
    assert sum(map(len, texts.values())) == len(accounts)


def test_no_account_is_in_two_parts_or_told_twice() -> None:
    learned, judging = ([one.text for one in marked(path)] for path in (MARKED, JUDGING))

    texts = [*learned, *judging, *(one.text for one in labelled())]

    assert len(learned) >= 6000
    assert len(judging) >= 500
    assert len(set(texts)) == len(texts)


def test_every_mark_is_learned_from_and_lies_in_its_account() -> None:
    accounts = list(marked())

    assert {mark for one in accounts for _, _, mark in one.marks} == {*MARKS.values(), *PROMISED.values()}
    assert all(0 <= start < end <= len(one.text) for one in accounts for start, end, _ in one.marks)


def test_labels_stand_in_the_text_one_in_another_and_side_by_side() -> None:
    text, marks = parse("{给了他{媳妇|sp}|ht}，{签收|hd,sg}，{月底|d+}")

    assert text == "给了他媳妇，签收，月底"
    assert marks == (
        (0, 5, "delivery=handed_to_third_party"),
        (3, 5, "met=third_party:spouse"),
        (6, 8, "delivery=handed_to_debtor"),
        (6, 8, "delivery=signed"),
        (9, 11, "date"),
        (9, 11, "promised_date"),
    )


@pytest.mark.parametrize("told", ["{他妻|sp", "{他妻|xx}", "{他妻|sp+}", "{他妻"])
def test_a_label_that_is_not_well_formed_is_refused(told: str) -> None:
    with pytest.raises(ValueError, match="label"):
        parse(told)

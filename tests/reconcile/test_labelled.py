"""How well are the labelled accounts read, and are they what their README says?"""

import json
from collections import Counter
from typing import get_args

import pytest

from bench.narratives import ACCOUNTS, labelled, score
from server.reconcile.narrative import Kind

# Floors a little below what is read today; README.md beside the accounts says what the parts are worth.
FLOORS = [("building", 0.97, 0.97), ("held_out", 0.89, 0.84)]


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

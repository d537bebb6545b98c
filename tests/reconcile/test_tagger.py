"""What the tagger says of each character, and how it is given a text."""

from dataclasses import replace
from datetime import date
from importlib.resources import files

import numpy as np
import pytest

from server.reconcile.narrative import Claim
from server.reconcile.narrative.reading import read_account
from server.reconcile.narrative.tagger import (
    PORTION,
    SCALE,
    WEIGHTS,
    Model,
    own_marks,
    portions,
    read_model,
    tag,
)


def test_the_tagger_says_for_each_character_how_likely_each_mark_is() -> None:
    text = "其妻开门，称本人外出。"

    seen = tag(text, ()).likely

    assert set(seen) == set(own_marks())
    assert all(
        part.shape == (len(text),) and (part >= 0).all() and (part <= 1).all() for part in seen.values()
    )
    relations = np.stack([part for mark, part in seen.items() if mark.startswith("met=")])
    assert relations.sum(axis=0) == pytest.approx(1, abs=1e-4)


def test_a_part_kept_as_bytes_is_what_its_columns_stand_for() -> None:
    words = {name: np.array("") for name in ("chars", "pairs", "marks", "listed", "alternatives")}
    table = {
        "table": np.array([[127, -64], [0, 1]], np.int8),
        "table" + SCALE: np.array([0.5, 2], np.float32),
    }

    model = Model({**words, **table, "plain": np.array([0.25], np.float16)})

    assert model.part("table").tolist() == [[63.5, -128], [0, 2]]
    assert model.part("plain").tolist() == [0.25]


def test_the_same_text_is_tagged_alike_whatever_was_tagged_before() -> None:
    text = "其妻开门，称本人外出。"
    first = tag(text, ()).likely
    tag("别的字句。", ())

    assert all((tag(text, ()).likely[mark] == part).all() for mark, part in first.items())


@pytest.mark.parametrize("text", ["他" * 5000, "他在家。" * 1500, "。" * 2001, "他", "他" * PORTION])
def test_a_long_text_is_tagged_in_portions_that_together_are_the_text(text: str) -> None:
    parts = list(portions(text))

    assert "".join(parts) == text
    assert all(0 < len(part) <= PORTION for part in parts)
    assert all(part.endswith("。") for part in parts[:-1] if "。" in text)


def test_a_text_without_sentence_ends_is_cut_between_clauses() -> None:
    filler = "院子里晒着玉米，天很冷，路上走了很久，"
    text = (filler * 100)[: PORTION - 3] + "我没有出示证件，就走了"

    parts = list(portions(text))

    assert "".join(parts) == text
    assert all(part.endswith("，") for part in parts[:-1])
    assert ("conduct", "identity_shown") not in {
        (one.kind, one.value) for one in read_account(text, date(2026, 11, 24))
    }


def test_the_tagger_is_told_what_the_lists_read_there_and_nowhere_else() -> None:
    text = "天气很好。" * 100 + "其妻开门，14:35离开。"
    model = read_model(files("server.reconcile.narrative") / WEIGHTS)
    wife, leaving = text.index("其妻"), text.index("14:35")
    claims = [
        Claim("met", "third_party:spouse", wife, wife + 2),
        Claim("left", "14:35", leaving, leaving + 5),
    ]

    grid = model.told([*claims, replace(claims[0], value="third_party:nobody-knows")], len(text))

    assert [tuple(place) for place in np.argwhere(grid.any(axis=1))] == [
        (at,) for one in claims for at in range(one.start, one.end)
    ]
    assert (grid.sum(axis=1) <= 1).all()
    assert any((tag(text, claims).likely[mark] != part).any() for mark, part in tag(text, ()).likely.items())

"""What the tagger says of each character, and how it is given a text."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from importlib.resources import files

import numpy as np
import pytest

from server.reconcile.narrative import Claim
from server.reconcile.narrative.reading import read_account
from server.reconcile.narrative.tagger import (
    PORTION,
    WEIGHTS,
    own_model,
    portions,
    tag,
)


def test_the_tagger_says_for_each_character_how_likely_each_mark_is() -> None:
    text = "其妻开门，称本人外出。"

    seen = tag(text, ()).likely

    assert set(seen) == set(own_model().marks)
    assert all(
        part.shape == (len(text),) and (part >= 0).all() and (part <= 1).all() for part in seen.values()
    )
    relations = np.stack([part for mark, part in seen.items() if mark.startswith("met=")])
    assert relations.sum(axis=0) == pytest.approx(1, abs=1e-4)


def test_bytes_are_multiplied_in_blocks_which_any_processor_does_alike() -> None:
    graph = (files("server.reconcile.narrative") / WEIGHTS).read_bytes()

    assert b"MatMulNBits" in graph
    assert b"DynamicQuantize" not in graph
    assert b"MatMulInteger" not in graph


def test_several_threads_tag_at_once_as_one_does_alone() -> None:
    texts = [f"其妻开门，称本人外出{days}日。" * 8 for days in range(1, 9)]
    alone = [tag(text, ()).likely for text in texts]

    with ThreadPoolExecutor(4) as pool:
        together = pool.map(lambda text: tag(text, ()).likely, texts)

    for seen, expected in zip(together, alone, strict=True):
        assert all((seen[mark] == part).all() for mark, part in expected.items())


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
    model = own_model()
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

"""Whether a purpose was left out, or only a secret kept."""

from datetime import date

import numpy as np
import pytest

from server.reconcile.narrative.reading import weighed
from server.reconcile.narrative.tagger import Marks, own_model

SECRETS = ["没提银行", "没说是哪家的", "卡的事一句没提", "也没讲欠款", "我们说私事"]
PURPOSES = ["没说来意", "没讲是为哪样事", "没报家门", "银行没提，来由也没说", "没讲"]


def left_out(*said: str, met: str = "third_party:neighbour") -> list[str]:
    """What is read as a purpose left out where the tagger sees one in each, likeliest in the first."""
    text = "他。" + "。".join(said) + "。"
    likely = {mark: np.zeros(len(text), np.float32) for mark in own_model().marks}
    likely["met"][0] = likely[f"met={met}"][0] = 1
    likely["conduct=not_purpose_stated"][:] = 1
    for place, words in enumerate(said):
        start = text.index(words)
        likely["conduct"][start : start + len(words)] = 0.99 - place / 100
    claims = weighed(text, (), Marks(likely), date(2026, 11, 24))
    return [one.words(text) for one in claims if one.value == "not_purpose_stated"]


@pytest.mark.parametrize("words", SECRETS)
def test_a_secret_kept_from_a_third_party_is_no_purpose_left_out(words: str) -> None:
    assert left_out(words) == []


@pytest.mark.parametrize("words", PURPOSES)
def test_a_purpose_left_out_is_one_whoever_was_there(words: str) -> None:
    assert left_out(words) == [words]


def test_a_secret_kept_hides_no_purpose_that_is_left_out_beside_it() -> None:
    assert left_out("没提银行", "没说来意") == ["没说来意"]


@pytest.mark.parametrize("who", ["debtor", "liable_person"])
def test_of_whoever_owes_the_bank_is_the_purpose(who: str) -> None:
    assert left_out("没提银行", met=who) == ["没提银行"]

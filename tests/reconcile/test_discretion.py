"""Whether a purpose was left out, or only a secret kept."""

import pytest

from server.reconcile.narrative import Claim
from server.reconcile.narrative.discretion import without_discretion


def left_out(words: str, *met: str) -> list[str]:
    """The claims that stay of an account in which these words say that the purpose was left out."""
    claims = [Claim("conduct", "not_purpose_stated", 0, len(words))]
    claims += [Claim("met", who, 0, 1) for who in met]
    return [one.value for one in without_discretion(claims, words)]


@pytest.mark.parametrize("words", ["没提银行", "没说是哪家的", "卡的事一句没提", "也没讲欠款", "我们说私事"])
def test_a_secret_kept_from_a_third_party_is_no_purpose_left_out(words: str) -> None:
    assert left_out(words, "third_party:neighbour") == ["third_party:neighbour"]


@pytest.mark.parametrize("words", ["没说来意", "没讲是为哪样事", "没报家门", "银行没提，来由也没说", "没讲"])
def test_a_purpose_left_out_is_one_whoever_was_there(words: str) -> None:
    assert "not_purpose_stated" in left_out(words, "third_party:neighbour")


@pytest.mark.parametrize("who", ["debtor", "liable_person"])
def test_of_whoever_owes_the_bank_is_the_purpose(who: str) -> None:
    assert "not_purpose_stated" in left_out("没提银行", who, "third_party:spouse")

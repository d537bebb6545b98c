"""Who was met, and who is only talked about, in sentences that name more than one (`people.toml`)."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.reconcile.reading import told

TABLES: list[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("people.toml").read_text("utf-8"))[
    "people"
]


@pytest.mark.parametrize(
    ("met", "sentence"), [(table["met"], sentence) for table in TABLES for sentence in table["sentences"]]
)
def test_whoever_takes_part_was_met_and_whoever_is_only_named_was_not(met: list[str], sentence: str) -> None:
    assert sorted(told(sentence, "met")) == sorted(met)


@pytest.mark.parametrize(
    "account",
    [
        "客户上个月还过500。其妻说他出差了。",
        "上次来债务人在家，态度很差。邻居说他搬走了。",
        "今天主要是给债务人送函。同事说他请假了。",
        "他妈说儿子在广东打工。债务人后来打电话来，说他知道了，会还。",
        "人不在家。债务人下周三回来，到时再来。",
        "老婆讲男人跑车去了。待债务人返家后再约。",
    ],
)
def test_what_the_debtor_did_or_will_do_another_day_unsays_no_absence(account: str) -> None:
    assert told(account, "absent") == ["debtor"]
    assert "debtor" not in told(account, "met")

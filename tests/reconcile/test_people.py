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

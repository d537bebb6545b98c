"""The same thing said in many ways is one claim; like words that do not say it are none (`wordings.toml`)."""

import re
import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from server.reconcile.narrative import read_narrative
from server.reconcile.narrative.phrases import families
from server.reconcile.narrative.words import CLASSES, pattern

TUESDAY = date(2026, 11, 24)
TABLES: list[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("wordings.toml").read_text("utf-8"))[
    "wording"
]


def told(text: str, kind: str) -> list[str]:
    """The values of one kind, in the order of the text."""
    return [claim.value for claim in read_narrative(text, TUESDAY) if claim.kind == kind]


def said() -> Iterator[tuple[str, str, str]]:
    """Each sentence with the claims of its table, joined by commas; none where nothing is said."""
    for table in TABLES:
        for sentence in table["sentences"]:
            yield table["kind"], table.get("value", ""), sentence


@pytest.mark.parametrize(("kind", "value", "sentence"), [row for row in said() if row[1]])
def test_what_is_said_in_other_words_is_the_same_claim(kind: str, value: str, sentence: str) -> None:
    assert set(value.split(",")) <= set(told(sentence, kind))


@pytest.mark.parametrize(("kind", "value", "sentence"), [row for row in said() if not row[1]])
def test_like_words_that_do_not_say_it_are_silence(kind: str, value: str, sentence: str) -> None:
    assert told(sentence, kind) == []


def test_every_family_of_phrases_has_ways_to_say_it_and_its_kind_has_sentences_that_do_not() -> None:
    shown = {(kind, value) for kind, value, _ in said()}

    assert {(one.kind, one.value) for one in families() if one.value != "handed_over"} <= shown
    assert {(one.kind, "") for one in families()} <= shown


@pytest.mark.parametrize("phrase", ["<", "<nobody>", "…", "", "(", "a|b", "…收", "]^-"])
def test_a_phrase_of_a_client_stands_for_itself_whatever_it_holds(phrase: str) -> None:
    found = re.compile(pattern([phrase, "签收"]))

    assert found.search("已签收")
    assert found.search(phrase.strip("…") or "签收")
    assert not found.search("别的")


def test_no_phrases_at_all_are_found_nowhere() -> None:
    assert re.compile(pattern([])).search("签收") is None


def test_every_class_of_words_is_an_expression_of_its_own() -> None:
    assert all(words and re.compile(f"(?:{'|'.join(words)})") for words in CLASSES.values())

"""Which words do visitors use? The tables of `words.toml`, read once."""

import re
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any, Final

WORDS: Final[dict[str, Any]] = tomllib.loads(
    files("server.reconcile.narrative").joinpath("words.toml").read_text("utf-8")
)
GAP: Final = r"[^，。；没无未不]{0,7}?"  # what turns a phrase round does not hide in it


def pattern(phrases: Iterable[str]) -> str:
    """Return one expression for phrases, the longest first; `…` stands for up to seven characters."""
    ordered = sorted(phrases, key=len, reverse=True)
    return "|".join(GAP.join(map(re.escape, phrase.split("…"))) for phrase in ordered)


@cache
def finder(table: str, key: str = "words") -> re.Pattern[str]:
    """Return what finds any phrase of one list."""
    entry = WORDS
    for part in table.split("."):
        entry = entry[part]
    return re.compile(pattern(entry[key]))

"""What do reports say, in Chinese and in English?"""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

LANGUAGES: Final = {"zh": "zh-Hans", "en": "en"}


@cache
def words(lang: str) -> Mapping[str, str]:
    """Return every word of a language by its key; KeyError for a language there is none of."""
    place = list(LANGUAGES).index(lang)
    return {key: pair[place] for key, pair in _raw().items() if key != "checks"}


def name_of_check(check: str, lang: str) -> str:
    """Return what a check is called; one that has no name yet keeps its own."""
    pair = _raw()["checks"].get(check)
    return check if pair is None else pair[list(LANGUAGES).index(lang)]


@cache
def _raw() -> Mapping[str, Any]:
    return tomllib.loads((Path(__file__).parent / "words.toml").read_text("utf-8"))

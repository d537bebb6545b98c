"""Which words do visitors use? The tables of `words.toml`, whose phrases name classes of `classes.toml`."""

import re
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any, Final


def _table(name: str) -> dict[str, Any]:
    return tomllib.loads(files("server.reconcile.narrative").joinpath(name).read_text("utf-8"))


WORDS: Final = _table("words.toml")
CLASSES: Final[dict[str, list[str]]] = _table("classes.toml")
GAP: Final = r"[^，。；没无未不]{0,7}?"  # what turns a phrase round does not hide in it
NEVER: Final = "(?!)"
_PART: Final = re.compile(r"…|<\w+>|[^…<]+|<")


def pattern(phrases: Iterable[str]) -> str:
    """Return one expression for phrases, the longest first.

    `…` stands for up to seven characters, `<name>` for any word of that class. The characters that a phrase
    may begin with are looked for first: most places of a text have none of them.
    """
    kept = {bare for phrase in phrases if (bare := phrase.strip("…"))}
    ordered = [_PART.findall(phrase) for phrase in sorted(kept, key=lambda one: (-len(one), one))]
    openings = sorted({word[0] for parts in ordered for word in _words(parts[0]) or parts[:1]})
    whole = "|".join("".join(map(_source, parts)) for parts in ordered)
    return f"(?=[{''.join(map(re.escape, openings))}])(?:{whole})" if kept else NEVER


def _words(part: str) -> list[str] | None:
    """Return the words of a class; None where a part is no class but stands for itself."""
    return CLASSES.get(part[1:-1]) if part.startswith("<") else None


def _source(part: str) -> str:
    if part == "…":
        return GAP
    words = _words(part)
    return f"(?:{'|'.join(words)})" if words else re.escape(part)


@cache
def finder(table: str, key: str = "words") -> re.Pattern[str]:
    """Return what finds any phrase of one list."""
    entry = WORDS
    for part in table.split("."):
        entry = entry[part]
    return re.compile(pattern(entry[key]))


def looks_back(text: str) -> bool:
    """Whether a clause tells of what is over: 上次说15号还, 已还了500."""
    if finder("past").search(text):
        return True
    return bool(finder("past", "done").search(text)) and not finder("past", "ahead").search(text)

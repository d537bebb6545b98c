"""Which words do visitors use? The tables of `words.toml`, whose phrases name classes of `classes.toml`."""

import re
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any, Final

from server.reconcile.narrative.spelling import folded


def _table(name: str) -> dict[str, Any]:
    return tomllib.loads(folded(files("server.reconcile.narrative").joinpath(name).read_text("utf-8")))


WORDS: Final = _table("words.toml")
CLASSES: Final[dict[str, list[str]]] = _table("classes.toml")
GAP: Final = r"[^，。；没无未不拒]{0,7}?"  # what turns a phrase round does not hide in it
NEVER: Final = "(?!)"
_BEHIND: Final = re.compile(r"^(?:\^|\(\?<[!=](?:[^()\\]|\\.)*\))+")  # what must not or must stand before
_GROUP: Final = re.compile(r"\(\?:([^()]+)\)(\?)?")
_SET: Final = re.compile(r"\[([^\]^-](?:[^\]\\-]|\\.)*)\](?![?*])")
_PART: Final = re.compile(r"…|<\w+>|.", re.DOTALL)


def pattern(phrases: Iterable[str]) -> str:
    """Return one expression for phrases, the longest first; what they begin with alike is looked for once.

    `…` stands for up to seven characters, `<name>` for any word of that class. The characters that a phrase
    may begin with are looked for first: most places of a text have none of them.
    """
    kept = {bare for phrase in phrases if (bare := phrase.strip("…"))}
    ordered = [_PART.findall(phrase) for phrase in sorted(kept, key=lambda one: (-len(one), one))]
    if not ordered:
        return NEVER
    chars = _openings(ordered)
    return f"(?:{_branches(ordered)})" if chars is None else f"(?=[{chars}])(?:{_branches(ordered)})"


def _openings(phrases: Iterable[list[str]]) -> str | None:
    """Return the characters that phrases may begin with, for a set; None where one does not say."""
    words = [word for parts in phrases for word in _words(parts[0]) or [re.escape(parts[0])]]
    found = [_opening(word) for word in words]
    return None if None in found else "".join(sorted(set(filter(None, found))))


def _opening(word: str) -> str | None:
    """Return the characters that an expression may begin with, for a set; None where it does not say."""
    bare = _BEHIND.sub("", word)
    if group := _GROUP.match(bare):
        inner = [_opening(one) for one in group.group(1).split("|")]
        rest = _opening(bare[group.end() :]) if group.group(2) else ""
        return None if rest is None or None in inner else "".join([*filter(None, inner), rest])
    if chosen := _SET.match(bare):
        return chosen.group(1)
    if bare.startswith("\\"):
        return bare[:2]
    return None if not bare or bare[0] in "([^.|" else re.escape(bare[0])


def _branches(phrases: Iterable[list[str]]) -> str:
    """Return alternatives, with those that begin with the same part joined."""
    behind: dict[str, list[list[str]]] = {}
    for first, *rest in phrases:
        behind.setdefault(first, []).append(rest)
    found = []
    for first, rests in behind.items():
        longer = [rest for rest in rests if rest]
        tail = f"(?:{_branches(longer)}){'?' * (len(longer) < len(rests))}" if longer else ""
        found.append(_source(first) + tail)
    return "|".join(found)


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

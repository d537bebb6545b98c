"""Which objects does a JSON-lines file hold? Every scalar becomes the text it was written as.

Numbers keep their digits: an account number of nineteen digits must not pass through a float.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from server.intake.encoding import Line
from server.intake.faults import RowFault


@dataclass(frozen=True, slots=True)
class Document:
    """One object. Members are text, None for null, or a list of texts joined by semicolons."""

    line: int
    members: dict[str, str | None]


def documents(lines: Iterator[Line]) -> Iterator[Document | tuple[RowFault, ...]]:
    """Yield every object, or all faults of its line."""
    for line in lines:
        if line.text is None:
            yield (RowFault(line.number, None, "The line is longer than 64 KiB. Is a line break missing?"),)
        elif line.text.strip():
            yield _document(line.number, line.text)


def _document(number: int, text: str) -> Document | tuple[RowFault, ...]:
    try:
        value: Any = json.loads(
            text, parse_float=str, parse_int=str, parse_constant=_refuse, object_pairs_hook=_unique
        )
    except (ValueError, RecursionError):
        return (RowFault(number, None, "The line is not one valid JSON object, each key once."),)
    if not isinstance(value, dict):
        return (RowFault(number, None, "The line must be a JSON object."),)
    members: dict[str, str | None] = {}
    faults: list[RowFault] = []
    for key, member in value.items():
        try:
            members[key] = _flat(member)
        except TypeError:
            reason = "Must be text, a number, true, false, null or a list of texts."
            faults.append(RowFault(number, storable(key), reason))
    return tuple(faults) or Document(number, members)


def storable(name: str) -> str:
    """Return a member's name so that it can be reported: short, and text."""
    return name[:100].replace("\x00", "").encode("utf-8", "replace").decode()


def _flat(member: Any) -> str | None:
    if member is None or isinstance(member, str):
        return member
    if isinstance(member, bool):
        return "true" if member else "false"
    if isinstance(member, list) and all(isinstance(part, str) for part in member):
        return ";".join(member)
    raise TypeError


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found

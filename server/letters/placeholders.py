"""Where does a template leave room for data, and is every hole one that we can fill?

`{{ case_reference }}` is a placeholder. Everything else with braces is a hole: it would be printed, or would
leave a gap in a letter. Every hole is told with its line and column, both from 1.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

PARTS: Final = ("debt_cause", "bank_measures", "expectation", "reminder")
CONTACT: Final = frozenset({"agency_name", "agency_phone"})
DATA: Final = CONTACT | {
    "case_reference",
    "recipient_name",
    "outstanding_amount",
    "balance_as_of",
    "pay_by",
    "client_name",
    "seal",
}
KNOWN: Final = DATA | frozenset(PARTS)
_TOKEN: Final = re.compile(r"\{\{[^{}\n]*\}\}|[{}]+")
_NAME: Final = re.compile(r"\{\{ *([a-z_]+) *\}\}")


@dataclass(frozen=True, slots=True)
class Hole:
    """A place that cannot be filled. Line and column count from 1."""

    line: int
    column: int
    detail: str

    def __str__(self) -> str:
        return f"Line {self.line}, column {self.column}: {self.detail}"


def read_placeholders(text: str) -> tuple[frozenset[str], tuple[Hole, ...]]:
    """Return the names a text uses, and every place that is no known placeholder."""
    names: set[str] = set()
    holes: list[Hole] = []
    for token in _TOKEN.finditer(text):
        named = _NAME.fullmatch(token.group())
        if named and named.group(1) in KNOWN:
            names.add(named.group(1))
        else:
            detail = _explain(token.group(), name=named and named.group(1))
            holes.append(Hole(*_place(text, token.start()), detail))
    return frozenset(names), tuple(holes)


def _explain(token: str, *, name: str | None) -> str:
    if name is not None:
        return f"{token} is unknown. Known are: {', '.join(sorted(KNOWN))}."
    if token.startswith("{{") and token.endswith("}}") and len(token) >= 4:
        return f"{token} has no name of small letters between its braces, as in {{{{ case_reference }}}}."
    return f"'{token}' opens or closes nothing. Write a placeholder on one line as {{{{ name }}}}."


def _place(text: str, index: int) -> tuple[int, int]:
    line_start = text.rfind("\n", 0, index) + 1
    return text.count("\n", 0, index) + 1, index - line_start + 1


def fill(text: str, values: Mapping[str, str]) -> str:
    """Put values into a text without holes. KeyError names a placeholder that has no value."""
    return _NAME.sub(lambda found: values[found.group(1)], text)


def used_twice(text: str) -> Iterator[str]:
    """Name the parts that a body prints more than once."""
    names = _NAME.findall(text)
    return (part for part in PARTS if names.count(part) > 1)

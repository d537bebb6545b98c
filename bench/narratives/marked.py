"""What do the accounts say that the tagger learns from? Their labels stand in the text: `{span|code}`.

One account a line, `YYYY-MM-DD<TAB>text`, ⏎ for a line break; labels may be nested (`{给了他{媳妇|sp}|ht}`)
and share a span (`{他签收了|hd,sg}`). A sum or a day with `+` is one that a promise of the account names.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from bench.narratives.scoring import ACCOUNTS, Labelled
from server.reconcile.narrative import read_narrative

MARKED: Final = ACCOUNTS.with_name("marked.txt")
JUDGING: Final = ACCOUNTS.with_name("judging.txt")
"""Nothing is learned from these: the bars of `server/reconcile/narrative/reading.py` are set on them."""

MARKS: Final = {
    "a": "arrived",
    "l": "left",
    "t": "time",
    "m": "amount",
    "d": "date",
    "p": "promise",
    "A": "absent",
    "y": "debt",
    "R": "outcome",
    "D": "met=debtor",
    "L": "met=liable_person",
    "N": "met=nobody",
    "sp": "met=third_party:spouse",
    "pa": "met=third_party:parent",
    "ch": "met=third_party:child",
    "si": "met=third_party:sibling",
    "re": "met=third_party:relative",
    "fa": "met=third_party:family",
    "ne": "met=third_party:neighbour",
    "pr": "met=third_party:property",
    "te": "met=third_party:tenant",
    "la": "met=third_party:landlord",
    "fl": "met=third_party:flatmate",
    "co": "met=third_party:colleague",
    "fr": "met=third_party:friend",
    "ot": "met=third_party:other",
    "mb": "delivery=mailbox",
    "ud": "delivery=under_door",
    "po": "delivery=posted",
    "lb": "delivery=left_behind",
    "cs": "delivery=callback_slip",
    "hd": "delivery=handed_to_debtor",
    "ht": "delivery=handed_to_third_party",
    "sg": "delivery=signed",
    "us": "delivery=unsigned",
    "rf": "delivery=refused",
    "xt": "dispute=transaction",
    "xa": "dispute=amount",
    "xi": "dispute=identity",
    "xp": "dispute=paid",
    "xc": "dispute=activation",
    "xd": "dispute=debt",
    "ci": "conduct=identity_shown",
    "cp": "conduct=purpose_stated",
    "cr": "conduct=recording_announced",
    "ni": "conduct=not_identity_shown",
    "np": "conduct=not_purpose_stated",
    "nr": "conduct=not_recording_announced",
}
PROMISED: Final = {"m": "promised_amount", "d": "promised_date"}


@dataclass(frozen=True, slots=True)
class Marked:
    """An account with its marks: (from, until, mark)."""

    day: str
    text: str
    marks: tuple[tuple[int, int, str], ...]


def marked(path: Path = MARKED) -> Iterator[Marked]:
    """Read the marked accounts. ValueError names the line that cannot be read."""
    for place, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        day, _, told = line.partition("\t")
        try:
            text, marks = parse(told)
        except ValueError as error:
            raise ValueError(f"{path.name}, line {place}: {error}") from error
        yield Marked(day, text.replace("⏎", "\n"), marks)


def parse(told: str) -> tuple[str, tuple[tuple[int, int, str], ...]]:
    """Part an account from its labels. ValueError says what is not well formed."""
    text: list[str] = []
    opened: list[int] = []
    marks: list[tuple[int, int, str]] = []
    at = 0
    while at < len(told):
        char = told[at]
        if char == "{":
            opened.append(len(text))
        elif char == "|" and opened:
            end = told.find("}", at)
            if end < 0:
                raise ValueError("a label is not closed")
            start = opened.pop()
            for code in told[at + 1 : end].split(","):
                marks += [(start, len(text), mark) for mark in _marks_of(code.strip())]
            at = end
        else:
            text.append(char)
        at += 1
    if opened:
        raise ValueError("a label is not closed")
    return "".join(text), tuple(sorted(marks))


def _marks_of(code: str) -> list[str]:
    name = code.removesuffix("+")
    if name not in MARKS or (code != name and name not in PROMISED):
        raise ValueError(f"{code!r} is no label")
    return [MARKS[name]] if code == name else [MARKS[name], PROMISED[name]]


def plain_sentences() -> Iterator[Marked]:
    """The sentences of the lists' own tests, marked as the lists read them: those are read right."""
    day = date(2026, 11, 24)
    for name, table in (("wordings.toml", "wording"), ("people.toml", "people")):
        rows = tomllib.loads((ACCOUNTS.parents[1] / name).read_text("utf-8"))[table]
        for text in dict.fromkeys(one for row in rows for one in row["sentences"]):
            spans = tuple((one.kind, one.value, one.start, one.end) for one in read_narrative(text, day))
            yield of_labelled(Labelled(day, text, spans, "building"))


def mark_of(kind: str, value: str) -> str:
    """Return the mark of a claim: with its value where that is one of a few."""
    mark = f"{kind}={value}"
    return mark if mark in MARKS.values() else kind


def of_labelled(one: Labelled) -> Marked:
    """Return a labelled account as a marked one."""
    named = [part for kind, value, _, _ in one.spans if kind == "promise" for part in value.split("@")]
    marks: list[tuple[int, int, str]] = []
    for kind, value, start, end in one.spans:
        marks.append((start, end, mark_of(kind, value)))
        if kind in ("amount", "date") and value in named:
            marks.append((start, end, f"promised_{kind}"))
    return Marked(one.day.isoformat(), one.text, tuple(sorted(marks)))

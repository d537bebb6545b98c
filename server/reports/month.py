"""How does a month's assessment become a report?

Proposals with what they rest on, the sums of branches and people, the legal limit. Amounts that the source
leaves empty stay empty (E5); nothing here is a deduction (AMB8).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from server.reports.charts import Series, lying
from server.reports.composing import Heading, days_of, made_at, table_of
from server.reports.drawing import Drawing
from server.reports.sheet import Cell, Column, Kind, Sheet, Table, written
from server.reports.words import LANGUAGES, words

LINE: tuple[tuple[str, Kind, float], ...] = (
    ("branch", "text", 1.0),
    ("visitor", "text", 1.0),
    ("person_name", "text", 1.0),
    ("rule", "text", 0.6),
    ("least", "money", 1.0),
    ("most", "money", 1.0),
    ("warning", "text", 0.7),
    ("evidence", "text", 1.8),
    ("decided", "text", 0.9),
    ("upheld_short", "money", 1.0),
)


@dataclass(frozen=True, slots=True)
class ProposalLine:
    """One proposal of one person. `evidence`: the rules that were broken, each with how often."""

    branch: str
    employee_number: str
    name: str
    rule: str
    least_fen: int | None
    most_fen: int | None
    with_warning: bool
    evidence: str
    decision: str | None
    amount_fen: int | None


@dataclass(frozen=True, slots=True)
class PersonLine:
    """One person in sum. `lawful_fen`: the most that the law allows of it; None: it cannot be told."""

    branch: str
    employee_number: str
    name: str
    counted: str
    least_fen: int
    most_fen: int
    lawful_fen: int | None
    upheld_fen: int


@dataclass(frozen=True, slots=True)
class MonthFigures:
    """A month: what was closed (revision and digest, both None for a preview), and what it proposes."""

    revision: int | None
    sha256: str | None
    is_intact: bool
    has_changed_since: bool
    people: Sequence[PersonLine]
    proposals: Sequence[ProposalLine]


def compose_month(heading: Heading, figures: MonthFigures) -> Sheet:
    """Return the report of a month's assessment."""
    say = words(heading.lang)
    return Sheet(
        title=say["assessment"],
        subtitle=days_of(heading),
        made=made_at(heading),
        made_at=heading.made_at,
        lang=LANGUAGES[heading.lang],
        figures=_totals(figures, say),
        pictures=[_by_rule(figures, say)],
        tables=[_people(figures, say)],
        lines=Table(
            say["proposal_lines"],
            [Column(say[word], kind, width) for word, kind, width in LINE],
            [_line(one, say) for one in figures.proposals],
        ),
        nothing=say["nothing"],
        rest=say["rest"],
        page=say["page"],
        notes=_notes(figures, say),
        words=say,
    )


def rules_of(evidence: Sequence[str]) -> str:
    """Write which rules were broken, each with how often."""
    return ", ".join(
        rule if count == 1 else f"{rule} x{count}" for rule, count in sorted(Counter(evidence).items())
    )


def _totals(figures: MonthFigures, say: Mapping[str, str]) -> list[tuple[str, str]]:
    least, most = (sum(getattr(one, name) for one in figures.people) for name in ("least_fen", "most_fen"))
    upheld = sum(one.upheld_fen for one in figures.people)
    return [
        (say["people"], written(len(figures.people), "count")),
        (say["proposals"], written(len(figures.proposals), "count")),
        (say["sums"], f"{written(least, 'money')} - {written(most, 'money')}"),
        (say["upheld"], written(upheld, "money")),
    ]


def _by_rule(figures: MonthFigures, say: Mapping[str, str]) -> tuple[str, Drawing]:
    title = say["proposals_by_rule"]
    counted = sorted(Counter(one.rule for one in figures.proposals).items())
    series = [Series(say["proposals"], tuple(count for _, count in counted))]
    names = [rule for rule, _ in counted]
    return title, lying(title, names, series, rest=say["others"], nothing=say["nothing"])


def _people(figures: MonthFigures, say: Mapping[str, str]) -> Table:
    columns: list[tuple[str, str, Kind]] = [
        ("branch", "branch", "text"),
        ("visitor", "employee_number", "text"),
        ("person_name", "name", "text"),
        ("counted", "counted", "text"),
        ("least", "least_fen", "money"),
        ("most", "most_fen", "money"),
        ("lawful", "lawful_fen", "money"),
        ("upheld_short", "upheld_fen", "money"),
    ]
    return table_of(say["people"], columns, figures.people, say)


def _line(one: ProposalLine, say: Mapping[str, str]) -> Sequence[Cell]:
    return (
        one.branch,
        one.employee_number,
        one.name,
        one.rule,
        one.least_fen,
        one.most_fen,
        say["warning"] if one.with_warning else "",
        one.evidence,
        say[f"decision_{one.decision}"] if one.decision else "",
        one.amount_fen,
    )


def _notes(figures: MonthFigures, say: Mapping[str, str]) -> list[str]:
    notes = [say["preview"]]
    if figures.revision is not None:
        notes = [say["closed"].format(revision=figures.revision, sha256=figures.sha256)]
        notes += [say["altered"]] if not figures.is_intact else []
        notes += [say["changed_since"]] if figures.has_changed_since else []
    notes += [say["no_amount"]] if any(one.most_fen is None for one in figures.proposals) else []
    notes += [say["no_wage"]] if any(one.lawful_fen is None for one in figures.people) else []
    return [*notes, say["is_proposed"]]

"""How do figures and lines become a report: the Friday report of the house, or the report for a client?

The client's has no names of staff and no findings: what is not confirmed is nobody's business outside, and
what is confirmed comes to them as a notice. Debtors' names come masked already.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from server.reports.charts import Series, lying, standing
from server.reports.drawing import Drawing
from server.reports.figures import Figures
from server.reports.sheet import Cell, Column, Kind, Sheet, Table, written
from server.reports.words import LANGUAGES, name_of_check, words

LINE: tuple[tuple[str, str, Kind, float], ...] = (
    ("case", "case_reference", "text", 1.6),
    ("client_name", "client", "text", 1.2),
    ("debtor", "debtor_name", "text", 0.9),
    ("outstanding", "outstanding_fen", "money", 1.3),
    ("days_overdue", "days_overdue", "count", 1.0),
    ("paid_short", "paid_fen", "money", 1.2),
    ("promised_short", "promised_fen", "money", 1.2),
    ("next_promise", "next_promised_on", "date", 1.2),
    ("calls", "calls", "count", 0.7),
    ("letters", "letters", "count", 0.85),
    ("visits_short", "visits", "count", 0.7),
    ("inbound", "inbound", "count", 1.05),
)


@dataclass(frozen=True, slots=True)
class Heading:
    """Which report, of which days and client, when it was made and when it is due; times are local text."""

    kind: Literal["friday", "client", "assessment"]
    lang: str
    first: str
    last: str
    client: str
    made_at: datetime
    made: str
    due: str = ""


def compose(heading: Heading, figures: Figures, lines: Iterable[Mapping[str, Any]]) -> Sheet:
    """Return a report; its lines are drawn from `lines` when it is written."""
    say = words(heading.lang)
    is_friday = heading.kind == "friday"
    days = days_of(heading)
    pictures = [_visits(figures, say), _money(figures, say)]
    tables = [_teams(figures, say)]
    if is_friday:
        pictures.insert(0, _findings(figures, say, heading.lang))
        tables.append(_visitors(figures, say))
    return Sheet(
        title=say[heading.kind],
        subtitle=say["of_client"].format(days=days, client=heading.client) if heading.client else days,
        made=made_at(heading),
        made_at=heading.made_at,
        lang=LANGUAGES[heading.lang],
        figures=_totals(figures, say, is_friday=is_friday),
        pictures=pictures,
        tables=tables,
        lines=Table(
            say["lines"],
            [Column(say[word], kind, width) for word, _, kind, width in LINE],
            ([_cell(line[name]) for _, name, _, _ in LINE] for line in lines),
        ),
        nothing=say["nothing"],
        rest=say["rest"],
        page=say["page"],
        notes=[say["late_team"], say["masked"], *([say["proposed"]] if is_friday else [])],
        words=say,
    )


def days_of(heading: Heading) -> str:
    """Write from when to when a report tells."""
    return words(heading.lang)["days"].format(first=heading.first, last=heading.last)


def made_at(heading: Heading) -> str:
    """Write when a report was made, and when it is due if it is."""
    say = words(heading.lang)
    return say["made" if heading.due else "made_plain"].format(at=heading.made, due=heading.due)


def _cell(value: Any) -> Cell:
    return value if value is None or isinstance(value, (int, str)) else str(value)


def _totals(figures: Figures, say: Mapping[str, str], *, is_friday: bool) -> Sequence[tuple[str, str]]:
    paid = sum(one.paid_fen for one in figures.teams)
    promised = sum(one.promised_fen for one in figures.teams)
    kept = sum(one.promises_kept for one in figures.teams)
    broken = sum(one.promises_broken for one in figures.teams)
    shown = [
        (say["visits"], written(sum(one.visits for one in figures.days), "count")),
        (say["reviewed"], written(sum(one.reviewed for one in figures.days), "count")),
        (say["payments"], written(sum(one.payments for one in figures.teams), "count")),
        (say["paid"], written(paid, "money")),
        (say["promised"], written(promised, "money")),
        (say["kept"], f"{kept:,} / {broken:,}"),
        (say["complaints"], written(figures.complaints, "count")),
    ]
    if is_friday:
        confirmed = sum(one.confirmed for one in figures.checks)
        return [*shown, (say["findings"], written(confirmed, "count"))]
    return [*shown, (say["holds"], written(figures.holds, "count"))]


def _findings(figures: Figures, say: Mapping[str, str], lang: str) -> tuple[str, Drawing]:
    title = say["findings_by_check"]
    names = [f"{name_of_check(one.check, lang)} {one.rule}" for one in figures.checks]
    series = [
        Series(say[state], tuple(getattr(one, state) for one in figures.checks))
        for state in ("confirmed", "open", "dismissed")
    ]
    return title, lying(title, names, series, rest=say["others"], nothing=say["nothing"])


def _visits(figures: Figures, say: Mapping[str, str]) -> tuple[str, Drawing]:
    title = say["visits_per_day"]
    visits = Series(say["visits"], tuple(one.visits for one in figures.days))
    reviewed = Series(say["reviewed"], tuple(one.reviewed for one in figures.days))
    days = [f"{one.day:%m-%d}" for one in figures.days]
    return title, standing(title, days, [visits, reviewed], write=str, nothing=say["nothing"])


def _money(figures: Figures, say: Mapping[str, str]) -> tuple[str, Drawing]:
    title = say["repayment_per_day"]
    paid = Series(say["paid_short"], tuple(one.paid_fen for one in figures.days))
    promised = Series(say["promised_short"], tuple(one.promised_fen for one in figures.days))
    days = [f"{one.day:%m-%d}" for one in figures.days]
    return title, standing(title, days, [paid, promised], write=_round_yuan, nothing=say["nothing"])


def _round_yuan(fen: int) -> str:
    return f"{(fen + 50) // 100:,}" if fen >= 1_000 else written(fen, "money")


def _teams(figures: Figures, say: Mapping[str, str]) -> Table:
    columns: list[tuple[str, str, Kind]] = [
        ("client_name", "client", "text"),
        ("team", "team", "text"),
        ("payments", "payments", "count"),
        ("paid_short", "paid_fen", "money"),
        ("promises_made", "promises_made", "count"),
        ("promised_short", "promised_fen", "money"),
        ("promises_kept", "promises_kept", "count"),
        ("promises_broken", "promises_broken", "count"),
    ]
    return table_of(say["totals"], columns, figures.teams, say)


def _visitors(figures: Figures, say: Mapping[str, str]) -> Table:
    columns: list[tuple[str, str, Kind]] = [
        ("branch", "branch", "text"),
        ("visitor", "employee_number", "text"),
        ("visits", "visits", "count"),
        ("confirmed", "confirmed", "count"),
        ("open", "open", "count"),
        ("dismissed", "dismissed", "count"),
    ]
    return table_of(say["visitors"], columns, figures.visitors, say)


def table_of(
    title: str, columns: Sequence[tuple[str, str, Kind]], rows: Sequence[Any], say: Mapping[str, str]
) -> Table:
    """Make a table of objects: a word, an attribute and a kind for each column."""
    heads = [Column(say[word], kind) for word, _, kind in columns]
    return Table(title, heads, [[getattr(row, name) for _, name, _ in columns] for row in rows])

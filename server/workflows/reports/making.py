"""What do the Friday report and a client's report tell, and of which days?

Everything is read from one snapshot; the long table streams.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy.orm import Session

from server.authority import Actor
from server.database import db, snapshot
from server.errors import Fault, Invalid
from server.models.cases import Client
from server.pii import mask_name
from server.reports.composing import Heading, compose
from server.reports.figures import Figures
from server.rules.local_time import local_day
from server.workflows.friday_report import week_and_due
from server.workflows.moved import LINES, Span
from server.workflows.reports.figures import load_figures
from server.workflows.reports.keeping import Days, Format, Made, keep, write
from server.workflows.standing_packs import local_zone

Kind = Literal["friday", "client"]
ROWS_AT_ONCE: Final = 1_000
MOST_DAYS: Final = 366


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which report of which days: a week's Friday report, or a client's of any days."""

    kind: Kind
    span: Span
    client: str
    due_at: datetime | None


def friday(day: date | None, *, client: Client | None, now: datetime) -> Wanted:
    """Name the Friday report of the week that holds a day (this week's when none is named)."""
    zone = local_zone()
    week, due_at = week_and_due(day or local_day(now, zone), now=now)
    span = Span(week.first, week.last, client and client.id, zone)
    return Wanted("friday", span, client.name if client else "", due_at)


def of_client(client: Client, *, first: date, last: date) -> Wanted:
    """Name a client's report of some days; Invalid when there are none, or too many."""
    if not 0 <= (last - first).days < MOST_DAYS:
        fault = Fault("/last", f"Must not be before the first day, nor {MOST_DAYS} days after it.")
        raise Invalid("days-impossible", "Name the days from first to last.", faults=[fault])
    span = Span(first, last, client.id, local_zone(), any_contact=True)
    return Wanted("client", span, client.name, None)


def figures_of(wanted: Wanted, *, now: datetime) -> Figures:
    """Return the numbers of a report."""
    return load_figures(db.session(), wanted.span, wanted.span.about(now))


def lines_of(wanted: Wanted, *, after: UUID | None, limit: int, now: datetime) -> list[dict[str, Any]]:
    """Return one page of the lines of a report, names masked."""
    about = wanted.span.about(now) | {"after": after, "limit": limit}
    return [_masked(row._mapping) for row in db.session.execute(LINES, about)]


def make(wanted: Wanted, *, format: Format, lang: str, actor: Actor, now: datetime) -> Made:
    """Write a report into a file and record its digest."""
    with snapshot() as session:
        about = wanted.span.about(now)
        sheet = compose(
            _heading(wanted, lang, now),
            load_figures(session, wanted.span, about),
            _streamed(session, about),
        )
        written = write(sheet, format)
    span = wanted.span
    days = Days(wanted.kind, span.first, span.last, span.client_id)
    return keep(written, days, actor=actor, now=now)


def _heading(wanted: Wanted, lang: str, now: datetime) -> Heading:
    zone = wanted.span.zone
    return Heading(
        kind=wanted.kind,
        lang=lang,
        first=str(wanted.span.first),
        last=str(wanted.span.last),
        client=wanted.client,
        made_at=now.replace(microsecond=0),
        made=f"{now.astimezone(zone):%Y-%m-%d %H:%M}",
        due=f"{wanted.due_at.astimezone(zone):%Y-%m-%d %H:%M}" if wanted.due_at else "",
    )


def _streamed(session: Session, about: dict[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Give the lines as the database gives them, a thousand at a time."""
    piecewise = {"stream_results": True, "yield_per": ROWS_AT_ONCE}
    found = session.execute(LINES, about | {"after": None, "limit": None}, execution_options=piecewise)
    for row in found:
        yield _masked(row._mapping)


def _masked(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {**row, "debtor_name": mask_name(row["debtor_name"])}

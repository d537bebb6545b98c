"""What is due today, what is overdue, and what is blocked and why? (F1-F20, D14, AMB17)

Reads of the projection `case_clocks`, each list in the order of its deadlines and backed by an index. The
lists are whom to call and whom to write to (D14). On a day on which nothing may be done with debtors nothing
is due and nothing overdue: the lists pause, and say until when (A12, AMB2).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from server.database import db
from server.errors import Fault, Invalid, NotFound
from server.models.cases import Case, Client
from server.models.deadlines import CaseClock
from server.rules.calendar import Calendar
from server.rules.catalogue import quotation_of
from server.rules.local_time import local_day, next_midnight
from server.workflows.case_facts import load_calendar
from server.workflows.standing_packs import active_pack

LISTS: Final = ("due", "overdue", "capped", "suspended", "provisional")
BY_MONTH: Final = "F3"
"""The rule that opens other rules' clocks: asked for it, the lists show what it opened."""
_PUSHES: Final = "case_clocks.state IN ('running', 'missed') AND NOT case_clocks.is_provisional"
_WORDS: Final[Mapping[str, str]] = {
    "due": _PUSHES,
    "overdue": _PUSHES,
    "capped": "case_clocks.state = 'capped'",
    "suspended": "case_clocks.state = 'suspended'",
    "provisional": "case_clocks.state IN ('running', 'missed') AND case_clocks.is_provisional",
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """Whose clocks, and of which rule."""

    rule: str | None = None
    client_id: UUID | None = None
    hand: str | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """Today nothing may be done with debtors: why, and the first day on which it may again, if known."""

    because: str
    until: date | None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list: (clock, case, client) rows, where the next one begins, and whether work pauses."""

    rows: Sequence[Any]
    next: str | None
    pause: Pause | None


def work(name: str, chosen: Chosen, *, after: str | None, limit: int, now: datetime) -> Page:
    """Return one page of a list, the nearest deadline first; `after` is the cursor of the page before."""
    pause = pause_of(now)
    cursor = None if after is None else _read_cursor(after)
    if pause is not None and name in ("due", "overdue"):
        return Page((), None, pause)
    order = (CaseClock.due_at, CaseClock.case_id, CaseClock.rule)
    query = (
        sa.select(CaseClock, Case, Client)
        .join(Case, Case.id == CaseClock.case_id)
        .join(Client, Client.id == CaseClock.client_id)
        .where(_on(name, now=now), *_filters(chosen))
        .order_by(*order)
        .limit(limit)
    )
    if cursor is not None:
        query = query.where(sa.tuple_(*order) > cursor)
    rows = db.session.execute(query).all()
    is_last = len(rows) < limit
    return Page(rows, None if is_last else _write_cursor(rows[-1].CaseClock), pause)


def counts(chosen: Chosen, *, now: datetime) -> dict[str, int]:
    """Count every list; one that pauses counts none."""
    is_paused = pause_of(now) is not None
    lists = [name for name in LISTS if not (is_paused and name in ("due", "overdue"))]
    columns = [_count(name, chosen, now=now).label(name) for name in lists]
    row = db.session.execute(sa.select(*columns)).one()
    return {name: getattr(row, name, 0) for name in LISTS}


def _count(name: str, chosen: Chosen, *, now: datetime) -> sa.ScalarSelect[Any]:
    query = sa.select(sa.func.count()).select_from(CaseClock).where(_on(name, now=now), *_filters(chosen))
    if chosen.hand is not None:
        query = query.join(Case, Case.id == CaseClock.case_id)
    return query.scalar_subquery()


def _on(name: str, *, now: datetime) -> sa.ColumnElement[bool]:
    """Select the clocks of one list, in the words of the partial index that holds them."""
    words = sa.text(_WORDS[name])
    if name == "overdue":
        return sa.and_(words, CaseClock.due_at < now)
    if name == "due":
        midnight = next_midnight(now, active_pack(now).zone)
        return sa.and_(words, CaseClock.due_at >= now, CaseClock.due_at < midnight)
    return sa.and_(words)


def _filters(chosen: Chosen) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if chosen.rule == BY_MONTH:
        found.append(CaseClock.opened_by == "month")
    elif chosen.rule is not None:
        found.append(CaseClock.rule == chosen.rule)
    if chosen.client_id is not None:
        found.append(CaseClock.client_id == chosen.client_id)
    if chosen.hand is not None:
        found.append(Case.hand == chosen.hand)
    return found


def _write_cursor(clock: CaseClock) -> str:
    """Write it without a plus sign, which a query that is not quoted turns into a space."""
    due_at = clock.due_at.astimezone(UTC).replace(tzinfo=None).isoformat()
    return f"{due_at}Z~{clock.case_id}~{clock.rule}"


def _read_cursor(text: str) -> tuple[datetime, UUID, str]:
    try:
        due_at, case_id, rule = text.split("~")
        return datetime.fromisoformat(due_at).astimezone(), UUID(case_id), rule
    except (ValueError, OverflowError):
        fault = Fault("/after", "Is not the `next` of a page.")
        raise Invalid("cursor-unknown", "Begin again without `after`.", faults=[fault]) from None


def pause_of(now: datetime) -> Pause | None:
    """Say whether debtors are left alone today (A12), or whether nobody knows yet (X6)."""
    pack = active_pack(now)
    today = local_day(now, pack.zone)
    days: Calendar = load_calendar(today.year, today.year + 1)
    if days.is_permitted(today):
        return None
    because = days.holidays.get(today, "") if days.is_published(today) else "calendar not published (X6)"
    return Pause(because or "public holiday (A12)", days.permitted_on_or_after(today))


def words_of(rule: str) -> str:
    """Return a rule's exact words."""
    return quotation_of(rule)


def clocks_on(case_id: UUID) -> Sequence[CaseClock]:
    """Return every clock of a case, the nearest deadline first."""
    if db.session.get(Case, case_id) is None:
        raise NotFound("case-unknown", "There is no case with this id.")
    query = sa.select(CaseClock).where(CaseClock.case_id == case_id)
    return db.session.scalars(query.order_by(CaseClock.due_at, CaseClock.rule)).all()

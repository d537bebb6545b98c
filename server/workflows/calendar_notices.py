"""How does a State Council notice become the calendar that every visit is judged by?

One person enters it, another compares it with the notice and approves it: a wrong day here would send
visitors out on a holiday, everywhere at once. Until then the standing calendar stays. Approval writes a new
version of the year and takes back, in the same transaction, the visits that fall on days it bans (A12).
Those after days that it changes are judged again: seven working days may end later now (A15).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.authority import SYSTEM, Actor
from server.database import db, transaction
from server.errors import Conflict, Fault, Forbidden, Invalid, NotFound
from server.intake.holiday_notice import (
    FaultyNotice,
    MarkedDay,
    contradictions,
    missing_statutory_days,
    read_notice,
    year_of_notice,
)
from server.jobs import enqueue, task
from server.models.assignments import end_early
from server.models.calendar import CalendarNotice
from server.models.dispatch import OPEN_STATES, Assignment
from server.rules.local_time import at_local
from server.workflows.calendar import Days, list_years, write_year
from server.workflows.provisional import published_years, statutory_days
from server.workflows.rejudging import rejudge_later
from server.workflows.standing_packs import active_pack
from sync.protocol import uuid7

SHOWN: Final = 200
ONE_DAY: Final = timedelta(days=1)
SWEEP_AGAIN_SECONDS: Final = 60
RIPENS_WITHIN: Final = timedelta(days=45)
"""Longer than a letter's working days take, whatever breaks lie among them."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What approving a notice would change. `assignments`: open ones on days it newly bans."""

    newly_banned: tuple[date, ...]
    newly_permitted: tuple[date, ...]
    assignments: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class NewNotice:
    """A notice as somebody enters it: its text, or its days one by one."""

    year: int
    reference: str
    text: str = ""
    days: Sequence[MarkedDay] = ()


def read_entered(notice: NewNotice) -> tuple[MarkedDay, ...]:
    """Return the days of a notice; Invalid names every place where it cannot be right or has a hole."""
    faults: list[Fault] = []
    days = tuple(sorted(notice.days))
    if notice.text:
        try:
            days = read_notice(notice.text, year=notice.year)
        except FaultyNotice as faulty:
            faults = [Fault("/text", f"{fault.place}: {fault.reason}") for fault in faulty.faults]
    else:
        faults = [
            Fault("/days", f"{one.place}: {one.reason}") for one in contradictions(days, year=notice.year)
        ]
    if not faults:
        where = "/text" if notice.text else "/days"
        holes = missing_statutory_days(days, statutory=statutory_days(notice.year))
        faults = [Fault(where, f"{one.place}: {one.reason}") for one in holes]
    if faults:
        detail = "Compare it with the published notice; nothing was stored and the calendar stands as it was."
        raise Invalid("notice-faulty", detail, faults=faults)
    return days


def preview(days: Sequence[MarkedDay], *, year: int, now: datetime) -> Effect:
    """Say what a notice would change against the standing calendar, and whom it would concern."""
    changed = [_of_year(of, days, year=year) for of in (year - 1, year)]
    before, after = _banned(old for old, _ in changed), _banned(new for _, new in changed)
    newly = tuple(sorted(after - before))
    return Effect(newly, tuple(sorted(before - after)), tuple(_open_on(newly, now=now)))


def propose(notice: NewNotice, *, actor: Actor, now: datetime) -> tuple[CalendarNotice, Effect]:
    """Store a notice for a second person to approve."""
    days = read_entered(notice)
    with transaction() as session:
        row = CalendarNotice(
            id=uuid7(),
            year=notice.year,
            reference=notice.reference,
            text=notice.text,
            days=[{"day": one.day.isoformat(), "kind": one.kind, "name": one.name} for one in days],
            state="proposed",
            proposed_by=actor.staff_id,
            proposed_at=now,
        )
        session.add(row)
    return row, preview(days, year=notice.year, now=now)


def approve(notice_id: UUID, *, actor: Actor, now: datetime) -> tuple[CalendarNotice, Effect]:
    """Make a notice the calendar; only somebody else than who entered it may (published-instruments 4).

    Raises Conflict for a notice that marks days of a December whose own year is not published yet.
    """
    with transaction() as session:
        row = _decide(session, notice_id, actor=actor, now=now, state="approved", note="")
        days = _days_of(row)
        _require_turn(days, year=row.year)
        effect = preview(days, year=row.year, now=now)
        changed: set[date] = set()
        for of in (row.year - 1, row.year):
            before, after = _of_year(of, days, year=row.year)
            changed |= {
                day for day in before.keys() | after.keys() if _kind(before, day) != _kind(after, day)
            }
            if of == row.year or before != after:
                write_year(session, of, days=after, notice=row.reference, now=now)
        _take_back(effect.newly_banned, changed, now=now)
        banned = [day.isoformat() for day in effect.newly_banned]
        others = [day.isoformat() for day in sorted(changed)]
        enqueue("calendar.cancel_banned", schedule_in=SWEEP_AGAIN_SECONDS, days=banned, changed=others)
    return row, effect


def reject(notice_id: UUID, *, note: str, actor: Actor, now: datetime) -> CalendarNotice:
    """Put a notice aside; the standing calendar stays."""
    with transaction() as session:
        return _decide(session, notice_id, actor=actor, now=now, state="rejected", note=note)


def list_notices(*, after: UUID | None, limit: int) -> list[CalendarNotice]:
    """Return one page of notices, the newest first."""
    query = sa.select(CalendarNotice).order_by(CalendarNotice.id.desc()).limit(limit)
    return list(db.session.scalars(query.where(CalendarNotice.id < after) if after else query))


@task("calendar.cancel_banned")
def cancel_banned(*, now: datetime, days: list[str], changed: Sequence[str] = ()) -> None:
    """Take back what was assigned by the old calendar while the new one was being approved."""
    with transaction():
        _take_back(map(date.fromisoformat, days), [date.fromisoformat(day) for day in changed], now=now)


def _decide(
    session: Session, notice_id: UUID, *, actor: Actor, now: datetime, state: str, note: str
) -> CalendarNotice:
    row = session.get(CalendarNotice, notice_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound("notice-unknown", "There is no notice with this id.")
    if row.state != "proposed":
        raise Conflict(
            "notice-decided", f"The notice is already {row.state}; enter a new one.", state=row.state
        )
    if row.proposed_by == actor.staff_id:
        raise Forbidden("second-person-needed", "Somebody else than who entered the notice has to decide it.")
    row.state, row.decided_by, row.decided_at, row.decision_note = state, actor.staff_id, now, note
    return row


def _require_turn(days: Iterable[MarkedDay], *, year: int) -> None:
    """Refuse to publish a year by the few days of its December that the next year's notice marks."""
    before = year - 1
    if before not in published_years() and any(one.day.year == before for one in days):
        detail = f"It marks days of December {before}; approve the notice of {before} first, then this one."
        raise Conflict("notice-out-of-turn", detail, missing=before)


def _days_of(row: CalendarNotice) -> list[MarkedDay]:
    return [MarkedDay(date.fromisoformat(one["day"]), one["kind"], one["name"]) for one in row.days]


def _of_year(of: int, days: Iterable[MarkedDay], *, year: int) -> tuple[Days, Days]:
    """Return a year's standing days and those after the notice.

    The notice replaces what notices of its year said: its own year but for the last days of December, and
    those of the December before it. Nothing is kept of what was only foreseen.
    """
    standing: dict[date, tuple[Any, str]] = {}
    kept: dict[date, tuple[Any, str]] = {}
    for row, listed in list_years(year=of):
        marked = {day.day: (day.kind, day.name) for day in listed}
        if row.status == "published":
            kept = {day: what for day, what in marked.items() if year_of_notice(day) != year}
        if row.status == "published" or of == year:
            standing = marked
    said: dict[date, tuple[Any, str]] = {one.day: (one.kind, one.name) for one in days if one.day.year == of}
    return standing, kept | said


def _kind(days: Days, day: date) -> str:
    return days[day][0] if day in days else ""


def _banned(years: Iterable[Days]) -> set[date]:
    return {day for days in years for day, (kind, _) in days.items() if kind == "holiday"}


def _on_days(days: Iterable[date], *, now: datetime) -> sa.ColumnElement[bool]:
    """Select the open assignments whose window begins on one of these local days."""
    zone = active_pack(now).zone
    starts = ((at_local(day, time.min, zone), at_local(day + ONE_DAY, time.min, zone)) for day in days)
    spans = [
        sa.and_(Assignment.window_start >= begin, Assignment.window_start < end) for begin, end in starts
    ]
    return sa.and_(Assignment.state.in_(OPEN_STATES), Assignment.window_end > now, sa.or_(sa.false(), *spans))


def _open_on(days: Iterable[date], *, now: datetime) -> Sequence[UUID]:
    query = sa.select(Assignment.id).where(_on_days(days, now=now)).order_by(Assignment.id)
    return db.session.scalars(query).all()


def _take_back(banned: Iterable[date], changed: Collection[date], *, now: datetime) -> None:
    chosen = _on_days(banned, now=now) & (Assignment.state != "started")
    end_early(chosen, state="cancelled", reason="calendar amended: a holiday now", actor=SYSTEM, now=now)
    if changed:
        zone = active_pack(now).zone
        rejudge_later(
            Assignment.window_end > now,
            Assignment.window_start >= at_local(min(changed), time.min, zone),
            Assignment.window_start < at_local(max(changed) + RIPENS_WITHIN, time.min, zone),
        )

"""What has the debtor received so far, and what is still planned? The queries of `case_facts` over time.

Each is bounded by an index, so that a ledger of a million rows costs what one of ten does.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on

from server.database import db
from server.models.cases import LedgerEntry
from server.models.dispatch import ENDED_EARLY, Assignment
from server.models.visits import Account, Visit
from server.rules.facts import Arrival, Elsewhere, Interval, Reservation, VisitRequest

A_DAY: Final = timedelta(days=1)


def load_reservations(
    debtor_id: UUID, *, since: datetime, excluding: UUID | None, wishes: Mapping[UUID, str]
) -> tuple[Reservation, ...]:
    """Return the debtor's assigned visits that did not end early. `wishes`: see `wishes_served`."""
    rows = db.session.execute(
        sa.select(Assignment.id, Assignment.window_start, Assignment.window_end)
        .where(
            Assignment.debtor_id == debtor_id,
            Assignment.window_start >= since,
            Assignment.state.not_in(ENDED_EARLY),
        )
        .order_by(Assignment.window_start, Assignment.id)
    )
    return tuple(
        Reservation(row.id, row.window_start, wishes.get(row.id), row.window_end)
        for row in rows
        if row.id != excluding
    )


def load_arrivals(debtor_id: UUID, *, since: datetime, wishes: Mapping[UUID, str]) -> tuple[Arrival, ...]:
    """Return the debtor's visits that took place: reported by phones, or imported into the ledger.

    `wishes`: see `wishes_served`.
    """
    reported = db.session.execute(
        sa.select(Visit.id, Visit.arrived_earliest, Visit.arrived_latest, Visit.assignment_id)
        .where(Visit.debtor_id == debtor_id, Visit.arrived_latest >= since)
        .order_by(Visit.arrived_earliest, Visit.id)
    )
    imported = db.session.execute(
        sa.select(LedgerEntry.id, LedgerEntry.at)
        .where(
            LedgerEntry.debtor_id == debtor_id,
            LedgerEntry.channel == "visit",
            LedgerEntry.visit_id.is_(None),
            LedgerEntry.at >= since,
        )
        .order_by(LedgerEntry.at, LedgerEntry.id)
    )
    return tuple(
        [Arrival(row[0], Interval(row[1], row[2]), row[3], _wish(row[3], wishes)) for row in reported]
        + [Arrival(row.id, Interval(row.at, row.at)) for row in imported]
    )


def _wish(assignment_id: UUID | None, wishes: Mapping[UUID, str]) -> str | None:
    return None if assignment_id is None else wishes.get(assignment_id)


def load_elsewhere(
    team: Sequence[UUID], *, visit_id: UUID, assignment_id: UUID | None, start: datetime, end: datetime
) -> tuple[Elsewhere, ...]:
    """Return the other visits that people of a team may have made within [start, end], to whomever (X2)."""
    rows = db.session.execute(
        sa.select(Visit)
        .where(
            Visit.team.overlap(list(team)),
            Visit.id != visit_id,
            Visit.assignment_id.is_distinct_from(assignment_id),
            Visit.arrived_earliest.between(start - A_DAY, end),
        )
        .order_by(Visit.arrived_earliest, Visit.id)
        .limit(50)
    ).scalars()
    return tuple(
        Elsewhere(staff_id, visit.id, Interval(visit.arrived_earliest, visit.arrived_latest), _left(visit))
        for visit in rows
        for staff_id in visit.team
        if staff_id in team
    )


def _left(visit: Visit) -> Interval | None:
    if visit.left_earliest is None or visit.left_latest is None:
        return None
    return Interval(visit.left_earliest, visit.left_latest)


def load_requests(
    debtor_id: UUID, *, since: datetime, now: datetime, excluding: UUID | None
) -> tuple[VisitRequest, ...]:
    """Return the entries in which the debtor asked for a visit or agreed a return, and what each serves.

    One that names a day stands until then, however long before it was said.
    """
    serving = _serving(debtor_id, excluding=excluding)
    rows = db.session.execute(
        sa.select(
            LedgerEntry.id,
            LedgerEntry.channel,
            LedgerEntry.at,
            LedgerEntry.visit_on,
            serving.c.assignment_id,
        )
        .outerjoin(serving, serving.c.entry_id == LedgerEntry.id)
        .where(
            LedgerEntry.debtor_id == debtor_id,
            LedgerEntry.asks_for_visit,
            LedgerEntry.channel.in_(("inbound", "visit")),
            LedgerEntry.at <= now,
            sa.or_(LedgerEntry.at >= since, LedgerEntry.visit_on >= since.date()),
        )
        .order_by(LedgerEntry.at, LedgerEntry.id)
    )
    return tuple(VisitRequest(*row) for row in rows)


def wishes_served(requests: Sequence[VisitRequest]) -> dict[UUID, str]:
    """Return the assignments that serve a wish of the debtor's, each with the wish's channel."""
    return {one.used_by: one.channel for one in requests if one.used_by is not None}


def _serving(debtor_id: UUID, *, excluding: UUID | None) -> sa.Subquery:
    """Select which assignment each wish serves: of those that rest on it the first whose visit took place.

    One that was taken back serves it all the same when its team went, having heard too late or never.
    """
    arrived = (
        sa.select(sa.func.min(Visit.arrived_earliest))
        .where(Visit.assignment_id == Assignment.id)
        .scalar_subquery()
    )
    return (
        sa.select(Assignment.evidence_entry_id.label("entry_id"), Assignment.id.label("assignment_id"))
        .where(
            Assignment.debtor_id == debtor_id,
            Assignment.evidence_entry_id.is_not(None),
            Assignment.id.is_distinct_from(excluding),
            sa.or_(Assignment.state.not_in(ENDED_EARLY), arrived.is_not(None)),
        )
        .ext(distinct_on(Assignment.evidence_entry_id))
        .order_by(Assignment.evidence_entry_id, arrived.nulls_last(), Assignment.id)
        .subquery("serving")
    )


# Jumps from one day with a call to the next, so that a million calls cost as much as ten.
_CALL_DAYS = sa.text(
    """
    WITH RECURSIVE called(at, n) AS (
        (SELECT at, 1 FROM ledger_entries
          WHERE case_id = :case AND channel = 'call' AND at <= :now ORDER BY at LIMIT 1)
        UNION ALL
        SELECT (SELECT later.at FROM ledger_entries later
                 WHERE later.case_id = :case AND later.channel = 'call' AND later.at <= :now
                   AND later.at >= (date_trunc('day', called.at AT TIME ZONE :zone) + interval '1 day')
                                   AT TIME ZONE :zone
                 ORDER BY later.at LIMIT 1), n + 1
          FROM called WHERE called.at IS NOT NULL AND n < 8)
    SELECT (at AT TIME ZONE :zone)::date FROM called WHERE at IS NOT NULL
    """
)


def load_call_days(case_id: UUID, *, now: datetime, zone: str) -> tuple[date, ...]:
    """The first days on which the case was called; eight are more than any pack asks for."""
    found: dict[str, Any] = {"case": case_id, "now": now, "zone": zone}
    return tuple(db.session.scalars(_CALL_DAYS, found))


def load_letters(case_id: UUID) -> tuple[date, ...]:
    """The first letters that were received: the earliest ripens first."""
    received = (
        sa.select(LedgerEntry.received_on)
        .where(
            LedgerEntry.case_id == case_id,
            LedgerEntry.channel == "letter",
            LedgerEntry.received_on.is_not(None),
        )
        .order_by(LedgerEntry.received_on)
        .limit(3)
    )
    return tuple(day for day in db.session.scalars(received) if day is not None)


def load_missing_accounts(debtor_id: UUID, *, since: datetime, before: datetime) -> tuple[UUID, ...]:
    """Return visits that took place and still have no account; ten are enough to say so."""
    has_account = sa.exists().where(Account.visit_id == Visit.id)
    missing = (
        sa.select(Visit.id)
        .where(
            Visit.debtor_id == debtor_id,
            Visit.arrived_latest.between(since, before),
            ~has_account,
        )
        .order_by(Visit.arrived_earliest)
        .limit(10)
    )
    return tuple(db.session.scalars(missing))

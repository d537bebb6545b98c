"""How does a month become a fixed record that gives the same proposals for ever?

Closing copies what is known of everybody into `month_inputs`, with the tariff of the day, and seals both with
one digest. What becomes known later changes nothing until somebody closes the month again, as a new revision
and with a reason.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.authority import Actor
from server.database import db, transaction
from server.errors import Conflict, Invalid
from server.ledger.month_seal import MonthSeal
from server.models.assessments import ClosedMonth, MonthInput, close_alone
from server.reports.facts import PersonMonth
from server.reports.tariff import Tariff, tariff
from server.rules.json_form import from_json, to_json
from server.rules.local_time import local_day
from server.workflows import missed_clocks
from server.workflows.assessment_facts import Month, load_people, month_of
from server.workflows.standing_packs import local_zone

ROWS_AT_ONCE: Final = 500


def close(day: date, *, reason: str, actor: Actor, now: datetime) -> ClosedMonth:
    """Close the month that holds a day; closing it again needs a reason and makes the next revision.

    Raises Conflict while the month still runs, and when nothing has changed since it was closed.
    """
    month = month_of(day, local_zone())
    if local_day(now, month.zone) < month.following:
        raise Conflict("month-running", f"This month ends on {month.following}; close it from then on.")
    assert actor.staff_id is not None
    with transaction() as session:
        close_alone(session)
        last = standing(session, month.first)
        if last is not None and not reason.strip():
            raise Invalid("reason-missing", "This month was closed before; say why it is closed again.")
        closed = ClosedMonth(
            month=month.first,
            revision=1 if last is None else last.revision + 1,
            closed_at=now,
            closed_by=actor.staff_id,
            reason=reason.strip(),
            tariff=to_json(tariff()),
            sha256=b"",
            people=0,
            unattributed=missed_clocks.unattributed(session, month),
            days_looked=missed_clocks.days_looked(session, month),
        )
        session.add(closed)
        session.flush()
        seal = MonthSeal(closed.tariff)
        for rows in _in_chunks(_rows(session, month, closed.revision, seal)):
            session.execute(sa.insert(MonthInput), rows)
        if last is not None and last.sha256 == seal.digest():
            raise Conflict("nothing-changed", "Nothing has changed since this month was closed.")
        closed.sha256, closed.people = seal.digest(), seal.people
    return closed


def _rows(session: Session, month: Month, revision: int, seal: MonthSeal) -> Iterator[dict[str, Any]]:
    for person in load_people(session, month, tariff()):
        kept = to_json(person)
        seal.add(kept)
        yield {
            "month": month.first,
            "revision": revision,
            "staff_id": person.staff_id,
            "branch": person.branch,
            "facts": kept,
        }


def _in_chunks(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    chunk: list[dict[str, Any]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == ROWS_AT_ONCE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def standing(session: Session, month: date) -> ClosedMonth | None:
    """Return the last closing of a month; None: it is open."""
    query = sa.select(ClosedMonth).where(ClosedMonth.month == month).order_by(ClosedMonth.revision.desc())
    return session.scalar(query.limit(1))


def kept_people(closed: ClosedMonth) -> Iterator[tuple[dict[str, Any], PersonMonth]]:
    """Give the facts of a closed month as they are stored and as they are read, in the order of ids."""
    query = sa.select(MonthInput.staff_id, MonthInput.facts).where(
        MonthInput.month == closed.month, MonthInput.revision == closed.revision
    )
    rows: Sequence[Any] = db.session.execute(query.order_by(MonthInput.staff_id).limit(ROWS_AT_ONCE)).all()
    while rows:
        yield from ((row.facts, from_json(PersonMonth, row.facts)) for row in rows)
        rest = query.where(MonthInput.staff_id > rows[-1].staff_id)
        rows = db.session.execute(rest.order_by(MonthInput.staff_id).limit(ROWS_AT_ONCE)).all()


def kept_tariff(closed: ClosedMonth) -> Tariff:
    """Return the tariff that a month was closed with."""
    return from_json(Tariff, closed.tariff)

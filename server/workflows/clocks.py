"""Until when must what be done on which case? Counts the clocks again and stores what changed.

`case_clocks` is a projection: a job of a few cases when something about them changed, all of them every night
(a month may have begun, a deadline passed) and when a calendar is published. Set-based, chunk by chunk with
flat memory; a second run changes nothing. Never touches assignments: clocks ask, the rules decide.

A case that cannot be counted keeps the clocks it had and stops no other; then the job fails.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from server.database import db, transaction
from server.deadlines.days import Days
from server.deadlines.engine import CASE_RULES as CASE_RULES
from server.deadlines.engine import clocks_of
from server.deadlines.facts import Clock
from server.deadlines.timetable import timetable
from server.jobs import task
from server.models.cases import Case
from server.rules.calendar import Calendar
from server.rules.pack import RulePack
from server.workflows.case_facts import load_calendar
from server.workflows.clock_facts import LoadedCase, clients_with_batch, load_situations
from server.workflows.standing_packs import active_pack

log = structlog.get_logger()
CHUNK: Final = 4_000
NAMED: Final = 20
YEARS_BACK: Final = 10
AFTER_MIDNIGHT_IN_CHINA: Final = "10 16 * * *"


@task("clocks.recount")
def recount(*, now: datetime, cases: Sequence[str] = (), debtors: Sequence[str] = ()) -> None:
    """Count the clocks of these cases again, and of their debtors' other cases: caps are the debtor's."""
    of_cases = sa.select(Case.debtor_id).where(Case.id.in_([UUID(one) for one in cases]))
    of_debtors = Case.debtor_id.in_([UUID(one) for one in debtors])
    chosen = sa.select(Case.id).where(sa.or_(Case.debtor_id.in_(of_cases), of_debtors)).order_by(Case.id)
    ids = list(db.session.scalars(chosen))
    counting = Counting(now)
    for first in range(0, len(ids), CHUNK):
        counting.count(ids[first : first + CHUNK])
    counting.require_all()


@task("clocks.recount_all", every=AFTER_MIDNIGHT_IN_CHINA)
def recount_all(*, now: datetime, client: str | None = None) -> None:
    """Count every open case again, or every one of a client; clocks of closed cases go (D18)."""
    counting = Counting(now)
    changed = sum(counting.count(ids) for ids in _open_cases(None if client is None else UUID(client)))
    with transaction() as session:
        session.execute(_CLOSED)
    log.info("clocks.recounted", changed=changed, client=client)
    counting.require_all()


_CLOSED: Final = sa.text(
    "DELETE FROM case_clocks USING cases WHERE cases.id = case_clocks.case_id AND cases.state <> 'open'"
)


def _open_cases(client_id: UUID | None) -> Iterator[list[UUID]]:
    query = sa.select(Case.id).where(Case.state == "open").order_by(Case.id).limit(CHUNK)
    if client_id is not None:
        query = query.where(Case.client_id == client_id)
    ids = list(db.session.scalars(query))
    while ids:
        yield ids
        ids = list(db.session.scalars(query.where(Case.id > ids[-1])))


class Uncounted(RuntimeError):
    """Cases whose facts no clock could be counted from. The others are counted and stored."""


class Counting:
    """One run: a moment, the calendar and the packs of that moment; and which cases could not be counted."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._table = timetable()
        self._calendar: Calendar = load_calendar(now.year - YEARS_BACK, now.year + 2)
        self._days: dict[UUID | None, Days] = {}
        self._of_pack: dict[tuple[Any, ...], Days] = {}
        self.uncounted: list[UUID] = []

    def _days_for(self, client_id: UUID | None) -> Days:
        """Return the day counter of a client, whose working hours may end earlier than the house's."""
        found = self._days.get(client_id)
        if found is None:
            pack: RulePack = active_pack(self._now, client_id)
            hours = pack.timezone, pack.window_closes
            found = self._of_pack.get(hours)
            if found is None:
                found = Days(self._calendar, now=self._now, zone=pack.zone, closes=pack.window_closes)
                self._of_pack[hours] = found
            self._days[client_id] = found
        return found

    def count(self, case_ids: Sequence[UUID]) -> int:
        """Count the clocks of some cases again; return how many rows that changed.

        One counts at a time: whoever comes second sees what the first one saw, and everything since.
        """
        house = self._days_for(None)
        with transaction() as session:
            session.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('fieldvisit.clocks'))"))
            batches = clients_with_batch(session, house.today)
            found = load_situations(session, case_ids, days=house, table=self._table, batches=batches)
            counted = list(self._clocks(found))
            kept = set(self.uncounted)
            stored = [case_id for case_id in case_ids if case_id not in kept]
            return _store(session, stored, counted, now=self._now)

    def _clocks(self, found: Iterable[LoadedCase]) -> Iterator[tuple[UUID, list[Clock]]]:
        for case in found:
            days = self._days_for(case.client_id)
            try:
                yield case.id, clocks_of(case.situation, days, self._table)
            except (ArithmeticError, ValueError, LookupError, TypeError) as fault:  # whatever its facts hold
                log.error("clocks.uncounted", case_id=str(case.id), fault=repr(fault))
                self.uncounted.append(case.id)

    def require_all(self) -> None:
        """Raise Uncounted when a case could not be counted, so that the job is seen to have failed."""
        if self.uncounted:
            named = ", ".join(map(str, self.uncounted[:NAMED]))
            raise Uncounted(f"{len(self.uncounted)} cases could not be counted: {named}")


_STORE: Final = sa.text(
    """
    WITH kinds AS MATERIALIZED (
        SELECT * FROM unnest(
            CAST(:rule AS text[]), CAST(:opened_on AS date[]), CAST(:opened_by AS text[]),
            CAST(:due_at AS timestamptz[]), CAST(:state AS text[]), CAST(:because AS text[]),
            CAST(:is_provisional AS boolean[])
        ) WITH ORDINALITY AS k (rule, opened_on, opened_by, due_at, state, because, is_provisional, kind)
    ), wanted AS MATERIALIZED (
        SELECT w.case_id, cases.client_id, kinds.*
        FROM ROWS FROM (unnest(CAST(:cases AS uuid[])), unnest(CAST(:kinds AS int[]))) AS w (case_id, kind)
        JOIN kinds ON kinds.kind = w.kind
        JOIN cases ON cases.id = w.case_id
    ), stored AS MATERIALIZED (
        SELECT * FROM case_clocks WHERE case_id = ANY(CAST(:ids AS uuid[]))
    ), gone AS (
        DELETE FROM case_clocks USING stored
        WHERE case_clocks.case_id = stored.case_id AND case_clocks.rule = stored.rule
          AND (stored.case_id, stored.rule) NOT IN (SELECT case_id, rule FROM wanted)
        RETURNING 1
    ), put AS (
        INSERT INTO case_clocks (case_id, client_id, rule, opened_on, opened_by, due_at, state, because,
                                 is_provisional, updated_at)
        SELECT w.case_id, w.client_id, w.rule, w.opened_on, w.opened_by, w.due_at, w.state, w.because,
               w.is_provisional, :now
        FROM wanted w LEFT JOIN stored s ON s.case_id = w.case_id AND s.rule = w.rule
        WHERE (w.client_id, w.opened_on, w.opened_by, w.due_at, w.state, w.because, w.is_provisional)
              IS DISTINCT FROM
              (s.client_id, s.opened_on, s.opened_by, s.due_at, s.state, s.because, s.is_provisional)
        ON CONFLICT (case_id, rule) DO UPDATE SET
            client_id = excluded.client_id, opened_on = excluded.opened_on, opened_by = excluded.opened_by,
            due_at = excluded.due_at, state = excluded.state, because = excluded.because,
            is_provisional = excluded.is_provisional, updated_at = excluded.updated_at
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM put)
    """
)


def _store(
    session: Session,
    case_ids: Sequence[UUID],
    counted: Iterable[tuple[UUID, list[Clock]]],
    *,
    now: datetime,
) -> int:
    """Write what differs from what is stored, and remove what is no more; nothing else is touched.

    Thousands of cases share a few hundred different clocks: each travels once, and is referred to by number.
    """
    kinds: dict[Clock, int] = {}
    cases: list[str] = []
    numbers: list[str] = []
    for case_id, clocks in counted:
        cases += [str(case_id)] * len(clocks)
        numbers += [str(kinds.setdefault(clock, len(kinds) + 1)) for clock in clocks]
    columns = zip(*kinds, strict=True) if kinds else ((),) * len(Clock._fields)
    values: dict[str, Any] = dict(zip(Clock._fields, map(list, columns), strict=True))
    values |= {
        "cases": _array(cases),
        "kinds": _array(numbers),
        "ids": _array(map(str, case_ids)),
        "now": now,
    }
    return session.scalar(_STORE, values) or 0


def _array(words: Iterable[str]) -> str:
    """Write ids or numbers as PostgreSQL writes an array: in one piece, not element by element."""
    return f"{{{','.join(words)}}}"

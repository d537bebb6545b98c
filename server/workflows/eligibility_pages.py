"""What do the rules see of each of very many cases, page by page?

A fixed number of statements a page, on a connection of its own and in a thread of its own, so that PostgreSQL
works on the next page while this one is judged.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Container, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from itertools import chain
from typing import Any, Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from server.driver import run
from server.models.cases import Case, LedgerEntry
from server.models.dispatch import ENDED_EARLY, Assignment, BudgetSlot
from server.models.visits import Account, Visit
from server.rules.facts import Arrival, Interval, Reservation, VisitRequest
from server.rules.situation import MOST_CALL_DAYS, NO_VISITS, Place, Situation, Visits

Query = sa.Select[*tuple[Any, ...]]
FIRST_PAGE: Final = 1_000
PAGE: Final = 20_000
# For one statement's sorts and hashes of a page; with PostgreSQL's usual 4 MB they go through files. And each
# page is planned for its own ids: a plan for any ids, which PostgreSQL tries on a connection that has asked
# ten times, walks all cases for each of them (200 s instead of 4 for 100,000).
_SETTINGS: Final = sa.text("SET LOCAL work_mem = '64MB'; SET LOCAL plan_cache_mode = force_custom_plan")


@dataclass(frozen=True, slots=True)
class Asked:
    """Which cases, and as of when. None for `case_ids` means every open case, or those of one client.

    `since`: from when on the debtors' visits matter. `small_fen`: the balance above which amounts are alike.
    """

    now: datetime
    since: datetime
    time_zone: str
    small_fen: int
    case_ids: Sequence[UUID] | None
    client_id: UUID | None
    after: UUID | None


class Row(NamedTuple):
    """One case as `_ROWS` selects it. What a subject of the rules looks at is one JSON array each.

    So rows are read in a third of the time, and what thousands of cases share is read but once.
    """

    id: UUID
    debtor_id: UUID
    client_id: UUID
    address_id: UUID | None
    latitude: float | None
    longitude: float | None
    is_hardship: bool
    money: str
    looked_at: str
    stopped: str
    place: str | None
    tried: str
    limits: str


@dataclass(frozen=True, slots=True)
class Page:
    """Some cases in the order of their ids; what their debtors had of visits, and who owes an account."""

    rows: Sequence[Row]
    visits: Mapping[UUID, Visits]
    late: Container[UUID]


def pages(engine: sa.Engine, asked: Asked) -> Iterator[Page]:
    """Read page after page, each while the one before is used; the first is small and comes quickly.

    The second is not read before it is wanted: most readers stop after the first.
    """
    with closing(_read(engine, asked)) as reading:
        first = next(reading, None)
        if first is None:
            return
        yield first
        with ThreadPoolExecutor(1, thread_name_prefix="cases") as ahead:
            coming = ahead.submit(next, reading, None)
            while page := coming.result():
                coming = ahead.submit(next, reading, None)
                yield page


def _read(engine: sa.Engine, asked: Asked) -> Generator[Page, None, None]:
    is_about_all = asked.case_ids is None and asked.client_id is None
    visits: Mapping[UUID, Visits] = {}
    late: Container[UUID] = ()
    about = {
        "now": asked.now,
        "zone": asked.time_zone,
        "small": asked.small_fen,
        "most_call_days": MOST_CALL_DAYS,
    }
    with engine.connect() as connection:
        connection.execute(_SETTINGS)
        for number, ids in enumerate(_pages_of_ids(connection, asked)):
            chosen = _as_array(ids)
            if number < 2 or not is_about_all:
                # What everybody has had of late is read but once, and not for the first page.
                those = None if number and is_about_all else chosen
                visits = _load_visits(connection, those, asked)
                late = _debtors_of_missing_accounts(connection, those, asked)
            stretch = {"ids": chosen, "first": ids[0], "last": ids[-1]}
            yield Page(run(connection, _ROWS, about | stretch), visits, late)


def _pages_of_ids(connection: sa.Connection, asked: Asked) -> Iterator[list[UUID]]:
    after = asked.after
    if asked.case_ids is not None:
        ids = sorted(case_id for case_id in set(asked.case_ids) if after is None or case_id > after)
        yield from (ids[first : first + PAGE] for first in range(0, len(ids), PAGE))
        return
    size = FIRST_PAGE
    while True:
        query = sa.select(Case.id).where(Case.state == "open").order_by(Case.id).limit(size)
        if asked.client_id is not None:
            query = query.where(Case.client_id == asked.client_id)
        ids = list(connection.scalars(query.where(Case.id > after) if after is not None else query))
        if not ids:
            return
        yield ids
        after, size = ids[-1], PAGE


def _as_array(ids: Iterable[UUID]) -> str:
    """Write ids as PostgreSQL writes an array: once for all statements, and not element by element."""
    return f"{{{','.join(map(str, ids))}}}"


# The best address of a case: one that may be visited, then one with a point, then the oldest.
_ROWS: Final = """
    WITH chosen AS MATERIALIZED (
        SELECT cases.* FROM unnest(CAST(%(ids)s AS uuid[])) AS wanted(id) JOIN cases USING (id)
         WHERE cases.id BETWEEN %(first)s AND %(last)s),
    best AS (
        SELECT DISTINCT ON (a.case_id) a.case_id, a.id, a.status, a.latitude, a.longitude,
               k.id IS NOT NULL AS is_of_contact, k.liable, k.stop_contact,
               k.sensitive_occupation <> '' AS is_sensitive
          FROM addresses a JOIN chosen ON chosen.id = a.case_id LEFT JOIN contacts k ON k.id = a.contact_id
         WHERE a.case_id BETWEEN %(first)s AND %(last)s
         ORDER BY a.case_id, a.status = 'verified' AND COALESCE(k.liable AND NOT k.stop_contact, true) DESC,
               a.latitude IS NOT NULL DESC, a.id),
    near_sensitive AS (
        SELECT best.id
          FROM best JOIN addresses n ON n.case_id = best.case_id AND n.id <> best.id
                AND n.latitude = best.latitude AND n.longitude = best.longitude
               JOIN contacts k ON k.id = n.contact_id AND k.sensitive_occupation <> ''
         WHERE n.case_id BETWEEN %(first)s AND %(last)s),
    debtor_held AS (
        SELECT h.debtor_id, array_agg(h.reason ORDER BY h.reason) AS reasons FROM holds h
         WHERE h.scope <> 'case' AND (h.released_at IS NULL OR h.released_at > %(now)s) GROUP BY 1),
    case_held AS (
        SELECT h.case_id, array_agg(h.reason ORDER BY h.reason) AS reasons FROM holds h
         WHERE h.scope = 'case' AND (h.released_at IS NULL OR h.released_at > %(now)s)
           AND h.case_id BETWEEN %(first)s AND %(last)s GROUP BY 1),
    called AS (
        SELECT case_id, count(*) AS days
          FROM (SELECT DISTINCT e.case_id, CAST(e.at AT TIME ZONE %(zone)s AS date)
                  FROM ledger_entries e JOIN chosen ON chosen.id = e.case_id
                 WHERE e.channel = 'call' AND e.at <= %(now)s
                   AND e.case_id BETWEEN %(first)s AND %(last)s) AS each
         GROUP BY case_id),
    written AS (
        SELECT e.case_id, min(e.received_on) AS received_on
          FROM ledger_entries e JOIN chosen ON chosen.id = e.case_id
         WHERE e.channel = 'letter' AND e.received_on IS NOT NULL AND e.case_id BETWEEN %(first)s AND %(last)s
         GROUP BY e.case_id)
    SELECT c.id, c.debtor_id, c.client_id, best.id AS address_id, best.latitude, best.longitude,
           cardinality(d.hardship) > 0 AS is_hardship,
           json_build_array(LEAST(c.outstanding_fen, %(small)s), c.balance_as_of)::text AS money,
           json_build_array(cardinality(c.special_flags) > 0, c.reviewed_at IS NOT NULL, c.special_note <> '',
                            c.note_acknowledged_at IS NOT NULL)::text AS looked_at,
           json_build_array(c.state, of_debtor.reasons, of_case.reasons)::text AS stopped,
           CASE WHEN best.id IS NOT NULL THEN
                json_build_array(best.status, best.is_of_contact, best.liable, best.stop_contact,
                                 best.is_sensitive, best.id IN (SELECT id FROM near_sensitive))::text
                END AS place,
           json_build_array(LEAST(COALESCE(called.days, 0), %(most_call_days)s), written.received_on)::text
                AS tried,
           json_build_array(d.hardship, c.daily_visit_cap)::text AS limits
      FROM chosen c JOIN debtors d ON d.id = c.debtor_id
      LEFT JOIN best ON best.case_id = c.id
      LEFT JOIN debtor_held of_debtor ON of_debtor.debtor_id = c.debtor_id
      LEFT JOIN case_held of_case ON of_case.case_id = c.id
      LEFT JOIN called ON called.case_id = c.id
      LEFT JOIN written ON written.case_id = c.id
     ORDER BY c.id
    """


class _Read(dict[str | None, Any]):
    """What the texts of one column mean. Equal texts become one and the same value."""

    def __init__(self, read: Callable[..., Any]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, text: str | None) -> Any:
        value = self[text] = self._read(*json.loads(text or "[]"))
        return value


class Situations:
    """Says what the rules see of the rows of pages; ids are left out, so that like cases are equal."""

    def __init__(self) -> None:
        self._money = _Read(lambda fen, as_of: (fen, _day(as_of)))
        self._looked_at = _Read(lambda *seen: ((*seen, False), (*seen, True)))
        self._stopped = _Read(lambda state, *reasons: (state, tuple(chain(*filter(None, reasons)))))
        self._place = _Read(_place)
        self._tried = _Read(lambda call_days, received_on: (call_days, _day(received_on)))
        self._limits = _Read(lambda hardship, cap: (tuple(hardship), cap))

    def of(self, row: Row, page: Page) -> Situation:
        """Say it of one row."""
        return Situation(
            money=self._money[row.money],
            looked_at=self._looked_at[row.looked_at][row.debtor_id in page.late],
            stopped=self._stopped[row.stopped],
            place=self._place[row.place],
            tried=self._tried[row.tried],
            limits=self._limits[row.limits],
            visits=page.visits.get(row.debtor_id, NO_VISITS),
        )


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _place(*known: Any) -> Place | None:
    """Read status, whether it is a contact's, the contact's liability, refusal and occupation, neighbours."""
    if not known:
        return None
    status, is_of_contact, *through, is_near_sensitive = known
    return Place(status, tuple(through) if is_of_contact else None, is_near_sensitive)


def _load_visits(connection: sa.Connection, case_ids: str | None, asked: Asked) -> dict[UUID, Visits]:
    """Return what the debtors with any visit, plan or wish of late have; the others are not in it.

    None asks about all debtors.
    """
    grouped = partial(_grouped, connection, case_ids)
    reservations = grouped(_reservations(asked.since), lambda row: Reservation(row[1], row[2]))
    arrivals = grouped(_arrivals(asked.since), lambda row: Arrival(row[1], Interval(row[2], row[3]), row[4]))
    requests = grouped(_requests(asked.since, asked.now), lambda row: VisitRequest(*row[1:]))
    return {
        debtor_id: Visits(
            reservations=tuple(reservations[debtor_id]),
            arrivals=tuple(arrivals[debtor_id]),
            requests=tuple(requests[debtor_id]),
        )
        for debtor_id in {*reservations, *arrivals, *requests}
    }


def _debtors_of_missing_accounts(connection: sa.Connection, case_ids: str | None, asked: Asked) -> set[UUID]:
    """Return the debtors who were visited and whose visit has no account yet (C13)."""
    return set(_grouped(connection, case_ids, _missing_accounts(asked.since, asked.now), lambda row: row[1]))


_DEBTORS: Final = sa.text(
    "SELECT debtor_id FROM unnest(CAST(:ids AS uuid[])) AS wanted(id) JOIN cases USING (id)"
).columns(sa.column("debtor_id", sa.Uuid()))


def _grouped(
    connection: sa.Connection, case_ids: str | None, query: Query, read: Callable[[Any], Any]
) -> defaultdict[UUID, list[Any]]:
    """Run a query for the debtors of these cases and group its rows by the first column, in its order."""
    if case_ids is not None:
        query = query.where(query.selected_columns["debtor_id"].in_(_DEBTORS.bindparams(ids=case_ids)))
    found: defaultdict[UUID, list[Any]] = defaultdict(list)
    for row in connection.execute(query).all():
        found[row[0]].append(read(row))
    return found


def _reservations(since: datetime) -> Query:
    return (
        sa.select(Assignment.debtor_id, Assignment.id, Assignment.window_start)
        .where(Assignment.window_start >= since, Assignment.state.not_in(ENDED_EARLY))
        .order_by(Assignment.window_start, Assignment.id)
    )


def _arrivals(since: datetime) -> Query:
    """Select visits reported by phones and imported ones."""
    reported = sa.select(
        Visit.debtor_id.label("debtor_id"),
        Visit.id,
        Visit.arrived_earliest.label("earliest"),
        Visit.arrived_latest.label("latest"),
        Visit.assignment_id,
    ).where(Visit.arrived_latest >= since, Visit.debtor_id.is_not(None))
    imported = sa.select(
        LedgerEntry.debtor_id,
        LedgerEntry.id,
        LedgerEntry.at,
        LedgerEntry.at,
        sa.null(),
    ).where(LedgerEntry.channel == "visit", LedgerEntry.visit_id.is_(None), LedgerEntry.at >= since)
    both = sa.union_all(reported, imported).subquery()
    return sa.select(both).order_by(both.c.earliest, both.c.id)


def _requests(since: datetime, now: datetime) -> Query:
    return (
        sa.select(
            LedgerEntry.debtor_id,
            LedgerEntry.id,
            LedgerEntry.channel,
            LedgerEntry.at,
            LedgerEntry.visit_on,
            BudgetSlot.assignment_id,
        )
        .outerjoin(BudgetSlot, BudgetSlot.evidence_entry_id == LedgerEntry.id)
        .where(
            LedgerEntry.asks_for_visit,
            LedgerEntry.channel.in_(("inbound", "visit")),
            LedgerEntry.at.between(since, now),
        )
        .order_by(LedgerEntry.at, LedgerEntry.id)
    )


def _missing_accounts(since: datetime, now: datetime) -> Query:
    return (
        sa.select(Visit.debtor_id, Visit.id)
        .where(
            Visit.debtor_id.is_not(None),
            Visit.arrived_latest.between(since, now),
            ~sa.exists().where(Account.visit_id == Visit.id),
        )
        .order_by(Visit.arrived_earliest)
    )

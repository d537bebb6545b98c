"""Which cases may be visited on a day, by whom, and if not, since which rule and from when?

Set-based: a fixed number of statements whatever the number of cases, and one judgement for each distinct
situation (`server.rules.situations`). Nothing is stored or reserved; what is assigned from here is judged
again under lock.
"""

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from server.authority import Role
from server.database import db
from server.models.cases import Case, LedgerEntry
from server.models.dispatch import ENDED_EARLY, Assignment, BudgetSlot
from server.models.people import Staff
from server.models.visits import Account, Visit
from server.rules.availability import VisitorDay, visitor_day
from server.rules.facts import Arrival, Interval, Reservation, VisitRequest
from server.rules.local_time import at_local
from server.rules.pack import RulePack
from server.rules.situation import MOST_CALL_DAYS, NO_VISITS, Place, Situation, Visits
from server.rules.situations import DayAnswer, DayJudge, Status
from server.rules.verdict import Reason
from server.workflows.case_facts import LOOK_BACK, load_calendar, load_members

ONE_HOUR: Final = timedelta(hours=1)
Query = sa.Select[*tuple[Any, ...]]
FIRST_CHUNK: Final = 1_000
CHUNK: Final = 50_000
WORK_MEMORY: Final = "64MB"
"""For one statement's sorts and hashes of a chunk; with PostgreSQL's usual 4 MB they go through files."""


class Answer(NamedTuple):
    """One case on one day. Reasons carry rule, slug, severity and quotation, not the facts of the case.

    `address_id` is the address that was judged: the best of the case, None when it has none.
    """

    case_id: UUID
    debtor_id: UUID
    client_id: UUID
    address_id: UUID | None
    latitude: float | None
    longitude: float | None
    is_hardship: bool
    status: Status
    first_start: datetime | None
    allowed_from: datetime | None
    reasons: tuple[Reason, ...]
    budget_left: int
    evidence_entry_id: UUID | None


def which_cases(
    *,
    day: date,
    now: datetime,
    pack: RulePack,
    of_clients: Mapping[UUID, RulePack] | None = None,
    case_ids: Sequence[UUID] | None = None,
    client_id: UUID | None = None,
    duration: timedelta = ONE_HOUR,
    after: UUID | None = None,
) -> Iterator[Answer]:
    """Judge every open case (or those named, closed ones too) for a visit on `day`, in the order of ids.

    `of_clients` are the packs of clients with overlays of their own (`standing_packs.packs_of_clients`).
    Works chunk by chunk, the first one small: whoever stops reading early has waited for little.
    """
    calendar = load_calendar(day.year - 1, day.year + 1)
    judge = DayJudge(day, now=now, duration=duration, pack=pack, calendar=calendar)
    judges = {
        client: DayJudge(day, now=now, duration=duration, pack=own, calendar=calendar)
        for client, own in (of_clients or {}).items()
    }
    since = at_local(day, pack.window_opens, pack.zone) - LOOK_BACK
    small = max(one.small_balance_fen for one in (pack, *(of_clients or {}).values()))
    about = {"now": now, "since": since, "zone": pack.timezone, "small": small}
    is_about_all = case_ids is None and client_id is None
    visits: Mapping[UUID, Visits] = {}
    late: Container[UUID] = ()
    db.session.execute(sa.text(f"SET LOCAL work_mem = '{WORK_MEMORY}'"))
    for number, ids in enumerate(_chunks(case_ids, client_id=client_id, after=after)):
        chosen = _as_array(ids)
        if number < 2 or not is_about_all:
            # The first chunk is small and comes quickly; what everybody has had of late is read but once.
            those = None if number and is_about_all else chosen
            visits = _load_visits(those, since=since, now=now)
            late = _debtors_of_missing_accounts(those, since=since, now=now)
        rows = db.session.execute(_CASES, about | {"ids": chosen, "most_call_days": MOST_CALL_DAYS})
        for row in map(_Row._make, rows):
            planned = visits.get(row.debtor_id, NO_VISITS)
            its_judge = judges.get(row.client_id, judge)
            said = its_judge.judge(_situation(row, planned, is_account_missing=row.debtor_id in late))
            yield _answer(row, said)


def _as_array(ids: Iterable[UUID]) -> str:
    """Write ids as PostgreSQL writes an array: once for all statements, and not element by element."""
    return f"{{{','.join(map(str, ids))}}}"


def _chunks(
    case_ids: Sequence[UUID] | None, *, client_id: UUID | None, after: UUID | None
) -> Iterator[list[UUID]]:
    """Give out the ids of the cases that are asked about, in order."""
    if case_ids is not None:
        ids = sorted(case_id for case_id in set(case_ids) if after is None or case_id > after)
        yield from (ids[first : first + CHUNK] for first in range(0, len(ids), CHUNK))
        return
    size = FIRST_CHUNK
    while True:
        query = sa.select(Case.id).where(Case.state == "open").order_by(Case.id).limit(size)
        if client_id is not None:
            query = query.where(Case.client_id == client_id)
        ids = list(db.session.scalars(query.where(Case.id > after) if after is not None else query))
        if not ids:
            return
        yield ids
        after, size = ids[-1], CHUNK


def who(*, day: date, now: datetime, pack: RulePack) -> tuple[VisitorDay, ...]:
    """Return every visitor who works here on `day`, with what they may do and when they are free."""
    opens = at_local(day, pack.window_opens, pack.zone)
    ids = db.session.scalars(
        sa.select(Staff.id).where(
            Staff.roles.contains([Role.VISITOR.value]),
            sa.or_(Staff.left_at.is_(None), Staff.left_at > opens),
        )
    ).all()
    members = load_members(ids, since=opens - timedelta(days=1))
    return tuple(visitor_day(member, day=day, now=now, pack=pack) for member in members)


class _Row(NamedTuple):
    """One case as `_CASES` selects it."""

    id: UUID
    debtor_id: UUID
    client_id: UUID
    state: str
    outstanding_fen: int
    balance_as_of: date | None
    daily_visit_cap: int | None
    is_flagged: bool
    is_reviewed: bool
    has_note: bool
    is_acknowledged: bool
    hardship: list[str]
    address_id: UUID | None
    status: str
    latitude: float | None
    longitude: float | None
    is_of_contact: bool
    liable: bool
    stop_contact: bool
    is_sensitive: bool
    is_near_sensitive: bool
    debtor_holds: list[str] | None
    case_holds: list[str] | None
    call_days: int
    received_on: date | None


# The best address of a case: one that may be visited, then one with a point, then the oldest.
_CASES: Final = sa.text(
    """
    WITH chosen AS MATERIALIZED (
        SELECT cases.* FROM unnest(CAST(:ids AS uuid[])) AS wanted(id) JOIN cases USING (id)),
    best AS (
        SELECT DISTINCT ON (a.case_id) a.case_id, a.id, a.status, a.latitude, a.longitude,
               k.id IS NOT NULL AS is_of_contact, k.liable, k.stop_contact,
               k.sensitive_occupation <> '' AS is_sensitive
          FROM addresses a JOIN chosen ON chosen.id = a.case_id LEFT JOIN contacts k ON k.id = a.contact_id
         ORDER BY a.case_id, a.status = 'verified' AND COALESCE(k.liable AND NOT k.stop_contact, true) DESC,
               a.latitude IS NOT NULL DESC, a.id),
    near_sensitive AS (
        SELECT best.id
          FROM best JOIN addresses n ON n.case_id = best.case_id AND n.id <> best.id
                AND n.latitude = best.latitude AND n.longitude = best.longitude
               JOIN contacts k ON k.id = n.contact_id AND k.sensitive_occupation <> ''),
    debtor_held AS (
        SELECT h.debtor_id, array_agg(h.reason ORDER BY h.reason) AS reasons FROM holds h
         WHERE h.scope <> 'case' AND (h.released_at IS NULL OR h.released_at > :now) GROUP BY 1),
    case_held AS (
        SELECT h.case_id, array_agg(h.reason ORDER BY h.reason) AS reasons FROM holds h
         WHERE h.scope = 'case' AND (h.released_at IS NULL OR h.released_at > :now) GROUP BY 1),
    called AS (
        SELECT case_id, count(*) AS days
          FROM (SELECT DISTINCT e.case_id, CAST(e.at AT TIME ZONE :zone AS date)
                  FROM ledger_entries e JOIN chosen ON chosen.id = e.case_id
                 WHERE e.channel = 'call' AND e.at <= :now) AS each
         GROUP BY case_id),
    written AS (
        SELECT e.case_id, min(e.received_on) AS received_on
          FROM ledger_entries e JOIN chosen ON chosen.id = e.case_id
         WHERE e.channel = 'letter' AND e.received_on IS NOT NULL
         GROUP BY e.case_id)
    SELECT c.id, c.debtor_id, c.client_id, c.state, LEAST(c.outstanding_fen, :small) AS outstanding_fen,
           c.balance_as_of, c.daily_visit_cap, cardinality(c.special_flags) > 0 AS is_flagged,
           c.reviewed_at IS NOT NULL AS is_reviewed, c.special_note <> '' AS has_note,
           c.note_acknowledged_at IS NOT NULL AS is_acknowledged, d.hardship,
           best.id AS address_id, best.status, best.latitude, best.longitude, best.is_of_contact, best.liable,
           best.stop_contact, best.is_sensitive,
           COALESCE(best.id IN (SELECT id FROM near_sensitive), false) AS is_near_sensitive,
           of_debtor.reasons AS debtor_holds, of_case.reasons AS case_holds,
           LEAST(COALESCE(called.days, 0), :most_call_days) AS call_days, written.received_on
      FROM chosen c JOIN debtors d ON d.id = c.debtor_id
      LEFT JOIN best ON best.case_id = c.id
      LEFT JOIN debtor_held of_debtor ON of_debtor.debtor_id = c.debtor_id
      LEFT JOIN case_held of_case ON of_case.case_id = c.id
      LEFT JOIN called ON called.case_id = c.id
      LEFT JOIN written ON written.case_id = c.id
     ORDER BY c.id
    """
)


def _situation(row: _Row, visits: Visits, *, is_account_missing: bool) -> Situation:
    """Read one row as the rules see it; ids are left out, so that like cases are equal."""
    place = None
    if row.address_id is not None:
        known_through = (row.liable, row.stop_contact, row.is_sensitive)
        place = Place(row.status, known_through if row.is_of_contact else None, row.is_near_sensitive)
    return Situation(
        money=(row.outstanding_fen, row.balance_as_of),
        looked_at=(row.is_flagged, row.is_reviewed, row.has_note, row.is_acknowledged, is_account_missing),
        stopped=(row.state, (*(row.debtor_holds or ()), *(row.case_holds or ()))),
        place=place,
        tried=(row.call_days, row.received_on),
        limits=(tuple(row.hardship), row.daily_visit_cap),
        visits=visits,
    )


def _answer(row: _Row, said: DayAnswer) -> Answer:
    return Answer(
        case_id=row.id,
        debtor_id=row.debtor_id,
        client_id=row.client_id,
        address_id=row.address_id,
        latitude=row.latitude,
        longitude=row.longitude,
        is_hardship=bool(row.hardship),
        status=said.status,
        first_start=said.first_start,
        allowed_from=said.allowed_from,
        reasons=said.reasons,
        budget_left=said.budget_left,
        evidence_entry_id=said.evidence_entry_id,
    )


def _load_visits(case_ids: str | None, *, since: datetime, now: datetime) -> dict[UUID, Visits]:
    """Return what the debtors with any visit, plan or wish of late have; the others are not in it.

    None asks about all debtors.
    """
    reservations = _grouped(_reservations(since), case_ids, lambda row: Reservation(row[1], row[2]))
    arrivals = _grouped(
        _arrivals(since), case_ids, lambda row: Arrival(row[1], Interval(row[2], row[3]), row[4])
    )
    requests = _grouped(_requests(since, now), case_ids, lambda row: VisitRequest(*row[1:]))
    return {
        debtor_id: Visits(
            reservations=tuple(reservations[debtor_id]),
            arrivals=tuple(arrivals[debtor_id]),
            requests=tuple(requests[debtor_id]),
        )
        for debtor_id in {*reservations, *arrivals, *requests}
    }


def _debtors_of_missing_accounts(case_ids: str | None, *, since: datetime, now: datetime) -> set[UUID]:
    """Return the debtors who were visited and whose visit has no account yet (C13)."""
    return set(_grouped(_missing_accounts(since, now), case_ids, lambda row: row[1]))


_DEBTORS: Final = sa.text(
    "SELECT debtor_id FROM unnest(CAST(:ids AS uuid[])) AS wanted(id) JOIN cases USING (id)"
).columns(sa.column("debtor_id", sa.Uuid()))


def _grouped(query: Query, case_ids: str | None, read: Callable[[Any], Any]) -> defaultdict[UUID, list[Any]]:
    """Run a query for the debtors of these cases and group its rows by the first column, in its order."""
    if case_ids is not None:
        query = query.where(query.selected_columns["debtor_id"].in_(_DEBTORS.bindparams(ids=case_ids)))
    found: defaultdict[UUID, list[Any]] = defaultdict(list)
    for row in db.session.execute(query):
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

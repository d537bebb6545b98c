"""What do the rules see of each of very many cases, page by page?

A fixed number of statements a page, on a connection of its own and in a thread of its own, so that PostgreSQL
works on the next page while this one is judged.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from server.driver import run, uuids
from server.models.dispatch import ENDED_EARLY
from server.rules.situation import MOST_CALL_DAYS, NO_PLANS, NO_VISITS, Situation

BEFORE_ALL: Final = UUID(int=0)
FIRST_PAGE: Final = 1_000
PAGE: Final = 10_000
# For one statement's sorts and hashes of a page; with PostgreSQL's usual 4 MB they go through files. And each
# page is planned for its own ids: a plan for any ids, which PostgreSQL tries on a connection that has asked
# ten times, walks all cases for each of them (200 s instead of 4 for 100,000).
_SETTINGS: Final = sa.text("SET LOCAL work_mem = '64MB'; SET LOCAL plan_cache_mode = force_custom_plan")


@dataclass(frozen=True, slots=True)
class Asked:
    """Which cases, and as of when. None for `case_ids` means every open case, or those of one client.

    `since`: from when on what the debtors had is looked at. `counting_since`: from when on their visits
    count. `begins`: the first instant of the day. `small_fen`: the balance above which amounts are alike.
    """

    now: datetime
    begins: datetime
    since: datetime
    counting_since: datetime
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


class Debtor(NamedTuple):
    """What a debtor had of late, as `_HAD` selects it: JSON arrays, and the ids of the wishes."""

    debtor_id: UUID
    by_day: str
    by_hour: str
    planned: str
    wish_ids: Sequence[UUID] | None
    owes_account: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Some cases in the order of their ids, and those of their debtors who had anything of late."""

    rows: Sequence[Row]
    debtors: Mapping[UUID, Debtor]


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
    rows_of, had_of = (_ROWS, _HAD) if asked.case_ids is None else (_ROWS_OF_NAMED, _HAD_OF_NAMED)
    debtors: Mapping[UUID, Debtor] = {}
    about = {
        "client_id": asked.client_id,
        "now": asked.now,
        "begins": asked.begins,
        "since": asked.since,
        "counting_since": asked.counting_since,
        "zone": asked.time_zone,
        "small": asked.small_fen,
        "most_call_days": MOST_CALL_DAYS,
        "ended_early": list(ENDED_EARLY),
    }
    with engine.connect() as connection:
        connection.execute(_SETTINGS)
        for number, stretch in enumerate(_stretches(connection, asked)):
            those = about | stretch
            if number == 0 or not is_about_all:
                debtors = _debtors(connection, had_of, those)
            elif number == 1:
                debtors, rows = _beside(engine, connection, those)
                yield Page(rows, debtors)
                continue
            yield Page(run(connection, rows_of, those), debtors)


def _beside(
    engine: sa.Engine, connection: sa.Connection, those: Mapping[str, Any]
) -> tuple[Mapping[UUID, Debtor], Sequence[Row]]:
    """Read a page's rows and, on a second connection beside, what everybody has had of late: but once."""
    with engine.connect() as other, ThreadPoolExecutor(1, thread_name_prefix="debtors") as beside:
        other.execute(_SETTINGS)
        coming = beside.submit(_debtors, other, _HAD_BY_ALL, those)
        rows = run(connection, _ROWS, those)
        return coming.result(), rows


def _debtors(connection: sa.Connection, had: str, those: Mapping[str, Any]) -> Mapping[UUID, Debtor]:
    return {row.debtor_id: row for row in run(connection, had, those)}


def _stretches(connection: sa.Connection, asked: Asked) -> Iterator[dict[str, Any]]:
    """Yield the first and the last id of each page, and the ids where cases are named."""
    after = asked.after or BEFORE_ALL
    if asked.case_ids is not None:
        ids = sorted(case_id for case_id in set(asked.case_ids) if case_id > after)
        for begin in range(0, len(ids), PAGE):
            page = ids[begin : begin + PAGE]
            yield {"first": page[0], "last": page[-1], "ids": uuids(page)}
        return
    size = FIRST_PAGE
    while True:
        next_page = {"client_id": asked.client_id, "after": after, "size": size}
        (stretch,) = run(connection, _NEXT_STRETCH, next_page)
        if stretch.last is None:
            return
        yield stretch._asdict()
        after, size = stretch.last, PAGE


_OPEN: Final = "state = 'open' AND (CAST(%(client_id)s AS uuid) IS NULL OR client_id = %(client_id)s)"
_NEXT_STRETCH: Final = f"""
    WITH page AS (
        SELECT id FROM cases WHERE {_OPEN} AND id > %(after)s ORDER BY id LIMIT %(size)s)
    SELECT (SELECT id FROM page ORDER BY id LIMIT 1) AS first,
           (SELECT id FROM page ORDER BY id DESC LIMIT 1) AS last
    """
_CHOSEN: Final = f"FROM cases WHERE {_OPEN} AND id BETWEEN %(first)s AND %(last)s"
_NAMED: Final = """
    FROM unnest(CAST(%(ids)s AS uuid[])) AS wanted(id) JOIN cases USING (id)
    WHERE cases.id BETWEEN %(first)s AND %(last)s
    """


def _rows(chosen: str) -> str:
    """Return the statement of what the rules look at in these cases.

    The best address of a case: one that may be visited, then one with a point, then the oldest.
    """
    return f"""
    WITH chosen AS MATERIALIZED (SELECT cases.* {chosen}),
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


_ROWS: Final = _rows(_CHOSEN)
_ROWS_OF_NAMED: Final = _rows(_NAMED)


def situation_of(row: Row, debtor: Debtor | None) -> Situation:
    """Say what the rules see of one row, and of what its debtor had."""
    by_day = by_hour = NO_VISITS
    planned = NO_PLANS
    if debtor is not None:
        by_day, planned = debtor.by_day, debtor.planned
        by_hour = debtor.by_hour if row.is_hardship else NO_VISITS
    owes_account = debtor is not None and debtor.owes_account
    # The row's columns from `money` on are the first members.
    return Situation(*row[7:], by_day, by_hour, planned, owes_account)


def _had(whose: str) -> str:
    """Return the statement of what these debtors had of late; who had nothing is left out.

    An arrival is a visit reported by a phone, or an imported one. A plan counts until it has begun, which may
    have been before it was due: so arrivals are looked for farther back than visits count. Which assignment a
    wish serves is said as `contact_facts` says it of one debtor.
    """
    return f"""
    WITH resting AS (
        SELECT one.evidence_entry_id AS entry_id, one.id AS assignment_id, one.state,
               (SELECT min(arrived_earliest) FROM visits WHERE visits.assignment_id = one.id) AS arrived
          FROM assignments one WHERE one.evidence_entry_id IS NOT NULL AND one.debtor_id {whose}),
    serving AS (
        SELECT DISTINCT ON (entry_id) entry_id, assignment_id, wish.channel
          FROM resting JOIN ledger_entries wish ON wish.id = entry_id
         WHERE state <> ALL (%(ended_early)s) OR arrived IS NOT NULL
         ORDER BY entry_id, arrived NULLS LAST, assignment_id),
    arrived AS (
        SELECT debtor_id, arrived_earliest AS earliest, arrived_latest AS latest, assignment_id
          FROM visits WHERE arrived_latest >= %(since)s AND debtor_id {whose}
        UNION ALL
        SELECT debtor_id, at, at, NULL FROM ledger_entries
         WHERE channel = 'visit' AND visit_id IS NULL AND at >= %(since)s AND debtor_id {whose}),
    had AS (
        SELECT debtor_id, earliest, latest, channel AS wish
          FROM arrived LEFT JOIN serving USING (assignment_id)
        UNION ALL
        SELECT plan.debtor_id, plan.window_start, plan.window_start, serving.channel
          FROM assignments plan LEFT JOIN serving ON serving.assignment_id = plan.id
         WHERE plan.window_start >= %(since)s AND plan.state <> ALL (%(ended_early)s)
           AND plan.debtor_id {whose}
           AND NOT EXISTS (SELECT FROM arrived WHERE arrived.assignment_id = plan.id)),
    counted AS (
        SELECT debtor_id, json_agg(day ORDER BY earliest) FILTER (WHERE wish IS NULL) AS days,
               json_agg(latest ORDER BY latest) FILTER (WHERE wish IS NULL) AS instants,
               json_agg(json_build_array(day, wish) ORDER BY earliest) FILTER (WHERE wish IS NOT NULL)
                   AS asked_days,
               json_agg(json_build_array(latest, wish) ORDER BY latest) FILTER (WHERE wish IS NOT NULL)
                   AS asked_instants
          FROM had CROSS JOIN LATERAL (SELECT CAST(earliest AT TIME ZONE %(zone)s AS date) AS day) AS of_it
         WHERE latest >= %(counting_since)s GROUP BY debtor_id),
    wished AS (
        SELECT asked.debtor_id, array_agg(asked.id ORDER BY asked.at, asked.id) AS ids,
               json_agg(json_build_array(asked.channel, CAST(asked.at AT TIME ZONE %(zone)s AS date),
                                         asked.visit_on, serving.assignment_id IS NOT NULL)
                        ORDER BY asked.at, asked.id) AS wishes
          FROM ledger_entries asked LEFT JOIN serving ON serving.entry_id = asked.id
         WHERE asked.asks_for_visit AND asked.channel IN ('inbound', 'visit') AND asked.at <= %(now)s
           AND (asked.at >= %(since)s OR asked.visit_on >= CAST(%(since)s AT TIME ZONE 'UTC' AS date))
           AND asked.debtor_id {whose}
         GROUP BY asked.debtor_id),
    planned AS (
        SELECT debtor_id,
               json_agg(json_build_array(window_start, window_end) ORDER BY window_start, id) AS windows
          FROM assignments
         WHERE window_start >= %(since)s AND window_end > %(begins)s AND state <> ALL (%(ended_early)s)
           AND debtor_id {whose}
         GROUP BY debtor_id),
    owing AS (
        SELECT DISTINCT debtor_id, true AS owes_account FROM visits
         WHERE arrived_latest BETWEEN %(since)s AND %(now)s AND debtor_id {whose}
           AND NOT EXISTS (SELECT FROM accounts WHERE accounts.visit_id = visits.id))
    SELECT debtor_id,
           json_build_array(COALESCE(days, '[]'), COALESCE(wishes, '[]'), COALESCE(asked_days, '[]'))::text
                AS by_day,
           json_build_array(COALESCE(instants, '[]'), COALESCE(wishes, '[]'),
                            COALESCE(asked_instants, '[]'))::text AS by_hour,
           COALESCE(planned.windows, '[]')::text AS planned,
           wished.ids AS wish_ids, COALESCE(owing.owes_account, false) AS owes_account
      FROM counted FULL JOIN wished USING (debtor_id) FULL JOIN planned USING (debtor_id)
      FULL JOIN owing USING (debtor_id)
    """


_HAD: Final = _had(f"IN (SELECT debtor_id {_CHOSEN})")
_HAD_OF_NAMED: Final = _had(f"IN (SELECT debtor_id {_NAMED})")
_HAD_BY_ALL: Final = _had("IS NOT NULL")

"""How long does it take to count the clocks of 100,000 cases, and to open a work list?

On an embedded PostgreSQL; the cases are made by SQL from a seed: most of them old, a tenth in hardship, one
in twelve held, one in ten with a promise, six contacts each. Prints, from one run: counting everything the
first time, when every clock is written; counting it again, when nothing changed; and, as the limit, one bulk
UPDATE of the same rows. Then one case (what a call triggers), the first page of the overdue list and the
counts of all lists, beside an empty round trip.

Run: `python -m bench.deadlines [--cases 100000] [--json FILE]`.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from bench.imports import Peak
from bench.stage import a_product
from server.database import db, transaction
from server.models.cases import Case
from server.models.deadlines import CaseClock
from server.workflows import clocks
from server.workflows.worklists import Chosen, counts, work
from tests.builders import a_client_bank
from tests.office import NOW, an_office

ROUNDS: Final = 9
CONTACTS: Final = 6
FILL: Final = (
    "SELECT setseed(0.7)",
    """
    INSERT INTO debtors (id, client_id, reference, hardship)
    SELECT gen_random_uuid(), :client, 'D' || n,
           CASE WHEN n % 10 = 0 THEN ARRAY['pregnancy'] ELSE '{}'::text[] END
    FROM generate_series(1, :cases) n
    """,
    """
    INSERT INTO cases (id, client_id, reference, debtor_id, principal_fen, outstanding_fen, balance_as_of,
                       allocated_on, status_code, hand)
    SELECT gen_random_uuid(), client_id, replace(reference, 'D', 'C'), id, 2000000,
           (random() * 1000000)::bigint, date '2026-11-20',
           date '2026-11-23' - (random() * random() * 300)::int,
           (ARRAY['', '', '', '', '', 'FOUND1', 'PTP', '停催'])[1 + (random() * 7)::int],
           (ARRAY['first', 'second', 'third'])[1 + (random() * 2)::int]
    FROM debtors
    """,
    """
    INSERT INTO ledger_entries (id, client_id, reference, case_id, debtor_id, channel, at, effective,
                                received_on)
    SELECT gen_random_uuid(), c.client_id, c.reference || '-' || n, c.id, c.debtor_id, e.channel, e.at,
           e.channel <> 'letter' AND random() < 0.4,
           CASE WHEN e.channel = 'letter' AND random() < 0.7 THEN (e.at + interval '1 day')::date END
    FROM cases c CROSS JOIN generate_series(1, :contacts) n,
         LATERAL (SELECT (ARRAY['call', 'call', 'call', 'inbound', 'letter'])[1 + (random() * 4 + n * 0)::int]
                         AS channel,
                         CAST(:now AS timestamptz) - (1 + random() * n * 10 * 24) * interval '1 hour' AS at) e
    """,
    """
    INSERT INTO holds (id, scope, debtor_id, case_id, reason, note, raised_at)
    SELECT gen_random_uuid(), 'case', debtor_id, id, 'other', ''::bytea,
           CAST(:now AS timestamptz) - interval '1 day'
    FROM cases WHERE random() < 1 / 12.0
    """,
    """
    INSERT INTO promises (id, client_id, reference, case_id, debtor_id, amount_fen, due_on, made_at, source)
    SELECT gen_random_uuid(), client_id, 'P' || reference, id, debtor_id, 1000,
           date '2026-11-23' + (random() * 10)::int, CAST(:now AS timestamptz) - interval '2 days', 'office'
    FROM cases WHERE random() < 0.1
    """,
)


def seconds(deed: Callable[[], object]) -> float:
    """Return how long a deed took."""
    begun = time.perf_counter()
    deed()
    return time.perf_counter() - begun


def median_ms(deed: Callable[[], object]) -> float:
    """Return the median of a few rounds, after one to warm up."""
    deed()
    return round(statistics.median([seconds(deed) for _ in range(ROUNDS)]) * 1000, 1)


def fill(cases: int) -> None:
    """Make the cases and everything around them."""
    about = {"client": a_client_bank().id, "cases": cases, "contacts": CONTACTS, "now": NOW}
    with transaction() as session:
        for statement in FILL:
            words = sa.text(statement)
            session.execute(words, {name: value for name, value in about.items() if f":{name}" in statement})
    analyse()


def update_every_row() -> None:
    """Write every clock once more: what any projection that rewrites its rows must at least cost."""
    with transaction() as session:
        session.execute(sa.text("UPDATE case_clocks SET updated_at = updated_at + interval '1 second'"))


def analyse() -> None:
    """Let the planner know the tables, as autovacuum does."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))


def measure(cases: int) -> dict[str, Any]:
    """Count the clocks and read the lists."""
    fill(cases)
    with Peak() as peak:
        first = seconds(lambda: clocks.recount_all(now=NOW))
    rows = db.session.scalar(sa.select(sa.func.count()).select_from(CaseClock))
    db.session.rollback()
    analyse()
    again = seconds(lambda: clocks.recount_all(now=NOW))
    update = seconds(update_every_row)
    analyse()
    one = str(db.session.scalar(sa.select(Case.id).limit(1)))
    if not work("overdue", Chosen(), after=None, limit=50, now=NOW).rows:
        raise SystemExit("something should be overdue")
    return {
        "cases": cases,
        "clocks": rows,
        "first_s": round(first, 1),
        "again_s": round(again, 1),
        "bulk_update_s": round(update, 1),
        "peak_growth_mib": peak.growth_mib,
        "one_case_ms": median_ms(lambda: clocks.recount(now=NOW, cases=[one])),
        "first_page_ms": median_ms(lambda: work("overdue", Chosen(), after=None, limit=50, now=NOW)),
        "by_rule_ms": median_ms(lambda: work("overdue", Chosen(rule="F11"), after=None, limit=50, now=NOW)),
        "counts_ms": median_ms(lambda: counts(Chosen(), now=NOW)),
        "round_trip_ms": median_ms(lambda: db.session.scalar(sa.text("SELECT 1"))),
    }


def main() -> None:
    """Run on a stage of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with a_product() as app:
        an_office(app)
        result = measure(options.cases)
    print(f"{result['cases']:,} cases, {result['clocks']:,} clocks, +{result['peak_growth_mib']} MiB at most")
    for name, value in result.items():
        if name.endswith(("_s", "_ms")):
            print(f"{name:>16} {value:>10}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
